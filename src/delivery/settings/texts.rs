//! Lists of names and patterns as they are written.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};

use crate::model::{SpecError, check_of, valid_name};

/// An error names the first that is neither a name of a check, or of its objective, nor a pattern.
pub fn patterns(what: &str, patterns: &[String]) -> Result<(), SpecError> {
    let wrong = patterns.iter().find(|pattern| valid_name(&check_of(pattern).replace(['*', '?'], "x")).is_err());
    wrong.map_or(Ok(()), |pattern| {
        Err(SpecError(format!("{what} has {pattern:?}, which is neither a name nor a pattern with '*' or '?'")))
    })
}

/// The names and patterns of a list that may be left out: then all are meant, and by an empty one nothing that can be told,
/// such as of a comprehension that has found none.
pub fn given_names(what: &str, given: Option<Vec<String>>) -> Result<Vec<String>, SpecError> {
    if given.as_ref().is_some_and(Vec::is_empty) {
        return Err(SpecError(format!("{what} must name a check or a pattern; left out it means all")));
    }
    let given = given.unwrap_or_default();
    patterns(what, &given)?;
    Ok(given)
}

/// The same where it matters whether there is one: an empty list is one.
pub fn given_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    texts(deserializer).map(Some)
}

/// One text, or a list of them.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a str or a list of them")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Texts)
}
