//! Removes secrets from what a command wrote: those that are known, and what looks like one.

use super::forms::{self, MASK};

/// Shorter ones that the command was given would be found in every second word.
const SHORTEST: usize = 6;
/// What stands after such a word and `=` or `:`, or after an option with it, is a secret.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "signature",
    "cookie",
    "session",
    "bearer",
];
/// Keys that are known by their looks, and how long they are at least.
const KEYS: [(&str, usize); 21] = [
    ("sk-", 16),
    ("sk_", 16),
    ("pk-", 16),
    ("pk_", 16),
    ("rk-", 16),
    ("rk_", 16),
    ("AIza", 30),
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxa-", 15),
    ("xoxb-", 15),
    ("xoxp-", 15),
    ("whsec_", 22),
    ("eyJ", 20),
];

/// The text without the `secrets` in whatever form, and without what looks like one: private keys, the values of what is
/// named as a secret, credentials and queries of URLs, keys of well-known services.
pub fn redact<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let secrets: Vec<_> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
    let text = private_keys(&forms::mask(text, &secrets));
    text.split_inclusive('\n').map(|line| named(&keys(&urls(line)))).collect()
}

/// The arguments that are named as secrets, `--password=value` and `--token value`, and those with such a text in them.
pub fn secret_arguments<'a>(argv: &[&'a str]) -> Vec<&'a str> {
    let is_named = |argument: &str| NAMES.iter().any(|name| argument.to_ascii_lowercase().contains(name));
    let behind = argv.iter().filter_map(|argument| argument.split_once(['=', ':'])).filter(|(name, _)| is_named(name));
    let next = argv
        .iter()
        .zip(argv.iter().skip(1))
        .filter(|(flag, _)| flag.starts_with('-') && !flag.contains('=') && is_named(flag));
    behind.map(|(_, value)| value.trim_start()).chain(next.map(|(_, value)| *value)).collect()
}

/// The text without private keys in PEM; one without an end extends to that of the text.
fn private_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, key)) = rest.split_once("-----BEGIN ") {
        out += before;
        let is_public = key.split_once("-----").is_some_and(|(label, _)| !label.contains("PRIVATE"));
        if is_public {
            out += "-----BEGIN ";
            rest = key;
            continue;
        }
        out += MASK;
        rest = key.split_once("-----END ").and_then(|(_, end)| end.split_once("-----")).map_or("", |(_, after)| after);
    }
    out + rest
}

/// A line without the credentials and the queries of its URLs.
fn urls(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        out += before;
        out += "://";
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        // Up to the last '@', since a password may hold one that was not encoded.
        let address = match url.rsplit_once('@') {
            Some((_, host)) => format!("{MASK}@{host}"),
            None => url.to_owned(),
        };
        match address.split_once('?') {
            Some((path, _)) => out += &format!("{path}?{MASK}"),
            None => out += &address,
        }
        rest = behind;
    }
    out + rest
}

/// A line without keys that are known by their looks.
fn keys(line: &str) -> String {
    let is_inside = |c: char| c.is_alphanumeric() || "_-.+/".contains(c);
    let is_key = |word: &str| KEYS.iter().any(|(start, length)| word.starts_with(start) && word.len() >= *length);
    line.split_inclusive(|c| !is_inside(c))
        .map(|piece| {
            let word = piece.trim_end_matches(|c| !is_inside(c));
            let behind = piece.strip_prefix(word).unwrap_or_default();
            if is_key(word) { format!("{MASK}{behind}") } else { piece.to_owned() }
        })
        .collect()
}

/// A line without the values that stand behind the name of a secret: all that follows, since a value may hold anything.
fn named(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let value = NAMES.iter().filter_map(|name| {
        let ends = lower.match_indices(name).map(|(at, name)| at + name.len());
        ends.filter_map(|end| value_behind(&lower, end)).min()
    });
    match value.min().and_then(|value| line.get(..value)) {
        Some(shown) => {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            format!("{shown}{MASK}{end}")
        }
        None => line.to_owned(),
    }
}

/// Where the value starts whose name ends there.
fn value_behind(line: &str, name_end: usize) -> Option<usize> {
    let (before, after) = line.split_at_checked(name_end)?;
    let separator = after.trim_start_matches(|c: char| c.is_alphanumeric() || "_-\"'\\ ".contains(c));
    if separator.starts_with([':', '=']) {
        return Some(line.len() - separator.len() + 1);
    }
    // An option, or the kind of a credential: `--api-key x`, `Bearer x`.
    let word = before.rsplit(|c: char| c.is_whitespace() || "\"'(".contains(c)).next()?;
    let gap = after.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c))?;
    let takes_next = word.starts_with('-') || word == "bearer";
    let width = after.get(gap..)?.chars().next()?.len_utf8();
    (takes_next && !after.get(gap..)?.trim().is_empty()).then_some(name_end + gap + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redact_each_form() {
        for (text, expected) in [
            ("nothing to hide: 5 of 7\n", "nothing to hide: 5 of 7\n"),
            ("the given-secret-1 is here", "the *** is here"),
            ("redis://u:p@ss@h:1/0 and http://h/ok", "redis://***@h:1/0 and http://h/ok"),
            ("http://a/ http://u:p@b/", "http://a/ http://***@b/"),
            ("PASSWORD=x y\nfine", "PASSWORD=***\nfine"),
            ("{\"api_key\": \"x\"}\n", "{\"api_key\":***\n"),
            ("Authorization: Bearer x", "Authorization:***"),
            ("the token has expired", "the token has expired"),
            ("token token: x", "token token:***"),
            ("PING OK - inside=3 rta=0.5ms", "PING OK - inside=3 rta=0.5ms"),
            ("Cookie: a=b; c=d", "Cookie:***"),
            ("curl -H \"X-Api-Key: x\" http://h/", "curl -H \"X-Api-Key:***"),
            ("run --api-key x y", "run --api-key ***"),
            ("got 'Bearer abc'", "got 'Bearer ***"),
            ("https://h/p?sig=x&y=z and more", "https://h/p?*** and more"),
            ("found sk-0123456789abcdef, AKIA0123456789ABCDEF", "found ***, ***"),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
            ("a\n-----BEGIN PRIVATE KEY-----\nx\ny", "a\n***"),
            ("-----BEGIN CERTIFICATE-----\nx", "-----BEGIN CERTIFICATE-----\nx"),
            ("ünïcode passwd : x", "ünïcode passwd :***"),
        ] {
            assert_eq!(redact(text, ["given-secret-1", "h"].into_iter()), expected);
        }
    }

    #[test]
    fn secret_arguments_by_their_names() {
        let argv =
            ["check", "--password=hunter2", "--api-token", "hunter3", "--path", "/tmp", "-p", "x", "X-Key: hunter4"];
        assert_eq!(secret_arguments(&argv), ["hunter2", "hunter4", "hunter3"]);
    }
}
