//! The one TLS configuration: rustls with `ring`, verified as far as the target's options say.

mod certificate;
mod der;
mod pem;
mod recorder;
mod revocation;
mod verifier;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use serde::Deserialize;

pub use self::certificate::Certificate;
pub use self::der::{end_point, is_version_1};
pub use self::recorder::{HandshakeRecord, Presented};
use self::verifier::{Verifier, Version1};
use crate::model::{CheckError, Secret};
use crate::runtime::blocking::single_flight;
use crate::runtime::{Process, lock};

/// How much of the server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// The chain and the host name.
    #[default]
    Full,
    /// The chain only (libpq's `verify-ca`).
    Chain,
    /// Nothing: the connection is encrypted only (libpq's `require`).
    Nothing,
}

/// TLS options of one target. Without `ca` the system's certificates are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub verify: Verify,
    /// PEM file of trusted certificates; a server certificate that is listed in it is trusted itself.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's certificate chain and key.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Password of the client's key, if it is encrypted (PKCS#8).
    pub key_password: Option<Secret>,
    /// PEM file of revocation lists: one for each authority of the server's chain, none of them out of date.
    pub crl: Option<PathBuf>,
    /// Directory of further ones, each in a file that is named as `openssl rehash` does.
    pub crl_directory: Option<PathBuf>,
}

impl Tls {
    /// What distinguishes these options from others. It holds the password, which `Debug` hides, so it is never shown.
    pub fn key(&self) -> String {
        format!("{self:?} {}", self.key_password.as_ref().map(Secret::expose).unwrap_or_default())
    }
}

/// When the files of a configuration last changed: certificates are renewed on disk.
type Changed = Vec<Option<SystemTime>>;

/// A configuration, and the verifier that it holds, which rustls does not give back.
#[derive(Clone)]
struct Made {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
}

/// The configuration of one set of options. The lock is held to copy, never while files are read.
#[derive(Default)]
struct KeptConfig(Mutex<Option<(Changed, Made)>>);

/// The TLS configuration for these options, made once per process (the first costs 8-10 ms) and again when one of its
/// files has changed. Files are read on a thread: one on a dead mount delays only the checks that need it.
pub async fn tls_config(process: &Process, tls: &Tls) -> Result<Arc<ClientConfig>, CheckError> {
    made(process, tls).await.map(|made| made.config)
}

/// As [`tls_config`], for one handshake that leaves in `record` what the server presents.
pub async fn recording_config(
    process: &Process,
    tls: &Tls,
    record: HandshakeRecord,
) -> Result<Arc<ClientConfig>, CheckError> {
    let Made { config, verifier } = made(process, tls).await?;
    Ok(Arc::new(recorder::recording(&config, verifier, record)))
}

async fn made(process: &Process, tls: &Tls) -> Result<Made, CheckError> {
    let key = tls.key();
    let kept = process.shared::<KeptConfig>(&key);
    let files = [&tls.ca, &tls.cert, &tls.key, &tls.crl, &tls.crl_directory];
    let files: Vec<_> = files.into_iter().flatten().cloned().collect();
    if files.is_empty()
        && let Some((_, made)) = lock(&kept.0).as_ref()
    {
        return Ok(made.clone());
    }
    let tls = tls.clone();
    let made = single_flight(process, &key, move || {
        let changed: Changed = files.iter().map(|path| path.metadata().and_then(|file| file.modified()).ok()).collect();
        if let Some((_, made)) = lock(&kept.0).as_ref().filter(|(then, _)| *then == changed) {
            return Ok(made.clone());
        }
        let made = make(&tls)?;
        *lock(&kept.0) = Some((changed, made.clone()));
        Ok(made)
    });
    made.await?
}

fn make(tls: &Tls) -> Result<Made, CheckError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier::new(tls, provider.clone())?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| CheckError::Configuration("no TLS version can be used".into()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone());
    let config = match (&tls.cert, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let chain = pem::certificates(cert)?;
            let secret = pem::private_key(key, tls.key_password.as_ref())?;
            builder.with_client_auth_cert(chain, secret).map_err(|_| {
                let (cert, key) = (cert.display(), key.display());
                CheckError::Configuration(format!("the private key in {key} does not fit the certificate in {cert}"))
            })?
        }
        _ => {
            let reason = "a client certificate needs both: the certificate and its key";
            return Err(CheckError::Configuration(reason.into()));
        }
    };
    Ok(Made { config: Arc::new(config), verifier })
}

/// The reason of a handshake that was answered with something else than TLS.
pub const NOT_TLS: &str = "the server does not speak TLS";

/// Why a handshake failed, in our words.
pub(super) fn reason(error: &Error) -> Cow<'static, str> {
    use CertificateError as Certificate;
    match error {
        Error::InvalidCertificate(fault) => match fault {
            Certificate::Expired | Certificate::ExpiredContext { .. } => "the certificate has expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "the certificate is not valid yet",
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "the certificate is not valid for this host name"
            }
            Certificate::UnknownIssuer => {
                "the certificate is signed by an unknown authority, or an intermediate certificate is missing"
            }
            Certificate::Revoked => "the certificate is revoked",
            Certificate::UnknownRevocationStatus => "no revocation list covers the certificate",
            Certificate::ExpiredRevocationList | Certificate::ExpiredRevocationListContext { .. } => {
                "the revocation list has expired"
            }
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "the certificate is not meant for servers"
            }
            Certificate::Other(error) if error.0.is::<Version1>() => {
                "the certificate is of X.509 version 1, which is not supported: issue it as version 3"
            }
            Certificate::Other(_) => "the certificate is self-signed or not meant for servers, and not listed in `ca`",
            _ => "the certificate is invalid",
        },
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => "the server requires a client certificate",
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => "the server refused the client certificate",
            AlertDescription::UnrecognisedName => "the server does not know this host name",
            _ => "the server refused the handshake",
        },
        Error::InvalidCertRevocationList(_) => "the revocation list is invalid",
        Error::InvalidMessage(_) => NOT_TLS,
        Error::PeerIncompatible(_) => "the server and this client share no TLS version or cipher",
        Error::NoCertificatesPresented => "the server presented no certificate",
        _ => "the handshake failed",
    }
    .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustls::{InvalidMessage, PeerMisbehaved};

    use super::*;

    #[test]
    fn reasons_are_our_words() {
        for (error, said) in [
            (CertificateError::Expired.into(), "the certificate has expired"),
            (CertificateError::NotValidYet.into(), "the certificate is not valid yet"),
            (CertificateError::NotValidForName.into(), "the certificate is not valid for this host name"),
            (
                CertificateError::UnknownIssuer.into(),
                "the certificate is signed by an unknown authority, or an intermediate certificate is missing",
            ),
            (CertificateError::Revoked.into(), "the certificate is revoked"),
            (CertificateError::BadEncoding.into(), "the certificate is invalid"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "the server requires a client certificate"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "the server refused the client certificate"),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "the server refused the handshake"),
            (InvalidMessage::InvalidContentType.into(), "the server does not speak TLS"),
            (PeerMisbehaved::InvalidCertCompression.into(), "the handshake failed"),
            (Error::General("secret".into()), "the handshake failed"),
        ] {
            assert_eq!(reason(&error), said, "{error:?}");
        }
    }

    #[test]
    fn configuration_of_unchanged_files_is_made_once() {
        let process = Process::current().unwrap();
        let nothing = Tls { verify: Verify::Nothing, ..Tls::default() };
        process.runtime.block_on(async {
            let first = tls_config(&process, &nothing).await.unwrap();
            assert!(Arc::ptr_eq(&first, &tls_config(&process, &nothing).await.unwrap()));
        });
    }

    #[test]
    fn key_distinguishes_passwords() {
        let tls = |password: &str| Tls { key_password: Some(Secret::new(password)), ..Tls::default() };
        assert_eq!(tls("a").key(), tls("a").key());
        assert_ne!(tls("a").key(), tls("b").key());
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let process = Process::current().unwrap();
        let missing = Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() };
        let alone = Tls { cert: Some("/nowhere/client.pem".into()), verify: Verify::Nothing, ..Tls::default() };
        let why = std::fs::read("/nowhere/ca.pem").unwrap_err();
        for (tls, said) in [
            (missing, format!("/nowhere/ca.pem cannot be read: {why}")),
            (alone, "a client certificate needs both: the certificate and its key".to_owned()),
        ] {
            let failed = process.runtime.block_on(tls_config(&process, &tls)).unwrap_err();
            assert_eq!(failed, CheckError::Configuration(said));
        }
    }
}
