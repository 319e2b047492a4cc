//! Records as a zone file writes them, and when two of them are the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet};

use super::RecordType;
use super::question::kind;

/// The longest record that is shown, in characters.
const MAX_TEXT: usize = 512;

/// The records of a type among the answers, whatever aliases lead to them, and the shortest time that they may be
/// kept, in seconds.
pub fn texts(packet: &Packet<'_>, record_type: RecordType) -> (Vec<String>, u32) {
    let of_type = || packet.answers.iter().filter(|record| record.match_qtype(kind(record_type).into()));
    let ttl = of_type().map(|record| record.ttl).min().unwrap_or(0);
    let bounded = |text: String| text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    (of_type().filter_map(|record| text(&record.rdata)).map(bounded).collect(), ttl)
}

fn text(data: &RData<'_>) -> Option<String> {
    Some(match data {
        RData::A(record) => Ipv4Addr::from(record.address).to_string(),
        RData::AAAA(record) => Ipv6Addr::from(record.address).to_string(),
        RData::CNAME(record) => host(&record.0),
        RData::NS(record) => host(&record.0),
        RData::PTR(record) => host(&record.0),
        RData::MX(record) => format!("{} {}", record.preference, host(&record.exchange)),
        RData::SRV(record) => {
            format!("{} {} {} {}", record.priority, record.weight, record.port, host(&record.target))
        }
        RData::SOA(record) => format!(
            "{} {} {} {} {} {} {}",
            host(&record.mname),
            host(&record.rname),
            record.serial,
            record.refresh,
            record.retry,
            record.expire,
            record.minimum
        ),
        RData::CAA(record) => {
            format!("{} {} \"{}\"", record.flag, record.tag, String::from_utf8_lossy(&record.value))
        }
        RData::TXT(record) => {
            String::try_from(record.clone()).unwrap_or_else(|_| "(a text that is not UTF-8)".to_owned())
        }
        _ => return None,
    })
}

/// A name without the root's dot at its end, but for the root itself.
fn host(name: &Name<'_>) -> String {
    let text = name.to_string();
    if text.is_empty() { ".".to_owned() } else { text }
}

/// The form in which equal records are equal: names in lower case without the root's dot, addresses in their shortest
/// form. `None` if it is no record of the type.
pub fn normalized(record_type: RecordType, text: &str) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let name = |word: &str| match word.trim_end_matches('.') {
        "" => ".".to_owned(),
        name => name.to_lowercase(),
    };
    let numbers_and_names = |numbers: &[bool]| {
        let fits = words.len() == numbers.len()
            && words.iter().zip(numbers).all(|(word, is_number)| !is_number || word.parse::<i64>().is_ok());
        fits.then(|| words.iter().map(|word| name(word)).collect::<Vec<_>>().join(" "))
    };
    match record_type {
        RecordType::A => text.trim().parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
        RecordType::Aaaa => text.trim().parse::<IpAddr>().ok().filter(IpAddr::is_ipv6).map(|it| it.to_string()),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => numbers_and_names(&[false]),
        RecordType::Mx => numbers_and_names(&[true, false]),
        RecordType::Srv => numbers_and_names(&[true, true, true, false]),
        RecordType::Soa => numbers_and_names(&[false, false, true, true, true, true, true]),
        RecordType::Caa => {
            let (flag, rest) = text.trim().split_once(' ')?;
            let (tag, value) = rest.trim().split_once(' ')?;
            let flag = flag.parse::<u8>().ok()?;
            Some(format!("{flag} {} {}", tag.to_lowercase(), value.trim().trim_matches('"')))
        }
        RecordType::Txt => Some(text.to_owned()),
    }
}
