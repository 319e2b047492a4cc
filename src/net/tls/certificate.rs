//! What a certificate says of itself: whose it is, who signed it, when and for which names it is valid.

use std::net::IpAddr;
use std::time::SystemTime;

use jiff::Timestamp;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 256;
/// A certificate of a content delivery network has hundreds of names.
const MAX_NAMES: usize = 20;
const SECONDS_PER_DAY: i64 = 86_400;

/// What a certificate says of itself. Its texts come from the server and are bounded.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// In the form of RFC 4514, such as `CN=shop.example.org,O=Shop`.
    pub subject: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The host names and addresses it is valid for, the first 20 of them.
    pub names: Vec<String>,
    /// Whether it names itself as its issuer.
    pub is_self_issued: bool,
}

impl Certificate {
    /// `None` where it cannot be read.
    pub fn read(der: &[u8]) -> Option<Self> {
        // Serial numbers and dates that break RFC 5280 are no reason to know nothing.
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        let alternative = body.get_extension::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0);
        let names = alternative.unwrap_or_default();
        Some(Self {
            subject: text(body.subject()),
            issuer: text(body.issuer()),
            not_before: timestamp(body.validity().not_before.to_system_time())?,
            not_after: timestamp(body.validity().not_after.to_system_time())?,
            names: names.iter().filter_map(host).take(MAX_NAMES).collect(),
            is_self_issued: body.subject() == body.issuer(),
        })
    }

    /// Whole days until it expires; below 0 once it has.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(SECONDS_PER_DAY)
    }
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

fn text(name: &Name) -> String {
    bounded(&name.to_string())
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// A name by which clients reach a server.
fn host(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(bounded(name.as_str())),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
