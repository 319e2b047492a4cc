//! One question to name servers: by UDP, again while one is silent, by TCP where the answer does not fit.

use std::io;
use std::time::Duration;

use simple_dns::{Packet, RCODE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use uuid::Uuid;

use super::servers::NameServer;
use crate::model::{CheckError, Phase};
use crate::net::{self, first_success};
use crate::runtime::Context;

/// How long a server is waited for until the question is sent again (it or its answer may be lost), and until the next
/// server is queried beside it.
const RESEND_AFTER: Duration = Duration::from_secs(1);
/// The largest datagram that is read; servers send at most 512 bytes where a client does not request more.
const MAX_DATAGRAM: usize = 4096;
/// The identifier, flags and counts before the question.
const HEADER: usize = 12;

/// The answer of one server, whose code is NOERROR or NXDOMAIN.
pub struct DnsReply {
    pub server: String,
    pub message: Vec<u8>,
}

/// An identifier that a forged answer would have to guess.
pub fn random_id() -> u16 {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    u16::from_be_bytes([high, low])
}

/// Queries the servers in turn, the next one as soon as one fails or is silent. All failed: what a server said of its
/// failure says more than that another cannot be reached.
pub async fn query_servers(context: &Context, servers: &[NameServer], query: &[u8]) -> Result<DnsReply, CheckError> {
    context.enter(Phase::Query);
    let attempts = servers.iter().map(|server| query_server(context, server, query)).collect();
    let has_answered = |error: &CheckError| {
        matches!(error, CheckError::Unavailable { .. } | CheckError::Rejected { .. } | CheckError::Protocol { .. })
    };
    let found = first_success(attempts, RESEND_AFTER, |new, known| has_answered(new) && !has_answered(known)).await;
    found.map_err(|failure| {
        failure.unwrap_or_else(|| CheckError::Configuration("there is no name server to query".to_owned()))
    })
}

async fn query_server(context: &Context, server: &NameServer, query: &[u8]) -> Result<DnsReply, CheckError> {
    let target = &server.target;
    let mut message = by_udp(server, query).await.map_err(|error| net::io_error(target, Phase::Query, &error))?;
    if is_truncated(&message) {
        message = by_tcp(context, server, query).await?;
    }
    let wrong = || CheckError::Protocol { target: target.clone(), expected: "DNS".into() };
    let code = Packet::parse(&message).map_err(|_| wrong())?.rcode();
    match code {
        RCODE::NoError | RCODE::NameError => Ok(DnsReply { server: target.clone(), message }),
        RCODE::ServerFailure => {
            let reason = "it could not resolve the name (SERVFAIL)".into();
            Err(CheckError::Unavailable { target: target.clone(), reason })
        }
        RCODE::Refused => {
            let reason = "it does not answer us for this name (REFUSED)".into();
            Err(CheckError::Rejected { target: target.clone(), reason })
        }
        RCODE::FormatError | RCODE::NotImplemented => {
            let reason = "it does not understand the question (FORMERR or NOTIMP)".into();
            Err(CheckError::Rejected { target: target.clone(), reason })
        }
        _ => Err(wrong()),
    }
}

async fn by_udp(server: &NameServer, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = net::connect_udp(server.address).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        socket.send(query).await?;
        let answer = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Some(message) = buffer.get(..length).filter(|message| is_reply(message, query)) {
                    return io::Result::Ok(message.to_vec());
                }
            }
        };
        if let Ok(answer) = timeout(RESEND_AFTER, answer).await {
            return answer;
        }
    }
}

/// The same question with its length before it (RFC 1035, 4.2.2).
async fn by_tcp(context: &Context, server: &NameServer, query: &[u8]) -> Result<Vec<u8>, CheckError> {
    let NameServer { address, target } = server;
    let mut stream = net::connect_named(context, &address.ip().to_string(), address.port(), target).await?;
    context.enter(Phase::Query);
    let exchange = async {
        let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        io::Result::Ok(message)
    };
    let message = exchange.await.map_err(|error| net::io_error(target, Phase::Query, &error))?;
    match is_reply(&message, query) && !is_truncated(&message) {
        true => Ok(message),
        false => Err(CheckError::Protocol { target: target.clone(), expected: "DNS".into() }),
    }
}

/// Whether a message answers the query: the same identifier and question. Others are late, or forged.
fn is_reply(message: &[u8], query: &[u8]) -> bool {
    let is_response = message.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let same_id = message.get(..2) == query.get(..2);
    // A server that cannot even read the question repeats none of it.
    let question = message.get(HEADER..query.len());
    let same_question = question.zip(query.get(HEADER..)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
    let none = message.len() == HEADER && message.get(4..6) == Some(&[0, 0]);
    is_response && same_id && (same_question || none)
}

/// Whether more records belong to the answer than fit into it.
fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_to_this_query_only() {
        let query = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let reply = |change: fn(&mut Vec<u8>)| {
            let mut message = query.to_vec();
            if let Some(flags) = message.get_mut(2) {
                *flags |= 0x80;
            }
            change(&mut message);
            is_reply(&message, query)
        };
        assert!(reply(|_| {}));
        assert!(reply(|message| message.extend([1, 2, 3])));
        assert!(reply(|message| *message.get_mut(13).unwrap_or(&mut 0) = b'A'));
        assert!(!reply(|message| *message.get_mut(0).unwrap_or(&mut 0) = 0));
        assert!(!reply(|message| *message.get_mut(2).unwrap_or(&mut 0) = 0));
        assert!(!reply(|message| *message.get_mut(13).unwrap_or(&mut 0) = b'b'));
        assert!(!reply(|message| message.truncate(15)));
        assert!(!reply(Vec::clear));
    }
}
