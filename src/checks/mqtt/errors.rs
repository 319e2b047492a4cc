//! What a broker's return code means: MQTT 3.1.1 has the codes 1 to 5, MQTT 5 those from 0x80.

use crate::model::CheckError;

/// The error that stands for the `code` of a CONNACK, or of a DISCONNECT of MQTT 5.
pub fn refusal(target: &str, code: u8) -> CheckError {
    let target = target.to_owned();
    let reason = |words: &str| format!("{words} (return code {code})").into();
    match code {
        4 | 0x86 => CheckError::Authentication { target, reason: reason("bad user name or password") },
        5 | 0x87 => CheckError::Authentication { target, reason: reason("not authorized") },
        0x8C => CheckError::Authentication { target, reason: reason("bad authentication method") },
        3 | 0x88 => CheckError::Unavailable { target, reason: reason("the server is unavailable") },
        0x89 => CheckError::Unavailable { target, reason: reason("the server is busy") },
        0x8B => CheckError::Unavailable { target, reason: reason("the server is shutting down") },
        0x97 => CheckError::Unavailable { target, reason: reason("a quota is exceeded") },
        0x9C => CheckError::Unavailable { target, reason: reason("it names another server to use") },
        0x9F => CheckError::Unavailable { target, reason: reason("the connection rate is exceeded") },
        1 | 0x84 => CheckError::Rejected { target, reason: reason("it does not take this version of MQTT") },
        2 | 0x85 => CheckError::Rejected { target, reason: reason("it does not take the client's identifier") },
        0x8A => CheckError::Rejected { target, reason: reason("this client is banned") },
        0x9D => CheckError::Rejected { target, reason: reason("the server has moved") },
        _ => CheckError::Rejected { target, reason: reason("the connection was refused") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_each_code() {
        for (codes, expected) in [
            (vec![4, 5, 0x86, 0x87, 0x8C], "AuthenticationError"),
            (vec![3, 0x88, 0x89, 0x8B, 0x97, 0x9C, 0x9F], "UnavailableError"),
            (vec![1, 2, 6, 0x80, 0x84, 0x85, 0x8A, 0x9D, 0xFF], "RequestRejectedError"),
        ] {
            for code in codes {
                let error = refusal("broker:1883", code);
                assert_eq!(error.code(), expected, "{code}");
                assert!(error.to_string().contains(&format!("(return code {code})")), "{error}");
            }
        }
    }
}
