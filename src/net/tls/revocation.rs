//! Revocation lists, from a file and from a directory.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;

use super::{Tls, Verify, pem};
use crate::model::CheckError;
use crate::net::os_error;

/// Verifies chain, revocation and name, in this order; `None` without revocation lists. Blocks on files.
pub fn verifier(
    tls: &Tls,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, CheckError> {
    if tls.verify == Verify::Nothing {
        return Ok(None);
    }
    let files = files(tls)?;
    if files.is_empty() {
        return Ok(None);
    }
    let mut lists = Vec::new();
    for file in &files {
        lists.extend(pem::revocation_lists(file)?);
    }
    let unusable = |error| {
        CheckError::Configuration(match error {
            VerifierBuilderError::InvalidCrl(_) => format!("{} holds an invalid revocation list", names(&files)),
            _ => "no certificate in `ca` is one of an authority".into(),
        })
    };
    // As OpenSSL with `X509_V_FLAG_CRL_CHECK_ALL`: a list for each authority, and none that is out of date.
    WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map(Some)
        .map_err(unusable)
}

/// The file, and those of the directory, of which there is at least one.
fn files(tls: &Tls) -> Result<Vec<PathBuf>, CheckError> {
    let listed = tls.crl_directory.as_deref().map(lists_in).transpose()?;
    Ok(tls.crl.iter().cloned().chain(listed.unwrap_or_default()).collect())
}

fn lists_in(directory: &Path) -> Result<Vec<PathBuf>, CheckError> {
    let entries = directory.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| {
        CheckError::Configuration(format!(
            "the directory of revocation lists {} cannot be read: {}",
            directory.display(),
            os_error::text(&error)
        ))
    })?;
    let lists: Vec<_> = entries.iter().map(DirEntry::path).filter(|path| is_list(path)).collect();
    if lists.is_empty() {
        return Err(CheckError::Configuration(format!(
            "{} holds no revocation list: they are in files that end in .r0, as `openssl rehash` names them",
            directory.display()
        )));
    }
    Ok(lists)
}

/// Whether it is named `HASH.rNUMBER`.
fn is_list(path: &Path) -> bool {
    let number = path.extension().and_then(OsStr::to_str).and_then(|extension| extension.strip_prefix('r'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ")
}
