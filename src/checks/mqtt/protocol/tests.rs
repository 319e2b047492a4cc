//! Packets of both versions: right, cut, malformed and random ones.

#![allow(clippy::unwrap_used)]

use crate::checks::mqtt::spec::MqttTransport;
use crate::model::Secret;
use proptest::prelude::*;

use super::*;

const BOTH: [MqttProtocol; 2] = [MqttProtocol::V311, MqttProtocol::V5];

fn broker(protocol: MqttProtocol, username: Option<&str>, password: Option<&str>) -> MqttCheck {
    MqttCheck {
        host: "h".into(),
        port: None,
        username: username.map(Into::into),
        password: password.map(Secret::new),
        tls: None,
        alpn: Vec::new(),
        transport: MqttTransport::Tcp,
        path: None,
        protocol,
        round_trip_topic: None,
    }
}

#[test]
fn connect_bytes_of_the_standard() {
    let v311 = connect(&broker(MqttProtocol::V311, Some("u"), Some("p")), "id").unwrap();
    assert_eq!(&v311[..], b"\x10\x14\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02id\x00\x01u\x00\x01p");
    let v5 = connect(&broker(MqttProtocol::V5, None, Some("p")), "id").unwrap();
    assert_eq!(&v5[..], b"\x10\x12\x00\x04MQTT\x05\x42\x00\x3c\x00\x00\x02id\x00\x01p");
    for protocol in BOTH {
        let without = connect(&broker(protocol, Some(""), Some("")), "id").unwrap();
        assert_eq!(without.get(9), Some(&0x02), "a clean session and no credentials");
    }
}

#[test]
fn connack_codes_and_wrong_ones() {
    use MqttProtocol::{V5, V311};
    for (protocol, bytes, expected) in [
        (V311, &[0x20, 2, 0, 0][..], Ok(Some(0))),
        (V311, &[0x20, 2, 0, 5], Ok(Some(5))),
        (V311, &[0x20, 2, 0, 0x84], Ok(Some(0x84))),
        (V311, &[0x20, 2, 0], Ok(None)),
        (V311, &[0x20], Ok(None)),
        (V311, &[], Ok(None)),
        (V311, &[0x20, 0], Err(FrameError::Malformed)),
        (V311, &[0x20, 3, 0, 0, 0], Err(FrameError::Malformed)),
        (V311, &[0x21, 2, 0, 0], Err(FrameError::Malformed)),
        (V311, &[0x20, 0xff, 0xff, 0xff, 0xff], Err(FrameError::Malformed)),
        (V311, &[0x20, 0xff, 0xff, 0x7f], Err(FrameError::TooLarge(MAX_PACKET))),
        (V311, b"HTTP/1.1 400 Bad Request\r\n", Err(FrameError::Malformed)),
        (V311, b"220 mail ESMTP\r\n", Err(FrameError::Malformed)),
        (V5, &[0x20, 3, 0, 0, 0], Ok(Some(0))),
        (V5, &[0x20, 3, 0, 0x87, 0], Ok(Some(0x87))),
        (V5, &[0x20, 3, 0, 0xfe, 0], Ok(Some(0xfe))),
        (V5, &[0x20, 6, 0, 0x86, 3, 0x21, 0, 1], Ok(Some(0x86))),
        (V5, &[0x20, 2, 0, 1], Ok(Some(1))),
        (V5, &[0x20, 2, 0, 0], Err(FrameError::Malformed)),
        (V5, &[0x20, 4, 0, 0, 9, 9], Err(FrameError::Malformed)),
        (V5, b"SSH-2.0-OpenSSH\r\n", Err(FrameError::Malformed)),
    ] {
        assert_eq!(decode_connack(protocol, &mut BytesMut::from(bytes)), expected, "{protocol:?} {bytes:02x?}");
    }
}

#[test]
fn connack_with_a_long_property() {
    let reason = "r".repeat(200);
    let mut bytes = BytesMut::from(&[0x20, 0xcf, 0x01, 0, 0x88, 0xcb, 0x01, 0x1f, 0, 200][..]);
    bytes.extend_from_slice(reason.as_bytes());
    assert_eq!(decode_connack(MqttProtocol::V5, &mut bytes), Ok(Some(0x88)));
    assert!(bytes.is_empty());
}

#[test]
fn decode_steps_of_a_round_trip() {
    use MqttProtocol::{V5, V311};
    for (protocol, bytes, expected) in [
        (V311, &[0x90, 3, 0, 1, 0][..], Packet::Suback { accepted: true }),
        (V311, &[0x90, 3, 0, 1, 0x80], Packet::Suback { accepted: false }),
        (V311, &[0x40, 2, 0, 1], Packet::Other),
        (V311, b"\x30\x05\x00\x01txy", Packet::Publish { topic: "t".into(), payload: "xy".into() }),
        (V5, &[0x90, 4, 0, 1, 0, 0], Packet::Suback { accepted: true }),
        (V5, &[0x90, 4, 0, 1, 0, 0x87], Packet::Suback { accepted: false }),
        (V5, &[0x40, 2, 0, 1], Packet::Puback { accepted: true }),
        (V5, &[0x40, 3, 0, 1, 0x10], Packet::Puback { accepted: true }),
        (V5, &[0x40, 3, 0, 1, 0x87], Packet::Puback { accepted: false }),
        (V5, &[0xe0, 1, 0x8b], Packet::Disconnect(0x8b)),
        (V5, b"\x30\x06\x00\x01t\x00xy", Packet::Publish { topic: "t".into(), payload: "xy".into() }),
    ] {
        assert_eq!(decode(protocol, &mut BytesMut::from(bytes)), Ok(Some(expected)), "{protocol:?} {bytes:02x?}");
    }
}

#[test]
fn packets_are_read_by_the_other_side() {
    for protocol in BOTH {
        let mut bytes = publish(protocol, "a/b", "payload").unwrap();
        let published = Packet::Publish { topic: "a/b".into(), payload: "payload".into() };
        assert_eq!(decode(protocol, &mut bytes), Ok(Some(published)));
        let mut bytes = subscribe(protocol, "a/b").unwrap();
        assert_eq!(decode(protocol, &mut bytes), Ok(Some(Packet::Other)));
    }
}

proptest! {
    #[test]
    fn decode_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for protocol in BOTH {
            let _ = decode_connack(protocol, &mut BytesMut::from(&bytes[..]));
            let _ = decode(protocol, &mut BytesMut::from(&bytes[..]));
        }
    }

    /// Whole packets of each type with any body, which random bytes seldom are.
    #[test]
    fn decode_any_body(first in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut bytes = vec![first, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        for protocol in BOTH {
            prop_assert_ne!(decode(protocol, &mut BytesMut::from(&bytes[..])), Ok(None));
            *bytes.first_mut().unwrap() = CONNACK;
            prop_assert_ne!(decode_connack(protocol, &mut BytesMut::from(&bytes[..])), Ok(None));
        }
    }
}
