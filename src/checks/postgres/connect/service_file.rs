//! libpq's service file: named groups of connection parameters.

use std::collections::HashMap;
use std::path::PathBuf;

use super::environment::Environment;
use crate::model::CheckError;

/// The parameters of one service, by libpq's names.
pub type Service = HashMap<String, String>;

/// The parameters that a check honours.
const HONOURED: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "sslcert",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
    "user",
];
/// Those that libpq knows beside them, and that change neither where nor as whom a session is opened: limits of the
/// TLS version (ours is 1.2), keep-alives (each run has its deadline), GSSAPI, tracing.
pub const WITHOUT_EFFECT: &[&str] = &[
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "replication",
    "requirepeer",
    "require_auth",
    "sslcertmode",
    "sslcompression",
    "sslkeylogfile",
    "sslsni",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "tcp_user_timeout",
];

/// The parameters of the service `name`, from the user's file or else from the system's. Blocks on the files.
pub fn read(name: &str, environment: &Environment) -> Result<Service, CheckError> {
    for path in files(environment) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if let Some(parameters) = section(&String::from_utf8_lossy(&bytes), name)? {
            return Ok(parameters);
        }
    }
    Err(CheckError::Configuration(format!("the PostgreSQL service {name:?} is defined in no service file")))
}

fn files(environment: &Environment) -> Vec<PathBuf> {
    let user = match environment.variable("PGSERVICEFILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => environment.home_file(".pg_service.conf"),
    };
    let system = match environment.variable("PGSYSCONFDIR") {
        Some(directory) => Some(PathBuf::from(directory)),
        None => cfg!(unix).then(|| PathBuf::from("/etc/postgresql-common")),
    };
    user.into_iter().chain(system.map(|directory| directory.join("pg_service.conf"))).collect()
}

/// The group `[name]` of a service file. The first value of a parameter counts, as with libpq.
fn section(text: &str, name: &str) -> Result<Option<Service>, CheckError> {
    let mut found: Option<Service> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(group) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if group.split_once(']').is_some_and(|(group, _)| group == name) {
                found = Some(Service::new());
            }
        } else if let Some(parameters) = &mut found {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                CheckError::Configuration(format!("the service {name:?} contains a line that is not key=value"))
            })?;
            let key = key.trim();
            if !HONOURED.contains(&key) && !WITHOUT_EFFECT.contains(&key) {
                return Err(CheckError::Configuration(format!("the service {name:?} sets the unknown option {key:?}")));
            }
            parameters.entry(key.to_owned()).or_insert_with(|| value.trim().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const FILE: &str = "# services\nstray\n[first]\nhost=one\n\n [ second ]\n[second]\n host = two\nport=5433\nhost=three\n\
                        # password=no\npassword=a=b # c\n[second]\nhost=four\n";

    #[test]
    fn section_first_of_its_name_is_read() {
        let second = section(FILE, "second").unwrap().unwrap();
        assert_eq!(second["host"], "two");
        assert_eq!(second["port"], "5433");
        assert_eq!(second["password"], "a=b # c");
        assert_eq!(second.len(), 3);
        assert_eq!(section(FILE, "first").unwrap().unwrap().len(), 1);
        assert_eq!(section(FILE, "third").unwrap(), None);
    }

    #[test]
    fn section_with_wrong_line_is_refused_without_showing_it() {
        let error = section("[a]\npassword hidden\n", "a").unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
        let error = section("[a]\nhots=hidden\n", "a").unwrap_err().to_string();
        assert!(error.contains("unknown option \"hots\"") && !error.contains("hidden"), "{error}");
    }
}
