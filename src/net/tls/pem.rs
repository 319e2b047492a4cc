//! The PEM files of a TLS configuration. All of it blocks on files; no error shows a word of their content.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::model::{CheckError, Secret};
use crate::net::os_error;

const ENCRYPTED: (&str, &str) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");
/// The header of a key that is encrypted in the form that preceded PKCS#8.
const TRADITIONAL: &str = "Proc-Type: 4,ENCRYPTED";

/// The certificates of a file, of which there is at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CheckError> {
    all(path, "certificate")
}

/// The revocation lists of a file, of which there is at least one.
pub fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, CheckError> {
    all(path, "certificate revocation list")
}

fn all<T: PemObject>(path: &Path, wanted: &str) -> Result<Vec<T>, CheckError> {
    let unusable = |error| unusable(path, wanted, &error);
    let found: Vec<_> = T::pem_file_iter(path).map_err(unusable)?.collect::<Result<_, _>>().map_err(unusable)?;
    if found.is_empty() { Err(unusable(PemError::NoItemsFound)) } else { Ok(found) }
}

/// The private key of a file, decrypted with `password` if it is encrypted.
pub fn private_key(path: &Path, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, CheckError> {
    let unusable = |error| unusable(path, "private key", &error);
    let bytes = fs::read(path).map_err(|error| unusable(PemError::Io(error)))?;
    let text = String::from_utf8_lossy(&bytes);
    if let Some((_, rest)) = text.split_once(ENCRYPTED.0) {
        let (body, _) = rest.split_once(ENCRYPTED.1).ok_or_else(|| invalid(path))?;
        return decrypt(path, body, password);
    }
    if text.contains(TRADITIONAL) {
        return Err(CheckError::Configuration(format!(
            "the private key in {} is encrypted in OpenSSL's traditional form: convert it with `openssl pkcs8 -topk8`",
            path.display()
        )));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(unusable)
}

fn decrypt(path: &Path, body: &str, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, CheckError> {
    let refused = |reason: &str| {
        CheckError::Configuration(format!("the private key in {} is encrypted, and {reason}", path.display()))
    };
    let password = password.ok_or_else(|| refused("no password is set for it"))?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| invalid(path))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(&*der).map_err(|error| match error {
        pkcs8::Error::Asn1(_) => refused("its algorithm is not supported"),
        _ => invalid(path),
    })?;
    let document = encrypted.decrypt(password.expose()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::AlgorithmParametersInvalid { .. }
            | pkcs5::Error::NoPbes1CryptSupport,
        ) => refused("its algorithm is not supported"),
        // The padding or what it encloses is wrong: nothing else depends on the password.
        _ => refused("its password is wrong"),
    })?;
    Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into())
}

fn unusable(path: &Path, wanted: &str, error: &PemError) -> CheckError {
    match error {
        PemError::Io(error) => {
            CheckError::Configuration(format!("{} cannot be read: {}", path.display(), os_error::text(error)))
        }
        PemError::NoItemsFound => CheckError::Configuration(format!("{} holds no {wanted} (PEM)", path.display())),
        _ => invalid(path),
    }
}

fn invalid(path: &Path) -> CheckError {
    CheckError::Configuration(format!("{} is no valid PEM file", path.display()))
}
