//! How many tasks finish, by the results that a task queue keeps in PostgreSQL while its tasks are elsewhere.

use std::time::Duration;

use serde::Deserialize;

use super::pool::Urgency;
use super::query::{limit, query};
use super::spec::PostgresServer;
use super::tasks::{count, fill, minutes_ago, number, validate_minutes, validate_statement};
use crate::checks::flow::{FINISHED, with_flow};
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::runtime::Context;

/// How long the database may take: what the broker says must not wait for it.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What counts the finished tasks of a queue whose results are in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishedTasksOptions {
    pub server: PostgresServer,
    /// One `SELECT count(*)` of the tasks that have finished since `{since}`; null where that cannot be known.
    pub sql: String,
    /// The window in which they are counted (5).
    #[serde(default = "window")]
    pub window_minutes: u32,
}

impl FinishedTasksOptions {
    pub fn validate(&self) -> Result<(), SpecError> {
        validate_minutes("finished: window_minutes", self.window_minutes)?;
        validate_statement("finished: sql", Some(&self.sql))?;
        self.server.validate()
    }

    /// Runs what finds out about the broker, and adds the flow to it; that is beside the broker, and fails alone.
    pub async fn beside(
        this: Option<&Self>,
        context: &Context,
        broker: impl Future<Output = Result<Finding, CheckError>>,
    ) -> Result<Finding, CheckError> {
        let Some(this) = this else { return broker.await };
        let (finding, flow) = tokio::join!(broker, this.per_minute(context));
        let finding = finding?;
        Ok(match flow {
            Ok(Some(flow)) => with_flow(finding, flow),
            Ok(None) => finding,
            Err(error) => finding.with("unavailable", serde_json::json!({ FINISHED: error.to_string() })),
        })
    }

    /// `None` where the statement says null: it cannot be known.
    async fn per_minute(&self, context: &Context) -> Result<Option<f64>, CheckError> {
        let statement = count(&fill(&self.sql, &minutes_ago(self.window_minutes)));
        let statements = [limit(&self.server, TIMEOUT), statement];
        let answered = tokio::time::timeout(TIMEOUT, query(context, &self.server, Urgency::Diagnostic, &statements));
        let response = answered.await.map_err(|_| CheckError::Timeout { after: TIMEOUT, phase: Phase::Query })??;
        let finished = number(&response, &["of results".to_owned()])?;
        let is_known = response.rows(1).first().is_none_or(|row| row.text(0).is_some());
        Ok(is_known.then(|| finished as f64 / f64::from(self.window_minutes)))
    }
}

fn window() -> u32 {
    5
}
