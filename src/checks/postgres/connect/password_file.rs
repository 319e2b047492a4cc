//! libpq's password file: the line for a host, port, database and user.

use std::fs;
use std::path::Path;

use crate::model::Secret;

/// What is known of a login's password.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Password {
    Found(Secret),
    #[default]
    Missing,
    /// The password file is ignored, as by libpq, since others may read it: the likely reason of a refused login.
    Exposed,
}

/// Looks up the password of a login. Blocks on the file.
pub fn find(path: &Path, login: [&str; 4]) -> Password {
    let Ok(metadata) = fs::metadata(path) else { return Password::Missing };
    if !metadata.is_file() {
        return Password::Missing;
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Password::Exposed;
    }
    let bytes = fs::read(path).unwrap_or_default();
    search(&String::from_utf8_lossy(&bytes), login).map_or(Password::Missing, Password::Found)
}

fn search(text: &str, login: [&str; 4]) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let rest = login.iter().try_fold(line, |rest, wanted| matched(rest, wanted))?;
        Some(Secret::new(unescaped(rest)))
    })
}

/// What follows the first field of `line`, if that field is `*` or `wanted`.
fn matched<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut characters = line.chars();
    loop {
        let character = match characters.next()? {
            ':' => return wanted.next().is_none().then_some(characters.as_str()),
            '\\' => characters.next()?,
            other => other,
        };
        if wanted.next() != Some(character) {
            return None;
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut result = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        result.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn search_returns_first_matching_line() {
        let text = "# db:5432:app:me:comment\n\nother:5432:app:me:no\ndb:5432:*:me:first\n*:*:*:*:last\n";
        let cases = [
            (["db", "5432", "app", "me"], Some("first")),
            (["db", "5433", "app", "me"], Some("last")),
            (["db", "5432", "app", "you"], Some("last")),
        ];
        for (login, expected) in cases {
            assert_eq!(search(text, login).as_ref().map(Secret::expose), expected, "{login:?}");
        }
    }

    #[test]
    fn search_honours_escapes_and_colons() {
        let cases = [
            (r"::1:5432:app:me:no", None),
            (r"\:\:1:5432:app:me:yes", Some("yes")),
            (r"\:\:1:5432:app:me:a\:b\\c:d", Some(r"a:b\c:d")),
            (r"\:\:1:5432:app:me", None),
            (r"\:\:1:5432:app:me:", Some("")),
            ("::1", None),
            ("\\", None),
        ];
        for (line, expected) in cases {
            let found = search(line, ["::1", "5432", "app", "me"]);
            assert_eq!(found.as_ref().map(Secret::expose), expected, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn find_ignores_file_that_others_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("lifesigns-passfile-{}", std::process::id()));
        fs::write(&path, "*:*:*:*:hidden\n").unwrap();
        let login = ["db", "5432", "app", "me"];
        for (mode, expected) in [(0o600, Password::Found(Secret::new("hidden"))), (0o640, Password::Exposed)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(find(&path, login), expected);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(find(&path, login), Password::Missing);
    }
}
