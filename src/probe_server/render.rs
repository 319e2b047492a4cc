//! A response in the media type that its caller prefers, as the views of the Django package write it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::media::MediaType;
use super::page::{self, text};

type Object = Map<String, Value>;

/// Writes a body, which has its results, if any, under the key `results`.
pub fn render(media: MediaType, body: &impl Serialize, results: Option<&str>) -> String {
    if media == MediaType::Json {
        // All keys are strings, so it cannot fail.
        return serde_json::to_string(body).unwrap_or_default();
    }
    let Ok(Value::Object(body)) = serde_json::to_value(body) else { return String::new() };
    let no_results = Object::new();
    let found = results.and_then(|key| body.get(key)).and_then(Value::as_object).unwrap_or(&no_results);
    match media {
        MediaType::Text => lines(&body, found),
        MediaType::Html => page::render(&body, found, results),
        MediaType::Json | MediaType::HealthJson => draft(&body, found).to_string(),
    }
}

fn lines(body: &Object, results: &Object) -> String {
    let mut lines = line(body) + "\n";
    for (name, result) in results.iter().filter_map(|(name, result)| Some((name, result.as_object()?))) {
        lines += &format!("{name}: {}\n", line(result));
    }
    lines
}

/// Status and message, which may have line ends of its own.
fn line(body: &Object) -> String {
    let words = text(body, "status").split_whitespace().chain(text(body, "message").split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

/// The shape of the IETF's draft, in which skipped checks are left out.
fn draft(body: &Object, results: &Object) -> Value {
    let mut shown = Object::from_iter([("status".to_owned(), json!(draft_status(body)))]);
    if let Some(message) = body.get("message").filter(|message| message.as_str() != Some("")) {
        shown.insert("output".to_owned(), message.clone());
    }
    if let Some(hint) = body.get("hint") {
        shown.insert("notes".to_owned(), json!([hint]));
    }
    let results = results.iter().filter_map(|(name, result)| Some((name, result.as_object()?)));
    let checks: Object = results
        .filter(|(_, result)| text(result, "status") != "skipped")
        .map(|(name, result)| (name.clone(), json!([draft_of_result(result)])))
        .collect();
    if !checks.is_empty() {
        shown.insert("checks".to_owned(), checks.into());
    }
    shown.into()
}

fn draft_of_result(result: &Object) -> Value {
    let status = draft_status(result);
    let mut shown = Object::from_iter([("status".to_owned(), json!(status))]);
    if let Some(at) = result.get("timestamp") {
        shown.insert("time".to_owned(), at.clone());
    }
    if let Some(duration) = result.get("duration_ms") {
        shown.insert("observedValue".to_owned(), duration.clone());
        shown.insert("observedUnit".to_owned(), json!("ms"));
    }
    if let Some(message) = result.get("message").filter(|_| status != "pass") {
        shown.insert("output".to_owned(), message.clone());
    }
    shown.into()
}

fn draft_status(body: &Object) -> &'static str {
    match text(body, "status") {
        "healthy" | "alive" | "ready" | "started" | "skipped" => "pass",
        "degraded" => "warn",
        _ => "fail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        json!({
            "status": "degraded",
            "message": "reduced",
            "checks": {
                "a": {"status": "error", "message": "is <b>\nbroken", "timestamp": "t", "duration_ms": 1.5},
                "b": {"status": "healthy", "message": "fine", "timestamp": "t"},
                "c": {"status": "skipped", "message": "none", "timestamp": "t"},
            },
            "hint": "more",
        })
    }

    #[test]
    fn text_has_a_line_for_each_check() {
        let expected = "degraded reduced\na: error is <b> broken\nb: healthy fine\nc: skipped none\n";
        assert_eq!(render(MediaType::Text, &report(), Some("checks")), expected);
        assert_eq!(render(MediaType::Text, &json!({"status": "alive"}), None), "alive\n");
        assert_eq!(render(MediaType::Json, &json!({"status": "alive"}), None), r#"{"status":"alive"}"#);
    }

    #[test]
    fn draft_leaves_skipped_checks_out_and_says_what_is_wrong() {
        let failing = json!({
            "status": "fail", "time": "t", "observedValue": 1.5, "observedUnit": "ms", "output": "is <b>\nbroken",
        });
        let expected = json!({
            "status": "warn",
            "output": "reduced",
            "notes": ["more"],
            "checks": {"a": [failing], "b": [{"status": "pass", "time": "t"}]},
        });
        let written = render(MediaType::HealthJson, &report(), Some("checks"));
        assert_eq!(serde_json::from_str::<Value>(&written).ok(), Some(expected));
    }

    #[test]
    fn page_escapes_what_others_wrote() {
        let page = render(MediaType::Html, &report(), Some("checks"));
        assert!(page.contains("is &lt;b&gt;"), "{page}");
        assert!(!page.contains("is <b>"));
    }
}
