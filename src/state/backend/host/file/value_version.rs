//! The description of one of a slot's two values: its sequence number, its length, and a checksum that finds it torn.

use super::Key;

/// One of a slot's two values, as the table describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueVersion {
    pub sequence: u64,
    pub length: u32,
    checksum: u32,
}

impl ValueVersion {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            sequence: u64::from_le_bytes(part(bytes, 0)),
            length: u32::from_le_bytes(part(bytes, 8)),
            checksum: u32::from_le_bytes(part(bytes, 12)),
        }
    }

    pub fn of(sequence: u64, key: &Key, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(key);
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.update(value);
        Self { sequence, length, checksum: hasher.finalize() }
    }

    pub fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let parts = self.sequence.to_le_bytes().into_iter().chain(self.length.to_le_bytes());
        for (byte, value) in bytes.iter_mut().zip(parts.chain(self.checksum.to_le_bytes())) {
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

/// The newer value of a slot, and whether it is the second one.
pub fn newest(slot: &[u8]) -> (ValueVersion, bool) {
    let [first, second] = [16, 32].map(|at| ValueVersion::parse(slot.get(at..).unwrap_or_default()));
    if second.sequence > first.sequence { (second, true) } else { (first, false) }
}
