//! What the body of an answer must hold: a text, not another text, values at JSON pointers.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use hyper::header::{CONTENT_ENCODING, HeaderMap};
use serde_json::Value;

use super::number;
use crate::model::SpecError;

/// The conditions on a body, as configured.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    pub text: Option<&'a str>,
    pub no_text: Option<&'a str>,
    /// Expected values by JSON pointer.
    pub json: &'a BTreeMap<String, Value>,
}

/// How a number is compared: as in a specification, as it is often written elsewhere, in words.
struct Comparison {
    name: &'static str,
    symbol: &'static str,
    words: &'static str,
    meets: fn(Ordering) -> bool,
}

const COMPARISONS: [Comparison; 4] = [
    Comparison { name: "$gt", symbol: ">", words: "more than", meets: Ordering::is_gt },
    Comparison { name: "$gte", symbol: ">=", words: "at least", meets: Ordering::is_ge },
    Comparison { name: "$lt", symbol: "<", words: "less than", meets: Ordering::is_lt },
    Comparison { name: "$lte", symbol: "<=", words: "at most", meets: Ordering::is_le },
];
const NOT_EQUAL: &str = "$ne";

fn comparison(name: &str) -> Option<&'static Comparison> {
    COMPARISONS.iter().find(|known| known.name == name)
}

impl Conditions<'_> {
    pub fn is_empty(&self) -> bool {
        self.text.is_none() && self.no_text.is_none() && self.json.is_empty()
    }

    pub fn validate(&self) -> Result<(), SpecError> {
        for (name, text) in [("text", self.text), ("no_text", self.no_text)] {
            if text == Some("") {
                return Err(SpecError(format!("{name} must not be empty: every body contains an empty text")));
            }
        }
        for (pointer, expected) in self.json {
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                return Err(SpecError(format!("json: {pointer:?} is not a JSON pointer, such as \"/{pointer}\"")));
            }
            if pointer.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
                let rule = "in it ~ is written ~0, and / in a name ~1";
                return Err(SpecError(format!("json: {pointer:?} is not a JSON pointer: {rule}")));
            }
            validate_comparison(pointer, expected)?;
        }
        Ok(())
    }

    /// What of them a body does not meet, in words that hold none of its texts.
    /// `coding` is how the body is encoded, if so.
    pub fn unmet(&self, body: &[u8], coding: Option<&str>) -> Vec<String> {
        if let Some(coding) = coding.filter(|_| !self.is_empty()) {
            return vec![format!("the body has the Content-Encoding {coding}, in which nothing can be looked for")];
        }
        let text = text_of(body);
        let mut unmet = Vec::new();
        if text.contains('\0') && (self.text.is_some() || self.no_text.is_some()) {
            unmet.push("the body is no text, or in a character set in which nothing can be looked for".to_owned());
        }
        if self.text.is_some_and(|wanted| !text.contains(wanted)) {
            unmet.push("the expected text is missing".to_owned());
        }
        if self.no_text.is_some_and(|unwanted| text.contains(unwanted)) {
            unmet.push("the body contains the text that it must not".to_owned());
        }
        if !self.json.is_empty() {
            match serde_json::from_str::<Value>(&text) {
                Ok(document) => unmet.extend(self.json.iter().filter_map(|(pointer, expected)| {
                    let shown = if pointer.is_empty() { "the whole body" } else { pointer };
                    let Some(found) = document.pointer(pointer) else { return Some(format!("{shown} is missing")) };
                    (!meets(found, expected)).then(|| format!("{shown} is {}", contrast(found, expected)))
                })),
                Err(_) => unmet.push("the body is not JSON".to_owned()),
            }
        }
        unmet
    }
}

/// The text of a body: in UTF-8 or, as its byte order mark says, UTF-16; else each byte as the character of that number, as
/// in ISO 8859-1 and its like.
fn text_of(body: &[u8]) -> Cow<'_, str> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks(2).map(|pair| unit(<[u8; 2]>::try_from(pair).unwrap_or_default()));
        char::decode_utf16(units).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match body {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(body) {
            Ok(text) => text.trim_start_matches('\u{feff}').into(),
            Err(_) => body.iter().copied().map(char::from).collect(),
        },
    }
}

/// How a body is encoded; `None`: not at all.
pub fn coding(headers: &HeaderMap) -> Option<&'static str> {
    const KNOWN: [&str; 5] = ["gzip", "br", "zstd", "deflate", "compress"];
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings =
        codings.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    let coding = codings.next()?;
    // Others are text of the server's, which is not shown.
    Some(KNOWN.into_iter().find(|known| coding.eq_ignore_ascii_case(known.as_bytes())).unwrap_or("of an unknown name"))
}

/// The operators of an expected value such as `{"$gt": 3}`.
fn operators(expected: &Value) -> Option<&serde_json::Map<String, Value>> {
    expected.as_object().filter(|fields| !fields.is_empty() && fields.keys().all(|name| name.starts_with('$')))
}

/// The operator that is meant by a name such as `lt` or `<`.
fn meant(name: &str) -> Option<&'static str> {
    let is_meant = |known: &str, symbol: &str| name == symbol || known.strip_prefix('$') == Some(name);
    let known = COMPARISONS.iter().find(|known| is_meant(known.name, known.symbol));
    known.map(|known| known.name).or_else(|| is_meant(NOT_EQUAL, "!=").then_some(NOT_EQUAL))
}

fn validate_comparison(pointer: &str, expected: &Value) -> Result<(), SpecError> {
    // An object with such names only is no value that a server answers with.
    let fields = expected.as_object().into_iter().flatten();
    if let Some((name, right)) = fields.clone().find_map(|(name, _)| Some((name, meant(name)?)))
        && fields.clone().all(|(name, _)| name.starts_with('$') || meant(name).is_some())
    {
        return Err(SpecError(format!("json[{pointer:?}] has an unknown operator {name:?}: did you mean '{right}'?")));
    }
    for (name, operand) in operators(expected).into_iter().flatten() {
        let is_comparison = comparison(name).is_some();
        if !is_comparison && name != NOT_EQUAL {
            let known = "known are $gt, $gte, $lt, $lte, $ne";
            return Err(SpecError(format!("json[{pointer:?}] has an unknown operator {name:?}: {known}")));
        }
        if is_comparison && !operand.is_number() {
            return Err(SpecError(format!("json[{pointer:?}][{name:?}] must be a number")));
        }
    }
    Ok(())
}

fn meets(found: &Value, expected: &Value) -> bool {
    let Some(operators) = operators(expected) else { return equal(found, expected) };
    operators.iter().all(|(name, operand)| match (comparison(name), found, operand) {
        (Some(comparison), Value::Number(found), Value::Number(operand)) => {
            number::compare(found, operand).is_some_and(comparison.meets)
        }
        (Some(_), _, _) => false,
        (None, _, _) => !equal(found, operand),
    })
}

/// Equality as in Python and JavaScript: 1 is 1.0.
fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => {
            number::compare(found, expected).is_some_and(Ordering::is_eq)
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| equal(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found.iter().all(|(name, value)| expected.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => found == expected,
    }
}

/// What was found, and what was expected.
fn contrast(found: &Value, expected: &Value) -> String {
    let (found, expected) = (in_words(found), expected_in_words(expected));
    if found == expected { format!("{found} that is not expected") } else { format!("{found}, expected {expected}") }
}

fn expected_in_words(expected: &Value) -> String {
    let Some(operators) = operators(expected) else { return in_words(expected) };
    let each = operators.iter().map(|(name, operand)| match (comparison(name), operand) {
        (Some(comparison), _) => format!("{} {}", comparison.words, in_words(operand)),
        (None, Value::String(_) | Value::Array(_) | Value::Object(_)) => "another one".to_owned(),
        (None, _) => format!("other than {operand}"),
    });
    each.collect::<Vec<_>>().join(" and ")
}

/// A value. A text may be a secret, and is not shown.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn unmet(expected: Value, body: &str) -> Vec<String> {
        let json = serde_json::from_value(expected).unwrap();
        Conditions { text: None, no_text: None, json: &json }.unmet(body.as_bytes(), None)
    }

    #[test]
    fn json_each_condition() {
        let body = r#"{"status": "ok", "secret": "hunter2", "queue": {"depth": 17, "names": ["a", 1.0]}, "a/b": null}"#;
        for (expected, found) in [
            (json!({"/status": "ok", "/queue/depth": 17.0, "/queue/names/0": "a", "/a~1b": null}), vec![]),
            (json!({"/queue/names": ["a", 1]}), vec![]),
            (json!({"/queue/depth": {"$gt": 16, "$lte": 17, "$ne": 16}}), vec![]),
            (json!({"/status": {"$ne": "failed"}}), vec![]),
            (json!({"/status": "failed"}), vec!["/status is a text that is not expected"]),
            (json!({"/queue/depth": {"$lt": 17}}), vec!["/queue/depth is 17, expected less than 17"]),
            (
                json!({"/queue/depth": {"$gte": 18, "$lte": 20}}),
                vec!["/queue/depth is 17, expected at least 18 and at most 20"],
            ),
            (json!({"/queue/depth": {"$ne": 17}}), vec!["/queue/depth is 17, expected other than 17"]),
            (json!({"/queue/depth": 18}), vec!["/queue/depth is 17, expected 18"]),
            (json!({"/status": {"$gt": 1}}), vec!["/status is a text, expected more than 1"]),
            (json!({"/status": {"$ne": "ok"}}), vec!["/status is a text, expected another one"]),
            (json!({"/queue/depth": "17"}), vec!["/queue/depth is 17, expected a text"]),
            (json!({"/nowhere": null}), vec!["/nowhere is missing"]),
            (json!({"": {}}), vec!["the whole body is an object that is not expected"]),
        ] {
            assert_eq!(unmet(expected.clone(), body), found, "{expected}");
        }
        for body in ["", "<html>", "{", "\u{0}"] {
            assert_eq!(unmet(json!({"/a": 1}), body), ["the body is not JSON"]);
        }
        assert_eq!(unmet(json!({"/a": 1}), &"[".repeat(100_000)), ["the body is not JSON"]);
    }

    #[test]
    fn json_large_numbers_compare_exactly() {
        let body = r#"{"id": 9007199254740993, "most": 18446744073709551615, "half": 9007199254740992.0}"#;
        for (expected, meets) in [
            (json!({"/id": 9_007_199_254_740_993_u64}), true),
            (json!({"/id": 9_007_199_254_740_992_u64}), false),
            (json!({"/id": {"$gt": 9_007_199_254_740_992_u64}}), true),
            (json!({"/id": {"$lte": 9_007_199_254_740_992_u64}}), false),
            (json!({"/id": {"$gt": 9_007_199_254_740_992.0}}), true),
            (json!({"/most": {"$lt": 18_446_744_073_709_551_616.0}}), true),
            (json!({"/most": u64::MAX - 1}), false),
            (json!({"/half": {"$ne": 9_007_199_254_740_993_u64}}), true),
            (json!({"/half": 9_007_199_254_740_992_u64}), true),
        ] {
            assert_eq!(unmet(expected.clone(), body).is_empty(), meets, "{expected}");
        }
    }

    #[test]
    fn encoded_body_meets_no_condition() {
        let none = BTreeMap::new();
        let unmet = |text, coding| Conditions { text, no_text: None, json: &none }.unmet(b"a", coding);
        assert_eq!(unmet(None, Some("gzip")), Vec::<String>::new());
        assert_eq!(unmet(Some("a"), None), Vec::<String>::new());
        assert_eq!(
            unmet(Some("a"), Some("gzip")),
            ["the body has the Content-Encoding gzip, in which nothing can be looked for"]
        );
        for (value, expected) in [
            ("identity", None),
            ("", None),
            ("GZIP", Some("gzip")),
            ("identity, br", Some("br")),
            ("secret", Some("of an unknown name")),
        ] {
            let headers = [(CONTENT_ENCODING, value.parse().unwrap())].into_iter().collect();
            assert_eq!(coding(&headers), expected, "{value}");
        }
        assert_eq!(coding(&HeaderMap::new()), None);
    }

    #[test]
    fn json_behind_a_byte_order_mark() {
        let json = BTreeMap::from([("/a".to_owned(), json!(1))]);
        for body in [b"\xef\xbb\xbf{\"a\": 1}".as_slice(), b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0"] {
            assert_eq!(Conditions { text: None, no_text: None, json: &json }.unmet(body, None), Vec::<String>::new());
        }
    }

    #[test]
    fn text_there_and_not_there() {
        let none = BTreeMap::new();
        let unmet = |text, no_text, body: &[u8]| Conditions { text, no_text, json: &none }.unmet(body, None).len();
        for (text, no_text, body, expected) in [
            (Some("grün"), None, "alles grün".as_bytes(), 0),
            (Some("grün"), None, b"alles gr\xfcn", 0),
            (None, Some("grün"), b"alles gr\xfcn", 1),
            (None, Some("ok"), b"\xff\xfeo\0k\0", 1),
            (None, Some("ok"), b"\xfe\xff\0o\0k", 1),
            (Some("ok"), None, b"\xff\xfeo\0k\0!", 1),
            (None, Some("ok"), b"o\0k\0", 1),
            (None, Some("error"), b"fine", 0),
            (None, Some("error"), b"an error\xff", 1),
            (Some("a"), Some("b"), b"b", 2),
        ] {
            assert_eq!(unmet(text, no_text, body), expected, "{text:?} {no_text:?}");
        }
    }

    #[test]
    fn validate_wrong_conditions_named() {
        for (json, said) in [
            (json!({"status": 1}), r#"json: "status" is not a JSON pointer, such as "/status""#),
            (json!({"/s~2": 1}), r#"json: "/s~2" is not a JSON pointer: in it ~ is written ~0, and / in a name ~1"#),
            (json!({"/s~": 1}), r#"json: "/s~" is not a JSON pointer"#),
            (json!({"/a": {"$gt": "1"}}), r#"json["/a"]["$gt"] must be a number"#),
            (json!({"/a": {"lt": 1}}), r#"json["/a"] has an unknown operator "lt": did you mean '$lt'?"#),
            (json!({"/a": {"$gt": 1, "<=": 5}}), r#"json["/a"] has an unknown operator "<=": did you mean '$lte'?"#),
            (json!({"/a": {"ne": "x"}}), r#"json["/a"] has an unknown operator "ne": did you mean '$ne'?"#),
            (json!({"/a": {"$regex": "x"}}), r#"json["/a"] has an unknown operator "$regex": known are"#),
        ] {
            let json = serde_json::from_value(json).unwrap();
            let error = Conditions { text: None, no_text: None, json: &json }.validate().unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let object = serde_json::from_value(json!({"/a": {"lt": 1, "name": "x"}})).unwrap();
        assert_eq!(Conditions { text: None, no_text: None, json: &object }.validate(), Ok(()));
        let none = BTreeMap::new();
        assert!(Conditions { text: Some(""), no_text: None, json: &none }.validate().is_err());
    }
}
