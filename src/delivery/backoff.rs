//! When a notice that was not delivered is tried again: pure.

use std::time::Duration;

/// By how much a pause is longer at random, at most: not all that failed at once come back at once.
const JITTER: f64 = 0.1;
/// The longest pause that a receiver may demand.
const LONGEST_DEMANDED: Duration = Duration::from_secs(3_600);

/// The pauses after the first, the second ... attempt; the last one is repeated.
pub const RETRIES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1_800),
    Duration::from_secs(3_600),
];

/// The pause after that many attempts. `random` is from 0 to 1.
pub fn pause(retries: &[Duration], attempts: u32, random: f64) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = retries.get(index).or(retries.last()).copied().unwrap_or(LONGEST_DEMANDED);
    pause.mul_f64(1.0 + JITTER * random.clamp(0.0, 1.0))
}

/// The pause that a receiver demands, as far as that is obeyed.
pub fn demanded(retry_after: Duration) -> Duration {
    retry_after.min(LONGEST_DEMANDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let seconds = |attempts, random| pause(&RETRIES, attempts, random).as_secs();
        let pauses: Vec<u64> = (1..=9).map(|attempts| seconds(attempts, 0.0)).collect();
        assert_eq!(pauses, [5, 30, 120, 300, 900, 1_800, 3_600, 3_600, 3_600]);
        assert_eq!((seconds(1_000, 1.0), seconds(0, 0.5)), (3_960, 5));
        assert_eq!(demanded(Duration::from_secs(86_400)), Duration::from_secs(3_600));
        assert_eq!(demanded(Duration::from_secs(30)), Duration::from_secs(30));
    }
}
