//! Extensions: PostGIS works, pg_stat_statements shows the share of slow statements.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::pool::Urgency;
use super::protocol::{DataRow, Response, literal};
use super::query::query_guarded;
use super::scrub::scrub;
use super::spec::PostgresServer;
use crate::checks::Check;
use crate::checks::fields::counted;
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError, Status};
use crate::runtime::Context;

/// One row if the extension is installed; `ready` then says whether it can be used. Its schema, often none that the
/// role looks into, is searched from the next statement on.
fn installed(extension: &str, ready: &str) -> String {
    format!(
        "SELECT {ready}, set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), \
         extnamespace::regnamespace::text), true) FROM pg_extension WHERE extname = {}",
        literal(extension)
    )
}

fn is_ready(rows: &[DataRow]) -> bool {
    rows.first().is_some_and(|row| row.is_true(0))
}

/// The PostGIS extension is installed and works.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgisCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
}

#[async_trait]
impl Check for PostgisCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let test = "SELECT left(PostGIS_version(), 100), left(ST_AsText(ST_MakePoint(0, 0)), 100)".to_owned();
        let guard = installed("postgis", "true");
        judge_postgis(&query_guarded(context, &self.server, Urgency::Vital, guard, is_ready, vec![test]).await?)
    }
}

fn judge_postgis(response: &Response) -> Result<Finding, CheckError> {
    let details = |finding: Finding, installed: bool, test: &str| {
        let version = response.rows(1).first().and_then(|row| row.text(0));
        finding.with("postgis_installed", installed).with("postgis_version", version).with("function_test", test)
    };
    if response.rows(0).is_empty() && !response.sets.is_empty() {
        let missing = Finding::error("PostGIS is not installed in the database: run CREATE EXTENSION postgis");
        return Ok(details(missing, false, "not run"));
    }
    response.row(0, "read pg_extension")?;
    let row = response.row(1, "run the functions of PostGIS").map_err(|error| error.with("postgis_installed", true))?;
    Ok(if row.text(1) == Some("POINT(0 0)") {
        details(Finding::healthy("PostGIS is installed and works"), true, "passed")
    } else {
        details(Finding::error("PostGIS returned a wrong result: ST_MakePoint(0, 0) is not POINT(0 0)"), true, "failed")
    })
}

/// The share (10%, 30%) of statements in pg_stat_statements whose mean exceeds `slow_ms` (100 ms), and the five slowest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresStatementsCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// A statement is slow when its mean execution time exceeds so many milliseconds.
    #[serde(default = "slow_ms")]
    pub slow_ms: f64,
    /// True: a missing extension is degraded. False: the check is then skipped, saying how to get it.
    #[serde(default)]
    pub required: bool,
    /// Share of slow statements, in percent.
    #[serde(default = "statement_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for PostgresStatementsCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if !(self.slow_ms.is_finite() && self.slow_ms >= 0.0) {
            return Err(SpecError(format!("slow_ms must be a number from 0, not {}", self.slow_ms)));
        }
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let here = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let statements = vec![
            format!(
                "SELECT count(*), count(*) FILTER (WHERE mean_exec_time > {}) FROM pg_stat_statements(false) WHERE {here}",
                self.slow_ms
            ),
            format!(
                "SELECT left(query, 2000), mean_exec_time, calls FROM pg_stat_statements WHERE {here} \
                 ORDER BY mean_exec_time DESC LIMIT 5"
            ),
        ];
        // Its settings are there only where it is loaded.
        let guard = installed("pg_stat_statements", "current_setting('pg_stat_statements.max', true) IS NOT NULL");
        let response = query_guarded(context, &self.server, Urgency::Diagnostic, guard, is_ready, statements).await?;
        judge_statements(self, &response)
    }
}

fn judge_statements(spec: &PostgresStatementsCheck, response: &Response) -> Result<Finding, CheckError> {
    let missing = if spec.required { Status::Degraded } else { Status::Skipped };
    if response.rows(0).is_empty() && !response.sets.is_empty() {
        return Ok(Finding::new(
            missing,
            "The extension pg_stat_statements is not installed: add it to shared_preload_libraries, restart the server \
             and run CREATE EXTENSION pg_stat_statements",
        ));
    }
    if response.rows(0).first().is_some_and(|row| !row.is_true(0)) {
        return Ok(Finding::new(
            missing,
            "The extension pg_stat_statements is installed but not loaded: add it to shared_preload_libraries and \
             restart the server",
        ));
    }
    let counts = response.row(1, "read pg_stat_statements")?;
    let (total, slow) = (counts.count(0), counts.count(1));
    let percent = percent(slow, total);
    let slowest: Vec<_> = response
        .rows(2)
        .iter()
        .map(|row| {
            json!({
                "query": scrub(row.text(0).unwrap_or_default()),
                "mean_ms": row.tenths(1),
                "calls": row.count(2),
            })
        })
        .collect();
    let message =
        format!("{slow} of {} ({percent}%) with a mean above {} ms", counted("statement", total), spec.slow_ms);
    Ok(Finding::new(spec.thresholds.judge(percent), message)
        .with("total_queries", total)
        .with("slow_queries", slow)
        .with("slow_query_ratio", fraction(percent))
        .with("slow_query_ratio_percent", percent)
        .with("slowest", slowest))
}

/// A share in percent, to one decimal; of nothing it is 0.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

/// A share of `percent` as a fraction, to three decimals.
pub fn fraction(percent: f64) -> f64 {
    (percent * 10.0).round() / 1000.0
}

fn slow_ms() -> f64 {
    100.0
}

fn statement_thresholds() -> Thresholds {
    Thresholds::new(10.0, 30.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;

    #[test]
    fn postgis_missing_or_wrong_is_error() {
        let cases: [(&[&[&str]], _, _, _); 3] = [
            (&[&["t|"], &["3.3 USE_GEOS=1|POINT(0 0)"]], None, Status::Healthy, "passed"),
            (&[&["t|"], &["3.3 USE_GEOS=1|POINT(0 1)"]], None, Status::Error, "failed"),
            (&[&[]], None, Status::Error, "not run"),
        ];
        for (sets, failed, status, test) in cases {
            let finding = judge_postgis(&response(sets, failed)).unwrap();
            assert_eq!((finding.status, &finding.details["function_test"]), (status, &json!(test)));
        }
        let broken = judge_postgis(&response(&[&["t|"]], Some("58P01"))).unwrap_err();
        assert_eq!(broken.code(), "UnavailableError");
    }

    #[test]
    fn share_of_slow_statements_is_judged() {
        let spec = PostgresStatementsCheck {
            server: PostgresServer::default(),
            slow_ms: 100.0,
            required: false,
            thresholds: Thresholds { degraded_above: 10.0, error_above: 30.0 },
        };
        let cases = [
            ("0|0", Status::Healthy),
            ("100|10", Status::Healthy),
            ("100|11", Status::Degraded),
            ("100|30", Status::Degraded),
            ("100|31", Status::Error),
        ];
        for (counts, status) in cases {
            let response = response(&[&["t|"], &[counts], &["SELECT 'x'|12.345|3"]], None);
            let finding = judge_statements(&spec, &response).unwrap();
            assert_eq!(finding.status, status, "{counts}");
            assert_eq!(finding.details["slowest"], json!([{"query": "SELECT ?", "mean_ms": 12.3, "calls": 3}]));
        }
        for (rows, words) in [(&[][..], "not installed"), (&["f|"][..], "shared_preload_libraries")] {
            let finding = judge_statements(&spec, &response(&[rows], None)).unwrap();
            assert_eq!(finding.status, Status::Skipped);
            let required = PostgresStatementsCheck { required: true, ..spec.clone() };
            assert_eq!(judge_statements(&required, &response(&[rows], None)).unwrap().status, Status::Degraded);
            assert!(finding.message.contains(words), "{}", finding.message);
        }
    }
}
