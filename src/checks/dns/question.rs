//! The message that requests the records of a name.

use std::net::IpAddr;

use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, Question, TYPE};

use super::RecordType;
use crate::checks::fields;
use crate::model::SpecError;
use crate::net;

/// The query with this identifier.
pub fn question(name: &str, record_type: RecordType, id: u16) -> Result<Vec<u8>, SpecError> {
    let wrong = || SpecError("name must be a domain name such as example.org".to_owned());
    fields::host("name", name)?;
    let full = match name.parse::<IpAddr>() {
        Ok(address) if record_type == RecordType::Ptr => reverse(address),
        Ok(_) => return Err(SpecError(format!("name must be a domain name; {name} is an address, as for PTR only"))),
        Err(_) => net::ascii_host(name).ok_or_else(wrong)?.trim_end_matches('.').to_owned(),
    };
    let labels = full.split('.');
    if labels.clone().any(str::is_empty) || full.contains('\\') {
        return Err(wrong());
    }
    let name = Name::new(&full).map_err(|_| wrong())?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name, kind(record_type).into(), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(|_| wrong())
}

/// The codec's name of a type.
pub fn kind(record_type: RecordType) -> TYPE {
    match record_type {
        RecordType::A => TYPE::A,
        RecordType::Aaaa => TYPE::AAAA,
        RecordType::Caa => TYPE::CAA,
        RecordType::Cname => TYPE::CNAME,
        RecordType::Mx => TYPE::MX,
        RecordType::Ns => TYPE::NS,
        RecordType::Ptr => TYPE::PTR,
        RecordType::Soa => TYPE::SOA,
        RecordType::Srv => TYPE::SRV,
        RecordType::Txt => TYPE::TXT,
    }
}

/// The name under which the names of an address are (RFC 1035, RFC 3596).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_of_both_families() {
        assert_eq!(reverse(IpAddr::from([192, 0, 2, 1])), "1.2.0.192.in-addr.arpa");
        let loopback = format!("1.{}ip6.arpa", "0.".repeat(31));
        assert_eq!(reverse(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])), loopback);
    }

    #[test]
    fn question_of_a_wrong_name_refused() {
        let long = ["a".repeat(64), "b.".repeat(128)];
        for name in ["", "a b", "a..b", ".", "http://a", "192.0.2.1", "a\\b", &long[0], &long[1]] {
            assert!(question(name, RecordType::A, 1).is_err(), "{name}");
        }
        for name in ["example.org", "example.org.", "_sip._tcp.example.org", "bücher.example", "localhost"] {
            assert!(question(name, RecordType::A, 1).is_ok(), "{name}");
        }
        assert!(question("192.0.2.1", RecordType::Ptr, 1).is_ok());
    }
}
