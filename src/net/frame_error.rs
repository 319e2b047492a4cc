//! Why the bytes that a peer has sent are no message of its protocol.

use crate::model::CheckError;

/// What a decoder says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    Malformed,
    /// The message would be longer than this many bytes.
    TooLarge(usize),
}

impl FrameError {
    /// The error of a check of `target`, which was to speak this protocol.
    pub fn of(self, target: &str, protocol: &'static str) -> CheckError {
        let target = target.to_owned();
        match self {
            Self::Malformed => CheckError::Protocol { target, expected: protocol.into() },
            Self::TooLarge(limit) => CheckError::TooLarge { target, limit },
        }
    }
}
