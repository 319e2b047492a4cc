//! What answers mean: records, none, aliases, referrals.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use simple_dns::rdata::{A, CNAME, MX, NS, RData};
use simple_dns::{CLASS, Name, Question, ResourceRecord, TYPE};

use super::*;

fn check(fields: Value) -> DnsCheck {
    serde_json::from_value(fields).unwrap()
}

fn record(data: RData<'_>) -> ResourceRecord<'_> {
    ResourceRecord::new(Name::new("example.org").unwrap(), CLASS::IN, 60, data)
}

fn question(name: &str) -> Question<'_> {
    Question::new(Name::new(name).unwrap(), TYPE::A.into(), CLASS::IN.into(), false)
}

fn reply<'a>(flags: PacketFlag, answers: Vec<RData<'a>>) -> Packet<'a> {
    let mut packet = Packet::new_reply(1);
    packet.set_flags(flags);
    packet.questions.push(question("example.org"));
    packet.answers = answers.into_iter().map(record).collect();
    packet
}

fn a(address: u32) -> RData<'static> {
    RData::A(A { address })
}

#[test]
fn judge_records_expected_and_not() {
    let answers = || vec![RData::CNAME(CNAME(Name::new("b.example.org").unwrap())), a(0xc000_0201), a(0xc000_0202)];
    for (expected, status) in [
        (json!([]), "Healthy"),
        (json!(["192.0.2.2"]), "Healthy"),
        (json!(["192.0.2.2", "192.0.2.1"]), "Healthy"),
        (json!(["192.0.2.3"]), "Error"),
    ] {
        let dns = check(json!({"name": "example.org", "expected": expected}));
        let mut packet = reply(PacketFlag::RECURSION_AVAILABLE, answers());
        for record in packet.answers.iter_mut().skip(1) {
            record.name = Name::new("B.example.org").unwrap();
        }
        let found = dns.judge("ns:53", &packet).unwrap();
        assert_eq!(format!("{:?}", found.status), status, "{}", found.message);
        assert_eq!(found.details["answers"], json!(["192.0.2.1", "192.0.2.2"]));
        assert_eq!(found.details["ttl_seconds"], 60);
    }
}

#[test]
fn judge_records_of_another_name_do_not_count() {
    let alias = || RData::CNAME(CNAME(Name::new("example.org").unwrap()));
    for answers in [vec![a(0xc000_0201)], vec![alias(), a(0xc000_0201)]] {
        let mut packet = reply(PacketFlag::AUTHORITATIVE_ANSWER, answers);
        packet.answers.iter_mut().last().unwrap().name = Name::new("evil.example").unwrap();
        let found = check(json!({"name": "example.org"})).judge("ns:53", &packet).unwrap();
        assert_eq!(found.message, "ns:53 has no A record of example.org");
    }
}

#[test]
fn expected_text_in_quotes_or_without() {
    let long = "a".repeat(800);
    for (text, expected) in [
        ("v=spf1 -all", Some("v=spf1 -all")),
        (r#""v=spf1 " "-all""#, Some("v=spf1 -all")),
        (r#""a\;\"\\\059\195\164ä""#, Some("a;\"\\;ää")),
        (long.as_str(), Some(long.as_str())),
        (r"a\;b", None),
        (r#""a"#, None),
        (r#""a" b"#, None),
        (r#""\25""#, None),
        (r#""\999""#, None),
        (r#""\255""#, None),
    ] {
        assert_eq!(records::expected(RecordType::Txt, text).as_deref(), expected, "{text}");
    }
}

#[test]
fn judge_names_without_case_and_root() {
    let answers = vec![RData::MX(MX { preference: 10, exchange: Name::new("Mail.Example.org").unwrap() })];
    let packet = reply(PacketFlag::AUTHORITATIVE_ANSWER, answers);
    for (expected, status) in [("10 mail.example.org.", "Healthy"), ("20 mail.example.org", "Error")] {
        let dns = check(json!({"name": "example.org", "record_type": "MX", "expected": [expected]}));
        assert_eq!(format!("{:?}", dns.judge("ns:53", &packet).unwrap().status), status);
    }
}

#[test]
fn judge_nothing_found_each_reason() {
    let dns = check(json!({"name": "example.org"}));
    let mut nxdomain = reply(PacketFlag::RECURSION_AVAILABLE, vec![]);
    *nxdomain.rcode_mut() = RCODE::NameError;
    let found = dns.judge("ns:53", &nxdomain).unwrap();
    assert_eq!(found.message, "ns:53 says that example.org does not exist (NXDOMAIN)");

    for flags in [PacketFlag::RECURSION_AVAILABLE, PacketFlag::AUTHORITATIVE_ANSWER] {
        let found = dns.judge("ns:53", &reply(flags, vec![])).unwrap();
        assert_eq!(found.message, "ns:53 has no A record of example.org");
    }

    let mut referral = reply(PacketFlag::empty(), vec![]);
    referral.name_servers.push(record(RData::NS(NS(Name::new("ns2.example.org").unwrap()))));
    assert_eq!(dns.judge("ns:53", &referral).unwrap_err().code(), "UnavailableError");
}

#[test]
fn validate_wrong_fields_named() {
    for (fields, said) in [
        (json!({"name": "a..b"}), "name must be a domain name such as example.org"),
        (json!({"name": "a", "server": "b:0"}), "server must be host or host:port, such as 192.0.2.53:53"),
        (
            json!({"name": "a", "expected": ["b"]}),
            "expected must hold A records as a zone file has them, which expected[0] is not",
        ),
        (
            json!({"name": "a", "record_type": "MX", "expected": ["mail.example.org"]}),
            "expected must hold MX records as a zone file has them, which expected[0] is not",
        ),
    ] {
        assert_eq!(check(fields).validate().unwrap_err().to_string(), said);
    }
    for (kind, expected) in [
        ("AAAA", "2001:DB8::1"),
        ("CAA", "0 issue \"letsencrypt.org\""),
        ("SRV", "1 2 443 a.example.org."),
        ("SRV", "0 0 0 ."),
        ("SOA", "ns.example.org admin.example.org 1 2 3 4 5"),
        ("TXT", "v=spf1 -all"),
    ] {
        let fields = json!({"name": "a", "record_type": kind, "expected": [expected]});
        assert_eq!(check(fields).validate(), Ok(()), "{kind}");
    }
}
