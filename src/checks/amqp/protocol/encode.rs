//! The frames that a check sends.

use bytes::{BufMut, BytesMut};

use super::frame::{AmqpLogin, BASIC, CONTENT_HEADER, END, HEAD, MAX_SHORT, METHOD};

/// `passive` of Queue.Declare: whether it exists, without making it.
const PASSIVE: u8 = 1;
/// `mandatory` of Basic.Publish: return what reaches no queue.
const MANDATORY: u8 = 1;

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
pub(super) fn finish(mut frame: BytesMut, to: &mut BytesMut) {
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
