//! Records as a zone file writes them, and when two of them are the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet};

use super::RecordType;
use super::question::kind;

/// The longest record that is shown, in characters.
const MAX_TEXT: usize = 512;
/// How many aliases may lead to the records; resolvers follow about as many.
const MAX_ALIASES: usize = 16;

/// The records of a type among the answers, of the requested name or of one that it is an alias of, and the
/// shortest time that they may be kept, in seconds.
pub fn texts(packet: &Packet<'_>, record_type: RecordType) -> (Vec<String>, u32) {
    let names = names(packet);
    let of_type = || {
        let of_type = packet.answers.iter().filter(|record| record.match_qtype(kind(record_type).into()));
        of_type.filter(|record| names.iter().any(|name| is_same(name, &record.name)))
    };
    let ttl = of_type().map(|record| record.ttl).min().unwrap_or(0);
    (of_type().filter_map(|record| text(&record.rdata)).collect(), ttl)
}

/// A record as it is shown.
pub fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// The name of the question, and those that the answers make it an alias of.
fn names<'a>(packet: &'a Packet<'_>) -> Vec<&'a Name<'a>> {
    let mut names: Vec<&Name<'_>> = packet.questions.iter().map(|question| &question.qname).take(1).collect();
    for _ in 0..MAX_ALIASES {
        let next = packet.answers.iter().find_map(|record| match &record.rdata {
            RData::CNAME(alias) if names.last().is_some_and(|name| is_same(name, &record.name)) => Some(&alias.0),
            _ => None,
        });
        match next {
            Some(next) if !names.iter().any(|name| is_same(name, next)) => names.push(next),
            _ => break,
        }
    }
    names
}

/// Whether two names are the same, whatever their case (RFC 1035, 2.3.3).
fn is_same(a: &Name<'_>, b: &Name<'_>) -> bool {
    a.to_string().eq_ignore_ascii_case(&b.to_string())
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
/// form. `None` if it is no record of the type. A `TXT` is the text itself here: see [`expected`].
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

/// The normalized form of a record as it is configured. A `TXT` may be in quotes as in a zone file, in one part or
/// several, where a backslash escapes what follows it (RFC 1035, 5.1); without quotes it has none.
pub fn expected(record_type: RecordType, text: &str) -> Option<String> {
    match record_type {
        RecordType::Txt if text.starts_with('"') => unquoted(text),
        RecordType::Txt if text.contains('\\') => None,
        _ => normalized(record_type, text),
    }
}

/// The text of quoted parts, joined.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.trim().chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => {
                        let digits: String = rest.clone().take(3).collect();
                        if digits.starts_with(|c: char| c.is_ascii_digit()) {
                            bytes.push(digits.parse().ok().filter(|_| digits.len() == 3)?);
                            rest.nth(2)?;
                        } else {
                            bytes.extend(rest.next()?.to_string().bytes());
                        }
                    }
                    c => bytes.extend(c.to_string().bytes()),
                }
            },
            ' ' => {}
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}
