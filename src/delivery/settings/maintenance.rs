//! Maintenance windows as they are written: once, or again and again by a cron expression.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use super::texts::{given_names, given_texts};
use crate::model::SpecError;
use crate::policy::cron::Cron;
use crate::policy::suppression::{AlertMatcher, Maintenance, MaintenanceTime};

/// The longest window that repeats.
const MAX_MINUTES: u32 = 7 * 24 * 60;

/// One entry of the settings.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaintenanceFields {
    start: Option<String>,
    end: Option<String>,
    cron: Option<String>,
    minutes: Option<u32>,
    #[serde(deserialize_with = "given_texts")]
    checks: Option<Vec<String>>,
}

/// The windows of a list of entries. An error names the entry by its number.
pub fn parse_maintenance(entries: Vec<MaintenanceFields>) -> Result<Vec<Maintenance>, SpecError> {
    let windows = entries.into_iter().enumerate().map(|(index, entry)| {
        entry.parse().map_err(|error| {
            let joint = if error.0.starts_with(char::is_alphabetic) { '.' } else { ' ' };
            SpecError(format!("MAINTENANCE[{index}]{joint}{}", error.0.trim_start()))
        })
    });
    windows.collect()
}

impl MaintenanceFields {
    fn parse(self) -> Result<Maintenance, SpecError> {
        let checks = given_names("checks", self.checks)?;
        let matcher = AlertMatcher { checks, ..AlertMatcher::default() };
        let time = match (self.start, self.end, self.cron, self.minutes) {
            (Some(start), Some(end), None, None) => {
                let (start, end) = (time("start", &start)?, time("end", &end)?);
                if end <= start {
                    return Err(SpecError("end must be after start".to_owned()));
                }
                MaintenanceTime::Once { start, end }
            }
            (None, None, Some(cron), Some(minutes)) => {
                if !(1..=MAX_MINUTES).contains(&minutes) {
                    return Err(SpecError(format!("minutes must be from 1 to {MAX_MINUTES}, not {minutes}")));
                }
                let cron = Cron::parse(&cron).map_err(|error| SpecError(format!("cron {error}")))?;
                MaintenanceTime::Repeated { cron, minutes }
            }
            _ => return Err(SpecError(" must have start and end, or cron and minutes".to_owned())),
        };
        Ok(Maintenance { time, matcher })
    }
}

fn time(what: &str, text: &str) -> Result<SystemTime, SpecError> {
    let parsed = text.parse::<Timestamp>().and_then(SystemTime::try_from);
    parsed.map_err(|_| SpecError(format!("{what} must be a time with its zone, such as \"2026-12-01T22:00Z\"")))
}
