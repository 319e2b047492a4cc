//! The settings of alerts as they are written.

use std::time::Duration;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::maintenance::MaintenanceFields;
use super::texts::{given_names, given_texts, texts};
use crate::model::{Secret, Severity, SpecError, in_a_row, seconds_from_0};
use crate::policy::incident::Rules;
use crate::policy::suppression::AlertMatcher;

/// The most names in one list of a silence.
const MAX_MATCHED: usize = 50;

/// The settings as they are written, but for the channels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "UPPERCASE")]
pub struct AlertFields {
    pub application: Option<String>,
    /// Parsed before: named here, as what a misspelt key may mean.
    #[serde(rename = "CHANNELS")]
    _channels: IgnoredAny,
    pub routes: Vec<RouteFields>,
    #[serde(deserialize_with = "counted_in_a_row")]
    pub failures: u32,
    #[serde(deserialize_with = "counted_in_a_row")]
    pub successes: u32,
    #[serde(deserialize_with = "from_0")]
    pub seconds: Duration,
    #[serde(deserialize_with = "from_0")]
    pub reminder: Duration,
    pub maintenance: Vec<MaintenanceFields>,
    pub ping_url: Option<Secret>,
    pub url: Option<String>,
    pub wedged_after: Option<f64>,
    pub timeout: Option<f64>,
    pub retries: Option<Vec<f64>>,
}

impl Default for AlertFields {
    fn default() -> Self {
        let Rules { failures, successes, seconds, reminder, .. } = Rules::default();
        let (application, routes, maintenance, ping_url, url) = Default::default();
        let (wedged_after, timeout, retries) = Default::default();
        Self {
            application,
            _channels: IgnoredAny,
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
pub struct RouteFields {
    #[serde(default, deserialize_with = "texts")]
    pub checks: Vec<String>,
    #[serde(default, deserialize_with = "severities")]
    pub severity: Vec<Severity>,
    #[serde(default, deserialize_with = "texts")]
    pub group: Vec<String>,
    #[serde(deserialize_with = "texts")]
    pub channels: Vec<String>,
}

/// Which alerts a silence means, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatcherFields {
    #[serde(deserialize_with = "given_texts")]
    check: Option<Vec<String>>,
    #[serde(deserialize_with = "severities")]
    severity: Vec<Severity>,
    #[serde(deserialize_with = "texts")]
    group: Vec<String>,
}

impl MatcherFields {
    pub fn matcher(self) -> Result<AlertMatcher, SpecError> {
        let checks = given_names("check", self.check)?;
        for (what, given) in [("check", checks.len()), ("group", self.group.len())] {
            if given > MAX_MATCHED {
                return Err(SpecError(format!("{what} must be a list of {MAX_MATCHED} at most, not of {given}")));
            }
        }
        Ok(AlertMatcher { checks, severities: self.severity, groups: self.group })
    }
}

fn counted_in_a_row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    in_a_row(i64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn from_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds_from_0(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn severities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Severity>, D::Error> {
    let severity = |name: String| {
        let known = Severity::ALL.into_iter().find(|severity| severity.as_str() == name);
        known.ok_or_else(|| D::Error::unknown_variant(&name, &["warning", "error", "critical"]))
    };
    texts(deserializer)?.into_iter().map(severity).collect()
}
