//! What an answer of the health service means, by its status of HTTP, of gRPC, and the one in its message.

use std::borrow::Cow;

use super::exchange::GrpcAnswer;
use super::message::{ServingStatus, decode_response};
use crate::model::{CheckError, Finding};

/// Judges the answer of `target` for a service; the empty one is the server as a whole.
pub fn judge(target: &str, service: &str, answer: &GrpcAnswer) -> Result<Finding, CheckError> {
    let named = if service.is_empty() { target.to_owned() } else { format!("{service} at {target}") };
    let of = |reason: Cow<'static, str>| (target.to_owned(), reason);
    match (answer.code, answer.is_grpc) {
        (Some(0), true) => {}
        (Some(code), true) => return refused(target, service, code),
        (None, true) => return Err(protocol(target)),
        (_, false) => {
            let (target, reason) = of(format!("HTTP status {}", answer.http_status).into());
            return Err(match answer.http_status {
                401 => CheckError::Authentication { target, reason },
                429 | 500..=599 => CheckError::Unavailable { target, reason },
                400..=499 => CheckError::Rejected { target, reason },
                _ => protocol(&target),
            });
        }
    }
    let status = decode_response(&answer.message).ok_or_else(|| protocol(target))?;
    let (mut finding, text) = match status {
        ServingStatus::Serving => (Finding::healthy(format!("{named} is serving")), "SERVING"),
        ServingStatus::NotServing => (Finding::error(format!("{named} is not serving")), "NOT_SERVING"),
        ServingStatus::ServiceUnknown => (unknown_service(&named), "SERVICE_UNKNOWN"),
        ServingStatus::Unknown => (Finding::error(format!("{named} does not know whether it is serving")), "UNKNOWN"),
    };
    if !service.is_empty() {
        finding = finding.with("service", service);
    }
    Ok(finding.with("serving_status", text))
}

/// A call that failed, by the code of gRPC.
fn refused(target: &str, service: &str, code: u32) -> Result<Finding, CheckError> {
    let reason = format!("gRPC status {}", name(code)).into();
    let error = match code {
        5 => {
            let named = if service.is_empty() { target.to_owned() } else { format!("{service} at {target}") };
            let finding = unknown_service(&named).with("grpc_status", name(code));
            return Ok(if service.is_empty() { finding } else { finding.with("service", service) });
        }
        12 => {
            let reason = "it has no health service (gRPC status UNIMPLEMENTED)".into();
            CheckError::Rejected { target: target.to_owned(), reason }
        }
        16 => CheckError::Authentication { target: target.to_owned(), reason },
        // The caller's faults.
        1 | 3 | 6 | 7 | 9 | 10 | 11 => CheckError::Rejected { target: target.to_owned(), reason },
        _ => CheckError::Unavailable { target: target.to_owned(), reason },
    };
    Err(error.with("grpc_status", name(code)))
}

fn unknown_service(named: &str) -> Finding {
    Finding::error(format!("{named} is not a service whose health the server knows"))
}

fn protocol(target: &str) -> CheckError {
    CheckError::Protocol { target: target.to_owned(), expected: "gRPC".into() }
}

/// The names of gRPC's status codes, in their order.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn name(code: u32) -> String {
    let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    known.map_or_else(|| code.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(http_status: u16, is_grpc: bool, code: Option<u32>, message: &[u8]) -> String {
        let answer = GrpcAnswer { http_status, is_grpc, message: message.to_vec(), code };
        match judge("h:1", "a.B", &answer) {
            Ok(finding) => format!("{:?}", finding.status),
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn judge_each_status() {
        for (http_status, is_grpc, code, message, expected) in [
            (200, true, Some(0), &b"\0\0\0\0\x02\x08\x01"[..], "Healthy"),
            (200, true, Some(0), b"\0\0\0\0\x02\x08\x02", "Error"),
            (200, true, Some(0), b"\0\0\0\0\x02\x08\x03", "Error"),
            (200, true, Some(0), b"\0\0\0\0\0", "Error"),
            (200, true, Some(0), b"", "ProtocolError"),
            (200, true, None, b"\0\0\0\0\x02\x08\x01", "ProtocolError"),
            (200, true, Some(5), b"", "Error"),
            (200, true, Some(12), b"", "RequestRejectedError"),
            (200, true, Some(7), b"", "RequestRejectedError"),
            (200, true, Some(16), b"", "AuthenticationError"),
            (200, true, Some(4), b"", "UnavailableError"),
            (200, true, Some(14), b"", "UnavailableError"),
            (200, true, Some(99), b"", "UnavailableError"),
            (200, false, None, b"", "ProtocolError"),
            (401, false, None, b"", "AuthenticationError"),
            (404, false, None, b"", "RequestRejectedError"),
            (503, false, None, b"", "UnavailableError"),
        ] {
            assert_eq!(outcome(http_status, is_grpc, code, message), expected, "{http_status} {code:?} {message:?}");
        }
    }
}
