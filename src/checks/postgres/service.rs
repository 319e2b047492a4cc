//! libpq's service file: named groups of connection parameters.

use std::collections::HashMap;
use std::path::PathBuf;

use super::server::Surroundings;
use crate::model::CheckError;

pub type Parameters = HashMap<String, String>;

/// The parameters of the service `name`, from the user's file or else from the system's. Blocks on the files.
pub fn read(name: &str, around: &Surroundings) -> Result<Parameters, CheckError> {
    for path in files(around) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if let Some(parameters) = section(&String::from_utf8_lossy(&bytes), name)? {
            return Ok(parameters);
        }
    }
    Err(CheckError::Configuration(format!("the PostgreSQL service {name:?} is defined in no service file")))
}

fn files(around: &Surroundings) -> Vec<PathBuf> {
    let user = match around.variable("PGSERVICEFILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => around.home_file(".pg_service.conf"),
    };
    let system = match around.variable("PGSYSCONFDIR") {
        Some(directory) => Some(PathBuf::from(directory)),
        None => cfg!(unix).then(|| PathBuf::from("/etc/postgresql-common")),
    };
    user.into_iter().chain(system.map(|directory| directory.join("pg_service.conf"))).collect()
}

/// The group `[name]` of a service file. The first value of a parameter counts, as with libpq.
fn section(text: &str, name: &str) -> Result<Option<Parameters>, CheckError> {
    let mut found: Option<Parameters> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(group) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if group.split_once(']').is_some_and(|(group, _)| group == name) {
                found = Some(Parameters::new());
            }
        } else if let Some(parameters) = &mut found {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                CheckError::Configuration(format!("the service {name:?} holds a line that is no key=value"))
            })?;
            parameters.entry(key.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
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
    fn reads_the_first_group_of_the_name() {
        let second = section(FILE, "second").unwrap().unwrap();
        assert_eq!(second["host"], "two");
        assert_eq!(second["port"], "5433");
        assert_eq!(second["password"], "a=b # c");
        assert_eq!(second.len(), 3);
        assert_eq!(section(FILE, "first").unwrap().unwrap().len(), 1);
        assert_eq!(section(FILE, "third").unwrap(), None);
    }

    #[test]
    fn refuses_what_is_no_assignment_without_showing_it() {
        let error = section("[a]\npassword hidden\n", "a").unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
}
