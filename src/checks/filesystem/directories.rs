//! Whether a file can be written in the configured directories, or their content be read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::write_test::{Leftover, write_test};
use super::{each_path, hung, severity};
use crate::checks::Check;
use crate::checks::fields::yes;
use crate::model::{CheckError, Finding, Phase, Status};
use crate::runtime::Context;

/// What the application does in a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectoryMode {
    #[default]
    Write,
    Read,
}

/// A directory that the application needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    pub path: PathBuf,
    /// Not usable: an error if critical (True), else degraded.
    #[serde(default = "yes")]
    pub critical: bool,
    /// With "write" (default) a file can be written, synced and removed; a directory that does not exist yet counts as
    /// writable if it could be made. With "read" it exists and can be listed.
    #[serde(default)]
    pub mode: DirectoryMode,
}

/// A file can be written, synced and removed in each directory, or its content be read. Nothing is left behind, and no
/// directory is created.
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
        let work = self.directories.values().map(|directory| {
            let Directory { path, mode, .. } = directory.clone();
            let leftover = context.process.shared::<Leftover>(&path.display().to_string());
            (format!("{mode:?} {}", path.display()), move || probe(&path, mode, &leftover))
        });
        let answers = each_path(context, work.collect()).await?;
        let (mut probes, mut missing) = (Vec::new(), Vec::new());
        for ((name, directory), (_, probe)) in self.directories.iter().zip(answers.results) {
            match probe {
                Some(probe) => probes.push((name.as_str(), directory, probe)),
                None => missing.push(format!("{name} ({})", directory.path.display())),
            }
        }
        if missing.is_empty() {
            return Ok(judge(probes));
        }
        let known = judge(probes).details.remove("directories").unwrap_or_else(|| json!({}));
        Err(hung(&missing, answers.seconds).with("directories", known))
    }
}

#[derive(Clone, Debug, PartialEq)]
struct DirectoryState {
    exists: bool,
    problem: Option<String>,
}

fn probe(path: &Path, mode: DirectoryMode, leftover: &Leftover) -> DirectoryState {
    let problem = |exists: bool, text: String| DirectoryState { exists, problem: Some(text) };
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => problem(true, "is not a directory".to_owned()),
        Ok(_) => {
            let problem = match mode {
                DirectoryMode::Write => write_test(path, leftover).err().map(|why| format!("is not writable: {why}")),
                DirectoryMode::Read => readable(path).err().map(|why| format!("is not readable: {}", why.kind())),
            };
            DirectoryState { exists: true, problem }
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => match mode {
            DirectoryMode::Read => problem(false, "does not exist".to_owned()),
            DirectoryMode::Write => DirectoryState {
                exists: false,
                problem: could_be_made(path).err().map(|why| format!("does not exist and cannot be created: {why}")),
            },
        },
        Err(error) => problem(false, format!("cannot be read: {}", error.kind())),
    }
}

fn readable(directory: &Path) -> io::Result<()> {
    fs::read_dir(directory)?.next().transpose()?;
    access(directory, DirectoryMode::Read)
}

/// Whether a directory that does not exist could be made, with the parents that it lacks: nothing is made to find out.
fn could_be_made(path: &Path) -> Result<(), String> {
    for path in path.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if is_of_the_kernel(path) {
                    return Err(format!(
                        "{} is on a file system of the kernel's, which keeps no files",
                        path.display()
                    ));
                }
                return access(path, DirectoryMode::Write)
                    .map_err(|error| format!("{} is not writable: {}", path.display(), error.kind()));
            }
            Ok(_) => return Err(format!("{} is not a directory", path.display())),
            Err(_) if path.symlink_metadata().is_ok() => {
                return Err(format!("{} is a link to what does not exist", path.display()));
            }
            Err(_) => {}
        }
    }
    Err("no parent of it exists".to_owned())
}

/// Whether a directory shows what the kernel knows: the modes there may allow to write, but nothing can be made.
#[cfg(target_os = "linux")]
fn is_of_the_kernel(directory: &Path) -> bool {
    // proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, devpts: linux/magic.h.
    const TYPES: [u64; 8] =
        [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x1cd1];
    let known = rustix::fs::statfs(directory).ok().and_then(|stat| u64::try_from(stat.f_type).ok());
    known.is_some_and(|known| TYPES.contains(&known))
}

#[cfg(not(target_os = "linux"))]
fn is_of_the_kernel(_: &Path) -> bool {
    false
}

/// Whether the effective user may do that with a directory. Read-only file systems refuse to be written to.
#[cfg(unix)]
fn access(directory: &Path, access: DirectoryMode) -> io::Result<()> {
    use rustix::fs::{Access as Flags, AtFlags, CWD, accessat};
    let wanted = match access {
        DirectoryMode::Read => Flags::READ_OK | Flags::EXEC_OK,
        DirectoryMode::Write => Flags::WRITE_OK | Flags::EXEC_OK,
    };
    Ok(accessat(CWD, directory, wanted, AtFlags::EACCESS)?)
}

#[cfg(not(unix))]
fn access(directory: &Path, access: DirectoryMode) -> io::Result<()> {
    let is_read_only = fs::metadata(directory)?.permissions().readonly();
    match access {
        DirectoryMode::Write if is_read_only => Err(io::ErrorKind::PermissionDenied.into()),
        DirectoryMode::Read | DirectoryMode::Write => Ok(()),
    }
}

fn judge(probes: Vec<(&str, &Directory, DirectoryState)>) -> Finding {
    if probes.is_empty() {
        return Finding::skipped("No directory is configured");
    }
    let mut details = Map::new();
    let mut worst = Status::Healthy;
    let (mut problems, mut absent) = (Vec::new(), Vec::new());
    let (total, only_written) =
        (probes.len(), probes.iter().all(|(_, directory, _)| directory.mode == DirectoryMode::Write));
    for (name, directory, probe) in probes {
        let status = match (&probe.problem, directory.critical) {
            (None, _) => Status::Healthy,
            (Some(_), true) => Status::Error,
            (Some(_), false) => Status::Degraded,
        };
        if severity(status) > severity(worst) {
            worst = status;
        }
        if let Some(problem) = &probe.problem {
            problems.push(format!("{name} ({}) {problem}", directory.path.display()));
        } else if !probe.exists {
            absent.push(name);
        }
        details.insert(name.to_owned(), detail(directory, probe, status));
    }
    let message = match (problems.is_empty(), only_written) {
        (true, _) if absent.len() == total => to_be_made(&absent),
        (true, true) => format!("All {}directories are writable{}", other(&absent), after(&absent)),
        (true, false) => {
            format!("All {}directories are writable or readable, as configured{}", other(&absent), after(&absent))
        }
        (false, _) => problems.join("; "),
    };
    Finding::new(worst, message).with("directories", details)
}

/// Says that directories are not there, and that this is no fault.
fn to_be_made(absent: &[&str]) -> String {
    let (verb, noun) = if absent.len() == 1 { ("does", "it") } else { ("do", "they") };
    format!("{} {verb} not exist yet; {noun} can be created", absent.join(", "))
}

fn other(absent: &[&str]) -> &'static str {
    if absent.is_empty() { "" } else { "other " }
}

fn after(absent: &[&str]) -> String {
    if absent.is_empty() { String::new() } else { format!("; {}", to_be_made(absent)) }
}

fn detail(directory: &Directory, probe: DirectoryState, status: Status) -> Value {
    let mut detail = Map::new();
    let is_fine = probe.problem.is_none();
    detail.insert("exists".to_owned(), probe.exists.into());
    match directory.mode {
        DirectoryMode::Write => detail.insert("writable".to_owned(), is_fine.into()),
        DirectoryMode::Read => detail.insert("readable".to_owned(), is_fine.into()),
    };
    detail.insert("path".to_owned(), directory.path.display().to_string().into());
    detail.insert("status".to_owned(), json!(status));
    if let Some(problem) = probe.problem {
        detail.insert("problem".to_owned(), problem.into());
    }
    detail.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn judges_by_criticality() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let directory = |critical| Directory { path: "/srv".into(), critical, mode: DirectoryMode::Write };
        let (critical, other) = (directory(true), directory(false));
        let ok = || DirectoryState { exists: true, problem: None };
        let absent = || DirectoryState { exists: false, problem: None };
        let missing = || DirectoryState { exists: false, problem: Some("does not exist".to_owned()) };
        let table = [
            (vec![], Skipped, "No directory is configured"),
            (vec![("A", &critical, ok()), ("B", &other, ok())], Healthy, "All directories are writable"),
            (vec![("A", &critical, absent())], Healthy, "A does not exist yet; it can be created"),
            (
                vec![("A", &critical, absent()), ("B", &other, absent())],
                Healthy,
                "A, B do not exist yet; they can be created",
            ),
            (
                vec![("A", &critical, ok()), ("B", &other, absent())],
                Healthy,
                "All other directories are writable; B does not exist yet; it can be created",
            ),
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
    fn details_show_the_problem() {
        let directory = Directory { path: "/srv".into(), critical: true, mode: DirectoryMode::Write };
        let problem = Some("is not writable: no storage space".to_owned());
        let finding = judge(vec![("LOG_DIR", &directory, DirectoryState { exists: true, problem })]);
        let expected = json!({"LOG_DIR": {
            "exists": true, "writable": false, "path": "/srv", "status": "error",
            "problem": "is not writable: no storage space",
        }});
        assert_eq!(finding.details.get("directories"), Some(&expected));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn directory_of_the_kernel_cannot_be_made() {
        for (path, parent) in [("/proc/nope", "/proc"), ("/sys/a/b", "/sys")] {
            let state = probe(Path::new(path), DirectoryMode::Write, &Leftover::default());
            let why = format!("{parent} is on a file system of the kernel's, which keeps no files");
            let problem = Some(format!("does not exist and cannot be created: {why}"));
            assert_eq!(state, DirectoryState { exists: false, problem });
        }
    }

    #[test]
    fn probe_leaves_nothing_behind() {
        use DirectoryMode::{Read, Write};
        let path = std::env::temp_dir().join(format!("lifesigns-{}", Uuid::new_v4()));
        let probe = |path: &Path, mode| probe(path, mode, &Leftover::default());
        let fine = |exists| DirectoryState { exists, problem: None };
        let wrong = |exists, problem: String| DirectoryState { exists, problem: Some(problem) };
        assert_eq!(probe(&path, Write), fine(false), "it could be made");
        assert_eq!(probe(&path.join("a/b"), Write), fine(false));
        assert_eq!(probe(&path, Read), wrong(false, "does not exist".to_owned()));
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert_eq!((probe(&path, Write), probe(&path, Read)), (fine(true), fine(true)));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(probe(&path, Write), wrong(true, "is not a directory".to_owned()));
        let below = format!("does not exist and cannot be created: {} is not a directory", path.display());
        assert_eq!(probe(&path.join("below"), Write), wrong(false, below));
        fs::remove_file(&path).unwrap();
    }
}
