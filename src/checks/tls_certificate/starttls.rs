//! The commands by which a client of a protocol without TLS requests it (RFC 3207, RFC 2595, PostgreSQL's SSLRequest).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::StartTls;
use crate::model::{CheckError, Phase};
use crate::net;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 4096;
/// The most lines of a greeting or of a list of capabilities.
const MAX_LINES: usize = 100;
/// Length 8, and the number that stands for the request.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Has the server start TLS: the next byte is the client's first of the handshake.
///
/// Each reply is read byte by byte, so that none of the handshake is taken for a part of it.
pub async fn start_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    protocol: StartTls,
    target: &str,
) -> Result<(), CheckError> {
    let mut dialogue = Dialogue { stream, target, protocol };
    match protocol {
        StartTls::Smtp => {
            dialogue.smtp_reply(b"220").await?;
            dialogue.send(b"EHLO [127.0.0.1]\r\n").await?;
            dialogue.smtp_reply(b"250").await?;
            dialogue.send(b"STARTTLS\r\n").await?;
            dialogue.smtp_reply(b"220").await
        }
        StartTls::Imap => {
            dialogue.line_starting_with(&[b"* OK", b"* PREAUTH"]).await?;
            dialogue.send(b"a1 STARTTLS\r\n").await?;
            dialogue.imap_completion().await
        }
        StartTls::Pop3 => {
            dialogue.line_starting_with(&[b"+OK"]).await?;
            dialogue.send(b"STLS\r\n").await?;
            dialogue.line_starting_with(&[b"+OK"]).await
        }
        StartTls::Postgres => {
            dialogue.send(&SSL_REQUEST).await?;
            match dialogue.byte().await? {
                b'S' => Ok(()),
                b'N' => Err(dialogue.refused()),
                _ => Err(dialogue.wrong()),
            }
        }
    }
}

struct Dialogue<'a, S> {
    stream: &'a mut S,
    target: &'a str,
    protocol: StartTls,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<'_, S> {
    async fn send(&mut self, command: &[u8]) -> Result<(), CheckError> {
        let sent = async {
            self.stream.write_all(command).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| net::io_error(self.target, Phase::Query, &error))
    }

    async fn byte(&mut self) -> Result<u8, CheckError> {
        self.stream.read_u8().await.map_err(|error| net::io_error(self.target, Phase::Query, &error))
    }

    async fn line(&mut self) -> Result<Vec<u8>, CheckError> {
        let mut line = Vec::new();
        loop {
            match self.byte().await? {
                b'\n' => return Ok(line),
                _ if line.len() == MAX_LINE => return Err(self.wrong()),
                byte => line.push(byte),
            }
        }
    }

    /// A reply of one or more lines, `250-...` but the last, which has this code.
    async fn smtp_reply(&mut self, code: &[u8]) -> Result<(), CheckError> {
        for _ in 0..MAX_LINES {
            let line = self.line().await?;
            match (line.get(..3), line.get(3)) {
                (Some(found), Some(b'-')) if found == code => {}
                (Some(found), Some(b' ' | b'\r') | None) if found == code => return Ok(()),
                (Some([b'4' | b'5', ..]), _) => return Err(self.refused()),
                _ => return Err(self.wrong()),
            }
        }
        Err(self.wrong())
    }

    async fn line_starting_with(&mut self, beginnings: &[&[u8]]) -> Result<(), CheckError> {
        let line = self.line().await?;
        match beginnings.iter().any(|beginning| line.starts_with(beginning)) {
            true => Ok(()),
            false if line.starts_with(b"-ERR") || line.starts_with(b"* BYE") => Err(self.refused()),
            false => Err(self.wrong()),
        }
    }

    /// The tagged reply, after lines that the server may send unasked.
    async fn imap_completion(&mut self) -> Result<(), CheckError> {
        for _ in 0..MAX_LINES {
            let line = self.line().await?;
            if line.starts_with(b"a1 OK") {
                return Ok(());
            } else if line.starts_with(b"a1 ") {
                return Err(self.refused());
            } else if !line.starts_with(b"* ") {
                break;
            }
        }
        Err(self.wrong())
    }

    fn refused(&self) -> CheckError {
        CheckError::Rejected { target: self.target.to_owned(), reason: "it does not start TLS".into() }
    }

    fn wrong(&self) -> CheckError {
        let expected = match self.protocol {
            StartTls::Smtp => "SMTP",
            StartTls::Imap => "IMAP",
            StartTls::Pop3 => "POP3",
            StartTls::Postgres => "PostgreSQL",
        };
        CheckError::Protocol { target: self.target.to_owned(), expected: expected.into() }
    }
}
