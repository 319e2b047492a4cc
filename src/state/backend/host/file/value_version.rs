//! The description of a value: its sequence number, its length, its place, and a checksum that finds it torn.

use super::Key;

/// Where the descriptions of a slot's two latest values stand in it.
pub const FIRST_AT: usize = 16;
pub const SECOND_AT: usize = FIRST_AT + ValueVersion::LENGTH;

/// One of a slot's two latest values, as the table describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueVersion {
    pub sequence: u64,
    pub length: u32,
    /// Where it is in the file.
    pub at: u32,
    checksum: u32,
}

impl ValueVersion {
    pub const LENGTH: usize = 20;

    fn parse(bytes: &[u8]) -> Self {
        Self {
            sequence: u64::from_le_bytes(part(bytes, 0)),
            length: u32::from_le_bytes(part(bytes, 8)),
            at: u32::from_le_bytes(part(bytes, 12)),
            checksum: u32::from_le_bytes(part(bytes, 16)),
        }
    }

    pub fn of(sequence: u64, key: &Key, value: &[u8], at: u32) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(key);
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.update(value);
        Self { sequence, length, at, checksum: hasher.finalize() }
    }

    pub fn bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let numbers = [self.length, self.at, self.checksum];
        let parts = self.sequence.to_le_bytes().into_iter().chain(numbers.into_iter().flat_map(u32::to_le_bytes));
        for (byte, value) in bytes.iter_mut().zip(parts) {
            *byte = value;
        }
        bytes
    }
}

/// `N` bytes from there on; zeros where there are none.
pub fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// Distinguishes a key from what stands there by accident.
pub fn checksum(key: &Key) -> u32 {
    crc32fast::hash(key)
}

/// What a slot describes.
pub fn versions(slot: &[u8]) -> [ValueVersion; 2] {
    [FIRST_AT, SECOND_AT].map(|at| ValueVersion::parse(slot.get(at..).unwrap_or_default()))
}

/// The newer value of a slot, and whether it is the second one.
pub fn newest(slot: &[u8]) -> (ValueVersion, bool) {
    let [first, second] = versions(slot);
    if second.sequence > first.sequence { (second, true) } else { (first, false) }
}
