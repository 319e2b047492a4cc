//! Whether the configured directories exist and a file can be written, synced and removed in each.

use crate::checks::fields::yes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::{Map, json};
use uuid::Uuid;

use super::severity;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase, Status};
use crate::runtime::Context;
use crate::runtime::blocking::single_flight;

/// A directory that the application needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    pub path: PathBuf,
    /// Not writable: an error if critical, else degraded.
    #[serde(default = "yes")]
    pub critical: bool,
}

/// Directories that the application needs, and what it must be able to do in each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoriesCheck {
    /// By the name under which the directory stands in the details.
    pub directories: BTreeMap<String, Directory>,
}

#[async_trait]
impl Check for DirectoriesCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        let probes = try_join_all(self.directories.iter().map(|(name, directory)| async move {
            let key = directory.path.display().to_string();
            let probe = single_flight(&context.process, &key, {
                let path = directory.path.clone();
                move || probe(&path)
            });
            Ok((name.as_str(), directory, probe.await?))
        }));
        Ok(judge(probes.await?))
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Probe {
    exists: bool,
    problem: Option<String>,
}

/// Never creates the directory: one that is missing is a mount or a deployment step that is missing.
fn probe(path: &Path) -> Probe {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => Probe { exists: true, problem: Some("is not a directory".to_owned()) },
        Ok(_) => Probe { exists: true, problem: write(path).err().map(|error| format!("is not writable: {error}")) },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Probe { exists: false, problem: Some("does not exist".to_owned()) }
        }
        Err(error) => Probe { exists: false, problem: Some(format!("cannot be read: {}", error.kind())) },
    }
}

/// Writes, syncs and removes a file of a name that no other process, thread or host uses.
fn write(directory: &Path) -> Result<(), io::ErrorKind> {
    // A whole block: a few bytes fit into the inode of some file systems, even of a full one.
    const CONTENT: [u8; 4096] = [b'\n'; 4096];
    let path = directory.join(format!(".lifesigns-{}-{}", std::process::id(), Uuid::new_v4().simple()));
    let mut file = create(&path).map_err(|error| error.kind())?;
    let written = file.write_all(&CONTENT).and_then(|()| file.sync_all());
    // Closed first: Windows removes no open file, NFS would rename it.
    drop(file);
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| error.kind())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn judge(probes: Vec<(&str, &Directory, Probe)>) -> Finding {
    if probes.is_empty() {
        return Finding::skipped("No directory is configured");
    }
    let mut details = Map::new();
    let mut worst = Status::Healthy;
    let mut problems = Vec::new();
    for (name, directory, Probe { exists, problem }) in probes {
        let path = directory.path.display().to_string();
        let status = match (&problem, directory.critical) {
            (None, _) => Status::Healthy,
            (Some(_), true) => Status::Error,
            (Some(_), false) => Status::Degraded,
        };
        if severity(status) > severity(worst) {
            worst = status;
        }
        let mut detail = Map::new();
        detail.insert("exists".to_owned(), exists.into());
        detail.insert("writable".to_owned(), problem.is_none().into());
        detail.insert("path".to_owned(), path.as_str().into());
        detail.insert("status".to_owned(), json!(status));
        if let Some(problem) = problem {
            problems.push(format!("{name} ({path}) {problem}"));
            detail.insert("problem".to_owned(), problem.into());
        }
        details.insert(name.to_owned(), detail.into());
    }
    let message = if problems.is_empty() { "All directories are writable".to_owned() } else { problems.join("; ") };
    Finding::new(worst, message).with("directories", details)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn judges_by_criticality() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let directory = |critical| Directory { path: "/srv".into(), critical };
        let (critical, other) = (directory(true), directory(false));
        let ok = || Probe { exists: true, problem: None };
        let missing = || Probe { exists: false, problem: Some("does not exist".to_owned()) };
        let table = [
            (vec![], Skipped, "No directory is configured"),
            (vec![("A", &critical, ok()), ("B", &other, ok())], Healthy, "All directories are writable"),
            (vec![("A", &critical, missing())], Error, "A (/srv) does not exist"),
            (vec![("A", &critical, ok()), ("B", &other, missing())], Degraded, "B (/srv) does not exist"),
            (
                vec![("A", &other, missing()), ("B", &critical, missing())],
                Error,
                "A (/srv) does not exist; B (/srv) does not exist",
            ),
        ];
        for (probes, status, message) in table {
            let finding = judge(probes);
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
        }
    }

    #[test]
    fn details_tell_what_is_wrong() {
        let directory = Directory { path: "/srv".into(), critical: true };
        let problem = Some("is not writable: no storage space".to_owned());
        let finding = judge(vec![("LOG_DIR", &directory, Probe { exists: true, problem })]);
        let expected = json!({"LOG_DIR": {
            "exists": true, "writable": false, "path": "/srv", "status": "error",
            "problem": "is not writable: no storage space",
        }});
        assert_eq!(finding.details.get("directories"), Some(&expected));
    }

    #[test]
    fn probe_leaves_nothing_behind() {
        let path = std::env::temp_dir().join(format!("lifesigns-{}", Uuid::new_v4()));
        let missing = Probe { exists: false, problem: Some("does not exist".to_owned()) };
        assert_eq!(probe(&path), missing);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert_eq!(probe(&path), Probe { exists: true, problem: None });
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(probe(&path), Probe { exists: true, problem: Some("is not a directory".to_owned()) });
        assert_eq!(probe(&path.join("below")), missing);
        fs::remove_file(&path).unwrap();
    }
}
