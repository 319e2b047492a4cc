//! A trial of a channel: a trigger and a resolve of an incident that there is not.

use std::io;
use std::sync::mpsc;
use std::time::SystemTime;

use super::alerts::Alerts;
use super::sending::attempt;
use super::{Attempt, Channel};
use crate::model::{Instances, Notice, NoticeKind, Severity, Status};
use crate::policy::incident::dedup_key;
use crate::runtime::Process;

/// The check that a trial is about.
const CHECK: &str = "test";

impl Alerts {
    /// Sends a trigger and a resolve to a channel, without an outbox, and returns what came of the first that was not
    /// delivered, else of the second; `None` if there is no such channel. Blocks for two attempts at most.
    pub fn try_channel(&self, name: &str) -> io::Result<Option<Attempt>> {
        let Some(channel) = self.settings.channel(name).cloned() else { return Ok(None) };
        let process = Process::current()?;
        let id = uuid::Uuid::new_v4();
        let notice = |kind, number| {
            let is_over = kind == NoticeKind::Resolved;
            let now = SystemTime::now();
            Notice {
                id: format!("{id}-{number}"),
                kind,
                at: now,
                dedup_key: dedup_key(&self.settings.application, CHECK),
                incident_id: id.to_string(),
                application: self.settings.application.clone(),
                check: CHECK.to_owned(),
                status: if is_over { Status::Healthy } else { Status::Degraded },
                severity: Severity::Warning,
                since: now,
                message: if is_over { "The test is over" } else { "This is a test: nothing is wrong" }.to_owned(),
                blocked: Vec::new(),
                actions: Vec::new(),
                instances: Instances::default(),
                is_flapping: false,
                acknowledged_by: None,
                runbook: None,
                url: self.settings.url.clone(),
            }
        };
        let notices = [notice(NoticeKind::Triggered, 1), notice(NoticeKind::Resolved, 2)];
        let (timeout, running) = (self.settings.timeout, process.clone());
        let (done, result) = mpsc::channel();
        process.runtime.spawn(async move {
            let mut reference: Option<String> = None;
            let mut last = None;
            for notice in &notices {
                let channel: &dyn Channel = &*channel;
                let came = attempt(channel, notice, reference.as_deref(), timeout, running.clone()).await;
                let is_delivered = match &came {
                    Attempt::Delivered { reference: new, .. } => {
                        reference = new.clone().or(reference);
                        true
                    }
                    _ => false,
                };
                last = Some(came);
                if !is_delivered {
                    break;
                }
            }
            // Fails when the caller has stopped waiting.
            let _ = done.send(last);
        });
        Ok(result.recv().ok().flatten())
    }
}
