//! The few packets of a check, the same for both versions of MQTT; the coding of them is the library's.

use bytes::{Buf, Bytes, BytesMut};
use rumqttc_v4::mqttbytes::{self, v4};
use rumqttc_v5::mqttbytes::{self as mqttbytes_v5, v5};

use super::{MqttCheck, MqttProtocol};
use crate::model::Secret;
use crate::net::FrameError;

/// The largest packet that is taken.
const MAX_PACKET: usize = 64 * 1024;
/// A connection is not idle in a check, so that no keep-alive is ever due; brokers drop a silent client after 1.5 times
/// this many seconds.
const KEEP_ALIVE: u16 = 60;
const PACKET_ID: u16 = 1;
/// The first byte of a CONNACK.
const CONNACK: u8 = 0x20;

/// The same bytes in both versions.
pub const DISCONNECT: &[u8] = &[0xE0, 0x00];

/// A packet from a broker, reduced to what the check needs.
#[derive(Debug, PartialEq)]
pub enum Packet {
    Suback { accepted: bool },
    Puback { accepted: bool },
    Publish { topic: Bytes, payload: Bytes },
    Disconnect(u8),
    Other,
}

/// CONNECT with a clean session and this client identifier. `None` where it cannot be written.
pub fn connect(broker: &MqttCheck, client_id: &str) -> Option<BytesMut> {
    let username = broker.username.clone().filter(|name| !name.is_empty());
    let password = broker.password.as_ref().map(Secret::expose).filter(|password| !password.is_empty());
    let password = password.map(|password| Bytes::copy_from_slice(password.as_bytes()));
    let mut bytes = BytesMut::new();
    match broker.protocol {
        MqttProtocol::V311 => {
            let mut connect = v4::Connect::new(client_id);
            connect.keep_alive = KEEP_ALIVE;
            connect.auth = match (username, password) {
                (Some(username), Some(password)) => v4::ConnectAuth::UsernamePassword { username, password },
                (Some(username), None) => v4::ConnectAuth::Username { username },
                (None, _) => v4::ConnectAuth::None,
            };
            connect.write(&mut bytes).ok()?;
        }
        MqttProtocol::V5 => {
            let connect = v5::Connect {
                keep_alive: KEEP_ALIVE,
                client_id: client_id.to_owned(),
                clean_start: true,
                properties: None,
            };
            let auth = match (username, password) {
                (Some(username), Some(password)) => v5::ConnectAuth::UsernamePassword { username, password },
                (Some(username), None) => v5::ConnectAuth::Username { username },
                (None, Some(password)) => v5::ConnectAuth::Password { password },
                (None, None) => v5::ConnectAuth::None,
            };
            connect.write(&None, &auth, &mut bytes).ok()?;
        }
    }
    Some(bytes)
}

/// SUBSCRIBE with QoS 0: on one connection nothing is lost, and nothing is left to acknowledge.
pub fn subscribe(protocol: MqttProtocol, topic: &str) -> Option<BytesMut> {
    let mut bytes = BytesMut::new();
    match protocol {
        MqttProtocol::V311 => {
            let mut subscribe = v4::Subscribe::new(topic, mqttbytes::QoS::AtMostOnce);
            subscribe.pkid = PACKET_ID;
            subscribe.write(&mut bytes).ok()?;
        }
        MqttProtocol::V5 => {
            let filter = v5::SubscribeFilter::new(topic, mqttbytes::QoS::AtMostOnce);
            let mut subscribe = v5::Subscribe::new(filter, None);
            subscribe.pkid = PACKET_ID;
            subscribe.write(&mut bytes).ok()?;
        }
    }
    Some(bytes)
}

/// PUBLISH with QoS 1, since only that is answered with a refusal (by MQTT 5).
pub fn publish(protocol: MqttProtocol, topic: &str, payload: &str) -> Option<BytesMut> {
    let mut bytes = BytesMut::new();
    match protocol {
        MqttProtocol::V311 => {
            let mut publish = v4::Publish::new(topic, mqttbytes::QoS::AtLeastOnce, payload);
            publish.pkid = PACKET_ID;
            publish.write(&mut bytes).ok()?;
        }
        MqttProtocol::V5 => {
            let payload = Bytes::copy_from_slice(payload.as_bytes());
            let mut publish = v5::Publish::new(topic, mqttbytes::QoS::AtLeastOnce, payload, None);
            publish.pkid = PACKET_ID;
            publish.write(&mut bytes).ok()?;
        }
    }
    Some(bytes)
}

/// The return code of the CONNACK that must come first; `None` while it has not arrived.
pub fn decode_connack(protocol: MqttProtocol, bytes: &mut BytesMut) -> Result<Option<u8>, FrameError> {
    // At once, since bytes of another protocol may look like the start of a long packet.
    if bytes.first().is_some_and(|first| *first != CONNACK) {
        return Err(FrameError::Malformed);
    }
    if !is_complete(bytes)? {
        return Ok(None);
    }
    match (protocol, bytes.as_ref()) {
        // A broker that knows no MQTT 5 refuses in the shorter form of 3.1.1.
        (MqttProtocol::V5, [CONNACK, 2, 0, code]) if *code != 0 => {
            let code = *code;
            bytes.advance(4);
            Ok(Some(code))
        }
        (MqttProtocol::V311, _) => match v4::Packet::read(bytes, MAX_PACKET) {
            Ok(v4::Packet::ConnAck(connack)) => Ok(Some(connack.code as u8)),
            Err(mqttbytes::Error::InvalidConnectReturnCode(code)) => Ok(Some(code)),
            _ => Err(FrameError::Malformed),
        },
        (MqttProtocol::V5, packet) => {
            // After the type, the length (its last byte has no continuation bit) and the flags. The library has no
            // numbers for its codes.
            let code = packet.iter().skip(1).skip_while(|byte| **byte >= 0x80).nth(2).copied();
            match v5::Packet::read(bytes, None) {
                Ok(v5::Packet::ConnAck(_)) => code.map(Some).ok_or(FrameError::Malformed),
                Err(mqttbytes_v5::Error::InvalidConnectReturnCode(code)) => Ok(Some(code)),
                _ => Err(FrameError::Malformed),
            }
        }
    }
}

/// The next packet; `None` while it has not arrived.
pub fn decode(protocol: MqttProtocol, bytes: &mut BytesMut) -> Result<Option<Packet>, FrameError> {
    if !is_complete(bytes)? {
        return Ok(None);
    }
    let packet = match protocol {
        // Without properties their length may be left out (MQTT 5, 3.14.2.2.1); the library insists on it.
        MqttProtocol::V5 if bytes.starts_with(&[0xE0, 1]) => {
            let code = bytes.get(2).copied();
            bytes.advance(3);
            code.map(Packet::Disconnect).ok_or(FrameError::Malformed)?
        }
        MqttProtocol::V311 => match v4::Packet::read(bytes, MAX_PACKET).map_err(|_| FrameError::Malformed)? {
            v4::Packet::SubAck(ack) => {
                let accepted = |code: &v4::SubscribeReasonCode| matches!(code, v4::SubscribeReasonCode::Success(_));
                Packet::Suback { accepted: ack.return_codes.iter().all(accepted) }
            }
            v4::Packet::Publish(publish) => Packet::Publish { topic: publish.topic, payload: publish.payload },
            _ => Packet::Other,
        },
        MqttProtocol::V5 => match v5::Packet::read(bytes, None).map_err(|_| FrameError::Malformed)? {
            v5::Packet::SubAck(ack) => {
                let accepted = |code: &v5::SubscribeReasonCode| matches!(code, v5::SubscribeReasonCode::Success(_));
                Packet::Suback { accepted: ack.return_codes.iter().all(accepted) }
            }
            v5::Packet::PubAck(ack) => {
                use v5::PubAckReason::{NoMatchingSubscribers, Success};
                Packet::Puback { accepted: matches!(ack.reason, Success | NoMatchingSubscribers) }
            }
            v5::Packet::Publish(publish) => Packet::Publish { topic: publish.topic, payload: publish.payload },
            v5::Packet::Disconnect(disconnect) => Packet::Disconnect(disconnect.reason_code as u8),
            _ => Packet::Other,
        },
    };
    Ok(Some(packet))
}

/// Whether a whole packet has arrived. Checked first: inside a packet the library's "more bytes" means a malformed one.
fn is_complete(bytes: &BytesMut) -> Result<bool, FrameError> {
    match mqttbytes::check(bytes.iter(), MAX_PACKET) {
        Ok(_) => Ok(true),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(false),
        Err(mqttbytes::Error::PayloadSizeLimitExceeded(_)) => Err(FrameError::TooLarge(MAX_PACKET)),
        Err(_) => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests;
