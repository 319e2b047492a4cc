//! Requests one probe from a probe server, as `python -m lifesigns probe` does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::address::ProbeAddress;

/// More than a probe server ever sends for `/alive` or `/ready` to a client that may see no details.
const MAX_RESPONSE: u64 = 1 << 20;

/// The response of a probe server.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeReply {
    pub code: u16,
    /// Its message, empty if it has none.
    pub message: String,
}

/// Requests `path` and waits for the response, for `timeout` in all.
pub fn request(address: &ProbeAddress, path: &str, timeout: Duration) -> io::Result<ProbeReply> {
    let deadline = Instant::now() + timeout;
    match address {
        ProbeAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, timeout)?;
            exchange(&stream, path, |remaining| stream.set_read_timeout(Some(remaining)), deadline)
        }
        #[cfg(unix)]
        ProbeAddress::Unix(socket) => {
            let stream = super::unix_connect::connect_path_within(socket, timeout)?;
            exchange(&stream, path, |remaining| stream.set_read_timeout(Some(remaining)), deadline)
        }
        #[cfg(not(unix))]
        ProbeAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn exchange(
    mut stream: impl Read + Write,
    path: &str,
    wait_at_most: impl Fn(Duration) -> io::Result<()>,
    deadline: Instant,
) -> io::Result<ProbeReply> {
    // Small enough for any socket's buffer: it cannot block.
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    let mut chunk = [0; 4096];
    while (response.len() as u64) < MAX_RESPONSE {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        wait_at_most(remaining)?;
        match stream.read(&mut chunk) {
            Ok(0) => return parse_response(&response).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            Ok(read) => response.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The status code and the `message` of a response that has come to its end.
fn parse_response(response: &[u8]) -> Option<ProbeReply> {
    let response = std::str::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body: Option<Value> = serde_json::from_str(body).ok();
    let message = body.and_then(|body| body.get("message")?.as_str().map(str::to_owned)).unwrap_or_default();
    Some(ProbeReply { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_is_parsed_into_code_and_message() {
        let reply = |code, message: &str| Some(ProbeReply { code, message: message.to_owned() });
        let table = [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"message\": \"fine\"}", reply(200, "fine")),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nnot JSON", reply(503, "")),
            ("HTTP/1.1 503\r\n\r\n{}", reply(503, "")),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("", None),
        ];
        for (response, expected) in table {
            assert_eq!(parse_response(response.as_bytes()), expected, "{response}");
        }
    }
}
