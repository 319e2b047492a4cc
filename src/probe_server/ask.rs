//! Asks a probe server, as `python -m lifesigns probe` does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::address::Address;

/// More than a probe server ever answers to `/alive` or `/ready` to whoever sees no details.
const MAX_ANSWER: u64 = 1 << 20;

/// What a probe server said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: u16,
    /// Its message, or nothing if it gave none.
    pub message: String,
}

/// Asks for `path` and waits for the answer, at most for `patience` in all.
pub fn ask(address: &Address, path: &str, patience: Duration) -> io::Result<Said> {
    let deadline = Instant::now() + patience;
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, patience)?;
            talk(&stream, path, |remaining| stream.set_read_timeout(Some(remaining)), deadline)
        }
        #[cfg(unix)]
        Address::Unix(socket) => {
            let stream = std::os::unix::net::UnixStream::connect(socket)?;
            talk(&stream, path, |remaining| stream.set_read_timeout(Some(remaining)), deadline)
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn talk(
    mut stream: impl Read + Write,
    path: &str,
    wait_at_most: impl Fn(Duration) -> io::Result<()>,
    deadline: Instant,
) -> io::Result<Said> {
    // Small enough for any socket's buffer: it cannot block.
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while (answer.len() as u64) < MAX_ANSWER {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        wait_at_most(remaining)?;
        match stream.read(&mut chunk) {
            Ok(0) => return understand(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            Ok(read) => answer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The status code and the `message` of a response that has come to its end.
fn understand(answer: &[u8]) -> Option<Said> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body: Option<Value> = serde_json::from_str(body).ok();
    let message = body.and_then(|body| body.get("message")?.as_str().map(str::to_owned)).unwrap_or_default();
    Some(Said { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_code_and_its_message() {
        let said = |code, message: &str| Some(Said { code, message: message.to_owned() });
        let table = [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"message\": \"fine\"}", said(200, "fine")),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nnot JSON", said(503, "")),
            ("HTTP/1.1 503\r\n\r\n{}", said(503, "")),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("", None),
        ];
        for (answer, expected) in table {
            assert_eq!(understand(answer.as_bytes()), expected, "{answer}");
        }
    }
}
