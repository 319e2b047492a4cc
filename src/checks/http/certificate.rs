//! How long the certificates are valid that the servers of one run have presented.

use jiff::Timestamp;

use crate::checks::fields::counted;
use crate::model::{Finding, Status};
use crate::net::Certificate;
use crate::net::http::HttpResponse;

/// What a server presented.
pub struct ServerCertificate {
    target: String,
    /// `None`: it cannot be read.
    read: Option<Certificate>,
}

impl ServerCertificate {
    /// The certificate that came with an answer, where it was recorded and the server has one.
    pub fn of(response: &HttpResponse) -> Option<Self> {
        let presented = response.presented()?.chain.first()?;
        Some(Self { target: response.target.clone(), read: Certificate::read(presented) })
    }
}

/// The same finding with the dates of the certificate that ends first, or of one whose end cannot be read; degraded by
/// them if it is healthy otherwise. `target` is the server that has answered. Without a certificate all the URLs were
/// `http://`.
pub fn judge(finding: Finding, target: &str, certificates: Vec<ServerCertificate>, days: u32) -> Finding {
    let end = |certificate: &ServerCertificate| certificate.read.as_ref().map(|read| read.not_after);
    let Some(ServerCertificate { target: owner, read }) = certificates.into_iter().min_by_key(end) else {
        return finding;
    };
    let (mut finding, problem) = match read {
        Some(certificate) => {
            let left = certificate.days_left(Timestamp::now());
            let expires = match left {
                // Where verification is off.
                ..0 => "a certificate that has expired".to_owned(),
                _ => format!("a certificate that expires in {}", counted("day", left.unsigned_abs())),
            };
            let not_after = certificate.not_after.to_string();
            let finding = finding.with("certificate_not_after", not_after).with("certificate_days_left", left);
            (finding, (left < i64::from(days)).then_some(expires))
        }
        None => (finding, Some("a certificate whose dates cannot be read".to_owned())),
    };
    if let Some(problem) = problem.filter(|_| finding.status == Status::Healthy) {
        finding.status = Status::Degraded;
        finding.message += &match owner == target {
            true => format!(", with {problem}"),
            false => format!("; {owner}, which redirects, has {problem}"),
        };
    }
    finding
}
