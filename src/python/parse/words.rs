//! Python's words for what serde calls types.

use serde::de::Unexpected;

/// Python's name for the type that serde expects.
pub fn type_in_words(expected: &str) -> &str {
    match expected {
        "a string" | "path string" | "a character" => "a str",
        "a boolean" => "a bool",
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => "an int",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a dict",
        _ if expected.starts_with("struct ") => "a dict",
        _ => expected,
    }
}

/// What of the type that serde expects is in its range.
pub fn range_in_words(expected: &str) -> String {
    match expected {
        "u8" => format!("an int from 0 to {}", u8::MAX),
        // They are ports.
        "u16" => format!("an int from 1 to {}", u16::MAX),
        "u32" | "u64" | "usize" => "an int from 0".to_owned(),
        other => type_in_words(other).to_owned(),
    }
}

/// Python's name for the type of what was given.
pub fn type_of(given: Unexpected<'_>) -> &str {
    match given {
        Unexpected::Bool(_) => "bool",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "int",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "str",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "None",
        Unexpected::Seq => "list",
        Unexpected::Map => "dict",
        Unexpected::Other(name) => name,
        _ => "this",
    }
}
