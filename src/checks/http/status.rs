//! The HTTP statuses that are expected: one, a range, or a list of them.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::SpecError;

/// One status as it is written: `204`, or a range such as `"200-299"`.
#[derive(Clone, Debug, PartialEq)]
enum StatusCode {
    Number(i64),
    Text(String),
}

/// The statuses as they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusCodes(Vec<StatusCode>);

impl StatusCodes {
    /// 200 alone.
    pub fn ok() -> Self {
        Self(vec![StatusCode::Number(200)])
    }

    /// The ranges that are meant; a single status is a range of one.
    pub fn ranges(&self) -> Result<Vec<RangeInclusive<u16>>, SpecError> {
        if self.0.is_empty() {
            return Err(SpecError("expect_status must name at least one HTTP status".to_owned()));
        }
        self.0.iter().map(StatusCode::range).collect()
    }

    pub fn contain(&self, status: u16) -> bool {
        self.ranges().is_ok_and(|ranges| ranges.iter().any(|range| range.contains(&status)))
    }
}

impl StatusCode {
    fn range(&self) -> Result<RangeInclusive<u16>, SpecError> {
        let within = |number: u16| (100..=599).contains(&number);
        let (first, last) = match self {
            Self::Number(number) => (u16::try_from(*number).ok(), u16::try_from(*number).ok()),
            Self::Text(text) => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                (first.trim().parse().ok(), last.trim().parse().ok())
            }
        };
        match (first, last) {
            (Some(first), Some(last)) if within(first) && within(last) && first <= last => Ok(first..=last),
            _ => Err(SpecError(match self {
                Self::Number(_) => format!("expect_status must be an HTTP status from 100 to 599, not {self}"),
                Self::Text(_) => "expect_status must be an HTTP status or a range such as '200-299'".to_owned(),
            })),
        }
    }
}

impl Display for StatusCode {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => text.escape_debug().fmt(formatter),
        }
    }
}

impl Display for StatusCodes {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (place, code) in self.0.iter().enumerate() {
            let before = match place {
                0 => "",
                _ if place + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(formatter, "{before}{code}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for StatusCodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodesVisitor)
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodeVisitor)
    }
}

struct CodeVisitor;

impl Visitor<'_> for CodeVisitor {
    type Value = StatusCode;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an HTTP status or a range such as '200-299'")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<StatusCode, E> {
        Ok(StatusCode::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusCode, E> {
        let number = i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(StatusCode::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusCode, E> {
        Ok(StatusCode::Text(text.to_owned()))
    }
}

struct CodesVisitor;

impl<'de> Visitor<'de> for CodesVisitor {
    type Value = StatusCodes;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an HTTP status, a range such as '200-299', or a list of them")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<StatusCodes, E> {
        CodeVisitor.visit_i64(number).map(|code| StatusCodes(vec![code]))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<StatusCodes, E> {
        CodeVisitor.visit_u64(number).map(|code| StatusCodes(vec![code]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StatusCodes, E> {
        CodeVisitor.visit_str(text).map(|code| StatusCodes(vec![code]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<StatusCodes, A::Error> {
        let mut codes = Vec::new();
        while let Some(code) = items.next_element()? {
            codes.push(code);
        }
        Ok(StatusCodes(codes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn parse(value: &Value) -> Result<StatusCodes, String> {
        let codes: StatusCodes = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        codes.ranges().map_err(|error| error.to_string())?;
        Ok(codes)
    }

    #[test]
    fn codes_contain_what_they_name() {
        for (value, inside, outside, text) in [
            (json!(200), &[200][..], &[199, 201][..], "200"),
            (json!("200-299"), &[200, 250, 299], &[199, 300], "200-299"),
            (json!("204"), &[204], &[200], "204"),
            (json!([200, "300 - 302", 404]), &[200, 301, 404], &[201, 303], "200, 300 - 302 or 404"),
        ] {
            let codes = parse(&value).unwrap();
            assert_eq!(codes.to_string(), text);
            assert!(inside.iter().all(|status| codes.contain(*status)), "{value}");
            assert!(!outside.iter().any(|status| codes.contain(*status)), "{value}");
        }
    }

    #[test]
    fn codes_that_are_none_refused_by_value() {
        for (value, said) in [
            (json!(0), "from 100 to 599, not 0"),
            (json!(70_000), "from 100 to 599, not 70000"),
            (json!(-1), "from 100 to 599, not -1"),
            (json!([200, 600]), "from 100 to 599, not 600"),
            (json!([]), "at least one HTTP status"),
            (json!("299-200"), "such as '200-299'"),
            (json!("2xx"), "such as '200-299'"),
            (json!(""), "such as '200-299'"),
            (json!(200.5), "an HTTP status, a range such as '200-299', or a list of them"),
            (json!([true]), "an HTTP status or a range such as '200-299'"),
        ] {
            let error = parse(&value).unwrap_err();
            assert!(error.contains(said), "{value}: {error}");
        }
    }
}
