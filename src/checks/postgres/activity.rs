//! The share of the server's connections that the database takes, and their states.

use async_trait::async_trait;
use serde::Deserialize;

use super::extensions::{fraction, percent};
use super::pool::Urgency;
use super::protocol::Response;
use super::query::query;
use super::spec::PostgresServer;
use crate::checks::Check;
use crate::checks::fields::counted;
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// Without the right of `pg_monitor` the state and type of other users' connections are `NULL`, but they do count.
///
/// Reads the function behind `pg_stat_activity`: to plan the view, which joins the names of databases and roles, takes
/// the server longer than to response.
const ACTIVITY: &str = "\
    SELECT current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
             - coalesce(current_setting('reserved_connections', true)::int8, 0), \
           count(*) FILTER (WHERE here), \
           count(*) FILTER (WHERE here AND state IN ('active', 'fastpath function call')), \
           count(*) FILTER (WHERE here AND state = 'idle'), \
           count(*) FILTER (WHERE here AND state LIKE 'idle in transaction%'), \
           count(*) FILTER (WHERE here AND state IS NULL), \
           count(*), \
           max(extract(epoch FROM clock_timestamp() - state_change)) \
             FILTER (WHERE here AND state LIKE 'idle in transaction%'), \
           max(extract(epoch FROM clock_timestamp() - query_start)) \
             FILTER (WHERE here AND state = 'active' AND pid <> pg_backend_pid()) \
    FROM pg_stat_get_activity(NULL) AS activity, LATERAL (SELECT datid = \
           (SELECT oid FROM pg_database WHERE datname = current_database())) AS at(here) \
    WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL";

/// The share (70%, 90%) of the server's usable connections that this database takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConnectionsCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// Share of the usable connections that is taken, in percent.
    #[serde(default = "connection_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for PostgresConnectionsCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let response = query(context, &self.server, Urgency::Diagnostic, &[ACTIVITY.to_owned()]).await?;
        judge(self, &response)
    }
}

fn judge(spec: &PostgresConnectionsCheck, response: &Response) -> Result<Finding, CheckError> {
    let row = response.row(0, "read pg_stat_activity")?;
    let (usable, total) = (row.count(0), row.count(1));
    let percent = percent(total, usable);
    let message = format!("{total} of {} taken ({percent}%)", counted("usable connection", usable));
    Ok(Finding::new(spec.thresholds.judge(percent), message)
        .with("active_connections", row.count(2))
        .with("idle_connections", row.count(3))
        .with("idle_in_transaction_connections", row.count(4))
        .with("hidden_connections", row.count(5))
        .with("total_connections", total)
        .with("max_connections", usable)
        .with("utilization", fraction(percent))
        .with("utilization_percent", percent)
        .with("server_connections", row.count(6))
        .with("longest_idle_in_transaction_seconds", row.tenths(7))
        .with("longest_query_seconds", row.tenths(8)))
}

fn connection_thresholds() -> Thresholds {
    Thresholds::new(70.0, 90.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;
    use crate::model::Status;
    use serde_json::{Value, json};

    #[test]
    fn share_of_usable_connections_is_judged() {
        let spec = PostgresConnectionsCheck {
            server: PostgresServer::default(),
            thresholds: Thresholds { degraded_above: 70.0, error_above: 90.0 },
        };
        for (total, status) in [
            (0, Status::Healthy),
            (70, Status::Healthy),
            (71, Status::Degraded),
            (90, Status::Degraded),
            (91, Status::Error),
        ] {
            let row = format!("100|{total}|1|2|3|0|95|12.34|-");
            let finding = judge(&spec, &response(&[&[&row]], None)).unwrap();
            assert_eq!(finding.status, status, "{total}");
            assert_eq!(finding.details["utilization"], json!(f64::from(total) / 100.0));
            assert_eq!(finding.details["utilization_percent"], json!(f64::from(total)));
            assert_eq!(finding.details["longest_idle_in_transaction_seconds"], json!(12.3));
            assert_eq!(finding.details["longest_query_seconds"], Value::Null);
        }
    }
}
