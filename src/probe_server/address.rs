//! Where a probe server listens: the text in which users give it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::SpecError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for ProbeAddress {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let wrong = || {
            SpecError(format!(
                "an address is \"127.0.0.1:9464\", \"[::1]:9464\", \"0.0.0.0:9464\" (all interfaces) or \
                 \"unix:/path\", not {text:?}"
            ))
        };
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && cfg!(unix) => Ok(Self::Unix(path.into())),
            Some(_) => Err(wrong()),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for ProbeAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_alike() {
        for text in ["127.0.0.1:9464", "[::1]:9464", "0.0.0.0:0", "[::]:9464"] {
            assert_eq!(text.parse().map(|address: ProbeAddress| address.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "9464", ":9464", "localhost:9464", "127.0.0.1", "::1:x", "unix:", "unix:relative", "1.2.3.4:99999"]
        {
            assert!(text.parse::<ProbeAddress>().is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_is_a_path() {
        assert_eq!("unix:/run/x.sock".parse(), Ok(ProbeAddress::Unix("/run/x.sock".into())));
    }
}
