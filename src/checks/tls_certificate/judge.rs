//! What a presented certificate, and the verdict of its verification, mean.

use jiff::Timestamp;
use rustls::{CertificateError, Error};
use serde_json::{Map, Value};

use crate::checks::fields::counted;
use crate::model::{CheckError, Finding, Status};
use crate::net::{Certificate, Presented};

/// Below how many days of validity a certificate is degraded, and an error.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    pub degraded: u32,
    pub error: u32,
}

/// Judges what `target` presented in a handshake that ended with `outcome`.
pub fn judge(
    target: &str,
    presented: &Presented,
    outcome: Result<(), CheckError>,
    days: Days,
    now: Timestamp,
) -> Result<Finding, CheckError> {
    let Some(first) = presented.chain.first() else {
        // The handshake ended before a certificate came.
        outcome?;
        return Err(CheckError::Protocol { target: target.to_owned(), expected: "TLS with certificates".into() });
    };
    let certificate = Certificate::read(first);
    let last = presented.chain.last().and_then(|last| Certificate::read(last));
    let details = details(certificate.as_ref(), presented.chain.len(), now);
    if let Err(error) = outcome {
        let error = explain(error, presented.fault.as_ref(), certificate.as_ref(), last.as_ref());
        return Err(details.into_iter().fold(error, |error, (name, value)| error.with(&name, value)));
    }
    let Some(certificate) = certificate else {
        let message = format!("The certificate of {target} is trusted, but its dates cannot be read");
        return Ok(Finding { details, ..Finding::degraded(message) });
    };
    let left = certificate.days_left(now);
    let (status, below) = match left {
        _ if left < i64::from(days.error) => (Status::Error, format!(" (below {})", days.error)),
        _ if left < i64::from(days.degraded) => (Status::Degraded, format!(" (below {})", days.degraded)),
        _ => (Status::Healthy, String::new()),
    };
    let message = match left {
        // Only where verification is off does an expired certificate get here.
        ..0 => format!("The certificate of {target} has expired"),
        _ => format!("The certificate of {target} is valid for {}{below}", counted("more day", left.unsigned_abs())),
    };
    Ok(Finding { details, ..Finding::new(status, message) })
}

fn details(certificate: Option<&Certificate>, chain_length: usize, now: Timestamp) -> Map<String, Value> {
    let mut details = Map::new();
    if let Some(certificate) = certificate {
        details.insert("subject".to_owned(), certificate.subject.as_str().into());
        details.insert("issuer".to_owned(), certificate.issuer.as_str().into());
        details.insert("not_before".to_owned(), certificate.not_before.to_string().into());
        details.insert("not_after".to_owned(), certificate.not_after.to_string().into());
        details.insert("days_left".to_owned(), certificate.days_left(now).into());
        details.insert("names".to_owned(), certificate.names.clone().into());
    }
    details.insert("chain_length".to_owned(), chain_length.into());
    details
}

/// A refused chain in more words than verification has: it only says that no trusted authority was found.
fn explain(
    error: CheckError,
    fault: Option<&Error>,
    certificate: Option<&Certificate>,
    last: Option<&Certificate>,
) -> CheckError {
    let (CheckError::Tls { target, .. }, Some(Error::InvalidCertificate(fault))) = (&error, fault) else {
        return error;
    };
    let reason = match fault {
        CertificateError::UnknownIssuer | CertificateError::Other(_)
            if certificate.is_some_and(|certificate| certificate.is_self_issued) =>
        {
            "the certificate is self-signed, and not listed in `ca`"
        }
        CertificateError::UnknownIssuer if last.is_some_and(|last| last.is_self_issued) => {
            "the certificate is signed by an unknown authority"
        }
        CertificateError::UnknownIssuer => {
            "the chain is incomplete or its authority unknown: the issuer of the last certificate that the server sends \
             is not trusted here; servers must send their intermediate certificates"
        }
        _ => return error,
    };
    CheckError::Tls { target: target.clone(), reason: reason.into() }
}
