//! The response to one message: plain rows, so that judging them is a pure function.

use std::time::Duration;

use crate::checks::postgres::errors;
use crate::model::CheckError;

/// One row of text values, as the simple-query protocol sends them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataRow(pub Vec<Option<String>>);

impl DataRow {
    pub fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    pub fn is_true(&self, column: usize) -> bool {
        self.text(column) == Some("t")
    }

    pub fn integer(&self, column: usize) -> Option<i64> {
        self.text(column)?.parse().ok()
    }

    /// A count, which cannot be below 0; `NULL` counts as 0.
    pub fn count(&self, column: usize) -> u64 {
        self.text(column).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A number of seconds or milliseconds, to one decimal.
    pub fn tenths(&self, column: usize) -> Option<f64> {
        let value: f64 = self.text(column)?.parse().ok()?;
        value.is_finite().then(|| (value * 10.0).round() / 10.0)
    }
}

/// The rows of each statement up to the first that failed.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub target: String,
    pub sets: Vec<Vec<DataRow>>,
    /// The SQLSTATE of the statement that failed; none after it was run.
    pub failed: Option<String>,
    pub after: Duration,
}

impl Response {
    /// The rows of a statement; none if it failed or was not reached.
    pub fn rows(&self, statement: usize) -> &[DataRow] {
        self.sets.get(statement).map_or(&[], Vec::as_slice)
    }

    /// The row of a statement that must have one. `right` names what the role needs to run it.
    pub fn row(&self, statement: usize, right: &str) -> Result<&DataRow, CheckError> {
        match self.rows(statement).first() {
            Some(row) => Ok(row),
            None => Err(self.error(right)),
        }
    }

    /// Why the expected rows are missing.
    pub fn error(&self, right: &str) -> CheckError {
        let target = self.target.clone();
        match self.failed.as_deref() {
            Some(errors::MISSING_RIGHT) => {
                CheckError::Rejected { target, reason: format!("the role lacks the right to {right}").into() }
            }
            Some(code) => errors::error(&self.target, code, self.after),
            None => CheckError::Protocol { target, expected: "PostgreSQL".into() },
        }
    }
}

/// A text as an SQL literal, whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\0', "").replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Names as a table expression with one column `name`, in their order.
pub fn names(names: &[String]) -> String {
    let list: Vec<_> = names.iter().map(|name| literal(name)).collect();
    format!("unnest(ARRAY[{}]::text[]) WITH ORDINALITY AS l(name, place)", list.join(", "))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A response of rows written as `a|b` with `-` for `NULL`, one list per statement.
    pub fn response(sets: &[&[&str]], failed: Option<&str>) -> Response {
        let value = |text: &str| (text != "-").then(|| text.to_owned());
        let row = |line: &&str| DataRow(line.split('|').map(value).collect());
        Response {
            target: "db:5432".to_owned(),
            sets: sets.iter().map(|lines| lines.iter().map(row).collect()).collect(),
            failed: failed.map(str::to_owned),
            after: Duration::from_secs(1),
        }
    }

    #[test]
    fn literal_keeps_its_text() {
        let cases = [("a", "'a'"), ("it's", "'it''s'"), (r"a\'b", r" E'a\\''b'"), ("a\0b", "'ab'")];
        for (text, expected) in cases {
            assert_eq!(literal(text), expected);
        }
    }

    #[test]
    fn error_names_missing_right() {
        let error = response(&[], Some("42501")).error("read the table jobs");
        assert!(error.to_string().contains("lacks the right to read the table jobs"), "{error}");
        assert_eq!(response(&[&[]], None).error("x").code(), "ProtocolError");
    }
}
