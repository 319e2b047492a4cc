//! The start of a store's file: its format, and the boot since which its times count.

use super::value_version::part;

const MAGIC: &[u8; 8] = b"lifesign";
/// The format's number, which is also part of the file's name: two versions on one host have a file each.
pub const FORMAT: u32 = 5;

/// The header that a store must have to be used.
#[derive(Clone, Copy)]
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

    /// What is wrong with a store that starts with these bytes.
    pub fn differs(&self, found: &[u8]) -> Option<&'static str> {
        match () {
            () if found == self.0 => None,
            () if found.len() < Self::LENGTH || part::<8>(found, 0) != *MAGIC => Some("it was damaged"),
            () if part::<4>(found, 8) != FORMAT.to_le_bytes() => Some("it was of another version"),
            () => Some("it was left from before the machine was started"),
        }
    }
}

/// Whether these bytes start a store of any format that was made before the machine was started.
pub fn is_from_another_boot(found: &[u8]) -> bool {
    let own = Header::new();
    found.len() >= Header::LENGTH && part::<8>(found, 0) == *MAGIC && part::<16>(found, 12) != part::<16>(&own.0, 12)
}
