//! The settings of alerts: what is sent to which channel, when, and when not. Validated, immutable values.

mod fields;
mod maintenance;
mod texts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Url;

use self::fields::AlertFields;
pub use self::fields::MatcherFields;
pub use self::maintenance::{MaintenanceFields, parse_maintenance};
use super::Channel;
use super::backoff::RETRIES;
use crate::model::{CollectOrdered, Severity, SpecError, nearest, positive_seconds, valid_name};
use crate::policy::incident::Rules;
use crate::policy::suppression::{AlertMatcher, Maintenance};

/// The most pauses between attempts.
const MAX_RETRIES: usize = 20;

/// What an attempt to deliver may take, and how long a process may be wedged, where the settings do not say.
const TIMEOUT: Duration = Duration::from_secs(15);
const WEDGED_AFTER: Duration = Duration::from_secs(30);

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
    /// From the settings but for the channels; `application` is that of settings which name none. Errors of the
    /// deserializer's are in its words.
    pub fn parse<'de, D: Deserializer<'de>>(
        application: &str,
        fields: D,
        channels: Vec<Arc<dyn Channel>>,
    ) -> Result<Self, D::Error> {
        let fields = AlertFields::deserialize(fields)?;
        let application = fields.application.clone().unwrap_or_else(|| application.to_owned());
        Self::of(application, fields, channels).map_err(D::Error::custom)
    }

    fn of(application: String, fields: AlertFields, channels: Vec<Arc<dyn Channel>>) -> Result<Self, SpecError> {
        valid_name(&application).map_err(|error| SpecError(format!("APPLICATION: {error}")))?;
        let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
        let routes = fields.routes.into_iter().enumerate().map(|(index, route)| {
            let what = format!("ROUTES[{index}]");
            texts::patterns(&format!("{what}.checks"), &route.checks)?;
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
        let maintenance = parse_maintenance(fields.maintenance)?;
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
        if let Some(url) = &fields.url {
            let wrong = |how: &str| Err(SpecError(format!("URL {how}: it is a link in mails and chats")));
            if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
                return wrong("must begin with https:// or http://");
            }
            if url.replace("{check}", "").contains(['{', '}']) {
                return wrong("must have no other braces than {check}");
            }
        }
        Ok(Self {
            application,
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
            Some(_) => matching.flat_map(|(_, channels)| channels).cloned().collect_ordered(),
            None => self.channels.iter().map(|channel| channel.name().to_owned()).collect_ordered(),
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

#[cfg(test)]
mod tests;
