//! The limit of open files.

/// Raises the limit of open files to `wanted` if the system allows that, and gives what it is then.
fn open_files(wanted: usize) -> usize {
    let now = rlimit::increase_nofile_limit(wanted as u64);
    // Without an answer there is nothing to be held to but errors when connections are accepted.
    now.map_or(wanted, |now| usize::try_from(now).unwrap_or(usize::MAX))
}

/// The connections that the limit of open files allows beside `others`, at most `wanted`.
pub(super) fn connections(wanted: usize, others: usize) -> usize {
    let files = open_files(wanted.saturating_add(others));
    // Even a tiny limit leaves some: accepting then meets its errors.
    files.saturating_sub(others).max(8).min(wanted)
}
