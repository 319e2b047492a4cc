//! The order of two JSON numbers, exact beyond the integers that a float can distinguish.

use std::cmp::Ordering;

use serde_json::Number;

/// Compares by value, as Python does: 1 is 1.0, and 2⁵³ + 1 is not 2⁵³.
pub fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_mixed(a, b.as_f64()?),
        (None, Some(b)) => compare_mixed(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Compares a 64-bit integer with a float.
fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // A float beyond 128 bits becomes the nearest that has them, which is still beyond every integer of 64.
    let whole = float.trunc() as i128;
    Some(integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn compare_each_pair_of_kinds() {
        for (a, b, expected) in [
            ("1", "1.0", Ordering::Equal),
            ("-1", "-1.5", Ordering::Greater),
            ("1", "1.5", Ordering::Less),
            ("1.5", "1", Ordering::Greater),
            ("0", "-0.0", Ordering::Equal),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("18446744073709551615", "18446744073709551616", Ordering::Less),
            ("-9223372036854775808", "1e300", Ordering::Less),
            ("-9223372036854775808", "-1e300", Ordering::Greater),
            ("0.5", "0.25", Ordering::Greater),
        ] {
            let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
            assert_eq!(compare(&number(a), &number(b)), Some(expected), "{a} {b}");
            assert_eq!(compare(&number(b), &number(a)), Some(expected.reverse()), "{b} {a}");
        }
    }
}
