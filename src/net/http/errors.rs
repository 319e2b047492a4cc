//! What an error of the HTTP library means, in our words.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter;

use crate::model::{CheckError, Phase};
use crate::net;

use super::{MAX_FIELDS, MAX_HEAD};

/// The innermost of the causes that says what happened.
pub fn failure(target: &str, error: &hyper::Error) -> CheckError {
    let outermost: &(dyn Error + 'static) = error;
    let causes: Vec<_> = iter::successors(Some(outermost), |cause| Error::source(*cause)).collect();
    let explained = causes.into_iter().rev().find_map(|cause| explain(target, cause));
    explained.unwrap_or_else(|| CheckError::Unreachable {
        target: target.to_owned(),
        reason: "the request failed on the way".into(),
    })
}

fn explain(target: &str, cause: &(dyn Error + 'static)) -> Option<CheckError> {
    let protocol = || CheckError::Protocol { target: target.to_owned(), expected: "HTTP".into() };
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return Some(match net::io_error(target, Phase::Query, error) {
            // hyper's word for a body that is not encoded as its header says.
            CheckError::Unreachable { .. }
                if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput) =>
            {
                protocol()
            }
            known => known,
        });
    }
    let error = cause.downcast_ref::<hyper::Error>()?;
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(CheckError::Closed { target: target.to_owned(), phase: Phase::Query })
    } else if error.is_parse_too_large() {
        Some(CheckError::HeadTooLarge { target: target.to_owned(), limit: MAX_HEAD, fields: MAX_FIELDS })
    } else if error.is_parse() || error.source().is_none() {
        // The one without a cause: bytes that belong to no answer.
        Some(protocol())
    } else {
        None
    }
}
