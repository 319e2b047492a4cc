//! Extensions do their work: PostGIS computes, pg_stat_statements shows how the statements fare.

use async_trait::async_trait;
use serde_json::json;

use super::answer::{Answer, literal};
use super::scrub::scrub;
use super::{connection, sqlstate};
use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

/// The extension's version, if it is installed. Its schema, often none that the role looks into, is searched from the
/// next statement on.
fn installed(extension: &str) -> String {
    format!(
        "SELECT e.extversion, set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), \
         quote_ident(n.nspname)), true) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = {}",
        literal(extension)
    )
}

pub struct Postgis(pub spec::Postgres);

#[async_trait]
impl Check for Postgis {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let statements = [
            installed("postgis"),
            "SELECT left(PostGIS_version(), 100), left(ST_AsText(ST_MakePoint(0, 0)), 100)".to_owned(),
        ];
        judge_postgis(&connection::ask(context, &self.0.server, &statements).await?)
    }
}

fn judge_postgis(answer: &Answer) -> Result<Finding, CheckError> {
    let details = |finding: Finding, installed: bool, test: &str| {
        let version = answer.rows(1).first().and_then(|row| row.text(0));
        finding.with("postgis_installed", installed).with("postgis_version", version).with("function_test", test)
    };
    if answer.rows(0).is_empty() && !answer.sets.is_empty() {
        let missing = Finding::error("the extension PostGIS is not installed in the database");
        return Ok(details(missing, false, "not run"));
    }
    answer.row(0, "read pg_extension")?;
    let row = answer.row(1, "run the functions of PostGIS").map_err(|error| error.with("postgis_installed", true))?;
    Ok(if row.text(1) == Some("POINT(0 0)") {
        details(Finding::healthy("PostGIS is installed and computes"), true, "passed")
    } else {
        details(Finding::error("PostGIS computes wrongly: ST_MakePoint(0, 0) is not POINT(0 0)"), true, "failed")
    })
}

pub struct Statements(pub spec::PostgresStatements);

#[async_trait]
impl Check for Statements {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let here = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let statements = [
            installed("pg_stat_statements"),
            format!(
                "SELECT count(*), count(*) FILTER (WHERE mean_exec_time > {}) FROM pg_stat_statements(false) WHERE {here}",
                self.0.slow_ms
            ),
            format!(
                "SELECT left(query, 2000), mean_exec_time, calls FROM pg_stat_statements WHERE {here} \
                 ORDER BY mean_exec_time DESC LIMIT 5"
            ),
        ];
        judge_statements(&self.0, &connection::ask(context, &self.0.server, &statements).await?)
    }
}

fn judge_statements(spec: &spec::PostgresStatements, answer: &Answer) -> Result<Finding, CheckError> {
    if answer.rows(0).is_empty() && !answer.sets.is_empty() {
        return Ok(Finding::degraded(
            "the extension pg_stat_statements is not installed: run CREATE EXTENSION pg_stat_statements",
        ));
    }
    if answer.failed_with(sqlstate::NOT_PRELOADED) {
        return Ok(Finding::degraded(
            "pg_stat_statements is installed but not loaded: add it to shared_preload_libraries and restart the server",
        ));
    }
    let counts = answer.row(1, "read pg_stat_statements")?;
    let (total, slow) = (counts.count(0), counts.count(1));
    let ratio = percent(slow, total);
    let slowest: Vec<_> = answer
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
    let message = format!("{slow} of {total} statements ({ratio} %) take more than {} ms on average", spec.slow_ms);
    Ok(Finding::new(spec.thresholds.judge(ratio), message)
        .with("total_queries", total)
        .with("slow_queries", slow)
        .with("slow_query_ratio", ratio)
        .with("slowest", slowest))
}

/// A share in percent, to one decimal; of nothing it is 0.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::answer::tests::answer;
    use crate::outcome::Status;
    use crate::spec::{PostgresServer, Thresholds};

    #[test]
    fn postgis_must_be_there_and_compute() {
        let cases: [(&[&[&str]], _, _, _); 3] = [
            (&[&["3.3|"], &["3.3 USE_GEOS=1|POINT(0 0)"]], None, Status::Healthy, "passed"),
            (&[&["3.3|"], &["3.3 USE_GEOS=1|POINT(0 1)"]], None, Status::Error, "failed"),
            (&[&[]], Some("42883"), Status::Error, "not run"),
        ];
        for (sets, failed, status, test) in cases {
            let finding = judge_postgis(&answer(sets, failed)).unwrap();
            assert_eq!((finding.status, &finding.details["function_test"]), (status, &json!(test)));
        }
        let broken = judge_postgis(&answer(&[&["3.3|"]], Some("58P01"))).unwrap_err();
        assert_eq!(broken.code(), "UnavailableError");
    }

    #[test]
    fn the_share_of_slow_statements_decides() {
        let spec = spec::PostgresStatements {
            server: PostgresServer::default(),
            slow_ms: 100.0,
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
            let answer = answer(&[&["1.10|"], &[counts], &["SELECT 'x'|12.345|3"]], None);
            let finding = judge_statements(&spec, &answer).unwrap();
            assert_eq!(finding.status, status, "{counts}");
            assert_eq!(finding.details["slowest"], json!([{"query": "SELECT ?", "mean_ms": 12.3, "calls": 3}]));
        }
        for (sets, failed, words) in
            [(&[&[][..]][..], "42P01", "not installed"), (&[&["1.10|"][..]][..], "55000", "shared_preload_libraries")]
        {
            let finding = judge_statements(&spec, &answer(sets, Some(failed))).unwrap();
            assert_eq!(finding.status, Status::Degraded);
            assert!(finding.message.contains(words), "{}", finding.message);
        }
    }
}
