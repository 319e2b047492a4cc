//! What is wrong with data from Python, in Python's words.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::words::{range_in_words, type_in_words, type_of};
pub use crate::model::nearest;

/// Where in the data: from the outside to the inside.
#[derive(Debug)]
enum PathStep {
    Field(String),
    Item(usize),
}

#[derive(Debug)]
enum Problem {
    /// Of another type than expected: both in Python's words.
    Type {
        expected: String,
        given: String,
    },
    /// Of the right type: what was expected, and what was given if that may be shown.
    Range {
        expected: String,
        given: String,
    },
    UnknownField {
        name: String,
        known: &'static [&'static str],
    },
    MissingField(String),
    /// None of the words that are possible: what it was, if that may be shown, and the word that was probably meant.
    Variant {
        given: Option<String>,
        known: &'static [&'static str],
        meant: Option<&'static str>,
    },
    Text(String),
}

/// Boxed, since each field of each check passes it on.
#[derive(Debug)]
pub struct Error(Box<LocatedProblem>);

#[derive(Debug)]
struct LocatedProblem {
    /// Innermost first.
    path: Vec<PathStep>,
    problem: Problem,
}

impl Error {
    /// The same problem of what is a field of something.
    #[cold]
    pub fn in_field(mut self, name: &str) -> Self {
        self.0.path.push(PathStep::Field(name.to_owned()));
        self
    }

    /// The same problem of what is an item of a list.
    #[cold]
    pub fn in_item(mut self, index: usize) -> Self {
        self.0.path.push(PathStep::Item(index));
        self
    }

    /// Not even a string where one of some words is expected.
    pub fn not_a_variant(type_name: &str, known: &'static [&'static str]) -> Self {
        Problem::Variant { given: Some(type_name.to_owned()), known, meant: None }.into()
    }

    /// NaN or an infinity.
    pub fn not_finite(number: f64) -> Self {
        Problem::Range { expected: "a finite number".to_owned(), given: number.to_string().to_lowercase() }.into()
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            match step {
                PathStep::Field(name) if path.is_empty() => path += name,
                PathStep::Field(name) => path += &format!(".{name}"),
                PathStep::Item(index) => path += &format!("[{index}]"),
            }
        }
        path
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self(Box::new(LocatedProblem { path: Vec::new(), problem }))
    }
}

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let subject = if path.is_empty() { "it" } else { &path };
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match &self.0.problem {
            Problem::Type { expected, given } | Problem::Range { expected, given } => {
                write!(formatter, "{subject} must be {expected}, not {given}")
            }
            Problem::UnknownField { name, known } => {
                write!(formatter, "unknown field '{}': ", inside(name))?;
                match nearest(name, known) {
                    Some(right) => write!(formatter, "did you mean '{}'?", inside(right)),
                    None if known.is_empty() => formatter.write_str("there are none"),
                    None => write!(formatter, "known are {}", known.join(", ")),
                }
            }
            Problem::MissingField(name) => write!(formatter, "{} is required", inside(name)),
            Problem::Variant { given, known, meant } => {
                let known: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
                write!(formatter, "{subject} must be one of {}", known.join(", "))?;
                match (given, meant) {
                    (Some(given), _) => write!(formatter, ", not {given}"),
                    (None, Some(meant)) => write!(formatter, ": did you mean '{meant}'?"),
                    (None, None) => Ok(()),
                }
            }
            // A text that is about the field itself leaves its name to us.
            Problem::Text(text) if text.starts_with("must ") => write!(formatter, "{subject} {text}"),
            Problem::Text(text) if path.is_empty() => formatter.write_str(text),
            Problem::Text(text) => write!(formatter, "{path}: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(text: T) -> Self {
        Problem::Text(text.to_string()).into()
    }

    #[cold]
    fn invalid_type(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Problem::Type { expected: type_in_words(&expected.to_string()).to_owned(), given: type_of(given).to_owned() }
            .into()
    }

    fn invalid_value(given: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let given = match given {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string().to_lowercase(),
            Unexpected::Other(text) => text.to_owned(),
            // May be a secret.
            _ => "this".to_owned(),
        };
        Problem::Range { expected: range_in_words(&expected.to_string()), given }.into()
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Problem::Range { expected: expected.to_string(), given: format!("{length} items") }.into()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        // May be a secret.
        Problem::Variant { given: None, known, meant: nearest(variant, known) }.into()
    }

    #[cold]
    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Problem::UnknownField { name: field.to_owned(), known }.into()
    }

    #[cold]
    fn missing_field(field: &'static str) -> Self {
        Problem::MissingField(field.to_owned()).into()
    }

    #[cold]
    fn duplicate_field(field: &'static str) -> Self {
        Problem::Text(format!("{field} is given twice")).into()
    }
}
