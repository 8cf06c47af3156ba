//! What training wrappers put around the names of a network's tensors.

use std::collections::HashSet;

use super::entry::{Entry, Header};

/// Where training scripts put the weights, flattened into names; the first that is there wins, as in
/// timm's `load_state_dict` (`timm/models/_helpers.py`). Averages come before the weights themselves.
const KEYS: [&str; 5] = ["state_dict_ema", "model_ema", "ema_model", "state_dict", "model"];
/// What wrappers put before every name (timm's `clean_state_dict`).
const PREFIXES: [&str; 2] = ["_orig_mod.", "module."];
/// The counter that PyTorch's `AveragedModel` keeps beside the network.
const AVERAGED: &str = "n_averaged";
/// What TensorFlow puts after the name of a variable's average.
const AVERAGE: &str = "/ExponentialMovingAverage";
/// Wrappers inside wrappers that are taken off; a hostile file has no more.
const DEPTH: usize = 4;

/// The header without the names' wrappers, and what was done.
pub(super) fn strip(mut header: Header) -> (Header, Vec<String>) {
    let mut notes = Vec::new();
    for _ in 0..DEPTH {
        let before = notes.len();
        notes.extend(take_key(&mut header));
        notes.extend(take_prefixes(&mut header));
        if notes.len() == before {
            break;
        }
    }
    notes.extend(take_averages(&mut header));
    (header, notes)
}

/// Leaves only what stands under one of [`KEYS`].
fn take_key(header: &mut Header) -> Option<String> {
    let under = |key: &str| {
        let named =
            header.entries.iter().filter_map(|e| e.name.strip_prefix(key)?.strip_prefix('.'));
        named.filter(|name| !name.is_empty()).count()
    };
    let (key, count) = KEYS.iter().map(|key| (key, under(key))).find(|(_, count)| *count > 0)?;
    let beside = header.entries.len() - count;
    let inside = |entry: Entry| {
        let name = entry.name.strip_prefix(key)?.strip_prefix('.')?.to_owned();
        (!name.is_empty()).then_some(Entry { name, ..entry })
    };
    rename(header, inside);
    let mut note = format!("the weights are those under `{key}`");
    if beside > 0 {
        note.push_str(&format!(", without {beside} tensors beside them"));
    }
    Some(note)
}

/// Takes [`PREFIXES`] off every name that has them, unless that would make two names one.
fn take_prefixes(header: &mut Header) -> Option<String> {
    let strip = |name: &str| {
        let prefix = PREFIXES.iter().find(|prefix| name.starts_with(**prefix))?;
        name.strip_prefix(prefix)
            .filter(|rest| !rest.is_empty())
            .map(|rest| (*prefix, rest.to_owned()))
    };
    let mut found = HashSet::new();
    let mut names = HashSet::new();
    let mut count = 0;
    for entry in &header.entries {
        let name = match strip(&entry.name) {
            Some((prefix, name)) => {
                found.insert(prefix);
                count += 1;
                name
            }
            None => entry.name.clone(),
        };
        if !names.insert(name) {
            return None;
        }
    }
    if count == 0 {
        return None;
    }
    rename(header, |entry| match strip(&entry.name) {
        Some((_, name)) => Some(Entry { name, ..entry }),
        None => (entry.name != AVERAGED).then_some(entry),
    });
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    Some(format!("the prefix {} was taken off {count} names", found.join(" or ")))
}

/// Puts averages in the place of the variables that they are of.
fn take_averages(header: &mut Header) -> Option<String> {
    let average = |name: &str| name.strip_suffix(AVERAGE).map(str::to_owned);
    let averaged: HashSet<_> = header.entries.iter().filter_map(|e| average(&e.name)).collect();
    if averaged.is_empty() {
        return None;
    }
    rename(header, |entry| match average(&entry.name) {
        Some(name) => Some(Entry { name, ..entry }),
        None => (!averaged.contains(&entry.name)).then_some(entry),
    });
    Some(format!("averages ({AVERAGE}) stand in the place of {} variables", averaged.len()))
}

/// Renames or drops every entry.
fn rename(header: &mut Header, new: impl FnMut(Entry) -> Option<Entry>) {
    header.entries = std::mem::take(&mut header.entries).into_iter().filter_map(new).collect();
    let names = header.entries.iter().enumerate();
    header.index = names.map(|(i, entry)| (entry.name.clone(), i)).collect();
}
