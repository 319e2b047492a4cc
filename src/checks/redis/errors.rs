//! What an error answer of Redis means, in our words: its own text may quote what was sent.

use redis::ServerError;

use crate::model::CheckError;

/// The error that stands for `error`, the answer to `command`.
pub fn refusal(target: &str, command: &'static str, error: &ServerError) -> CheckError {
    let target = target.to_owned();
    let text = error.details().unwrap_or_default().to_ascii_lowercase();
    let unavailable = match error.code() {
        "LOADING" => Some("it is loading its data"),
        "MASTERDOWN" => Some("it is a replica that has lost its master"),
        "CLUSTERDOWN" => Some("the cluster is down"),
        "TRYAGAIN" | "ASK" => Some("it is moving data between nodes"),
        "OOM" => Some("it has used up its memory"),
        "MISCONF" => Some("it cannot save to disk, and so refuses writes"),
        "BUSY" => Some("it is busy running a script"),
        "DENIED" => Some("it is in protected mode: no password, so no clients from other hosts"),
        "ERR" if text.starts_with("max number of clients") => Some("the maximum number of clients is reached"),
        _ => None,
    };
    if let Some(reason) = unavailable {
        return CheckError::Unavailable { target, reason: reason.into() };
    }
    let unauthenticated = match error.code() {
        "NOAUTH" => Some("it requires a password"),
        "WRONGPASS" => Some("the user name or the password is wrong, or the user is disabled"),
        // Redis before 6 knows no WRONGPASS.
        _ if command != "AUTH" => None,
        _ if text.contains("without any password configured") || text.contains("no password is set") => {
            Some("a password is configured here, but none in the server")
        }
        _ if text.contains("wrong number of arguments") => Some("it knows no user names (before Redis 6)"),
        _ => Some("the password is wrong"),
    };
    match unauthenticated {
        Some(reason) => CheckError::Authentication { target, reason: reason.into() },
        None if error.code() == "NOPERM" && text.contains("access") => {
            CheckError::Rejected { target, reason: format!("this user may not read the keys of {command}").into() }
        }
        None if error.code() == "NOPERM" => {
            CheckError::Rejected { target, reason: format!("this user may not run {command}").into() }
        }
        None if text.contains("cluster support disabled") => {
            CheckError::Rejected { target, reason: "it is no node of a cluster".into() }
        }
        None => CheckError::Rejected { target, reason: format!("{command} failed").into() },
    }
}

/// Whether the server cannot be reached, so that a client that knows another one continues with that.
pub fn is_unreachable(error: &CheckError) -> bool {
    matches!(
        error,
        CheckError::NameResolution { .. }
            | CheckError::Refused { .. }
            | CheckError::Closed { .. }
            | CheckError::Unreachable { .. }
            | CheckError::Timeout { .. }
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn refusal_each_answer() {
        for (command, answer, code, words) in [
            ("PING", "NOAUTH Authentication required.", "AuthenticationError", "requires a password"),
            ("AUTH", "WRONGPASS invalid username-password pair or user is disabled.", "AuthenticationError", "wrong"),
            ("AUTH", "ERR invalid password", "AuthenticationError", "password is wrong"),
            ("AUTH", "ERR Client sent AUTH, but no password is set", "AuthenticationError", "none in the server"),
            (
                "AUTH",
                "ERR AUTH <password> called without any password configured for the default user. Are you sure?",
                "AuthenticationError",
                "none in the server",
            ),
            ("AUTH", "ERR wrong number of arguments for 'auth' command", "AuthenticationError", "user names"),
            ("AUTH", "ERR max number of clients reached", "UnavailableError", "number of clients"),
            ("CLIENT SETNAME", "ERR max number of clients reached", "UnavailableError", "number of clients"),
            ("PING", "DENIED Redis is running in protected mode", "UnavailableError", "protected mode"),
            ("PING", "LOADING Redis is loading the dataset in memory", "UnavailableError", "loading"),
            ("PING", "MASTERDOWN Link with MASTER is down", "UnavailableError", "lost its master"),
            ("PING", "OOM command not allowed when used memory > 'maxmemory'.", "UnavailableError", "memory"),
            ("PING", "MISCONF Errors writing to the AOF file", "UnavailableError", "save to disk"),
            ("INFO", "NOPERM User x has no permissions", "RequestRejectedError", "may not run INFO"),
            (
                "LLEN",
                "NOPERM this user has no permissions to access one of the keys used as arguments",
                "RequestRejectedError",
                "may not read the keys of LLEN",
            ),
            ("LLEN", "NOPERM No permissions to access a key", "RequestRejectedError", "may not read the keys of LLEN"),
            ("LLEN", "ASK 3999 10.0.0.1:6379", "UnavailableError", "moving data"),
            ("SELECT", "ERR DB index is out of range", "RequestRejectedError", "SELECT failed"),
            ("CLUSTER INFO", "ERR This instance has cluster support disabled", "RequestRejectedError", "no node"),
            ("PING", "hunter2", "RequestRejectedError", "PING failed"),
        ] {
            let line = format!("-{answer}\r\n");
            let redis::Value::ServerError(error) = redis::parse_redis_value(line.as_bytes()).unwrap() else {
                panic!("{answer}")
            };
            let error = refusal("cache:6379", command, &error);
            let shown = error.to_string();
            assert_eq!(error.code(), code, "{answer}");
            assert!(shown.contains(words) && shown.contains("cache:6379") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
