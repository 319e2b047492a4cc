//! A group of checks with a criticality of its own, by which a worker is judged differently from a web process.

use crate::model::{SpecError, valid_name};

/// The characters with which a pattern means many names; no name has them.
const WILDCARDS: [char; 2] = ['*', '?'];

/// Which checks belong to a group, and which of them are critical there: names, or patterns with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    checks: Vec<String>,
    /// `None`: those that are critical by themselves.
    critical: Option<Vec<String>>,
}

impl Group {
    /// A group; an error names what is wrong with it.
    pub fn new(name: &str, checks: Vec<String>, critical: Option<Vec<String>>) -> Result<Self, SpecError> {
        let wrong = |text: String| Err(SpecError(format!("group {name:?}: {text}")));
        valid_name(name)?;
        if checks.is_empty() {
            return wrong("checks must name at least one check".to_owned());
        }
        for (key, patterns) in [("checks", Some(&checks)), ("critical", critical.as_ref())] {
            for pattern in patterns.into_iter().flatten() {
                if valid_name(&pattern.replace(WILDCARDS, "x")).is_err() {
                    return wrong(format!(
                        "{key} has {pattern:?}, which is neither a name nor a pattern with '*' or '?'"
                    ));
                }
            }
        }
        let is_outside = |name: &&String| !name.contains(WILDCARDS) && !any_matches(&checks, name);
        if let Some(outside) = critical.iter().flatten().find(is_outside) {
            return wrong(format!("critical has {outside:?}, which is none of its checks"));
        }
        Ok(Self { name: name.to_owned(), checks, critical })
    }

    /// Whether it names critical checks, and none of these is one: with nothing that can make it unhealthy it would pass
    /// for ready for ever. A group of which nothing is to be critical says so by an empty list.
    pub fn lacks_critical<'a>(&self, checks: impl IntoIterator<Item = &'a str>) -> bool {
        let names_some = self.critical.as_ref().is_some_and(|critical| !critical.is_empty());
        names_some && !checks.into_iter().any(|check| self.is_critical(check, false))
    }

    /// Whether a check belongs to it.
    pub fn includes(&self, check: &str) -> bool {
        any_matches(&self.checks, check)
    }

    /// Whether a check is critical here, if `by_itself` says whether it is elsewhere.
    pub fn is_critical(&self, check: &str, by_itself: bool) -> bool {
        let is_critical = self.critical.as_ref().map_or(by_itself, |critical| any_matches(critical, check));
        is_critical && self.includes(check)
    }
}

/// Whether any of the patterns means a name.
pub fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
}

/// Whether a pattern means a name. In linear space, and in time of the product of both lengths: after a mismatch only
/// the last `*` takes one more character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut in_pattern, mut in_name) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(character) = name.get(in_name) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                last_star = Some((in_pattern, in_name));
                in_pattern += 1;
            }
            Some(expected) if *expected == b'?' || expected == character => {
                in_pattern += 1;
                in_name += 1;
            }
            _ => match last_star.as_mut() {
                Some((star, taken)) => {
                    *taken += 1;
                    in_pattern = *star + 1;
                    in_name = *taken;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(in_pattern).all(|rest| *rest == b'*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn patterns_match_whole_names() {
        let table = [
            ("disk_space", "disk_space", true),
            ("disk_space", "disk_spac", false),
            ("disk", "disk_space", false),
            ("*", "x", true),
            ("database_*", "database_connectivity", true),
            ("database_*", "database_", true),
            ("database_*", "my_database_x", false),
            ("*_cache", "default_cache", true),
            ("*_cache", "default_cache_2", false),
            ("*a*b*c", "xaxbxbxc", true),
            ("*a*b*c", "xaxcxb", false),
            ("**", "", true),
            ("?", "", false),
            ("cache_?", "cache_1", true),
            ("cache_?", "cache_10", false),
            ("?*", "ab", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_check_is_critical_as_the_group_says_or_by_itself() {
        let own = Group::new("worker", strings(&["task_*", "x"]), Some(strings(&["*_queue"]))).unwrap();
        let none = Group::new("web", strings(&["task_*"]), None).unwrap();
        let empty = Group::new("batch", strings(&["*"]), Some(Vec::new())).unwrap();
        let table = [
            (&own, "task_queue", false, true),
            (&own, "x", true, false),
            (&own, "other_queue", true, false),
            (&none, "task_queue", true, true),
            (&none, "task_queue", false, false),
            (&none, "x", true, false),
            (&empty, "x", true, false),
        ];
        for (group, check, by_itself, expected) in table {
            assert_eq!(group.is_critical(check, by_itself), expected, "{} {check}", group.name);
        }
    }

    #[test]
    fn group_whose_critical_checks_are_all_missing_lacks_them() {
        let group = |critical: Option<&[&str]>| Group::new("g", strings(&["a", "b"]), critical.map(strings)).unwrap();
        let lacks = |critical, checks: &[&str]| group(critical).lacks_critical(checks.iter().copied());
        assert!(lacks(Some(&["a"]), &["b"]) && lacks(Some(&["a"]), &[]));
        assert!(!lacks(Some(&["a"]), &["a", "b"]) && !lacks(Some(&["a", "b"]), &["b"]));
        assert!(!lacks(Some(&[]), &["b"]) && !lacks(None, &["b"]));
    }

    #[test]
    fn a_wrong_group_is_refused() {
        let table: [(&str, &[&str], &[&str], &str); 5] = [
            ("a b", &["x"], &[], "the name \"a b\" must be"),
            ("g", &[], &[], "group \"g\": checks must name at least one check"),
            ("g", &["a/b"], &[], "checks has \"a/b\""),
            ("g", &["x"], &["?", ""], "critical has \"\""),
            ("g", &["x*"], &["y"], "critical has \"y\", which is none of its checks"),
        ];
        for (name, checks, critical, expected) in table {
            let error = Group::new(name, strings(checks), Some(strings(critical))).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
