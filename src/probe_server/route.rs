//! Which probe a path means.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What can be requested of a probe server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe<'a> {
    Alive,
    Ready,
    Startup,
    Health,
    /// One check, by its name.
    Check(Cow<'a, str>),
    /// The checks of a group, by its name.
    Group(Cow<'a, str>),
    Metrics,
}

/// The probe of a path, which may end in a slash: by its own name, or by that of Kubernetes' components.
pub fn route(path: &str) -> Option<Probe<'_>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "/alive" | "/livez" => Some(Probe::Alive),
        "/ready" | "/readyz" => Some(Probe::Ready),
        "/startup" => Some(Probe::Startup),
        "/health" | "/healthz" => Some(Probe::Health),
        "/metrics" => Some(Probe::Metrics),
        _ => {
            let (kind, name) = path.strip_prefix('/')?.split_once('/')?;
            // As Django's URLs have them, which a name of a check cannot take: it would have a slash.
            let (kind, name) = match (kind, name.strip_prefix("group/")) {
                ("health" | "healthz", Some(group)) => ("group", group),
                _ => (kind, name),
            };
            let name = percent_decode_str(name).decode_utf8().ok()?;
            match kind {
                _ if name.is_empty() || name.contains('/') => None,
                "health" => Some(Probe::Check(name)),
                "group" => Some(Probe::Group(name)),
                _ => None,
            }
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
            ("/livez", Some(Probe::Alive)),
            ("/readyz/", Some(Probe::Ready)),
            ("/healthz", Some(Probe::Health)),
            ("/health/disk", Some(Probe::Check("disk".into()))),
            ("/health/disk/", Some(Probe::Check("disk".into()))),
            ("/health/caf%C3%A9", Some(Probe::Check("café".into()))),
            ("/health/caf%E9", None),
            ("/health/a%2Fb", None),
            ("/health/group", Some(Probe::Check("group".into()))),
            ("/group/worker", Some(Probe::Group("worker".into()))),
            ("/group/worker/", Some(Probe::Group("worker".into()))),
            ("/group/dashboard", Some(Probe::Group("dashboard".into()))),
            ("/group", None),
            ("/group//", None),
            ("/group/worker/x", None),
            ("/health/group/worker", Some(Probe::Group("worker".into()))),
            ("/health/group/worker/", Some(Probe::Group("worker".into()))),
            ("/healthz/group/caf%C3%A9", Some(Probe::Group("café".into()))),
            ("/healthz/worker", None),
            ("/healthz/group", None),
            ("/health/group//", None),
            ("/health/group/worker/x", None),
            ("/health/health/group/x", None),
            ("/group/group/x", None),
            ("/other/x", None),
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
