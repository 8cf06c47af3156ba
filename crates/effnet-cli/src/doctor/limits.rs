//! What the process may take of the machine: its control groups and its `ulimit`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fact::{Fact, read};

/// Limits of the process; null where there is none. The names appear in the JSON, and must not
/// change.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    /// Which versions of control groups the system has: `v1`, `v2`, `v1 and v2`, or `none`.
    pub(super) cgroup: Fact<&'static str>,
    /// How many CPUs' time the control group may take.
    pub(super) cgroup_cpus: Fact<Option<f64>>,
    pub(super) cgroup_memory_bytes: Fact<Option<u64>>,
    /// How many processes and threads the control group may have.
    pub(super) cgroup_processes: Fact<Option<u64>>,
    /// `ulimit -u`: how many processes and threads the user may have.
    pub(super) user_processes: Fact<Option<u64>>,
}

/// A limit of control groups: its controller, and the files that have it.
struct Kind {
    controller: &'static str,
    /// In version 2, and in version 1; a quota of version 1 has its period in a second file.
    v2: &'static str,
    v1: [&'static str; 2],
}

const CPU: Kind =
    Kind { controller: "cpu", v2: "cpu.max", v1: ["cpu.cfs_quota_us", "cpu.cfs_period_us"] };
const MEMORY: Kind =
    Kind { controller: "memory", v2: "memory.max", v1: ["memory.limit_in_bytes", ""] };
const PROCESSES: Kind = Kind { controller: "pids", v2: "pids.max", v1: ["pids.max", ""] };

impl Limits {
    pub(super) fn examine() -> Self {
        let groups = read("/proc/self/cgroup").and_then(|own| {
            let mounts = read("/proc/self/mounts")?;
            Ok(Groups::new(&own, &mounts))
        });
        let least = |kind: &Kind| match &groups {
            Ok(groups) => groups.least(kind),
            Err(reason) => Err(reason.clone()),
        };
        let whole = |limit: Result<Option<f64>, String>| limit.map(|l| l.map(|l| l as u64)).into();
        Self {
            cgroup: groups.as_ref().map(Groups::versions).into(),
            cgroup_cpus: least(&CPU).into(),
            cgroup_memory_bytes: whole(least(&MEMORY)),
            cgroup_processes: whole(least(&PROCESSES)),
            user_processes: read("/proc/self/limits").and_then(|text| user_processes(&text)).into(),
        }
    }
}

/// The soft limit of `ulimit -u` in /proc/self/limits.
fn user_processes(text: &str) -> Result<Option<u64>, String> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max processes"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => Ok(None),
        Some(number) => number.parse().map(Some).map_err(|_| format!("not a number: {number:?}")),
        None => Err("no line for processes in /proc/self/limits".to_owned()),
    }
}

/// The control groups of the process: where each is mounted, and the process's own below it.
#[derive(Debug)]
struct Groups {
    v2: Option<(PathBuf, PathBuf)>,
    /// With their controllers.
    v1: Vec<(Vec<String>, PathBuf, PathBuf)>,
}

impl Groups {
    /// From the text of /proc/self/cgroup and of /proc/self/mounts.
    fn new(own: &str, mounts: &str) -> Self {
        // Lines of the first: number, controllers, path. Lines of the second: device, place, kind,
        // options.
        let own: Vec<(&str, &str)> =
            own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        let path = |path: &str| PathBuf::from(path.trim_start_matches('/'));
        let (mut v2, mut v1) = (None, Vec::new());
        for mount in mounts.lines() {
            let fields: Vec<&str> = mount.split(' ').collect();
            let [_, place, kind, options, ..] = fields[..] else { continue };
            for (controllers, group) in &own {
                let own: Vec<String> = controllers.split(',').map(str::to_owned).collect();
                let is_of = || options.split(',').any(|o| own.iter().any(|c| c == o));
                match kind {
                    "cgroup2" if controllers.is_empty() => {
                        v2.get_or_insert((PathBuf::from(place), path(group)));
                    }
                    "cgroup" if !controllers.is_empty() && is_of() => {
                        v1.push((own, PathBuf::from(place), path(group)));
                    }
                    _ => {}
                }
            }
        }
        Self { v2, v1 }
    }

    fn versions(&self) -> &'static str {
        match (&self.v2, self.v1.is_empty()) {
            (None, true) => "none",
            (None, false) => "v1",
            (Some(_), true) => "v2",
            (Some(_), false) => "v1 and v2",
        }
    }

    /// The least limit of the process's groups and those around them.
    fn least(&self, kind: &Kind) -> Result<Option<f64>, String> {
        let mut least: Option<f64> = None;
        let mut take = |limit: Option<f64>| {
            least = [least, limit].into_iter().flatten().min_by(f64::total_cmp);
        };
        if let Some((mount, group)) = &self.v2 {
            for folder in group.ancestors().map(|group| mount.join(group)) {
                take(of_file(&folder.join(kind.v2), None)?);
            }
        }
        for (controllers, mount, group) in &self.v1 {
            if controllers.iter().any(|controller| controller == kind.controller) {
                for folder in group.ancestors().map(|group| mount.join(group)) {
                    let [limit, period] = kind.v1;
                    let period = (!period.is_empty()).then(|| folder.join(period));
                    take(of_file(&folder.join(limit), period.as_deref())?);
                }
            }
        }
        Ok(least)
    }
}

/// The limit in a file, over the period that is beside it or in a second file. There is none where
/// there is no file: the roots have none, and a container does not see all groups around it.
fn of_file(limit: &Path, period: Option<&Path>) -> Result<Option<f64>, String> {
    /// Version 1 writes a number above this where there is no limit: the largest, in whole pages.
    const NO_LIMIT: f64 = (1u64 << 62) as f64;
    if !limit.exists() {
        return Ok(None);
    }
    let mut text = read(limit)?;
    if let Some(period) = period {
        text = format!("{} {}", text.trim(), read(period)?);
    }
    let wrong = || format!("{}: {text:?}", limit.display());
    let mut words = text.split_whitespace();
    let number = |word: &str| word.parse::<f64>().map_err(|_| wrong());
    match (words.next(), words.next()) {
        (Some("max" | "-1"), _) => Ok(None),
        (Some(limit), Some(period)) => Ok(Some(number(limit)? / number(period)?)),
        (Some(limit), None) => Ok(Some(number(limit)?).filter(|&limit| limit < NO_LIMIT)),
        (None, _) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn version_2_takes_the_least_limit_on_the_way_to_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        write(
            folder.path(),
            &[
                ("a/cpu.max", "150000 100000\n"),
                ("a/b/cpu.max", "max 100000\n"),
                ("a/memory.max", "max\n"),
                ("a/b/memory.max", "2147483648\n"),
            ],
        );
        let mounts = format!("proc /proc proc rw 0 0\ncgroup2 {place} cgroup2 rw,nsdelegate 0 0\n");
        let groups = Groups::new("0::/a/b\n", &mounts);
        assert_eq!(groups.versions(), "v2");
        assert_eq!(groups.least(&CPU), Ok(Some(1.5)));
        assert_eq!(groups.least(&MEMORY), Ok(Some(2_147_483_648.0)));
        assert_eq!(groups.least(&PROCESSES), Ok(None));
        write(folder.path(), &[("a/b/cpu.max", "many\n")]);
        assert!(groups.least(&CPU).unwrap_err().contains("a/b/cpu.max"));
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        write(
            folder.path(),
            &[
                ("cpu/x/cpu.cfs_quota_us", "50000\n"),
                ("cpu/x/cpu.cfs_period_us", "100000\n"),
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
                // A container sees its own group as the root, under another name.
                ("memory/memory.limit_in_bytes", "1048576\n"),
                ("pids/pids.max", "max\n"),
            ],
        );
        let mounts = format!(
            "cgroup {place}/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup {place}/memory cgroup rw,memory 0 0\n\
             cgroup {place}/pids cgroup rw,pids 0 0\n"
        );
        let groups = Groups::new("9:pids:/\n4:memory:/docker/1\n1:cpu,cpuacct:/x\n", &mounts);
        assert_eq!(groups.versions(), "v1");
        assert_eq!(groups.least(&CPU), Ok(Some(0.5)));
        assert_eq!(groups.least(&MEMORY), Ok(Some(1_048_576.0)));
        assert_eq!(groups.least(&PROCESSES), Ok(None));
        write(folder.path(), &[("memory/memory.limit_in_bytes", "9223372036854771712\n")]);
        assert_eq!(groups.least(&MEMORY), Ok(None));
    }

    #[test]
    fn a_machine_without_groups_has_no_limit() {
        let groups = Groups::new("", "proc /proc proc rw 0 0\n");
        assert_eq!((groups.versions(), groups.least(&CPU)), ("none", Ok(None)));
    }

    #[test]
    fn the_users_limit_is_the_soft_one() {
        let text = "Limit  Soft  Hard  Units\nMax processes   17   96365   processes\n";
        assert_eq!(user_processes(text), Ok(Some(17)));
        assert_eq!(user_processes("Max processes unlimited unlimited processes"), Ok(None));
        assert!(user_processes("").is_err());
    }
}
