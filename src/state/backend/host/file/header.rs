//! The beginning of a store: of which format it is, and since when the moments in it count.

use super::part;

const MAGIC: &[u8; 8] = b"lifesign";
const FORMAT: u32 = 2;

/// The header that a store must have to be used.
pub struct Header([u8; Header::LENGTH]);

impl Header {
    pub const LENGTH: usize = 28;

    /// That of this format, since this boot.
    pub fn new() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // All zeros where the system has none.
        let boot = uuid::Uuid::parse_str(text.trim()).unwrap_or_default();
        let mut header = [0; Self::LENGTH];
        let parts = MAGIC.iter().copied().chain(FORMAT.to_le_bytes()).chain(boot.into_bytes());
        for (byte, value) in header.iter_mut().zip(parts) {
            *byte = value;
        }
        Self(header)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is wrong with a store that begins so.
    pub fn differs(&self, found: &[u8]) -> Option<&'static str> {
        match () {
            () if found == self.0 => None,
            () if found.len() < Self::LENGTH || part::<8>(found, 0) != *MAGIC => Some("it was damaged"),
            () if part::<4>(found, 8) != FORMAT.to_le_bytes() => Some("it was of another version"),
            () => Some("it was left from before the machine was started"),
        }
    }
}
