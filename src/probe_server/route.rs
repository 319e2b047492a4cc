//! Which probe a path means.

/// What can be requested of a probe server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<'a> {
    Alive,
    Ready,
    Startup,
    Health,
    /// One check, by its name.
    Check(&'a str),
    Metrics,
}

/// The probe of a path, which may end in a slash.
pub fn route(path: &str) -> Option<Probe<'_>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "/alive" => Some(Probe::Alive),
        "/ready" => Some(Probe::Ready),
        "/startup" => Some(Probe::Startup),
        "/health" => Some(Probe::Health),
        "/metrics" => Some(Probe::Metrics),
        _ => {
            let name = path.strip_prefix("/health/")?;
            (!name.is_empty() && !name.contains('/')).then_some(Probe::Check(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_probe_has_a_path_with_and_without_a_slash_at_its_end() {
        let table = [
            ("/alive", Some(Probe::Alive)),
            ("/alive/", Some(Probe::Alive)),
            ("/ready", Some(Probe::Ready)),
            ("/startup/", Some(Probe::Startup)),
            ("/health", Some(Probe::Health)),
            ("/health/", Some(Probe::Health)),
            ("/metrics/", Some(Probe::Metrics)),
            ("/health/disk", Some(Probe::Check("disk"))),
            ("/health/disk/", Some(Probe::Check("disk"))),
            ("/health//", None),
            ("/health/disk/x", None),
            ("/alive//", None),
            ("/alivex", None),
            ("/", None),
            ("", None),
            ("*", None),
        ];
        for (path, expected) in table {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
