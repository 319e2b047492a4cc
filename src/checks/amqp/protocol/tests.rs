//! Frames: right, cut, malformed and random ones.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use bytes::{BufMut, BytesMut};

use super::encode::finish;
use super::frame::{HEARTBEAT, METHOD};
use super::*;
use crate::net::FrameError;

fn framed(kind: u8, channel: u16, payload: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u8(kind);
    frame.put_u16(channel);
    frame.put_u32(0);
    frame.put_slice(payload);
    let mut bytes = BytesMut::new();
    finish(frame, &mut bytes);
    bytes
}

fn decoded(payload: &[u8]) -> Result<Option<AmqpFrame>, FrameError> {
    decode(&mut framed(METHOD, 3, payload))
}

fn start(properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 10, 0, 10, 0, 9];
    payload.extend(u32::try_from(properties.len()).unwrap().to_be_bytes());
    payload.extend(properties);
    payload.extend(b"\0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US");
    payload
}

#[test]
fn decode_each_method() {
    let text = |text: &str| text.to_owned();
    for (payload, frame) in [
        (start(b""), AmqpFrame::Start { mechanisms: text("PLAIN AMQPLAIN"), version: None }),
        (
            start(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8"),
            AmqpFrame::Start { mechanisms: text("PLAIN AMQPLAIN"), version: Some(text("3.10.8")) },
        ),
        (
            start(b"\x07versionS\0\0\0\x08<script>"),
            AmqpFrame::Start { mechanisms: text("PLAIN AMQPLAIN"), version: None },
        ),
        (b"\0\x0a\0\x14\0\0\0\0".to_vec(), AmqpFrame::Secure),
        (b"\0\x0a\0\x1e\x07\xff\0\x02\0\0\0\x3c".to_vec(), AmqpFrame::Tune { channel_max: 2047, frame_max: 131_072 }),
        (b"\0\x0a\0\x29\0".to_vec(), AmqpFrame::OpenOk),
        (b"\0\x0a\0\x32\x01\x93\x02no\0\0\0\0".to_vec(), AmqpFrame::Close { code: 403, text: text("no") }),
        (b"\0\x0a\0\x33".to_vec(), AmqpFrame::CloseOk),
        (b"\0\x0a\0\x3c\x0dlow on memory".to_vec(), AmqpFrame::Blocked { reason: text("low on memory") }),
        (b"\0\x0a\0\x3d".to_vec(), AmqpFrame::Unblocked),
        (b"\0\x14\0\x0b\0\0\0\0".to_vec(), AmqpFrame::ChannelOpenOk { channel: 3 }),
        (b"\0\x14\0\x28\x01\x94\0\0\x32\0\x0a".to_vec(), AmqpFrame::ChannelClose { channel: 3, code: 404 }),
        (
            b"\0\x32\0\x0b\x01q\0\0\0\x07\0\0\0\x02".to_vec(),
            AmqpFrame::DeclareOk { channel: 3, messages: 7, consumers: 2 },
        ),
        (b"\0\x3c\0\x32\x01\x38\0\0\0".to_vec(), AmqpFrame::Returned { channel: 3 }),
        (b"\0\x3c\0\x3c".to_vec(), AmqpFrame::Other),
    ] {
        assert_eq!(decoded(&payload), Ok(Some(frame)), "{payload:?}");
    }
}

#[test]
fn decode_malformed_frames() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"SSH-2.0-OpenSSH\r\n",
        b"AMQX\0\0\x09\x01",
        b"\x01\0\0\0\0\0\x02\0\x0a\xce",
        b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce",
        b"\x01\0\0\0\0\0\x04\0\x0a\0\x33\xcd",
        b"\x07\0\0\0\0\0\0\xce",
    ] {
        assert_eq!(decode(&mut bytes.into()), Err(FrameError::Malformed), "{bytes:?}");
    }
    assert_eq!(decode(&mut b"\x01\0\0\x7f\xff\xff\xff".as_slice().into()), Err(FrameError::TooLarge(MAX_FRAME)));
}

#[test]
fn decode_other_versions_and_heartbeats() {
    let version = |bytes: &[u8]| decode(&mut bytes.into());
    assert_eq!(version(b"AMQP\0\x01\0\0"), Ok(Some(AmqpFrame::OtherVersion { version: [0, 1, 0, 0] })));
    assert_eq!(version(b"AMQP\0\x01"), Ok(None));
    assert_eq!(decode(&mut framed(HEARTBEAT, 0, b"")), Ok(Some(AmqpFrame::Other)));
}

#[test]
fn encoded_frames() {
    let mut bytes = BytesMut::new();
    declare(&mut bytes, 2, "celery");
    assert_eq!(bytes, b"\x01\0\x02\0\0\0\x12\0\x32\0\x0a\0\0\x06celery\x01\0\0\0\0\xce"[..]);
    bytes.clear();
    tune_ok(&mut bytes, 2047, 131_072);
    assert_eq!(bytes, b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\x07\xff\0\x02\0\0\0\0\xce"[..]);
    bytes.clear();
    publish(&mut bytes, 1, "x");
    assert_eq!(
        bytes,
        b"\x01\0\x01\0\0\0\x0a\0\x3c\0\x28\0\0\0\x01x\x01\xce\x02\0\x01\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\0\0\0\xce"[..]
    );
    bytes.clear();
    start_ok(&mut bytes, AmqpLogin::Plain, "u", "p");
    assert!(bytes.windows(9).any(|part| part == b"\0\0\0\x04\0u\0p\x05"), "{bytes:?}");
}

proptest! {
    #[test]
    fn decode_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = BytesMut::from(bytes.as_slice());
        while let Ok(Some(_)) = decode(&mut bytes) {}
    }

    #[test]
    fn decode_random_methods_never_panics(
        class in prop::sample::select(vec![10_u16, 20, 50, 60]), method in 0_u16..70,
        arguments in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut payload = BytesMut::new();
        payload.put_u16(class);
        payload.put_u16(method);
        payload.put_slice(&arguments);
        decoded(&payload).ok();
    }

    #[test]
    fn decode_cut_frames_waits(cut in 0_usize..17) {
        let mut bytes = framed(METHOD, 1, b"\0\x32\0\x0b\x01q\0\0\0\x07\0\0\0\x02");
        bytes.truncate(cut);
        prop_assert_eq!(decode(&mut bytes), Ok(None));
    }
}
