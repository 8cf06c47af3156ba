//! The most memory that the process has held, as Linux reports it; nothing on other systems.

use std::fs;

/// Makes [`peak`] count from now on, if the system allows it.
pub(super) fn forget_peak() {
    // Documented in proc(5): 5 resets the peak to the current memory.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most bytes in memory.
pub(super) fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
