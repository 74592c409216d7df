//! What this process may use of the machine: memory and processors.
//!
//! A container or a service manager bounds a process by cgroups, a shell by limits of its own;
//! asking the machine what it has says nothing about these. So memory is the least of what is
//! available, what every cgroup above this process leaves, and what the limits of the process
//! leave. A file that is not there bounds nothing.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::thread;

/// The files that tell, below a root; tests have roots of their own.
pub(crate) struct Resources {
    root: PathBuf,
}

/// Something that bounds the memory of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryBound {
    /// What it is, in words.
    pub(crate) by: &'static str,
    /// What it leaves.
    pub(crate) bytes: u64,
}

/// Where a version of cgroups keeps what a group may have and has.
struct MemoryFiles {
    /// Where the hierarchy is mounted.
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// The line of `memory.stat` with the pages of files that the system takes back when it needs
    /// them.
    reclaimable: &'static str,
}

const CGROUP_V2: MemoryFiles =
    MemoryFiles { mount: "sys/fs/cgroup", limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

const CGROUP_V1: MemoryFiles = MemoryFiles {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

impl Resources {
    /// Those of this process.
    pub(crate) fn of_this_process() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// Bytes of memory that the process may still take; none where nothing tells.
    pub(crate) fn available_memory(&self) -> Option<u64> {
        self.memory_bounds().into_iter().map(|bound| bound.bytes).min()
    }

    /// Everything that bounds the memory of this process.
    pub(crate) fn memory_bounds(&self) -> Vec<MemoryBound> {
        let machine = self.number("proc/meminfo", "MemAvailable:").map(|kibibytes| kibibytes << 10);
        let bounds = |by, all: Vec<u64>| all.into_iter().map(move |bytes| MemoryBound { by, bytes });
        let machine = bounds("the machine", machine.into_iter().collect());
        machine.chain(bounds("a cgroup", self.left_by_cgroups())).chain(self.left_by_limits()).collect()
    }

    /// Processors that a quota leaves, if they are fewer than those that the process may run on.
    pub(crate) fn quota_threads(&self) -> Option<NonZeroU32> {
        let allowed = self
            .text("proc/self/status")
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .map(count)?;
        // The standard library knows quotas as well.
        let granted = u32::try_from(thread::available_parallelism().ok()?.get()).ok()?;
        NonZeroU32::new(granted).filter(|granted| granted.get() < allowed)
    }

    /// What each cgroup of this process leaves, from its own up to the root.
    fn left_by_cgroups(&self) -> Vec<u64> {
        let groups = self.text("proc/self/cgroup");
        let of_line = |line: &str| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let files = match controllers {
                "" => &CGROUP_V2,
                _ if controllers.split(',').any(|controller| controller == "memory") => &CGROUP_V1,
                _ => return None,
            };
            Some(self.left_by_groups(files, path))
        };
        groups.lines().filter_map(of_line).flatten().collect()
    }

    fn left_by_groups(&self, files: &MemoryFiles, path: &str) -> Vec<u64> {
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        groups.filter_map(|group| self.left_by_group(files, &Path::new(files.mount).join(group))).collect()
    }

    fn left_by_group(&self, files: &MemoryFiles, group: &Path) -> Option<u64> {
        let limit: u64 = self.text(group.join(files.limit)).trim().parse().ok()?;
        let usage: u64 = self.text(group.join(files.usage)).trim().parse().unwrap_or_default();
        let reclaimable = self.number(group.join("memory.stat"), files.reclaimable).unwrap_or_default();
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    }

    /// What `ulimit -v` and `ulimit -d` leave.
    fn left_by_limits(&self) -> Vec<MemoryBound> {
        let limits = self.text("proc/self/limits");
        let left = |(by, name, used): (&'static str, &str, &str)| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
            let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
            let used = self.number("proc/self/status", used)? << 10;
            Some(MemoryBound { by, bytes: limit.saturating_sub(used) })
        };
        let limits = [("`ulimit -v`", "Max address space", "VmSize:"), ("`ulimit -d`", "Max data size", "VmData:")];
        limits.into_iter().filter_map(left).collect()
    }

    /// The first number after a key at the beginning of a line.
    fn number(&self, path: impl AsRef<Path>, key: &str) -> Option<u64> {
        let text = self.text(path);
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    fn text(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }
}

/// What the system says of this process under a key, `VmRSS:`.
pub(crate) fn status_line(key: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
}

/// How many processors a list like `0-3,8` names.
fn count(list: &str) -> u32 {
    let of_range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.trim().parse::<u32>().ok()?.saturating_sub(first.trim().parse().ok()?) + 1)
    };
    list.split(',').filter_map(of_range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Resources) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let resources = Resources { root: folder.path().to_owned() };
        (folder, resources)
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 2000 kB\n");

    #[test]
    fn without_other_bounds_memory_is_what_the_machine_has_available() {
        assert_eq!(root(&[MEMINFO]).1.available_memory(), Some(2000 << 10));
        assert_eq!(root(&[]).1.available_memory(), None);
    }

    #[test]
    fn the_tightest_group_above_the_process_bounds_it_and_pages_of_files_can_be_had_back() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/outer/inner\n"),
            ("sys/fs/cgroup/outer/memory.max", "900000\n"),
            ("sys/fs/cgroup/outer/memory.current", "500000\n"),
            ("sys/fs/cgroup/outer/memory.stat", "anon 7\ninactive_file 100000\n"),
            ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
            ("sys/fs/cgroup/outer/inner/memory.current", "400000\n"),
        ];
        assert_eq!(root(&files).1.available_memory(), Some(500_000));
    }

    #[test]
    fn groups_of_the_first_version_bound_it_as_well() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "300000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "400000\n"),
            ("sys/fs/cgroup/memory/a/memory.stat", "total_inactive_file 150000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(root(&files).1.available_memory(), Some(50_000));
    }

    #[test]
    fn limits_of_the_process_count_less_what_it_has() {
        let files = [
            MEMINFO,
            ("proc/self/limits", "Max address space         1000000              unlimited            bytes\n"),
            ("proc/self/status", "VmSize:   700 kB\n"),
        ];
        assert_eq!(root(&files).1.available_memory(), Some(1_000_000 - (700 << 10)));
    }

    #[test]
    fn lists_of_processors_are_counted() {
        assert_eq!(["0", "0-3", "0-3,8", " 1,3-5"].map(count), [1, 4, 5, 4]);
    }
}
