//! The alerts of a scope in numbers, for metrics.

use std::collections::BTreeMap;

use super::alerts::Alerts;
use crate::model::Severity;
use crate::state::delivery_counts::DeliveryCounts;

/// What is open, and what becomes of notices, of one application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertSummary {
    /// Incidents that are open, by severity.
    pub open: BTreeMap<Severity, usize>,
    /// Of each channel of the settings, and of others for which something waits or was sent.
    pub channels: BTreeMap<String, ChannelSummary>,
}

/// What becomes of the notices of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelSummary {
    /// Notices that wait to be delivered, or are under way.
    pub pending: usize,
    pub attempts: DeliveryCounts,
}

impl Alerts {
    pub fn summary(&self) -> AlertSummary {
        let counts = self.stores().map(|stores| stores.counts.read()).unwrap_or_default();
        let mut summary = AlertSummary::default();
        for channel in &self.settings.channels {
            summary.channels.entry(channel.name().to_owned()).or_default();
        }
        for (channel, attempts) in counts.0 {
            summary.channels.entry(channel).or_default().attempts = attempts;
        }
        for incident in self.incidents(false) {
            if incident.resolved_at.is_none() {
                *summary.open.entry(incident.severity).or_default() += 1;
            }
            for queue in incident.channels.iter().filter(|queue| queue.pending_count() > 0) {
                summary.channels.entry(queue.channel.clone()).or_default().pending += queue.pending_count();
            }
        }
        summary
    }
}
