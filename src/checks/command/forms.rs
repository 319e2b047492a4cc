//! The forms in which a known secret may stand in a text: as it is, escaped by JSON, URLs or HTML, in base64.
//!
//! `secret_forms.py` does the same for what Python code says.

use crate::model::largest_first;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub const MASK: &str = "***";

/// Shorter pieces of base64 are found by chance.
const SHORTEST_BASE64: usize = 8;

/// The text without these secrets, in whatever form. In base64 they may be a part, as in `user:password`.
pub fn mask(text: &str, secrets: &[&str]) -> String {
    let mut longest_first = secrets.to_vec();
    // A secret may be a part of another.
    largest_first(&mut longest_first, |secret| secret.len() as u64);
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut previous) = (text, None);
    while let Some(character) = rest.chars().next() {
        let found = longest_first.iter().find_map(|secret| behind(rest, secret, previous));
        let next = match found {
            Some(behind) => {
                out += MASK;
                behind
            }
            None => {
                out.push(character);
                rest.get(character.len_utf8()..).unwrap_or_default()
            }
        };
        previous = rest.strip_suffix(next).and_then(|passed| passed.chars().next_back());
        rest = next;
    }
    mask_base64(&out, secrets)
}

/// What follows the secret at the start of the text.
fn behind<'a>(text: &'a str, secret: &str, previous: Option<char>) -> Option<&'a str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    // As it is first: it may hold what looks like an escape.
    let rest = text.strip_prefix(secret).or_else(|| behind_escaped(text, secret))?;
    // Letters alone may be a part of another word.
    let is_part = || previous.is_some_and(is_word) || rest.starts_with(is_word);
    (rest.len() < text.len() && !(secret.chars().all(char::is_alphabetic) && is_part())).then_some(rest)
}

fn behind_escaped<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    let mut rest = text;
    let mut characters = secret.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' {
            let mut count = 1;
            while characters.next_if_eq(&'\\').is_some() {
                count += 1;
            }
            rest = backslashes(rest, count)?;
        } else {
            rest = one(rest, character)?;
        }
    }
    Some(rest)
}

/// What follows that many backslashes, which escapes double each time.
fn backslashes(text: &str, count: usize) -> Option<&str> {
    let there = text.chars().take(8 * count).take_while(|character| *character == '\\').count();
    if there >= count { text.get(there..) } else { (0..count).try_fold(text, |rest, _| encoded(rest, '\\')) }
}

/// What follows a character, as it is or escaped.
fn one(text: &str, character: char) -> Option<&str> {
    if character.is_ascii_alphanumeric() {
        return text.strip_prefix(character);
    }
    let escape = text.trim_start_matches('\\');
    let short = match character {
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    // Its codes first: that of `&` starts with it.
    encoded(text, character)
        .or_else(|| escape.strip_prefix(character))
        .or_else(|| escape.strip_prefix(short?).filter(|_| escape.len() < text.len()))
}

/// What follows a character that is written as numbers: by JSON, Python, URLs, HTML.
fn encoded(text: &str, character: char) -> Option<&str> {
    let (mut units, mut bytes) = ([0; 2], [0; 4]);
    let units: Vec<_> = character.encode_utf16(&mut units).iter().map(|unit| format!("{unit:04x}")).collect();
    let bytes: Vec<_> = character.encode_utf8(&mut bytes).bytes().map(|byte| format!("{byte:02x}")).collect();
    // Each of these: the length of what leads a code.
    let after_slashes = |text: &'static str| {
        move |rest: &str| -> usize {
            let escape = rest.trim_start_matches('\\');
            if escape.len() < rest.len() && escape.starts_with(text) {
                rest.len() - escape.len() + text.len()
            } else {
                0
            }
        }
    };
    let sequence = |lead: &dyn Fn(&str) -> usize, codes: &[String]| {
        codes.iter().try_fold(text, |rest, code| match lead(rest) {
            0 => None,
            length => without(rest.get(length..)?, code),
        })
    };
    // Twice, too: a URL in the query of another one.
    let percent = |rest: &str| rest.strip_prefix('%').map_or(0, |hex| rest.len() - hex.trim_start_matches("25").len());
    sequence(&after_slashes("u"), &units)
        .or_else(|| sequence(&after_slashes("x"), &bytes))
        .or_else(|| sequence(&|rest| usize::from(rest.starts_with('%')), &bytes))
        .or_else(|| sequence(&percent, &bytes))
        .or_else(|| text.strip_prefix('+').filter(|_| character == ' '))
        .or_else(|| entity(text, character))
}

fn entity(text: &str, character: char) -> Option<&str> {
    let text = text.strip_prefix('&')?;
    let name = match character {
        '&' => "amp",
        '<' => "lt",
        '>' => "gt",
        '"' => "quot",
        '\'' => "apos",
        _ => "",
    };
    let zeros = |text: &'_ str| text.len() - text.trim_start_matches('0').len();
    let rest = if let Some(number) = without(text, "#x") {
        without(number.get(zeros(number)..)?, &format!("{:x}", u32::from(character)))
    } else if let Some(number) = text.strip_prefix('#') {
        without(number.get(zeros(number)..)?, &u32::from(character).to_string())
    } else {
        text.strip_prefix(name).filter(|_| !name.is_empty())
    };
    rest?.strip_prefix(';')
}

/// What follows this, in capitals or not.
fn without<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_at_checked(start.len()).filter(|(there, _)| there.eq_ignore_ascii_case(start)).map(|(_, rest)| rest)
}

/// The text without the words in base64 that hold one of the secrets.
fn mask_base64(text: &str, secrets: &[&str]) -> String {
    let pieces: Vec<_> = secrets.iter().flat_map(|secret| pieces(secret)).collect();
    let is_base64 = |character: char| character.is_ascii_alphanumeric() || "+/-_=".contains(character);
    let mask = |word: &str| {
        let standard = word.replace('-', "+").replace('_', "/");
        pieces.iter().any(|piece| standard.contains(piece.as_str()))
    };
    text.split_inclusive(|character| !is_base64(character))
        .map(|word| {
            let separator = word.chars().next_back().filter(|last| !is_base64(*last));
            if mask(word) {
                format!("{MASK}{}", separator.map(String::from).unwrap_or_default())
            } else {
                word.to_owned()
            }
        })
        .collect()
}

/// What is the same in base64 whatever stands before and after a secret.
fn pieces(secret: &str) -> impl Iterator<Item = String> {
    (0..3).filter_map(move |offset: usize| {
        let bytes = [vec![0; offset], secret.as_bytes().to_vec()].concat();
        // The first characters have bits of what stands before, the last one of what stands behind.
        let (start, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
        let piece = STANDARD.encode(&bytes).get(start..end)?.to_owned();
        (piece.len() >= SHORTEST_BASE64).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "s3cr3t-o\"d\\d&é/<h8k2";

    #[test]
    fn mask_each_form() {
        for form in [
            ODD,
            r#"s3cr3t-o\"d\\d&é/<h8k2"#,
            r#"s3cr3t-o\"d\\d\u0026\u00e9\/\u003Ch8k2"#,
            r#"s3cr3t-o\\\"d\\\\d&\\u00e9/<h8k2"#,
            r#"s3cr3t-o"d\\d&\xc3\xa9/<h8k2"#,
            "s3cr3t-o%22d%5Cd%26%c3%a9%2F%3Ch8k2",
            "s3cr3t-o%2522d%255Cd%2526%25c3%25a9%252F%253Ch8k2",
            "s3cr3t-o&quot;d\\d&amp;é/&lt;h8k2",
            "s3cr3t-o&#34;d&#x5C;d&#038;é/&#60;h8k2",
        ] {
            assert_eq!(mask(&format!("is {form}."), &[ODD]), "is ***.", "{form}");
        }
        for plain in [ODD.to_owned(), format!("someone:{ODD}"), format!("\0a\0{ODD}!")] {
            let encoded = STANDARD.encode(plain);
            assert_eq!(mask(&format!("Basic {encoded} x"), &[ODD]), "Basic *** x");
            let url_safe = encoded.replace('+', "-").replace('/', "_");
            assert_eq!(mask(&url_safe, &[ODD]), "***");
        }
    }

    #[test]
    fn mask_letters_as_whole_words_only() {
        assert_eq!(mask("somewhere where nowhere where", &["where"]), "somewhere *** nowhere ***");
        assert_eq!(mask("aw0rdb w0r", &["w0rd", "w0rdb"]), "a*** w0r");
        assert_eq!(mask("a b\nc", &["b\nc"]), "a ***");
        assert_eq!(mask("&amp;x %25x", &["&amp;x", "%25x"]), "*** ***");
        assert_eq!(mask("any", &["", "\\"]), "any");
    }
}
