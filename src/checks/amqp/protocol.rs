//! The dozen frames of AMQP 0-9-1 that a check sends and receives.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Deserialize;

/// What a client sends first: the protocol and its version.
pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
/// The largest frame that is taken. RabbitMQ sends at most 128 KiB, and nothing that a check requests is near to it.
pub const MAX_FRAME: usize = 128 * 1024;
/// The longest name or text of one length byte.
pub const MAX_SHORT: usize = u8::MAX as usize;

const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
const CONTENT_BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// Type, channel and size before the payload.
const HEAD: usize = 7;
/// `passive` of Queue.Declare: whether it exists, without making it.
const PASSIVE: u8 = 1;
/// `mandatory` of Basic.Publish: return what reaches no queue.
const MANDATORY: u8 = 1;
const BASIC: u16 = 60;

/// How to log in to a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AmqpLogin {
    /// User and password.
    #[default]
    Plain,
    /// The client certificate of `tls`.
    External,
}

impl AmqpLogin {
    /// The name of the mechanism.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::External => "EXTERNAL",
        }
    }
}

/// A frame from a broker, reduced to what the check needs.
#[derive(Clone, Debug, PartialEq)]
pub enum AmqpFrame {
    Start {
        mechanisms: String,
        version: Option<String>,
    },
    /// A further question of the login, which neither mechanism has.
    Secure,
    Tune {
        channel_max: u16,
        frame_max: u32,
    },
    OpenOk,
    Close {
        code: u16,
        text: String,
    },
    CloseOk,
    Blocked {
        reason: String,
    },
    Unblocked,
    ChannelOpenOk {
        channel: u16,
    },
    ChannelClose {
        channel: u16,
        code: u16,
    },
    DeclareOk {
        channel: u16,
        messages: u32,
        consumers: u32,
    },
    Returned {
        channel: u16,
    },
    /// Another header than ours: the versions of AMQP that the server speaks.
    OtherVersion {
        version: [u8; 4],
    },
    /// A heartbeat, the content of a returned message, or a method that is of no use here.
    Other,
}

/// Why bytes cannot be decoded.
#[derive(Debug, PartialEq)]
pub enum AmqpFrameError {
    Malformed,
    TooLarge,
}

/// The next frame; `None` while it has not arrived.
pub fn decode(bytes: &mut BytesMut) -> Result<Option<AmqpFrame>, AmqpFrameError> {
    match bytes.first() {
        None => return Ok(None),
        Some(b'A') => return decode_header(bytes),
        Some(&(METHOD | CONTENT_HEADER | CONTENT_BODY | HEARTBEAT)) => {}
        // At once, since bytes of another protocol may look like the start of a long frame.
        Some(_) => return Err(AmqpFrameError::Malformed),
    }
    let Some(mut head) = bytes.get(..HEAD) else { return Ok(None) };
    let (kind, channel, size) = (head.get_u8(), head.get_u16(), head.get_u32() as usize);
    if size > MAX_FRAME {
        return Err(AmqpFrameError::TooLarge);
    }
    if bytes.len() <= HEAD + size {
        return Ok(None);
    }
    let mut frame = bytes.split_to(HEAD + size + 1).freeze();
    if frame.last() != Some(&END) {
        return Err(AmqpFrameError::Malformed);
    }
    frame.advance(HEAD);
    frame.truncate(size);
    match kind {
        METHOD => decode_method(channel, frame).ok_or(AmqpFrameError::Malformed).map(Some),
        _ => Ok(Some(AmqpFrame::Other)),
    }
}

/// What a server answers to a version that it does not speak, before it closes the connection.
fn decode_header(bytes: &mut BytesMut) -> Result<Option<AmqpFrame>, AmqpFrameError> {
    let known = bytes.len().min(4);
    if bytes.get(..known) != HEADER.get(..known) {
        return Err(AmqpFrameError::Malformed);
    }
    match bytes.get(4..8) {
        Some(&[a, b, c, d]) => {
            bytes.advance(8);
            Ok(Some(AmqpFrame::OtherVersion { version: [a, b, c, d] }))
        }
        _ => Ok(None),
    }
}

fn decode_method(channel: u16, mut payload: Bytes) -> Option<AmqpFrame> {
    let (class, method) = (payload.try_get_u16().ok()?, payload.try_get_u16().ok()?);
    Some(match (class, method) {
        (10, 10) => {
            payload.try_get_u16().ok()?;
            let properties = long_string(&mut payload)?;
            let mechanisms = String::from_utf8_lossy(&long_string(&mut payload)?).into_owned();
            AmqpFrame::Start { mechanisms, version: server_version(&properties) }
        }
        (10, 20) => AmqpFrame::Secure,
        (10, 30) => {
            AmqpFrame::Tune { channel_max: payload.try_get_u16().ok()?, frame_max: payload.try_get_u32().ok()? }
        }
        (10, 41) => AmqpFrame::OpenOk,
        (10, 50) => AmqpFrame::Close { code: payload.try_get_u16().ok()?, text: short_string(&mut payload)? },
        (10, 51) => AmqpFrame::CloseOk,
        (10, 60) => AmqpFrame::Blocked { reason: short_string(&mut payload)? },
        (10, 61) => AmqpFrame::Unblocked,
        (20, 11) => AmqpFrame::ChannelOpenOk { channel },
        (20, 40) => AmqpFrame::ChannelClose { channel, code: payload.try_get_u16().ok()? },
        (50, 11) => {
            short_string(&mut payload)?;
            AmqpFrame::DeclareOk {
                channel,
                messages: payload.try_get_u32().ok()?,
                consumers: payload.try_get_u32().ok()?,
            }
        }
        (BASIC, 50) => AmqpFrame::Returned { channel },
        _ => AmqpFrame::Other,
    })
}

fn short_string(payload: &mut Bytes) -> Option<String> {
    let length = usize::from(payload.try_get_u8().ok()?);
    let text = (payload.len() >= length).then(|| payload.split_to(length))?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn long_string(payload: &mut Bytes) -> Option<Bytes> {
    let length = payload.try_get_u32().ok()? as usize;
    (payload.len() >= length).then(|| payload.split_to(length))
}

/// The value of `version` in the server's properties: a name, `S`, and a long string. What the other values are is of no
/// interest, so the table is searched and not read; `None` for what is no plain version number.
fn server_version(properties: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\x07versionS";
    let start = properties.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let mut rest = Bytes::copy_from_slice(properties.get(start..)?);
    let text = String::from_utf8(long_string(&mut rest)?.to_vec()).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    (!text.is_empty() && text.len() <= 40 && text.chars().all(plain)).then_some(text)
}

/// One method in its frame.
struct Method(BytesMut);

impl Method {
    fn new(channel: u16, class: u16, method: u16) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u8(METHOD);
        bytes.put_u16(channel);
        bytes.put_u32(0);
        bytes.put_u16(class);
        bytes.put_u16(method);
        Self(bytes)
    }

    fn number(mut self, value: u16) -> Self {
        self.0.put_u16(value);
        self
    }

    fn byte(mut self, value: u8) -> Self {
        self.0.put_u8(value);
        self
    }

    /// The text, which was validated to fit; what would not fit is cut.
    fn short(mut self, text: &str) -> Self {
        let bytes = text.as_bytes().get(..MAX_SHORT).unwrap_or(text.as_bytes());
        self.0.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        self.0.put_slice(bytes);
        self
    }

    fn long(mut self, bytes: &[u8]) -> Self {
        self.0.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.put_slice(bytes);
        self
    }

    fn write(self, to: &mut BytesMut) {
        finish(self.0, to);
    }
}

/// Put the size of a frame's payload where it belongs, the end behind it, and all of it behind what is to be sent.
fn finish(mut frame: BytesMut, to: &mut BytesMut) {
    let size = u32::try_from(frame.len().saturating_sub(HEAD)).unwrap_or(u32::MAX);
    if let Some(place) = frame.get_mut(3..HEAD) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    frame.put_u8(END);
    to.extend_from_slice(&frame);
}

/// Connection.Start-Ok: who we are, and the login.
pub fn start_ok(to: &mut BytesMut, login: AmqpLogin, username: &str, password: &str) {
    let mut capabilities = BytesMut::new();
    // The broker says why it refuses a login, and that it blocks publishers, only to those that know these answers.
    for name in ["authentication_failure_close", "connection.blocked"] {
        capabilities.put_u8(u8::try_from(name.len()).unwrap_or_default());
        capabilities.put_slice(name.as_bytes());
        capabilities.put_slice(b"t\x01");
    }
    let mut properties = BytesMut::new();
    for (name, value) in [("product", "lifesigns"), ("version", env!("CARGO_PKG_VERSION"))] {
        properties.put_u8(u8::try_from(name.len()).unwrap_or_default());
        properties.put_slice(name.as_bytes());
        properties.put_u8(b'S');
        properties.put_u32(u32::try_from(value.len()).unwrap_or_default());
        properties.put_slice(value.as_bytes());
    }
    properties.put_slice(b"\x0ccapabilitiesF");
    properties.put_u32(u32::try_from(capabilities.len()).unwrap_or_default());
    properties.put_slice(&capabilities);
    let response = match login {
        AmqpLogin::Plain => format!("\0{username}\0{password}"),
        AmqpLogin::External => String::new(),
    };
    Method::new(0, 10, 11).long(&properties).short(login.name()).long(response.as_bytes()).short("en_US").write(to);
}

/// Connection.Tune-Ok, without heartbeats: the connection is closed within the timeout of the check.
pub fn tune_ok(to: &mut BytesMut, channel_max: u16, frame_max: u32) {
    let [a, b, c, d] = frame_max.to_be_bytes();
    let frame_max = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let [high, low] = frame_max;
    Method::new(0, 10, 31).number(channel_max).number(high).number(low).number(0).write(to);
}

/// Connection.Open.
pub fn open(to: &mut BytesMut, vhost: &str) {
    Method::new(0, 10, 40).short(vhost).short("").byte(0).write(to);
}

/// Connection.Close: 200, "OK".
pub fn close(to: &mut BytesMut) {
    Method::new(0, 10, 50).number(200).short("OK").number(0).number(0).write(to);
}

/// Connection.Close-Ok.
pub fn close_ok(to: &mut BytesMut) {
    Method::new(0, 10, 51).write(to);
}

/// Channel.Open.
pub fn channel_open(to: &mut BytesMut, channel: u16) {
    Method::new(channel, 20, 10).short("").write(to);
}

/// Channel.Close-Ok, without which the number of the channel cannot be used again.
pub fn channel_close_ok(to: &mut BytesMut, channel: u16) {
    Method::new(channel, 20, 41).write(to);
}

/// Queue.Declare, passive: whether the queue exists, and what is in it.
pub fn declare(to: &mut BytesMut, channel: u16, queue: &str) {
    Method::new(channel, 50, 10).number(0).short(queue).byte(PASSIVE).long(&[]).write(to);
}

/// Basic.Publish of an empty message to the default exchange, to be returned where no queue has this name.
pub fn publish(to: &mut BytesMut, channel: u16, routing_key: &str) {
    Method::new(channel, BASIC, 40).number(0).short("").short(routing_key).byte(MANDATORY).write(to);
    let mut header = BytesMut::new();
    header.put_u8(CONTENT_HEADER);
    header.put_u16(channel);
    header.put_u32(0);
    header.put_u16(BASIC);
    header.put_u16(0);
    header.put_u64(0); // the length of the body, which therefore has no frame
    header.put_u16(0); // no properties
    finish(header, to);
}

#[cfg(test)]
mod tests;
