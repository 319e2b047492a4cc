//! Removes secrets from what a command wrote: those that it was given, and what looks like one.

const MASK: &str = "***";
/// Shorter ones would be found in every second word.
const SHORTEST: usize = 6;
/// What stands after such a word and `=` or `:` is a secret.
const NAMES: [&str; 10] =
    ["password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "apikey", "authorization", "credential"];

/// The text with a mask in place of each of the `secrets`, of credentials in URLs, and of values named as secrets.
pub fn redact(text: &str, secrets: &[&str]) -> String {
    let mut given: Vec<_> = secrets.iter().filter(|secret| secret.len() >= SHORTEST).collect();
    // A secret may be a part of another.
    given.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = given.into_iter().fold(text.to_owned(), |text, secret| text.replace(*secret, MASK));
    text.split_inclusive('\n').map(|line| named(&user_info(line))).collect()
}

/// The arguments that are named as secrets: `--password=value`, `--token value`.
pub fn secret_arguments<'a>(argv: &[&'a str]) -> Vec<&'a str> {
    let is_named = |argument: &str| NAMES.iter().any(|name| argument.to_ascii_lowercase().contains(name));
    let behind = argv.iter().filter_map(|argument| argument.split_once('=')).filter(|(name, _)| is_named(name));
    let next = argv
        .iter()
        .zip(argv.iter().skip(1))
        .filter(|(flag, _)| flag.starts_with('-') && !flag.contains('=') && is_named(flag));
    behind.map(|(_, value)| value).chain(next.map(|(_, value)| *value)).collect()
}

/// A line without the credentials of its URLs.
fn user_info(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        out += before;
        out += "://";
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        // Up to the last '@', since a password may hold one that was not encoded.
        rest = match url.rsplit_once('@') {
            Some((_, host)) => {
                out += MASK;
                out.push('@');
                out += host;
                behind
            }
            None => after,
        };
    }
    out + rest
}

/// A line without the values that stand behind the name of a secret: all that follows, since a value may hold anything.
fn named(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let value = NAMES.iter().filter_map(|name| {
        let mut from = 0;
        loop {
            let end = from + lower.get(from..)?.find(name)? + name.len();
            let separator = lower.get(end..)?.trim_start_matches(|c: char| c.is_alphanumeric() || "_-\"' ".contains(c));
            if separator.starts_with([':', '=']) {
                return Some(lower.len() - separator.len() + 1);
            }
            from = end;
        }
    });
    match value.min().and_then(|value| line.get(..value)) {
        Some(shown) => {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            format!("{shown}{MASK}{end}")
        }
        None => line.to_owned(),
    }
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
            ("ünïcode passwd : x", "ünïcode passwd :***"),
        ] {
            assert_eq!(redact(text, &["given-secret-1", "h"]), expected);
        }
    }

    #[test]
    fn secret_arguments_by_their_names() {
        let argv = ["check", "--password=hunter2", "--api-token", "hunter3", "--path", "/tmp", "-p", "x"];
        assert_eq!(secret_arguments(&argv), ["hunter2", "hunter3"]);
    }
}
