//! What training puts around the names of a network's tensors: one table for all formats, whether a
//! wrapper is a dictionary's key in a pickle or the beginning of names in safetensors.

use std::collections::{HashMap, HashSet};

use safetensors::Dtype;

use super::check::COUNTER;
use super::tensor_table::{Entry, TensorTable};

/// How a key relates to what is next to it.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    /// Averages of the weights. What is next to the key may belong to the network too.
    Average,
    /// Nothing next to it belongs to the network.
    Sure,
    /// It may also be the name of a module in a larger network.
    Perhaps,
}

/// Where training scripts put the weights; the first key found wins. Averages come before the
/// weights themselves, as in timm's `load_state_dict` (`timm/models/_helpers.py`).
const KEYS: [(&str, Key); 15] = [
    ("state_dict_ema", Key::Average),
    ("model_state_dict_ema", Key::Average),
    ("ema_state_dict", Key::Average),
    ("model_ema", Key::Average),
    ("ema_model", Key::Average),
    ("params_ema", Key::Average),
    ("ema", Key::Average),
    ("state_dict", Key::Sure),
    ("model_state_dict", Key::Sure),
    ("model_state", Key::Sure),
    ("model_weights", Key::Sure),
    ("net_state_dict", Key::Sure),
    ("model", Key::Perhaps),
    ("weights", Key::Perhaps),
    ("params", Key::Perhaps),
];
/// What else training keeps, next to a network but never in one.
const TRAINING: [&str; 13] = [
    "optimizer",
    "optimizer_state",
    "optimizer_state_dict",
    "optimizer_states",
    "optim",
    "opt",
    "scheduler",
    "lr_scheduler",
    "lr_schedulers",
    "scheduler_state_dict",
    "scaler",
    "amp_scaler",
    "rng_state",
];
/// What wrappers put before every name (timm's `clean_state_dict`), and what they put anywhere.
const PREFIX: &str = "module.";
const SEGMENTS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
/// The counter that PyTorch's `AveragedModel` keeps next to the network.
const AVERAGED: &str = "n_averaged";
/// Parts of the names of losses and metrics.
const MEASURES: [&str; 4] = ["criterion", "loss", "metric", "accuracy"];
/// What TensorFlow puts after the name of a variable's average.
const AVERAGE: &str = "/ExponentialMovingAverage";
/// How many nested wrappers are removed; only a hostile file has more.
const DEPTH: usize = 4;
/// How many names a note lists.
const LISTED: usize = 6;

/// The header with the wrappers removed from the names, and notes on what was done.
pub(super) fn strip(mut header: TensorTable) -> (TensorTable, Vec<String>) {
    let mut notes = Vec::new();
    for _ in 0..DEPTH {
        let before = notes.len();
        notes.extend(take_key(&mut header));
        notes.extend(take_prefixes(&mut header));
        if notes.len() == before {
            break;
        }
    }
    notes.extend(leave_training(&mut header));
    notes.extend(leave_measures(&mut header));
    notes.extend(take_averages(&mut header));
    (header, notes)
}

/// Which tensors can belong to layers.
struct Layers<'a> {
    /// How many float tensors a module has, by its name.
    floats: HashMap<&'a str, usize>,
}

impl<'a> Layers<'a> {
    fn of(header: &'a TensorTable) -> Self {
        let mut floats: HashMap<&str, usize> = HashMap::new();
        for entry in header.entries.iter().filter(|entry| is_float(entry.dtype)) {
            *floats.entry(module(&entry.name)).or_default() += 1;
        }
        Self { floats }
    }

    /// Whether a tensor can be a layer's; a metric's counts and a loss's class weights are not.
    fn has(&self, entry: &Entry) -> bool {
        let alone = self.floats.get(module(&entry.name)).is_none_or(|&count| count <= 1);
        is_float(entry.dtype) && (entry.shape.len() > 1 || !alone)
    }
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// The name of the module that a tensor is in.
fn module(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(module, _)| module)
}

fn is_under(name: &str, key: &str) -> bool {
    name.strip_prefix(key).and_then(|rest| rest.strip_prefix('.')).is_some_and(|s| !s.is_empty())
}

fn count_under(header: &TensorTable, key: &str) -> usize {
    header.entries.iter().filter(|entry| is_under(&entry.name, key)).count()
}

/// Keeps only what is under one of [`KEYS`].
fn take_key(header: &mut TensorTable) -> Option<String> {
    let found: Vec<_> = KEYS
        .iter()
        .map(|&(key, kind)| (key, kind, count_under(header, key)))
        .filter(|(_, _, count)| *count > 0)
        .collect();
    let weights = found.iter().filter(|(_, kind, _)| *kind != Key::Average);
    let most = weights.map(|(_, _, count)| *count).max().unwrap_or(0);
    // What is next to keys and can belong to the network.
    let layers = Layers::of(header);
    let is_beside = |entry: &&Entry| {
        let name = &entry.name;
        layers.has(entry)
            && !found.iter().any(|(key, ..)| is_under(name, key))
            && !TRAINING.iter().any(|key| is_under(name, key))
    };
    let beside = header.entries.iter().filter(is_beside).count();
    let is_taken = |&&(_, kind, count): &&(&str, Key, usize)| match kind {
        // A few values that belong to the averaging itself are not the averages.
        Key::Average => beside == 0 && 2 * count >= most,
        Key::Sure => true,
        Key::Perhaps => beside == 0,
    };
    let &(key, _, count) = found.iter().find(is_taken)?;
    let beside = header.entries.len() - count;
    let inside =
        |name: &str| is_under(name, key).then(|| name.split_at(key.len() + 1).1.to_owned());
    rename(header, inside);
    let mut note = format!("the weights are those under `{key}`");
    if beside > 0 {
        note.push_str(&format!(", without {beside} tensors beside them"));
    }
    Some(note)
}

/// Removes [`PREFIX`] and [`SEGMENTS`] from every name that has them, unless two names would become
/// the same.
fn take_prefixes(header: &mut TensorTable) -> Option<String> {
    let strip = |name: &str| {
        let without: Vec<_> = name.split('.').filter(|part| !SEGMENTS.contains(part)).collect();
        let without = without.join(".");
        let rest = without.strip_prefix(PREFIX).unwrap_or(&without);
        (!rest.is_empty() && rest != name).then(|| rest.to_owned())
    };
    let mut found = HashSet::new();
    let mut names = HashSet::new();
    let mut count = 0;
    for entry in &header.entries {
        let name = match strip(&entry.name) {
            Some(name) => {
                let segments = entry.name.split('.').filter(|part| SEGMENTS.contains(part));
                found.extend(segments.map(|segment| format!("{segment}.")));
                if entry.name.ends_with(&format!("{PREFIX}{name}")) {
                    found.insert(PREFIX.to_owned());
                }
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
    rename(header, |name| strip(name).or_else(|| (name != AVERAGED).then(|| name.to_owned())));
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    Some(format!("the prefix {} was taken off {count} names", found.join(" or ")))
}

/// Leaves out what only training needs.
fn leave_training(header: &mut TensorTable) -> Option<String> {
    let is_training = |name: &str| TRAINING.iter().any(|key| is_under(name, key));
    let count = header.entries.iter().filter(|entry| is_training(&entry.name)).count();
    if count == 0 {
        return None;
    }
    rename(header, |name| (!is_training(name)).then(|| name.to_owned()));
    Some(format!("{count} tensors of the optimizer were left out"))
}

/// Leaves out what a training module keeps next to its network: modules without layers, and losses
/// and metrics, which are recognised by name because some have layers' weights.
fn leave_measures(header: &mut TensorTable) -> Option<String> {
    let root = |name: &str| name.split_once('.').map(|(root, _)| root.to_owned());
    let layers = Layers::of(header);
    let roots_of = |is: &dyn Fn(&Entry) -> bool| -> HashSet<String> {
        header.entries.iter().filter(|entry| is(entry)).filter_map(|e| root(&e.name)).collect()
    };
    let is_convolution = |entry: &Entry| entry.shape.len() == 4;
    let networks = roots_of(&is_convolution);
    let mut with_layers = roots_of(&|entry| layers.has(entry));
    // What cannot be read may be a quantized layer.
    with_layers.extend(header.unreadable.keys().filter_map(|name| root(name)));
    let is_called_so = |root: &str| MEASURES.iter().any(|word| root.contains(word));
    let is_measure = |name: &str| {
        let root = root(name).filter(|root| !networks.contains(root));
        !name.ends_with(COUNTER)
            && root.is_some_and(|root| !with_layers.contains(&root) || is_called_so(&root))
    };
    let names = header.entries.iter().map(|entry| entry.name.as_str());
    let mut left_out: Vec<_> =
        names.filter(|name| is_measure(name)).map(|name| format!("`{name}`")).collect();
    if left_out.is_empty() || !header.entries.iter().any(is_convolution) {
        return None;
    }
    let more = left_out.len().saturating_sub(LISTED);
    left_out.truncate(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let note = format!("inference does not use {}{more}", left_out.join(", "));
    rename(header, |name| (!is_measure(name)).then(|| name.to_owned()));
    Some(note)
}

/// Puts averages in the place of their variables.
fn take_averages(header: &mut TensorTable) -> Option<String> {
    let average = |name: &str| name.strip_suffix(AVERAGE).map(str::to_owned);
    let averaged: HashSet<_> = header.entries.iter().filter_map(|e| average(&e.name)).collect();
    if averaged.is_empty() {
        return None;
    }
    rename(header, |name| {
        average(name).or_else(|| (!averaged.contains(name)).then(|| name.to_owned()))
    });
    Some(format!("averages ({AVERAGE}) stand in the place of {} variables", averaged.len()))
}

/// Gives every tensor a new name or leaves it out.
fn rename(header: &mut TensorTable, new: impl Fn(&str) -> Option<String>) {
    let entries = std::mem::take(&mut header.entries).into_iter();
    header.entries = entries.filter_map(|e| Some(Entry { name: new(&e.name)?, ..e })).collect();
    let names = header.entries.iter().enumerate();
    header.index = names.map(|(i, entry)| (entry.name.clone(), i)).collect();
    let unreadable = std::mem::take(&mut header.unreadable).into_iter();
    header.unreadable = unreadable.filter_map(|(name, why)| Some((new(&name)?, why))).collect();
}
