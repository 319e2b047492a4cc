//! PostgreSQL's error codes as errors in our words: nothing of the server's own text gets through.

use std::time::Duration;

use crate::model::{CheckError, Phase};

/// What is configured cannot be used.
pub fn configuration(text: &str) -> CheckError {
    CheckError::Configuration(format!("PostgreSQL: {text}"))
}

/// SQLSTATEs that the code refers to by name.
pub const NO_LOGIN_RULE: &str = "28000";
pub const MISSING_RIGHT: &str = "42501";
pub const CANCELLED: &str = "57014";
pub const FULL: &str = "53300";
const TERMINATED: &str = "57P01";

/// The code of an error that ended a login. PgBouncer before 1.20 has one code for all; its texts, which are never shown,
/// distinguish the cases.
pub fn of_login<'a>(code: &'a str, text: &str) -> &'a str {
    match code {
        "08P01" if text.contains("authentication failed") || text.starts_with("no such user") => "28P01",
        "08P01" if text.starts_with("no such database") => "3D000",
        "08P01" if text.starts_with("unsupported startup parameter") => "0A000",
        code => code,
    }
}

/// What the code of an error that `target` reported `after` so long means.
pub fn error(target: &str, code: &str, after: Duration) -> CheckError {
    let target = target.to_owned();
    let after = Duration::from_millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let authentication = |reason: &'static str| (Kind::Authentication, reason);
    let unavailable = |reason: &'static str| (Kind::Unavailable, reason);
    let rejected = |reason: &'static str| (Kind::Rejected, reason);
    let class = code.get(..2).unwrap_or_default();
    let (kind, reason) = match code {
        CANCELLED => return CheckError::Timeout { after, phase: Phase::Query },
        "55P03" => return CheckError::Timeout { after, phase: Phase::Lock },
        "28P01" => authentication("the user or the password is wrong"),
        NO_LOGIN_RULE => authentication("its rules (pg_hba.conf) or the role's attributes do not allow this login"),
        "3D000" => rejected("the database does not exist"),
        "53100" => unavailable("its disk is full"),
        "53200" => unavailable("it is out of memory"),
        FULL => unavailable("all of its connections are taken"),
        TERMINATED | "57P02" => unavailable("it is shutting down"),
        "57P03" => unavailable("it is starting up, shutting down or recovering"),
        "57P04" => rejected("the database has been dropped"),
        "0A000" => rejected("it does not support this, such as start-up options"),
        "25006" => rejected("the statement writes, and checks are read-only"),
        MISSING_RIGHT => rejected("a right is missing"),
        "42P01" => rejected("a table that the statement names does not exist"),
        "42703" => rejected("a column that the statement names does not exist"),
        "42883" => rejected("a function that the statement names does not exist"),
        "42704" => rejected("an object or a setting that the login or the statement names does not exist"),
        "55000" => rejected("the database accepts no connections, or something there is not ready for the statement"),
        "42601" => rejected("the statement's syntax is wrong"),
        // PgBouncer's code for whatever keeps it from serving.
        "08P01" => unavailable("a connection pooler or the server refuses the session"),
        _ => match class {
            "28" => authentication("it refuses this login"),
            "08" => unavailable("it has lost its own connection"),
            "53" => unavailable("it lacks a resource"),
            "54" => unavailable("a limit of it is exceeded"),
            "57" => unavailable("an operator intervened"),
            "58" => unavailable("its operating system reports an error"),
            "XX" => unavailable("it reports an internal error"),
            _ => rejected("the statement fails there"),
        },
    };
    // The code itself is worth knowing, and a well-formed one can hold no text.
    let known = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let reason = if known { format!("{reason} (SQLSTATE {code})").into() } else { reason.into() };
    match kind {
        Kind::Authentication => CheckError::Authentication { target, reason },
        Kind::Unavailable => CheckError::Unavailable { target, reason },
        Kind::Rejected => CheckError::Rejected { target, reason },
    }
}

/// What a server that has no room for another session of `user` on `database` says, by the `routine` of its source that
/// says so: the text may be in any language.
pub fn full(target: &str, user: &str, database: &str, routine: Option<&str>) -> CheckError {
    let limit = match routine {
        Some("InitializeSessionUserId") => format!("role {user:?}"),
        Some("CheckMyDatabase") => format!("database {database:?}"),
        _ => return error(target, FULL, Duration::ZERO),
    };
    let reason = format!("{CROWDED}{limit} (SQLSTATE {FULL})").into();
    CheckError::Unavailable { target: target.to_owned(), reason }
}

const CROWDED: &str = "too many connections for ";

enum Kind {
    Authentication,
    Unavailable,
    Rejected,
}

/// Whether the server has no room for another session: by its own limit, or that of the role or the database.
pub fn is_full(error: &CheckError) -> bool {
    has_code(error, FULL)
}

/// Whether that is by the limit of the role or the database, which the other processes of this application reach first.
pub fn is_limit_of_login(error: &CheckError) -> bool {
    matches!(error, CheckError::Unavailable { reason, .. } if reason.starts_with(CROWDED))
}

/// Whether an administrator has ended the session, or the server is shutting down.
pub fn is_terminated(error: &CheckError) -> bool {
    has_code(error, TERMINATED)
}

fn has_code(error: &CheckError, code: &str) -> bool {
    matches!(error, CheckError::Unavailable { reason, .. } if reason.ends_with(&format!("(SQLSTATE {code})")))
}

/// Whether the statement itself is at fault, for every user and at any time: not a missing right, nor the server's state.
pub fn is_of_statement(error: &CheckError) -> bool {
    let CheckError::Rejected { reason, .. } = error else { return false };
    let code = reason.rsplit_once("(SQLSTATE ").map_or("", |(_, code)| code);
    let classes = ["0A", "21", "22", "25006", "42"];
    !code.starts_with(MISSING_RIGHT) && classes.iter().any(|class| code.starts_with(class))
}

/// Whether the session ends with this error, so that a new one may succeed.
pub fn ends_session(code: &str) -> bool {
    code.starts_with("08") || matches!(code, TERMINATED | "57P02" | "57P05")
}

/// Whether a server or pooler refuses a start-up parameter by this error: unknown (before PostgreSQL 14), or any but
/// the usual ones (PgBouncer and other poolers).
pub fn refuses_parameter(code: &str) -> bool {
    matches!(code, "42704" | "08P01" | "0A000" | "22023")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstate_becomes_error_of_its_kind() {
        let cases = [
            ("28P01", "AuthenticationError", "the password is wrong"),
            ("28000", "AuthenticationError", "pg_hba.conf"),
            ("28X00", "AuthenticationError", "refuses this login"),
            ("3D000", "RequestRejectedError", "the database does not exist (SQLSTATE 3D000)"),
            ("42501", "RequestRejectedError", "a right is missing"),
            ("42P01", "RequestRejectedError", "a table"),
            ("42P99", "RequestRejectedError", "fails there (SQLSTATE 42P99)"),
            ("53300", "UnavailableError", "connections are taken"),
            ("53999", "UnavailableError", "resource"),
            ("57P03", "UnavailableError", "starting up"),
            ("XX001", "UnavailableError", "internal error"),
            ("08006", "UnavailableError", "lost"),
            ("57014", "TimeoutError", "Timed out after 1.5 s (while waiting for the answer)"),
            ("55P03", "TimeoutError", "Timed out after 1.5 s (while waiting for a lock)"),
            ("", "RequestRejectedError", "fails there"),
        ];
        for (code, kind, words) in cases {
            let error = error("db:5432", code, Duration::from_micros(1_500_321));
            assert_eq!(error.code(), kind, "{code}");
            assert!(error.to_string().contains(words), "{code}: {error}");
        }
    }

    #[test]
    fn the_texts_of_an_old_pgbouncer_are_distinguished() {
        let cases = [
            ("08P01", "SASL authentication failed", "28P01"),
            ("08P01", "no such database: app", "3D000"),
            ("08P01", "unsupported startup parameter: options", "0A000"),
            ("08P01", "client_login_timeout (server down)", "08P01"),
            ("57P03", "no such database: app", "57P03"),
        ];
        for (code, text, expected) in cases {
            assert_eq!(of_login(code, text), expected, "{text}");
        }
    }

    #[test]
    fn full_server_names_the_limit_that_is_reached() {
        let cases = [
            (Some("InitializeSessionUserId"), "too many connections for role \"app\" (SQLSTATE 53300)", true),
            (Some("CheckMyDatabase"), "too many connections for database \"shop\" (SQLSTATE 53300)", true),
            (Some("InitPostgres"), "all of its connections are taken (SQLSTATE 53300)", false),
            (None, "all of its connections are taken (SQLSTATE 53300)", false),
        ];
        for (routine, words, by_login) in cases {
            let error = full("db:5432", "app", "shop", routine);
            assert_eq!(error.to_string(), format!("db:5432 cannot serve: {words}"));
            assert_eq!((is_full(&error), is_limit_of_login(&error), is_terminated(&error)), (true, by_login, false));
        }
        assert!(is_terminated(&error("db:5432", "57P01", Duration::ZERO)));
    }

    #[test]
    fn statement_is_at_fault_by_some_codes() {
        for (code, expected) in [
            ("42601", true),
            ("42703", true),
            ("22P02", true),
            ("21000", true),
            ("0A000", true),
            ("25006", true),
            ("42501", false),
            ("57014", false),
            ("40001", false),
            ("53300", false),
            ("", false),
        ] {
            assert_eq!(is_of_statement(&error("db:5432", code, Duration::ZERO)), expected, "{code}");
        }
    }

    #[test]
    fn malformed_code_is_not_shown() {
        for code in ["hunter2", "ab c!", "28<b>", "5€€"] {
            let text = error("db:5432", code, Duration::ZERO).to_string();
            assert!(!text.contains(code), "{text}");
        }
    }
}
