//! The addresses of a server: comma-separated hosts, host addresses and ports, combined as libpq does.

#[cfg(unix)]
use std::path::{Path, PathBuf};

use crate::checks::postgres::errors::configuration;
use crate::model::CheckError;
use crate::net;

const PORT: u16 = 5432;
/// Where a server's socket is when no host is given: as Debian, Red Hat and PostgreSQL itself build it.
#[cfg(unix)]
pub const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// The certificate is for `host`; `address` (libpq's `hostaddr`) is the host again, or spares its resolution.
    Tcp { host: String, address: String, port: u16 },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Address {
    /// The address as it stands in messages.
    pub fn target(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => net::target(host, *port),
            #[cfg(unix)]
            Self::Unix(socket) => socket.display().to_string(),
        }
    }
}

/// The addresses, in the configured order.
pub fn parse(
    hosts: Option<String>,
    hostaddrs: Option<String>,
    ports: Option<String>,
) -> Result<Vec<Address>, CheckError> {
    // As they are: libpq resolves a name with the white space around it, and finds none.
    let list = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    let (hosts, hostaddrs) = (list(hosts), list(hostaddrs));
    let ports = list(ports).iter().map(|text| port(text)).collect::<Result<Vec<_>, _>>()?;
    let count = hosts.len().max(hostaddrs.len()).max(1);
    let fits = |len: usize| len == 0 || len == count;
    if !fits(hosts.len()) || !fits(hostaddrs.len()) || !(ports.len() == 1 || fits(ports.len())) {
        return Err(configuration("host, hostaddr and port name different numbers of servers"));
    }
    let filled = |items: &[String], at: usize| items.get(at).filter(|item| !item.is_empty()).cloned();
    let each = (0..count).map(|at| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        match (filled(&hosts, at), filled(&hostaddrs, at)) {
            (host, Some(address)) => Address::Tcp { host: host.unwrap_or_else(|| address.clone()), address, port },
            #[cfg(unix)]
            (Some(directory), None) if directory.starts_with('/') => Address::Unix(socket(Path::new(&directory), port)),
            (Some(host), None) => Address::Tcp { address: host.clone(), host, port },
            (None, None) => default_address(port),
        }
    });
    Ok(each.collect())
}

fn port(text: &str) -> Result<u16, CheckError> {
    let text = text.trim();
    match text.parse() {
        _ if text.is_empty() => Ok(PORT),
        Ok(port) if port > 0 => Ok(port),
        _ => Err(configuration("port must be from 1 to 65535")),
    }
}

#[cfg(unix)]
fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

#[cfg(unix)]
fn default_address(port: u16) -> Address {
    let sockets = SOCKET_DIRECTORIES.map(|directory| socket(Path::new(directory), port));
    let [usual, _] = &sockets;
    Address::Unix(sockets.iter().find(|path| path.exists()).unwrap_or(usual).clone())
}

#[cfg(not(unix))]
fn default_address(port: u16) -> Address {
    Address::Tcp { host: "localhost".to_owned(), address: "localhost".to_owned(), port }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tcp(host: &str, address: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), address: address.into(), port }
    }

    #[test]
    fn hosts_and_ports_are_combined_in_order() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (some("a"), None, None, vec![tcp("a", "a", 5432)]),
            (some("a,b"), None, some("1"), vec![tcp("a", "a", 1), tcp("b", "b", 1)]),
            (some("a,b"), None, some("1,"), vec![tcp("a", "a", 1), tcp("b", "b", 5432)]),
            (some("a"), some("::1"), some("1"), vec![tcp("a", "::1", 1)]),
            (None, some("::1"), None, vec![tcp("::1", "::1", 5432)]),
            (some("a, b"), None, some("1, 2"), vec![tcp("a", "a", 1), tcp(" b", " b", 2)]),
            (some("a,"), None, None, vec![tcp("a", "a", 5432), default_address(5432)]),
            #[cfg(unix)]
            (some("/run/pg"), None, some("7"), vec![Address::Unix("/run/pg/.s.PGSQL.7".into())]),
        ];
        for (hosts, hostaddrs, ports, expected) in cases {
            assert_eq!(parse(hosts.clone(), hostaddrs, ports).unwrap(), expected, "{hosts:?}");
        }
        for (hosts, ports) in [("a,b", "1,2,3"), ("a", "0"), ("a", "x"), ("a", "65536")] {
            assert!(parse(some(hosts), None, some(ports)).is_err(), "{hosts} {ports}");
        }
    }
}
