//! Host names to addresses, with one look-up in flight for each name.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::model::CheckError;
use crate::runtime::Process;
use crate::runtime::blocking::single_flight;

/// What a look-up found; no addresses where it failed. A type of its own, so that look-ups have threads of their own.
#[derive(Clone)]
struct Resolved(Arc<[SocketAddr]>);

/// The addresses of `host`, the family that the system prefers first, then in turn. The port is 0.
pub(super) async fn lookup(process: &Process, host: &str) -> Result<Vec<SocketAddr>, CheckError> {
    if let Ok(address) = bare(host).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, 0)]);
    }
    let unknown = || CheckError::NameResolution { host: host.to_owned() };
    let name = ascii(host).ok_or_else(unknown)?.into_owned();
    let key = name.clone();
    let getaddrinfo = move || Resolved((name.as_str(), 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default());
    let Resolved(addresses) = single_flight(process, &key, getaddrinfo).await?;
    if addresses.is_empty() { Err(unknown()) } else { Ok(alternate(&addresses)) }
}

/// `host` without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// `host` as the DNS and certificates know it: international names in Punycode.
pub fn ascii(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    url::Host::parse(host).ok().map(|host| Cow::Owned(host.to_string()))
}

/// The same addresses with the two families in turn, so that one that is black-holed delays the other by one stagger.
fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6() == prefers_v6);
    let mut other = other.into_iter();
    let mut ordered: Vec<_> =
        preferred.into_iter().flat_map(|address| [Some(address), other.next()]).flatten().collect();
    ordered.extend(other);
    ordered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split_whitespace().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        for (given, ordered) in [
            ("", ""),
            ("10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"),
            ("::1 ::2 ::3 10.0.0.1", "::1 10.0.0.1 ::2 ::3"),
            ("10.0.0.1 ::1 ::2 ::3", "10.0.0.1 ::1 ::2 ::3"),
        ] {
            assert_eq!(alternate(&parse(given)), parse(ordered), "{given}");
        }
    }

    #[test]
    fn names_as_the_dns_knows_them() {
        assert_eq!(bare("[::1]"), "::1");
        assert_eq!(bare("example.org"), "example.org");
        assert_eq!(ascii("mail_1.example.org").unwrap(), "mail_1.example.org");
        assert_eq!(ascii("bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(ascii("bü cher"), None);
    }

    #[test]
    fn name_of_loopback_is_resolved() {
        let process = Process::current().unwrap();
        let found = process.runtime.block_on(lookup(&process, "localhost")).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn addresses_are_not_looked_up_and_unknown_names_are_named() {
        let process = Process::current().unwrap();
        assert_eq!(process.runtime.block_on(lookup(&process, "[::1]")).unwrap(), ["[::1]:0".parse().unwrap()]);
        assert_eq!(
            process.runtime.block_on(lookup(&process, "unknown.invalid")),
            Err(CheckError::NameResolution { host: "unknown.invalid".into() })
        );
    }
}
