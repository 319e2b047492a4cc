//! Where the control groups of this process are mounted, for version 1, version 2 and both at once (hybrid).
//!
//! sysinfo counts the page cache as used (82 % against 20 % resident), so a limit and its usage are read here.
//! Everything starts at a root directory, `/` but for tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::runtime::{PerProcess, lock};

/// How long what the system's files say of a process's place is kept: it changes with an operator's hand, if ever.
pub const LAYOUT_KEPT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// What a file of the kernel's says. These state no length, by which `fs::read_to_string` would know how much to read at
/// once: it takes ten reads for one page.
pub fn read(path: &Path) -> io::Result<String> {
    const PAGE: usize = 4 << 10;
    const MOST: u64 = 4 << 20;
    let mut text = String::with_capacity(PAGE);
    File::open(path)?.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// The directories of this process's groups for one controller: its own first, then each parent's up to the mount
/// point. What lies above that, or is not mounted here, is invisible.
#[derive(Debug, PartialEq, Eq)]
pub struct Groups {
    pub version: Version,
    pub directories: Vec<PathBuf>,
}

impl Groups {
    /// Those of this process, as they were at most [`LAYOUT_KEPT`] ago.
    pub fn of_this_process(root: &Path, controller: &str) -> Option<Arc<Self>> {
        type Known = BTreeMap<(PathBuf, String), (Instant, Option<Arc<Groups>>)>;
        static KNOWN: PerProcess<Mutex<Known>> = PerProcess::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let key = (root.to_path_buf(), controller.to_owned());
        let recent = lock(&known).get(&key).filter(|(at, _)| at.elapsed() < LAYOUT_KEPT).cloned();
        if let Some((_, groups)) = recent {
            return groups;
        }
        let groups = Self::read(root, controller).map(Arc::new);
        lock(&known).insert(key, (Instant::now(), groups.clone()));
        groups
    }

    /// A controller is in version 2 unless a version 1 hierarchy has it.
    fn read(root: &Path, controller: &str) -> Option<Self> {
        let groups = read(&root.join("proc/self/cgroup")).ok()?;
        let mounts = read(&root.join("proc/self/mountinfo")).ok()?;
        let (version, group) = group(&groups, controller)?;
        let mounts: Vec<Mount> = mounts.lines().filter_map(|line| mount(line, version, controller)).collect();
        // In a container the mount may show a part of the tree only, or (with a group outside of what is mounted) none
        // of our own: then the mount point is the nearest group there is to see.
        let below = |mount: &Mount| group.strip_prefix(&mount.root).map(Path::to_path_buf).ok();
        let (mount, relative) = mounts
            .iter()
            .find_map(|mount| Some((mount, below(mount)?)))
            .or_else(|| Some((mounts.first()?, PathBuf::new())))?;
        let is_inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let relative = if is_inside { relative } else { PathBuf::new() };
        let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
        Some(Self { version, directories: relative.ancestors().map(|part| point.join(part)).collect() })
    }
}

/// Finds the group in the lines `id:controllers:path` of `/proc/self/cgroup`; version 2 has id 0 and no controllers.
fn group(lines: &str, controller: &str) -> Option<(Version, PathBuf)> {
    let find = |wanted: &dyn Fn(&str, &str) -> bool| {
        lines.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            wanted(id, controllers).then(|| PathBuf::from(path))
        })
    };
    let v1 = find(&|_, controllers| controllers.split(',').any(|name| name == controller));
    let v2 = || find(&|id, controllers| id == "0" && controllers.is_empty());
    v1.map(|path| (Version::V1, path)).or_else(|| v2().map(|path| (Version::V2, path)))
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is visible at `point`.
    root: PathBuf,
    point: PathBuf,
}

/// Reads a line of `/proc/self/mountinfo`: `id parent device root point options [optional]... - type source super`.
fn mount(line: &str, version: Version, controller: &str) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (filesystem, options) = (kind.next()?, kind.nth(1)?);
    let matches = match version {
        Version::V1 => filesystem == "cgroup" && options.split(',').any(|name| name == controller),
        Version::V2 => filesystem == "cgroup2",
    };
    let mut place = place.split(' ').skip(3).map(unescape);
    matches.then_some(Mount { root: place.next()?, point: place.next()? })
}

/// The kernel writes space, tab, newline and backslash as a backslash with three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut parts = field.split('\\');
    let mut path = OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        match part.split_at_checked(3).map(|(digits, rest)| (u8::from_str_radix(digits, 8), rest)) {
            Some((Ok(byte), rest)) if byte.is_ascii() => {
                path.push(char::from(byte).encode_utf8(&mut [0; 4]));
                path.push(rest);
            }
            _ => {
                path.push("\\");
                path.push(part);
            }
        }
    }
    path.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use std::fs;

    use super::*;
    use uuid::Uuid;

    /// A directory laid out as the root of a file system, removed when dropped.
    pub struct Tree(pub PathBuf);

    impl Tree {
        pub fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(std::env::temp_dir().join(format!("lifesigns-{}", Uuid::new_v4())));
            files.iter().for_each(|(path, content)| tree.write(path, content));
            tree
        }

        pub fn write(&self, path: &str, content: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// Paths of Linux, which are none elsewhere.
    #[cfg(unix)]
    #[test]
    fn finds_the_groups_of_every_layout() {
        const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        const JOINT: &str = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        const DOCKER: &str = "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro master:11 - cgroup cgroup rw,memory\n";
        const PARENT: &str = "35 31 0:32 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        const SPACES: &str = "30 23 0:26 / /my\\040groups\\134 rw - cgroup2 cgroup2 rw\n";
        use Version::{V1 as One, V2 as Two};
        let v2 = |groups: &[&str]| Some((Two, groups.iter().map(|g| format!("sys/fs/cgroup{g}")).collect()));
        let v1 = |at: &str, groups: &[&str]| {
            Some((One, groups.iter().map(|g| format!("sys/fs/cgroup/{at}{g}")).collect::<Vec<_>>()))
        };
        let table = [
            ("v2", "0::/a/b\n", V2.into(), "memory", v2(&["/a/b", "/a", ""])),
            ("v2 in its own namespace", "0::/\n", V2.into(), "memory", v2(&[""])),
            ("v1", "4:memory:/a\n3:cpu:/\n", V1.into(), "memory", v1("memory", &["/a", ""])),
            ("v1 in a container", "4:memory:/docker/1f/x\n", DOCKER.into(), "memory", v1("memory", &["/x", ""])),
            ("v1 container's own", "4:memory:/docker/1f\n", DOCKER.into(), "memory", v1("memory", &[""])),
            ("outside of the mount", "4:memory:/other\n", DOCKER.into(), "memory", v1("memory", &[""])),
            ("joint controllers", "2:cpu,cpuacct:/a\n", JOINT.into(), "cpu", v1("cpu,cpuacct", &["/a", ""])),
            ("hybrid, by v1", "4:memory:/a\n0::/u\n", format!("{UNIFIED}{V1}"), "memory", v1("memory", &["/a", ""])),
            ("hybrid, by v2", "4:memory:/a\n0::/u\n", format!("{V1}{V2}"), "cpu", v2(&["/u", ""])),
            ("above the namespace", "0::/../x\n", V2.into(), "memory", v2(&[""])),
            ("mounted above", "0::/../../x\n", PARENT.into(), "memory", v2(&["/x", ""])),
            ("not mounted", "4:memory:/a\n0::/u\n", UNIFIED.into(), "memory", None),
            ("no groups", "", V2.into(), "memory", None),
            ("colons", "0::/a:b\n", V2.into(), "memory", v2(&["/a:b", ""])),
            ("nonsense", "::\n0\n", "- \n a - b\n".into(), "memory", None),
            ("spaces", "0::/\n", SPACES.into(), "memory", Some((Two, vec!["my groups\\".into()]))),
        ];
        for (name, groups, mounts, controller, expected) in table {
            let tree = Tree::new(&[("proc/self/cgroup", groups), ("proc/self/mountinfo", &mounts)]);
            let expected = expected.map(|(version, paths)| Groups {
                version,
                directories: paths.iter().map(|path| tree.0.join(path)).collect(),
            });
            assert_eq!(Groups::read(&tree.0, controller), expected, "{name}");
        }
        assert_eq!(Groups::read(Path::new("/nowhere"), "memory"), None);
    }
}
