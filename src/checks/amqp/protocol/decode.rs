//! The frames that a broker sends.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{AmqpFrame, BASIC, CONTENT_BODY, CONTENT_HEADER, END, HEAD, HEADER, HEARTBEAT, METHOD};
use crate::net::FrameError;

/// The largest frame that is taken. RabbitMQ sends at most 128 KiB, and nothing that a check requests is near to it.
pub const MAX_FRAME: usize = 128 * 1024;

/// The next frame; `None` while it has not arrived.
pub fn decode(bytes: &mut BytesMut) -> Result<Option<AmqpFrame>, FrameError> {
    match bytes.first() {
        None => return Ok(None),
        Some(b'A') => return decode_header(bytes),
        Some(&(METHOD | CONTENT_HEADER | CONTENT_BODY | HEARTBEAT)) => {}
        // At once, since bytes of another protocol may look like the start of a long frame.
        Some(_) => return Err(FrameError::Malformed),
    }
    let Some(mut head) = bytes.get(..HEAD) else { return Ok(None) };
    let (kind, channel, size) = (head.get_u8(), head.get_u16(), head.get_u32() as usize);
    if size > MAX_FRAME {
        return Err(FrameError::TooLarge(MAX_FRAME));
    }
    if bytes.len() <= HEAD + size {
        return Ok(None);
    }
    let mut frame = bytes.split_to(HEAD + size + 1).freeze();
    if frame.last() != Some(&END) {
        return Err(FrameError::Malformed);
    }
    frame.advance(HEAD);
    frame.truncate(size);
    match kind {
        METHOD => decode_method(channel, frame).ok_or(FrameError::Malformed).map(Some),
        _ => Ok(Some(AmqpFrame::Other)),
    }
}

/// What a server answers to a version that it does not speak, before it closes the connection.
fn decode_header(bytes: &mut BytesMut) -> Result<Option<AmqpFrame>, FrameError> {
    let known = bytes.len().min(4);
    if bytes.get(..known) != HEADER.get(..known) {
        return Err(FrameError::Malformed);
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
