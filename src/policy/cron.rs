//! The five fields of a cron expression, in UTC: which minutes it means.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use crate::model::SpecError;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Sunday as the last day of a week; as the first it is 0.
const SUNDAY: u8 = 7;
/// The years within which an expression must mean a day: 29 February may be missing for eight of them.
const YEARS: i16 = 9;

/// A cron expression: the values of each field as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day has to match both fields of days: one of them is `*`. Else one of them is enough, as in cron.
    needs_both_days: bool,
}

impl Cron {
    /// An error names the field and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            let number = fields.len();
            return Err(SpecError(format!(
                "must be a cron expression of five fields (minute, hour, day, month, weekday), not of {number}"
            )));
        };
        let weekdays = field("weekday", weekday, 0, SUNDAY, &WEEKDAYS)?;
        let cron = Self {
            minutes: field("minute", minute, 0, 59, &[])?,
            hours: field("hour", hour, 0, 23, &[])?,
            days: field("day", day, 1, 31, &[])?,
            months: field("month", month, 1, 12, &MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7 & 1,
            needs_both_days: day.starts_with('*') || weekday.starts_with('*'),
        };
        if !cron.means_a_day() {
            return Err(SpecError(format!("must mean a day that there is; {text:?} means none")));
        }
        Ok(cron)
    }

    fn means_a_day(&self) -> bool {
        let start = Date::constant(2_000, 1, 1);
        let end = Date::constant(2_000 + YEARS, 1, 1);
        start.series(1.day()).take_while(|day| *day < end).any(|day| self.includes(day))
    }

    fn includes(&self, day: Date) -> bool {
        let has = |bits: u64, value: i8| bits >> value & 1 == 1;
        let by_date = has(self.days, day.day());
        let by_weekday = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let is_day = if self.needs_both_days { by_date && by_weekday } else { by_date || by_weekday };
        has(self.months, day.month()) && is_day
    }

    /// The minutes that it means of a day, if it means the day.
    fn minutes_of(&self, day: Date) -> impl DoubleEndedIterator<Item = DateTime> {
        (0..24_i8).filter(|hour| self.hours >> hour & 1 == 1).flat_map(move |hour| {
            let minutes = (0..60_i8).filter(move |minute| self.minutes >> minute & 1 == 1);
            minutes.map(move |minute| day.at(hour, minute, 0, 0))
        })
    }

    /// The latest minute that it means from `earliest` up to `now`.
    pub fn latest(&self, earliest: DateTime, now: DateTime) -> Option<DateTime> {
        let mut day = now.date();
        while day >= earliest.date() {
            let mut minutes = self.minutes_of(day).rev();
            if let Some(found) = self.includes(day).then(|| minutes.find(|minute| *minute <= now)).flatten() {
                return (found >= earliest).then_some(found);
            }
            day = day.yesterday().ok()?;
        }
        None
    }

    /// The minutes that it means from `earliest` up to `latest`, in order.
    pub fn between(&self, earliest: DateTime, latest: DateTime) -> impl Iterator<Item = DateTime> {
        let days = earliest.date().series(1.day()).take_while(move |day| *day <= latest.date());
        let minutes = days.filter(move |day| self.includes(*day)).flat_map(move |day| self.minutes_of(day));
        minutes.filter(move |minute| earliest <= *minute && *minute <= latest)
    }
}

/// The values of one field as bits: `*`, `1`, `1-5`, `*/10`, `1-20/2`, `MON`, and lists of them.
fn field(name: &str, text: &str, first: u8, last: u8, words: &[&str]) -> Result<u64, SpecError> {
    let wrong = || {
        let words = match (words.first(), words.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        SpecError(format!(
            "must be a cron expression whose {name} is *, or numbers from {first} to {last}{words}, not {text:?}"
        ))
    };
    let value = |text: &str| {
        let upper = text.to_ascii_uppercase();
        let by_word = words.iter().position(|word| *word == upper).and_then(|index| u8::try_from(index).ok());
        let number = by_word.map(|index| index + first.min(1)).or_else(|| text.parse().ok());
        number.filter(|number| (first..=last).contains(number))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => {
                let (from, to) = (value(from).ok_or_else(wrong)?, value(to).ok_or_else(wrong)?);
                // Sunday ends a week, too: `SAT-SUN`.
                (from, if from > to && to == first && last == SUNDAY { last } else { to })
            }
            // `5/10` is every tenth from 5 on.
            None if part.contains('/') => (value(range).ok_or_else(wrong)?, last),
            None => value(range).map(|value| (value, value)).ok_or_else(wrong)?,
        };
        if from > to {
            return Err(wrong());
        }
        bits |= (from..=to).step_by(step).fold(0, |bits, value| bits | 1_u64 << value);
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn latest_minute_of_an_expression() {
        let earliest = at("2026-11-01T00:00");
        for (cron, now, expected) in [
            ("* * * * *", "2026-11-29T14:03:59", Some("2026-11-29T14:03")),
            ("0 3 * * SUN", "2026-11-29T14:03", Some("2026-11-29T03:00")),
            ("0 3 * * SUN", "2026-11-29T02:59", Some("2026-11-22T03:00")),
            ("0 3 * * 7", "2026-11-29T03:00", Some("2026-11-29T03:00")),
            ("0 3 * * 0,3", "2026-11-28T14:03", Some("2026-11-25T03:00")),
            ("0 3 * * SAT-SUN", "2026-11-28T14:03", Some("2026-11-28T03:00")),
            ("0 3 * * SAT-SUN", "2026-11-29T14:03", Some("2026-11-29T03:00")),
            ("0 3 * * 5-0", "2026-11-26T14:03", Some("2026-11-22T03:00")),
            ("*/15 9-17 * * mon-fri", "2026-11-29T14:03", Some("2026-11-27T17:45")),
            ("30 2 1 * *", "2026-11-29T14:03", Some("2026-11-01T02:30")),
            ("30 2 1 1 *", "2026-11-29T14:03", None),
            ("0 0 13 * FRI", "2026-11-29T14:03", Some("2026-11-27T00:00")),
            ("5/20 0 * * *", "2026-11-29T14:03", Some("2026-11-29T00:45")),
            ("0 0 1-10/3 nov *", "2026-11-29T14:03", Some("2026-11-10T00:00")),
        ] {
            let found = Cron::parse(cron).unwrap().latest(earliest, at(now));
            assert_eq!(found, expected.map(at), "{cron} at {now}");
        }
        let hourly = Cron::parse("0 * * * *").unwrap();
        assert_eq!(hourly.latest(at("2026-11-29T14:01"), at("2026-11-29T14:59")), None);
    }

    #[test]
    fn minutes_between_two_times_are_in_order() {
        let found = |cron: &str, earliest: &str, latest: &str| -> Vec<DateTime> {
            Cron::parse(cron).unwrap().between(at(earliest), at(latest)).collect()
        };
        let expected = ["2026-12-31T23:30", "2027-01-01T00:00", "2027-01-01T00:30"].map(at);
        assert_eq!(found("*/30 * * * *", "2026-12-31T23:01", "2027-01-01T00:30"), expected);
        assert_eq!(found("0 3 * * SUN", "2026-11-22T03:00", "2026-12-06T02:59").len(), 2);
        assert_eq!(found("0 3 * * SUN", "2026-11-22T03:01", "2026-11-22T03:00"), []);
    }

    #[test]
    fn wrong_expression_is_named_with_its_field() {
        for (cron, expected) in [
            ("* * * *", "of five fields (minute, hour, day, month, weekday), not of 4"),
            ("60 * * * *", "whose minute is *, or numbers from 0 to 59, not \"60\""),
            ("* * 0 * *", "whose day is"),
            ("* * * FOO *", "whose month is *, or numbers from 1 to 12 or JAN to DEC, not \"FOO\""),
            ("* * * * 5-1", "whose weekday is"),
            ("*/0 * * * *", "whose minute is"),
            ("0 0 30 2 *", "means none"),
        ] {
            let error = Cron::parse(cron).unwrap_err().0;
            assert!(error.contains(expected), "{cron}: {error}");
        }
        assert!(Cron::parse("0 0 29 2 *").is_ok());
    }
}
