//! The name servers that a question goes to: the configured one, or those of the system.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::checks::fields::{self, validated};
use crate::model::{CheckError, SpecError};
use crate::net;
use crate::runtime::Context;
use crate::runtime::blocking::single_flight;

const PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// glibc reads no more of them, either.
const MAX_SERVERS: usize = 3;

/// A name server, and how it stands in messages.
#[derive(Clone, Debug, PartialEq)]
pub struct NameServer {
    pub address: SocketAddr,
    pub target: String,
}

impl NameServer {
    fn new(address: IpAddr, port: u16) -> Self {
        Self { address: SocketAddr::new(address, port), target: net::target(&address.to_string(), port) }
    }
}

/// Those to query in turn. A configured one that has several addresses is queried at each.
pub async fn find(context: &Context, configured: Option<&str>) -> Result<Vec<NameServer>, CheckError> {
    let Some(configured) = configured else { return of_system(context).await };
    let (host, port) = validated(host_and_port(configured))?;
    let target = net::target(host, port);
    let addresses = net::addresses(context, host, port).await?;
    Ok(addresses.into_iter().map(|address| NameServer { address, target: target.clone() }).collect())
}

/// The host and port of `host`, `host:port`, an IPv6 address, or `[address]:port`.
pub fn host_and_port(text: &str) -> Result<(&str, u16), SpecError> {
    let wrong = || SpecError("server must be host or host:port, such as 192.0.2.53:53".to_owned());
    let has_no_port = text.parse::<IpAddr>().is_ok() || text.ends_with(']');
    let (host, port) = match text.rsplit_once(':').filter(|_| !has_no_port) {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        None => (text, PORT),
    };
    fields::host("server", host)?;
    Ok((host, port))
}

/// What the file of the system says, read on a thread.
#[derive(Clone)]
struct SystemServers(Result<Arc<[IpAddr]>, String>);

async fn of_system(context: &Context) -> Result<Vec<NameServer>, CheckError> {
    let read = || {
        SystemServers(match fs::read_to_string(RESOLV_CONF) {
            Ok(text) => Ok(parse(&text).into()),
            Err(error) => Err(format!("{RESOLV_CONF} cannot be read ({}): set `server`", error.kind())),
        })
    };
    let SystemServers(found) = single_flight(&context.process, RESOLV_CONF, read).await?;
    let addresses = found.map_err(CheckError::Configuration)?;
    Ok(addresses.iter().map(|address| NameServer::new(*address, PORT)).collect())
}

/// The addresses of a `resolv.conf`; as for glibc, without any the server is on this host.
fn parse(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        // A scope, as in fe80::1%eth0, is not understood: such a server is left out.
        words.next()?.parse().ok()
    });
    let found: Vec<_> = servers.take(MAX_SERVERS).collect();
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn host_and_port_each_form() {
        for (text, host, port) in [
            ("ns.example.org", "ns.example.org", 53),
            ("ns.example.org:5353", "ns.example.org", 5353),
            ("192.0.2.1:54", "192.0.2.1", 54),
            ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]", "[2001:db8::1]", 53),
            ("[2001:db8::1]:54", "[2001:db8::1]", 54),
        ] {
            assert_eq!(host_and_port(text).unwrap(), (host, port));
        }
        for text in ["", ":53", "a:0", "a:70000", "a:x", "udp://a", "a b"] {
            assert!(host_and_port(text).unwrap_err().0.starts_with("server must"), "{text}");
        }
    }

    #[test]
    fn parse_what_resolvers_write() {
        let text = "# a\nsearch example.org\nnameserver 192.0.2.1 # b\n nameserver\t2001:db8::1\nnameserver fe80::1%eth0\n\
                    options edns0\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let expected = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(parse(text), expected);
        assert_eq!(parse("options rotate"), [IpAddr::from([127, 0, 0, 1])]);
    }
}
