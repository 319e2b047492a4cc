//! The two messages of the health protocol, and the frame around them.

/// What a server reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingStatus {
    Unknown,
    Serving,
    NotServing,
    /// Of the streaming call only, by the protocol; some servers answer so here, too.
    ServiceUnknown,
}

/// The bytes before a message: whether it is compressed, and its length.
pub const FRAME_HEADER: usize = 5;
/// Field 1, of the wire type "length and bytes".
const SERVICE: u8 = 0x0a;

/// A `HealthCheckRequest` in its frame.
pub fn encode_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE);
        push_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

fn push_varint(message: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        message.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).unwrap_or(0));
}

/// The status in a `HealthCheckResponse`, which its frame encloses. A field that is left out has its default, 0.
pub fn decode_response(frame: &[u8]) -> Option<ServingStatus> {
    let (header, message) = frame.split_at_checked(FRAME_HEADER)?;
    let (compressed, length) = header.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *compressed != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let mut status = 0;
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        rest = match tag & 7 {
            0 => {
                let (value, after) = varint(after)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                after
            }
            1 => after.get(8..)?,
            2 => {
                let (length, after) = varint(after)?;
                after.get(usize::try_from(length).ok()?..)?
            }
            5 => after.get(4..)?,
            _ => return None,
        };
    }
    Some(match status {
        1 => ServingStatus::Serving,
        2 => ServingStatus::NotServing,
        3 => ServingStatus::ServiceUnknown,
        _ => ServingStatus::Unknown,
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * place).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn request_as_protobuf_writes_it() {
        assert_eq!(encode_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(encode_request("a.B"), b"\0\0\0\0\x05\x0a\x03a.B");
        let long = encode_request(&"a".repeat(300));
        assert_eq!(long.get(..8), Some(&b"\0\0\0\x01\x2f\x0a\xac\x02"[..]));
    }

    #[test]
    fn response_each_status_and_unknown_fields() {
        use ServingStatus::{NotServing, ServiceUnknown, Serving, Unknown};
        let frame = |message: &[u8]| [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()][..], message].concat();
        for (message, status) in [
            (&b""[..], Some(Unknown)),
            (b"\x08\x00", Some(Unknown)),
            (b"\x08\x01", Some(Serving)),
            (b"\x08\x02", Some(NotServing)),
            (b"\x08\x03", Some(ServiceUnknown)),
            (b"\x08\x81\x00", Some(Serving)),
            (b"\x12\x02ab\x08\x01", Some(Serving)),
            (b"\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x08\x01", Some(Serving)),
            (b"\x08", None),
            (b"\x12\x05ab", None),
            (b"\x0b", None),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(decode_response(&frame(message)), status, "{message:?}");
        }
        for frame in [&b""[..], b"\x01\0\0\0\0", b"\0\0\0\0\x01", b"\0\0\0\0\0\x08"] {
            assert_eq!(decode_response(frame), None);
        }
    }
}
