//! What a broker's reply codes mean (AMQP 0-9-1, 1.3), with what RabbitMQ says beside them.

use super::protocol::AmqpFrame;
use crate::model::{CheckError, Phase};

const CONNECTION_FORCED: u16 = 320;
const INVALID_PATH: u16 = 402;
pub const ACCESS_REFUSED: u16 = 403;
pub const NOT_FOUND: u16 = 404;
/// What a broker is expected to speak.
pub const PROTOCOL: &str = "AMQP 0-9-1";

pub const RESOURCE_LOCKED: u16 = 405;
const RESOURCE_ERROR: u16 = 506;
const NOT_ALLOWED: u16 = 530;
const INTERNAL_ERROR: u16 = 541;

/// The error that stands for Connection.Close with this code. Its text only distinguishes cases of one code: it is
/// never shown, since it may be anything.
pub fn refusal(target: &str, vhost: &str, phase: Phase, code: u16, text: &str) -> CheckError {
    let target = target.to_owned();
    let says = |words: &str| text.contains(words);
    let unavailable = |reason: &str| CheckError::Unavailable {
        target: target.clone(),
        reason: format!("{reason} (reply code {code})").into(),
    };
    let rejected = |reason: &str| CheckError::Rejected {
        target: target.clone(),
        reason: format!("{reason} (reply code {code})").into(),
    };
    match code {
        ACCESS_REFUSED if phase == Phase::Authenticate => CheckError::Authentication {
            target,
            reason: format!("wrong user name or password, or a user who may not log in (reply code {code})").into(),
        },
        CONNECTION_FORCED => unavailable("it closes connections: it shuts down, or an operator closed this one"),
        NOT_ALLOWED if says("limit") => unavailable("a limit of connections is reached"),
        NOT_ALLOWED | INTERNAL_ERROR if says("is down") => unavailable(&format!("the virtual host {vhost:?} is down")),
        NOT_ALLOWED | INVALID_PATH if says("not found") || code == INVALID_PATH => {
            rejected(&format!("there is no virtual host {vhost:?}"))
        }
        NOT_ALLOWED | ACCESS_REFUSED => rejected(&format!("this user may not use the virtual host {vhost:?}")),
        RESOURCE_ERROR | INTERNAL_ERROR => unavailable("it has an internal error"),
        _ => rejected("it closed the connection"),
    }
}

/// The error of a broker that blocks publishers.
pub fn blocked(target: &str, reason: &str) -> CheckError {
    let lacks: Vec<_> = ["memory", "disk"].into_iter().filter(|word| reason.contains(word)).collect();
    let reason = match lacks.join(" and ") {
        lacks if lacks.is_empty() => "it blocks publishers".to_owned(),
        lacks => format!("it blocks publishers: it is low on {lacks}"),
    };
    CheckError::Unavailable { target: target.to_owned(), reason: reason.into() }
}

/// The error of a frame that does not belong where it came.
pub fn unexpected(target: &str, frame: &AmqpFrame) -> CheckError {
    let expected = match frame {
        AmqpFrame::OtherVersion { version: [3, ..] } => {
            "AMQP 0-9-1 without SASL (it offers AMQP 1.0 with SASL only)".to_owned()
        }
        AmqpFrame::OtherVersion { version: [_, 1, 0, 0] } => "AMQP 0-9-1 (it offers AMQP 1.0)".to_owned(),
        AmqpFrame::OtherVersion { version: [_, major, minor, revision] } => {
            format!("AMQP 0-9-1 (it offers AMQP {major}-{minor}-{revision})")
        }
        _ => PROTOCOL.to_owned(),
    };
    CheckError::Protocol { target: target.to_owned(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_each_code() {
        let (login, query) = (Phase::Authenticate, Phase::Query);
        for (phase, code, text, error, said) in [
            (login, 403, "ACCESS_REFUSED - Login was refused", "AuthenticationError", "wrong user name or password"),
            (query, 403, "", "RequestRejectedError", "may not use the virtual host \"shop\""),
            (query, 530, "NOT_ALLOWED - vhost shop not found", "RequestRejectedError", "no virtual host \"shop\""),
            (query, 402, "", "RequestRejectedError", "no virtual host \"shop\""),
            (query, 530, "NOT_ALLOWED - access to vhost 'shop' refused", "RequestRejectedError", "may not use"),
            (query, 530, "connection limit (1) is reached", "UnavailableError", "limit of connections"),
            (query, 541, "vhost 'shop' is down", "UnavailableError", "is down"),
            (query, 541, "", "UnavailableError", "internal error"),
            (login, 320, "CONNECTION_FORCED - broker forced", "UnavailableError", "closes connections"),
            (query, 504, "hunter2", "RequestRejectedError", "closed the connection"),
        ] {
            let found = refusal("h:5672", "shop", phase, code, text);
            assert_eq!(found.code(), error, "{code} {text}");
            let message = found.to_string();
            assert!(message.contains(said) && message.contains(&code.to_string()), "{message}");
            assert!(!message.contains("hunter2"));
        }
    }

    #[test]
    fn blocked_each_reason() {
        for (reason, said) in [
            ("low on memory", "low on memory"),
            ("low on disk", "low on disk"),
            ("low on memory & disk", "low on memory and disk"),
            ("hunter2", "it blocks publishers"),
        ] {
            let message = blocked("h:5672", reason).to_string();
            assert!(message.ends_with(said), "{message}");
        }
    }

    #[test]
    fn other_versions_named() {
        for (version, said) in [([0, 1, 0, 0], "AMQP 1.0"), ([0, 0, 10, 1], "AMQP 0-10-1"), ([3, 1, 0, 0], "SASL")] {
            let message = unexpected("h:5672", &AmqpFrame::OtherVersion { version }).to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
