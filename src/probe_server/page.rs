//! A response as a page for people, in English, which needs no script and no other file.

use std::fmt::Write;
use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

/// In the colours of the Django package's pages, of which `palette.css` is a copy.
const STYLE: &str = concat!(
    include_str!("palette.css"),
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;",
    "padding:0 1rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;",
    "border-bottom:1px solid var(--lifesigns-line);vertical-align:top}td:nth-child(3){text-align:right}",
    "pre{overflow:auto;max-height:30rem}",
    "b{padding:0 .4rem;border-radius:.3rem;color:var(--lifesigns-on);background:var(--lifesigns-error)}",
    ".healthy,.alive,.ready,.started{background:var(--lifesigns-healthy)}",
    ".degraded,.starting,.draining{background:var(--lifesigns-degraded)}.skipped{background:var(--lifesigns-skipped)}"
);

/// The text under a key; empty where there is none.
pub fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The `Content-Security-Policy` of the page: its own style, and nothing else.
pub fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    })
}

/// The whole page; `results` are those in the body, under the key `results_key`.
pub fn render(body: &Map<String, Value>, results: &Map<String, Value>, results_key: Option<&str>) -> String {
    let (status, message, hint) = (text(body, "status"), text(body, "message"), text(body, "hint"));
    let status = Escaped(status);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status}: health</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n\
         <body><h1><b class=\"{status}\">{status}</b> {}</h1>\n",
        Escaped(message)
    );
    if !hint.is_empty() {
        page += &format!("<p>{}</p>\n", Escaped(hint));
    }
    if !results.is_empty() {
        page += "<table><thead><tr><th>Check<th>Status<th>ms<th>Message</tr></thead>\n<tbody>";
        for (name, result) in results.iter().filter_map(|(name, result)| Some((name, result.as_object()?))) {
            page += &row(name, result);
        }
        page += "</tbody></table>\n";
    }
    let is_shown = |key: &str| ["status", "message", "hint"].contains(&key) || results_key == Some(key);
    let rest: Map<String, Value> =
        body.iter().filter(|(key, _)| !is_shown(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    if !rest.is_empty() {
        let rest = serde_json::to_string_pretty(&rest).unwrap_or_default();
        page += &format!("<pre>{}</pre>\n", Escaped(&rest));
    }
    page + "</body></html>\n"
}

fn row(name: &str, result: &Map<String, Value>) -> String {
    let status = Escaped(text(result, "status"));
    let duration = result.get("duration_ms").map(Value::to_string).unwrap_or_default();
    let message = Escaped(text(result, "message"));
    format!("<tr><td>{}<td><b class=\"{status}\">{status}</b><td>{duration}<td>{message}</tr>\n", Escaped(name))
}

/// A text in HTML, also within the quotes of an attribute.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#x27;")?,
                _ => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}
