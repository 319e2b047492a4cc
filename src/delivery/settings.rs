//! The settings of alerts: what is sent to which channel, when, and when not. Validated, immutable values.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::Channel;
use super::backoff::RETRIES;
use crate::model::{Secret, Severity, SpecError, in_a_row, nearest, positive_seconds, seconds_from_0, valid_name};
use crate::policy::cron::Cron;
use crate::policy::incident::Rules;
use crate::policy::suppression::{AlertMatcher, Maintenance, MaintenanceTime};

/// The longest maintenance window that repeats.
const MAX_MINUTES: u32 = 7 * 24 * 60;
/// The most names in one list of a silence.
const MAX_MATCHED: usize = 50;
/// The most pauses between attempts.
const MAX_RETRIES: usize = 20;

/// What an attempt to deliver may take, and how long a process may be wedged, where the settings do not say.
const TIMEOUT: Duration = Duration::from_secs(15);
const WEDGED_AFTER: Duration = Duration::from_secs(30);

/// The settings as they are written, but for the channels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "UPPERCASE")]
struct AlertFields {
    routes: Vec<RouteFields>,
    #[serde(deserialize_with = "counted_in_a_row")]
    failures: u32,
    #[serde(deserialize_with = "counted_in_a_row")]
    successes: u32,
    #[serde(deserialize_with = "from_0")]
    seconds: Duration,
    #[serde(deserialize_with = "from_0")]
    reminder: Duration,
    maintenance: Vec<MaintenanceFields>,
    ping_url: Option<Secret>,
    url: Option<String>,
    wedged_after: Option<f64>,
    timeout: Option<f64>,
    retries: Option<Vec<f64>>,
}

impl Default for AlertFields {
    fn default() -> Self {
        let Rules { failures, successes, seconds, reminder, .. } = Rules::default();
        let (routes, maintenance, ping_url, url) = Default::default();
        let (wedged_after, timeout, retries) = Default::default();
        Self {
            routes,
            failures,
            successes,
            seconds,
            reminder,
            maintenance,
            ping_url,
            url,
            wedged_after,
            timeout,
            retries,
        }
    }
}

/// Which alerts go to which channels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFields {
    #[serde(default, deserialize_with = "texts")]
    checks: Vec<String>,
    #[serde(default, deserialize_with = "severities")]
    severity: Vec<Severity>,
    #[serde(default, deserialize_with = "texts")]
    group: Vec<String>,
    #[serde(deserialize_with = "texts")]
    channels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct MaintenanceFields {
    start: Option<String>,
    end: Option<String>,
    cron: Option<String>,
    minutes: Option<u32>,
    #[serde(deserialize_with = "texts")]
    checks: Vec<String>,
}

/// Which alerts a silence means, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatcherFields {
    #[serde(deserialize_with = "texts")]
    check: Vec<String>,
    #[serde(deserialize_with = "severities")]
    severity: Vec<Severity>,
    #[serde(deserialize_with = "texts")]
    group: Vec<String>,
}

impl MatcherFields {
    pub fn matcher(self) -> Result<AlertMatcher, SpecError> {
        patterns("check", &self.check)?;
        for (what, given) in [("check", self.check.len()), ("group", self.group.len())] {
            if given > MAX_MATCHED {
                return Err(SpecError(format!("{what} must be a list of {MAX_MATCHED} at most, not of {given}")));
            }
        }
        Ok(AlertMatcher { checks: self.check, severities: self.severity, groups: self.group })
    }
}

/// The settings of alerts.
pub struct AlertSettings {
    pub application: String,
    pub channels: Vec<Arc<dyn Channel>>,
    routes: Vec<(AlertMatcher, Vec<String>)>,
    pub rules: Rules,
    pub maintenance: Vec<Maintenance>,
    pub ping_url: Option<Url>,
    /// Of the dashboard, or with `{check}` that of a page for each check.
    url: Option<String>,
    pub wedged_after: Duration,
    /// Of one attempt.
    pub timeout: Duration,
    pub retries: Vec<Duration>,
}

impl AlertSettings {
    /// From the settings but for the channels. Errors of the deserializer's are in its words.
    pub fn parse<'de, D: Deserializer<'de>>(
        application: &str,
        fields: D,
        channels: Vec<Arc<dyn Channel>>,
    ) -> Result<Self, D::Error> {
        let fields = AlertFields::deserialize(fields)?;
        Self::of(application, fields, channels).map_err(D::Error::custom)
    }

    fn of(application: &str, fields: AlertFields, channels: Vec<Arc<dyn Channel>>) -> Result<Self, SpecError> {
        valid_name(application)?;
        let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
        let routes = fields.routes.into_iter().enumerate().map(|(index, route)| {
            let what = format!("ROUTES[{index}]");
            patterns(&format!("{what}.checks"), &route.checks)?;
            if let Some(unknown) = route.channels.iter().find(|channel| !names.contains(&channel.as_str())) {
                let known = match nearest(unknown, &names) {
                    Some(name) => format!("did you mean {name:?}?"),
                    None => format!("CHANNELS has {}", names.join(", ")),
                };
                return Err(SpecError(format!("{what}.channels has {unknown:?}, which is no channel: {known}")));
            }
            let matcher = AlertMatcher { checks: route.checks, severities: route.severity, groups: route.group };
            Ok((matcher, route.channels))
        });
        let routes = routes.collect::<Result<_, _>>()?;
        let windows = fields.maintenance.into_iter().enumerate();
        let maintenance = windows.map(|(index, window)| {
            window.parse().map_err(|error| {
                let joint = if error.0.starts_with(char::is_alphabetic) { '.' } else { ' ' };
                SpecError(format!("MAINTENANCE[{index}]{joint}{}", error.0.trim_start()))
            })
        });
        let maintenance = maintenance.collect::<Result<_, _>>()?;
        let seconds =
            |what: &str, value: Option<f64>, default| value.map_or(Ok(default), |value| positive_seconds(what, value));
        let retries = fields.retries.unwrap_or_else(|| RETRIES.iter().map(Duration::as_secs_f64).collect());
        if !(1..=MAX_RETRIES).contains(&retries.len()) {
            return Err(SpecError(format!("RETRIES must be a list of 1 to {MAX_RETRIES} numbers of seconds")));
        }
        let retries = retries.into_iter().map(|pause| positive_seconds("RETRIES", pause)).collect::<Result<_, _>>()?;
        let ping_url = fields.ping_url.map(|url| {
            let wrong = || SpecError("PING_URL must be a URL that starts with http:// or https://".to_owned());
            let url = Url::parse(url.expose()).map_err(|_| wrong())?;
            if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
        });
        Ok(Self {
            application: application.to_owned(),
            channels,
            routes,
            rules: Rules {
                failures: fields.failures,
                successes: fields.successes,
                seconds: fields.seconds,
                reminder: fields.reminder,
                ..Rules::default()
            },
            maintenance,
            ping_url: ping_url.transpose()?,
            url: fields.url,
            wedged_after: seconds("WEDGED_AFTER", fields.wedged_after, WEDGED_AFTER)?,
            timeout: seconds("TIMEOUT", fields.timeout, TIMEOUT)?,
            retries,
        })
    }

    /// The channels that an alert goes to: those of every route that matches, or all of them where none does.
    pub fn routed(&self, check: &str, severity: Severity, groups: &[String]) -> BTreeSet<String> {
        let mut matching =
            self.routes.iter().filter(|(matcher, _)| matcher.matches(check, severity, groups)).peekable();
        match matching.peek() {
            Some(_) => matching.flat_map(|(_, channels)| channels).cloned().collect(),
            None => self.channels.iter().map(|channel| channel.name().to_owned()).collect(),
        }
    }

    /// The URL of the page about a check.
    pub fn url_of(&self, check: &str) -> Option<String> {
        self.url.as_ref().map(|url| url.replace("{check}", check))
    }

    /// The channel of that name.
    pub fn channel(&self, name: &str) -> Option<&Arc<dyn Channel>> {
        self.channels.iter().find(|channel| channel.name() == name)
    }
}

impl MaintenanceFields {
    fn parse(self) -> Result<Maintenance, SpecError> {
        patterns("checks", &self.checks)?;
        let matcher = AlertMatcher { checks: self.checks, ..AlertMatcher::default() };
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

fn patterns(what: &str, patterns: &[String]) -> Result<(), SpecError> {
    let wrong = patterns.iter().find(|pattern| valid_name(&pattern.replace(['*', '?'], "x")).is_err());
    wrong.map_or(Ok(()), |pattern| {
        Err(SpecError(format!("{what} has {pattern:?}, which is neither a name nor a pattern with '*' or '?'")))
    })
}

fn counted_in_a_row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    in_a_row(u32::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn from_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds_from_0(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn severities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Severity>, D::Error> {
    let severity = |name: String| {
        let all = [Severity::Warning, Severity::Error, Severity::Critical];
        let known = all.into_iter().find(|severity| severity.as_str() == name);
        known.ok_or_else(|| D::Error::unknown_variant(&name, &["warning", "error", "critical"]))
    };
    texts(deserializer)?.into_iter().map(severity).collect()
}

/// One text, or a list of them.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a str or a list of them")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Texts)
}

#[cfg(test)]
mod tests;
