//! What the body of an answer must hold: a text, not another text, values at JSON pointers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::SpecError;

/// The conditions on a body, as configured.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    pub text: Option<&'a str>,
    pub no_text: Option<&'a str>,
    /// Expected values by JSON pointer.
    pub json: &'a BTreeMap<String, Value>,
}

/// How a number is compared.
type Comparison = fn(&f64, &f64) -> bool;

const COMPARISONS: [(&str, Comparison); 4] = [("$gt", f64::gt), ("$gte", f64::ge), ("$lt", f64::lt), ("$lte", f64::le)];

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
            validate_comparison(pointer, expected)?;
        }
        Ok(())
    }

    /// What of them a body does not meet, in words that hold none of its texts.
    pub fn unmet(&self, body: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(body);
        let mut unmet = Vec::new();
        if self.text.is_some_and(|wanted| !text.contains(wanted)) {
            unmet.push("the expected text is missing".to_owned());
        }
        if self.no_text.is_some_and(|unwanted| text.contains(unwanted)) {
            unmet.push("the body contains the text that it must not".to_owned());
        }
        if !self.json.is_empty() {
            match serde_json::from_slice::<Value>(body) {
                Ok(document) => unmet.extend(self.json.iter().filter_map(|(pointer, expected)| {
                    let shown = if pointer.is_empty() { "the whole body" } else { pointer };
                    let Some(found) = document.pointer(pointer) else { return Some(format!("{shown} is missing")) };
                    (!meets(found, expected)).then(|| format!("{shown} is {}", in_words(found)))
                })),
                Err(_) => unmet.push("the body is not JSON".to_owned()),
            }
        }
        unmet
    }
}

/// The operators of an expected value such as `{"$gt": 3}`.
fn operators(expected: &Value) -> Option<&serde_json::Map<String, Value>> {
    expected.as_object().filter(|fields| !fields.is_empty() && fields.keys().all(|name| name.starts_with('$')))
}

fn validate_comparison(pointer: &str, expected: &Value) -> Result<(), SpecError> {
    for (name, operand) in operators(expected).into_iter().flatten() {
        let is_comparison = COMPARISONS.iter().any(|(known, _)| known == name);
        if !is_comparison && name != "$ne" {
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
    operators.iter().all(|(name, operand)| {
        match (COMPARISONS.iter().find(|(known, _)| known == name), found.as_f64(), operand.as_f64()) {
            (Some((_, compare)), Some(found), Some(operand)) => compare(&found, &operand),
            (Some(_), _, _) => false,
            (None, _, _) => !equal(found, operand),
        }
    })
}

/// Equality as in Python and JavaScript: 1 is 1.0.
fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => found == expected || found.as_f64() == expected.as_f64(),
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

/// What was found. A text may be a secret, and is not shown.
fn in_words(found: &Value) -> String {
    match found {
        Value::Null | Value::Bool(_) | Value::Number(_) => found.to_string(),
        Value::String(_) => "a text that is not expected".to_owned(),
        Value::Array(_) => "a list that is not expected".to_owned(),
        Value::Object(_) => "an object that is not expected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn unmet(expected: Value, body: &str) -> Vec<String> {
        let json = serde_json::from_value(expected).unwrap();
        Conditions { text: None, no_text: None, json: &json }.unmet(body.as_bytes())
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
            (json!({"/queue/depth": {"$lt": 17}}), vec!["/queue/depth is 17"]),
            (json!({"/status": {"$gt": 1}}), vec!["/status is a text that is not expected"]),
            (json!({"/queue/depth": "17"}), vec!["/queue/depth is 17"]),
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
    fn text_there_and_not_there() {
        let none = BTreeMap::new();
        let unmet = |text, no_text, body: &[u8]| Conditions { text, no_text, json: &none }.unmet(body).len();
        for (text, no_text, body, expected) in [
            (Some("grün"), None, "alles grün".as_bytes(), 0),
            (Some("grün"), None, b"alles gr\xfcn", 1),
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
            (json!({"/a": {"$gt": "1"}}), r#"json["/a"]["$gt"] must be a number"#),
            (json!({"/a": {"$regex": "x"}}), r#"json["/a"] has an unknown operator "$regex": known are"#),
        ] {
            let json = serde_json::from_value(json).unwrap();
            let error = Conditions { text: None, no_text: None, json: &json }.validate().unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let none = BTreeMap::new();
        assert!(Conditions { text: Some(""), no_text: None, json: &none }.validate().is_err());
    }
}
