//! Statements without what they hold: texts, numbers and comments may be secrets.

const LENGTH: usize = 200;

/// The statement with `?` for every literal, without comments, on one line, cut to a readable length.
pub fn scrub(sql: &str) -> String {
    let mut text = SqlScanner { rest: sql, out: String::with_capacity(sql.len().min(LENGTH)) };
    while text.step() {}
    let out = text.out.trim();
    match out.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", out.get(..end).unwrap_or_default()),
        None => out.to_owned(),
    }
}

struct SqlScanner<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> SqlScanner<'a> {
    /// Moves over the next token; false at the end.
    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("--") {
            self.take_while(|c| c != '\n');
            self.space();
        } else if self.rest.starts_with("/*") {
            self.comment();
            self.space();
        } else if next.is_whitespace() {
            self.take_while(char::is_whitespace);
            self.space();
        } else if next == '\'' {
            self.quoted(false);
        } else if next == '"' {
            let end =
                self.rest.char_indices().skip(1).find(|(_, c)| *c == '"').map_or(self.rest.len(), |(at, _)| at + 1);
            let name = self.take(end);
            self.out.push_str(name);
        } else if next == '$' {
            self.dollar();
        } else if next.is_ascii_digit() {
            self.take_while(|c| c.is_alphanumeric() || c == '.' || c == '_');
            self.out.push('?');
        } else if next.is_alphabetic() || next == '_' {
            let word = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
            if self.rest.starts_with('\'') {
                // E'...', B'...', X'...', N'...', U&'...' and typed literals such as DATE'...'.
                self.quoted(word.eq_ignore_ascii_case("e"));
            } else {
                self.out.push_str(word);
            }
        } else {
            let sign = self.take(next.len_utf8());
            self.out.push_str(sign);
        }
        true
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !matches(c)).unwrap_or(self.rest.len()))
    }

    fn space(&mut self) {
        if !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    /// A quoted text; one that does not end reaches to the end.
    fn quoted(&mut self, backslashes: bool) {
        let mut characters = self.rest.char_indices().skip(1).peekable();
        let mut end = self.rest.len();
        while let Some((at, character)) = characters.next() {
            if character == '\\' && backslashes
                || character == '\'' && characters.next_if(|(_, c)| *c == '\'').is_some()
            {
                if character == '\\' {
                    characters.next();
                }
            } else if character == '\'' {
                end = at + 1;
                break;
            }
        }
        self.take(end);
        self.out.push('?');
    }

    /// `$1` stays, `$tag$...$tag$` is a text.
    fn dollar(&mut self) {
        let (_, after) = self.rest.split_at_checked(1).unwrap_or_default();
        let tag = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
        if after.starts_with(|c: char| c.is_ascii_digit())
            || !after.get(tag..).is_some_and(|rest| rest.starts_with('$'))
        {
            let parameter = self.take(1 + tag);
            self.out.push_str(parameter);
            return;
        }
        let delimiter = self.take(tag + 2);
        let length = self.rest.find(delimiter).map_or(self.rest.len(), |at| at + delimiter.len());
        self.take(length);
        self.out.push('?');
    }

    /// A comment, in which others may be nested.
    fn comment(&mut self) {
        let mut depth = 0_u32;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(self.rest.chars().next().map_or(1, char::len_utf8));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_shape_and_drops_the_values() {
        let cases = [
            ("SELECT a1 FROM t2 WHERE b = $1", "SELECT a1 FROM t2 WHERE b = $1"),
            ("ALTER ROLE me PASSWORD 'hun''ter2'", "ALTER ROLE me PASSWORD ?"),
            (r"SET x = E'it\'s hidden' -- hidden", "SET x = ?"),
            (r"SELECT 'C:\', 'hidden'", "SELECT ?, ?"),
            ("SELECT 'not ended hidden", "SELECT ?"),
            ("DO $$ hidden $$", "DO ?"),
            ("DO $tag$ hid$$den $tag$ LANGUAGE x", "DO ? LANGUAGE x"),
            ("DO $tag$ hidden", "DO ?"),
            ("SELECT /* hidden /* nested */ hidden */ 1.5e3, -42", "SELECT ?, -?"),
            ("SELECT /* hidden", "SELECT"),
            ("SELECT\n\t  \"Col 1\"", "SELECT \"Col 1\""),
            ("SELECT \"open", "SELECT \"open"),
            ("x = U&'hidden' AND d > DATE'2020-01-01'", "x = U&? AND d > ?"),
            ("<insufficient privilege>", "<insufficient privilege>"),
            ("äö 'ß' $ä", "äö ? $ä"),
            ("", ""),
        ];
        for (sql, expected) in cases {
            assert_eq!(scrub(sql), expected, "{sql}");
        }
    }

    #[test]
    fn cuts_long_statements() {
        let long = scrub(&"ä, ".repeat(2000));
        assert_eq!(long.chars().count(), LENGTH + 1);
    }

    proptest::proptest! {
        #[test]
        fn never_shows_a_literal(sql in "[a-zE'\"$\\\\/* -]{0,40}") {
            // Whatever stands before, a text that starts cleanly is hidden.
            scrub(&sql);
            let shown = scrub(&format!("SELECT 'HIDDEN', {sql}"));
            proptest::prop_assert!(!shown.contains("HIDDEN"));
        }
    }
}
