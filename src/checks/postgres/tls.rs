//! libpq's `sslmode` and certificate files, as what to try in which order.

use std::path::{Path, PathBuf};

use super::server::Surroundings;
use crate::checks::postgres::SslMode;
use crate::model::CheckError;
use crate::net::{Tls, Verify};

/// One way to open a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Encryption {
    Off,
    /// Where the server offers it.
    Offered(Tls),
    Required(Tls),
}

/// What is configured about TLS; a file that is `None` is looked for where libpq looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub mode: Option<SslMode>,
    pub root: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

pub fn parse_mode(text: &str) -> Option<SslMode> {
    Some(match text {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return None,
    })
}

/// The ways to try, in order. Blocks on the files' metadata.
pub fn ways(options: &Options, around: &Surroundings) -> Result<Vec<Encryption>, CheckError> {
    let system = options.root.as_deref() == Some(Path::new("system"));
    let mode = match options.mode {
        Some(SslMode::VerifyFull) => SslMode::VerifyFull,
        None if system => SslMode::VerifyFull,
        Some(_) if system => {
            return Err(CheckError::Configuration(
                "sslrootcert=system needs sslmode=verify-full: anyone can get a certificate from a public CA".into(),
            ));
        }
        other => other.unwrap_or(SslMode::Prefer),
    };
    if mode == SslMode::Disable {
        return Ok(vec![Encryption::Off]);
    }
    let root = options.root.clone().or_else(|| around.home_file("postgresql/root.crt")).filter(|path| path.exists());
    let verify = match (mode, &root) {
        (SslMode::VerifyFull, _) => Verify::Full,
        (SslMode::VerifyCa, _) => Verify::Chain,
        // A root certificate that is there is used whatever the mode.
        (_, Some(_)) => Verify::Chain,
        (_, None) => Verify::Nothing,
    };
    if verify != Verify::Nothing && root.is_none() && !system {
        return Err(CheckError::Configuration(
            "sslmode verifies the server, but the root certificate file is missing: set sslrootcert to it or to system"
                .into(),
        ));
    }
    let (cert, key) = client_certificate(options, around)?;
    let tls = Tls { verify, ca: root, cert, key };
    Ok(match mode {
        SslMode::Disable => vec![Encryption::Off],
        SslMode::Allow => vec![Encryption::Off, Encryption::Required(tls)],
        SslMode::Prefer => vec![Encryption::Offered(tls), Encryption::Off],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => vec![Encryption::Required(tls)],
    })
}

/// The client's certificate and key, if there is a certificate: with libpq, one that is configured but missing is none.
fn client_certificate(
    options: &Options,
    around: &Surroundings,
) -> Result<(Option<PathBuf>, Option<PathBuf>), CheckError> {
    let cert = options.cert.clone().or_else(|| around.home_file("postgresql/postgresql.crt"));
    let Some(cert) = cert.filter(|path| path.exists()) else { return Ok((None, None)) };
    let key = options.key.clone().or_else(|| around.home_file("postgresql/postgresql.key"));
    let key = key.filter(|path| path.is_file()).ok_or_else(|| {
        CheckError::Configuration("there is a client certificate (sslcert), but no file of its key (sslkey)".into())
    })?;
    if exposed(&key) {
        return Err(CheckError::Configuration(
            "the client key (sslkey) may be read by others: libpq refuses it until its mode is 0600 or less".into(),
        ));
    }
    Ok((Some(cert), Some(key)))
}

#[cfg(unix)]
fn exposed(key: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(key).is_ok_and(|file| file.mode() & if file.uid() == 0 { 0o037 } else { 0o077 } != 0)
}

#[cfg(not(unix))]
fn exposed(_key: &Path) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn options(mode: &str, root: Option<&Path>) -> Options {
        Options { mode: parse_mode(mode), root: root.map(Path::to_owned), ..Options::default() }
    }

    #[test]
    fn each_mode_means_what_libpq_means() {
        let around = Surroundings::fixed(|_| None);
        let present = std::env::current_exe().unwrap();
        let absent = Path::new("/nonexistent/root.crt");
        let tls = |verify, ca: Option<&Path>| Tls { verify, ca: ca.map(Path::to_owned), cert: None, key: None };
        let plain = tls(Verify::Nothing, None);
        let chain = tls(Verify::Chain, Some(&present));
        let system = Some(Path::new("system"));
        use Encryption::{Off, Offered, Required};
        let cases = [
            ("disable", Some(&*present), vec![Off]),
            ("allow", None, vec![Off, Required(plain.clone())]),
            ("prefer", None, vec![Offered(plain.clone()), Off]),
            ("", None, vec![Offered(plain.clone()), Off]),
            ("prefer", Some(&*present), vec![Offered(chain.clone()), Off]),
            ("require", None, vec![Required(plain.clone())]),
            ("require", Some(absent), vec![Required(plain)]),
            ("require", Some(&*present), vec![Required(chain.clone())]),
            ("verify-ca", Some(&*present), vec![Required(chain)]),
            ("verify-full", Some(&*present), vec![Required(tls(Verify::Full, Some(&present)))]),
            ("verify-full", system, vec![Required(tls(Verify::Full, None))]),
            ("", system, vec![Required(tls(Verify::Full, None))]),
        ];
        for (mode, root, expected) in cases {
            assert_eq!(ways(&options(mode, root), &around).unwrap(), expected, "{mode} {root:?}");
        }
        for (mode, root) in [("verify-full", None), ("verify-ca", Some(absent)), ("require", system)] {
            assert!(ways(&options(mode, root), &around).is_err(), "{mode} {root:?}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let around = Surroundings::fixed(|_| None);
        let present = std::env::current_exe().unwrap();
        let mut options = Options { cert: Some(present), ..options("require", None) };
        assert!(ways(&options, &around).is_err());
        options.cert = Some("/nonexistent/client.crt".into());
        assert!(ways(&options, &around).is_ok());
    }
}
