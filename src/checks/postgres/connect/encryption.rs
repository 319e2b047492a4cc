//! libpq's `sslmode` and certificate files, as the attempts to make in turn.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::environment::Environment;
use crate::checks::postgres::errors::configuration;
use crate::checks::postgres::{SslMode, SslNegotiation};
use crate::model::{CheckError, Secret};
use crate::net::{self, Tls, Verify};

/// How one attempt to connect treats TLS.
#[derive(Clone, Debug, PartialEq)]
pub enum Encryption {
    Off,
    /// Where the server offers it.
    Offered(Tls),
    Required(Tls),
    /// From the first byte, without a request for it.
    Direct(Tls),
}

/// What is configured about TLS; a file that is `None` is looked for where libpq looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub mode: Option<SslMode>,
    pub negotiation: Option<SslNegotiation>,
    pub root: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub key_password: Option<Secret>,
    pub crl: Option<PathBuf>,
    pub crl_directory: Option<PathBuf>,
}

/// The attempts that the options allow, in libpq's order. Blocks on the files' metadata.
pub fn attempts(options: &Options, environment: &Environment) -> Result<Vec<Encryption>, CheckError> {
    let system = options.root.as_deref() == Some(Path::new("system"));
    let mode = match options.mode {
        Some(SslMode::VerifyFull) => SslMode::VerifyFull,
        None if system => SslMode::VerifyFull,
        Some(_) if system => {
            return Err(configuration(
                "sslrootcert=system requires sslmode=verify-full: anyone can get a certificate from a public CA",
            ));
        }
        other => other.unwrap_or(SslMode::Prefer),
    };
    let direct = options.negotiation == Some(SslNegotiation::Direct);
    if direct && matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
        return Err(configuration("sslnegotiation=direct requires sslmode=require, verify-ca or verify-full"));
    }
    if mode == SslMode::Disable {
        return Ok(vec![Encryption::Off]);
    }
    let root =
        options.root.clone().or_else(|| environment.home_file("postgresql/root.crt")).filter(|path| path.exists());
    let verify = match (mode, &root) {
        (SslMode::VerifyFull, _) => Verify::Full,
        (SslMode::VerifyCa, _) => Verify::Chain,
        // A root certificate that is there is used whatever the mode.
        (_, Some(_)) => Verify::Chain,
        (_, None) => Verify::Nothing,
    };
    if verify != Verify::Nothing && root.is_none() && !system {
        return Err(configuration(
            "sslmode verifies the server, but the root certificate file is missing: set sslrootcert to it or to system",
        ));
    }
    let (cert, key) = client_certificate(options, environment)?;
    let crl_directory = options.crl_directory.clone();
    let of_home = || environment.home_file("postgresql/root.crl").filter(|_| crl_directory.is_none());
    let crl = options.crl.clone().or_else(of_home).filter(|path| path.exists());
    let tls = Tls { verify, ca: root, cert, key, key_password: options.key_password.clone(), crl, crl_directory };
    Ok(match mode {
        SslMode::Disable => vec![Encryption::Off],
        SslMode::Allow => vec![Encryption::Off, Encryption::Required(tls)],
        SslMode::Prefer => vec![Encryption::Offered(tls), Encryption::Off],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull if direct => vec![Encryption::Direct(tls)],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => vec![Encryption::Required(tls)],
    })
}

/// The client's certificate and key, if there is a certificate: with libpq, one that is configured but missing is none.
fn client_certificate(
    options: &Options,
    environment: &Environment,
) -> Result<(Option<PathBuf>, Option<PathBuf>), CheckError> {
    let cert = options.cert.clone().or_else(|| environment.home_file("postgresql/postgresql.crt"));
    let Some(cert) = cert.filter(|path| path.exists()) else { return Ok((None, None)) };
    let key = options.key.clone().or_else(|| environment.home_file("postgresql/postgresql.key"));
    let key = key
        .filter(|path| path.is_file())
        .ok_or_else(|| configuration("there is a client certificate (sslcert), but no file of its key (sslkey)"))?;
    if exposed(&key) {
        return Err(configuration(
            "the client key (sslkey) may be read by others: libpq refuses it until its mode is 0600 or less",
        ));
    }
    if is_version_1(&cert) {
        return Err(configuration(
            "the client certificate (sslcert) is of X.509 version 1, which checks cannot present: issue it as version 3",
        ));
    }
    Ok((Some(cert), Some(key)))
}

/// Whether the first certificate of a PEM file is of X.509 version 1.
fn is_version_1(cert: &Path) -> bool {
    cert.is_file() && CertificateDer::from_pem_file(cert).is_ok_and(|certificate| net::is_version_1(&certificate))
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
        Options {
            mode: crate::checks::postgres::spec::parse(mode),
            root: root.map(Path::to_owned),
            ..Options::default()
        }
    }

    #[test]
    fn sslmode_makes_attempts_of_libpq() {
        let environment = Environment::fixed(|_| None);
        let present = std::env::current_exe().unwrap();
        let absent = Path::new("/nonexistent/root.crt");
        let tls = |verify, ca: Option<&Path>| Tls { verify, ca: ca.map(Path::to_owned), ..Tls::default() };
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
            assert_eq!(attempts(&options(mode, root), &environment).unwrap(), expected, "{mode} {root:?}");
        }
        for (mode, root) in [("verify-full", None), ("verify-ca", Some(absent)), ("require", system)] {
            assert!(attempts(&options(mode, root), &environment).is_err(), "{mode} {root:?}");
        }
    }

    #[test]
    fn certificate_without_key_is_refused() {
        let environment = Environment::fixed(|_| None);
        let present = std::env::current_exe().unwrap();
        let mut options = Options { cert: Some(present), ..options("require", None) };
        assert!(attempts(&options, &environment).is_err());
        options.cert = Some("/nonexistent/client.crt".into());
        assert!(attempts(&options, &environment).is_ok());
    }
}
