//! A name server that answers a question of the DNS, with the records that are expected.

mod exchange;
mod question;
mod records;
mod servers;

use async_trait::async_trait;
use serde::Deserialize;
use simple_dns::{Packet, PacketFlag, RCODE};

use super::fields::{counted, validated};
use crate::checks::Check;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;
use exchange::{DnsReply, query_servers};
use question::question;
use records::{bounded, expected, normalized, texts};

/// How many records are shown.
const MAX_SHOWN: usize = 20;

/// The type of the requested records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    #[default]
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Txt,
}

/// A name server knows records of `name`, among them those that are `expected`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsCheck {
    /// A full domain name: no search domain is appended. For `PTR` also an address.
    pub name: String,
    /// Default `A`.
    #[serde(default)]
    pub record_type: RecordType,
    /// Records that must be among the answers, as a zone file writes them, such as `10 mail.example.org` for `MX`.
    /// Others beside them are fine. Default: any answer will do.
    #[serde(default)]
    pub expected: Vec<String>,
    /// `host` or `host:port` of the name server. Default: those of `/etc/resolv.conf`, the next where one fails.
    #[serde(default)]
    pub server: Option<String>,
}

#[async_trait]
impl Check for DnsCheck {
    fn validate(&self) -> Result<(), SpecError> {
        question(&self.name, self.record_type, 0)?;
        if let Some(wrong) = self.expected.iter().position(|text| expected(self.record_type, text).is_none()) {
            let kind = self.record_type.text();
            return Err(SpecError(format!(
                "expected must hold {kind} records as a zone file has them, which expected[{wrong}] is not"
            )));
        }
        self.server.as_deref().map_or(Ok(()), |server| servers::host_and_port(server).map(drop))
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let query = validated(question(&self.name, self.record_type, exchange::random_id()))?;
        let servers = servers::find(context, self.server.as_deref()).await?;
        let DnsReply { server, message } = query_servers(context, &servers, &query).await?;
        let wrong = || CheckError::Protocol { target: server.clone(), expected: "DNS".into() };
        let packet = Packet::parse(&message).map_err(|_| wrong())?;
        self.judge(&server, &packet)
    }
}

impl RecordType {
    /// As a zone file writes it.
    fn text(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

impl DnsCheck {
    fn judge(&self, server: &str, packet: &Packet<'_>) -> Result<Finding, CheckError> {
        let (name, kind) = (&self.name, self.record_type.text());
        let detailed = |finding: Finding, code: &str| {
            finding
                .with("server", server)
                .with("record_type", kind)
                .with("response_code", code)
                .with("authoritative", packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER))
        };
        match packet.rcode() {
            RCODE::NoError => {}
            RCODE::NameError => {
                let finding = Finding::error(format!("{server} says that {name} does not exist (NXDOMAIN)"));
                return Ok(detailed(finding, "NXDOMAIN"));
            }
            // `query_servers` returns no other.
            _ => return Err(CheckError::Protocol { target: server.to_owned(), expected: "DNS".into() }),
        }
        let (answers, ttl) = texts(packet, self.record_type);
        if answers.is_empty() {
            let resolves = packet.has_flags(PacketFlag::RECURSION_AVAILABLE);
            if packet.answers.is_empty() && !resolves && !packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER) {
                let reason = format!("it is lame: neither responsible for {name} nor does it resolve names for us");
                return Err(CheckError::Unavailable { target: server.to_owned(), reason: reason.into() });
            }
            let finding = Finding::error(format!("{server} has no {kind} record of {name}"));
            return Ok(detailed(finding, "NOERROR").with("answers", answers));
        }
        let known: Vec<_> = answers.iter().filter_map(|text| normalized(self.record_type, text)).collect();
        let is_missing = |text: &&String| expected(self.record_type, text).is_none_or(|text| !known.contains(&text));
        let missing: Vec<_> = self.expected.iter().filter(is_missing).map(String::as_str).collect();
        let finding = if missing.is_empty() {
            let number = u64::try_from(answers.len()).unwrap_or(u64::MAX);
            Finding::healthy(format!("{server} has {} of {name}", counted(&format!("{kind} record"), number)))
        } else {
            Finding::error(format!("{server} lacks {kind} records of {name}: {}", missing.join(", ")))
        };
        let shown: Vec<_> = answers.iter().take(MAX_SHOWN).map(|text| bounded(text)).collect();
        Ok(detailed(finding, "NOERROR").with("answers", shown).with("ttl_seconds", ttl))
    }
}

#[cfg(test)]
mod tests;
