//! What a broker and a check say to each other, and what all frames have in common.

use serde::Deserialize;

/// What a client sends first: the protocol and its version.
pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
/// The longest name or text of one length byte.
pub const MAX_SHORT: usize = u8::MAX as usize;

pub(super) const METHOD: u8 = 1;
pub(super) const CONTENT_HEADER: u8 = 2;
pub(super) const CONTENT_BODY: u8 = 3;
pub(super) const HEARTBEAT: u8 = 8;
pub(super) const END: u8 = 0xCE;
/// Type, channel and size before the payload.
pub(super) const HEAD: usize = 7;
pub(super) const BASIC: u16 = 60;

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
