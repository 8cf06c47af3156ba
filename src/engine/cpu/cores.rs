//! How many threads are worth starting.

use std::collections::HashSet;
use std::fs;

/// Physical cores that this process may use: at most what its CPU affinity and its cgroup's quota
/// allow, with the hardware threads of a core counted once.
pub(crate) fn physical() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    match siblings() {
        Some(cores) => cores.clamp(1, allowed),
        None => allowed,
    }
}

/// Cores among the CPUs that the process may run on, according to Linux; `None` elsewhere.
fn siblings() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = HashSet::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for cpu in first.parse::<u32>().ok()?..=last.parse().ok()? {
            let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
            cores.insert(fs::read_to_string(topology + "/thread_siblings_list").ok()?);
        }
    }
    Some(cores.len())
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_core() {
        let cores = super::physical();
        assert!(cores >= 1 && cores <= std::thread::available_parallelism().unwrap().get());
    }
}
