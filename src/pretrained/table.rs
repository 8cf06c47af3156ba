//! The table of pretrained models in the program, and lookups in it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use super::{CfgOrigin, PretrainedCfg, PretrainedError};

static TABLE: &str = include_str!("../../weights-map/pretrained.toml");

/// The tag of an architecture without published weights.
const UNTRAINED: &str = "untrained";
/// How near a name must be to be suggested, 0 to 1, and how many are suggested.
const NEAR: f64 = 0.6;
const SUGGESTIONS: usize = 3;

/// What a name was found to mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The configuration.
    pub cfg: &'static PretrainedCfg,
    /// What to tell the user, if timm has retired the name.
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    timm: String,
    defaults: PretrainedCfg,
    retired: BTreeMap<String, String>,
    architectures: Vec<Architecture>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    name: String,
    #[serde(rename = "module")]
    _module: String,
    tags: Vec<PretrainedCfg>,
}

struct Table {
    file: File,
    by_name: HashMap<String, usize>,
}

/// # Panics
/// If the table in the program does not parse: it is a constant, and tests read it.
#[allow(clippy::expect_used)]
fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| parse(TABLE).expect("the table in the program is valid"))
}

fn parse(text: &str) -> Result<Table, toml::de::Error> {
    let mut file: File = toml::from_str(text)?;
    for architecture in &mut file.architectures {
        for cfg in &mut architecture.tags {
            cfg.fill_from(&file.defaults);
            cfg.origin = CfgOrigin::ModelTable;
            cfg.architecture = Some(architecture.name.clone());
            if cfg.tag.as_deref() != Some(UNTRAINED) {
                cfg.hf_hub_id = Some(format!("timm/{}", cfg.name()));
            }
        }
    }
    let by_name = file.architectures.iter().enumerate().map(|(i, a)| (a.name.clone(), i)).collect();
    Ok(Table { file, by_name })
}

impl Table {
    /// One of timm's architectures, by its present name.
    fn architecture(&self, name: &str) -> Option<&Architecture> {
        self.file.architectures.get(*self.by_name.get(name)?)
    }
}

/// The version of timm that the table was made from.
pub fn timm_version() -> &'static str {
    &table().file.timm
}

/// Every architecture of timm's efficientnet.py, mobilenetv3.py and hardcorenas.py, in timm's order.
///
/// ```
/// assert_eq!(effnet::pretrained::architectures().count(), 154);
/// ```
pub fn architectures() -> impl Iterator<Item = &'static str> {
    table().file.architectures.iter().map(|a| a.name.as_str())
}

/// Every entry, architectures in timm's order, the default tag of each first. An architecture
/// without published weights has one entry, tagged `untrained`.
///
/// ```
/// let with_weights = effnet::pretrained::all().filter(|cfg| cfg.has_weights());
/// assert_eq!(with_weights.count(), 170);
/// ```
pub fn all() -> impl Iterator<Item = &'static PretrainedCfg> {
    table().file.architectures.iter().flat_map(|a| &a.tags)
}

/// Names that timm has retired but still accepts, and their successors.
pub fn retired() -> impl Iterator<Item = (&'static str, &'static str)> {
    let pairs = table().file.retired.iter();
    pairs.map(|(old, new)| (old.as_str(), new.as_str()))
}

/// The entry of `architecture` (its default tag), `architecture.tag`, or a name that timm has retired
/// (its successor, with a note). A retired name may carry a tag of its successor's architecture, as
/// in timm.
///
/// # Errors
/// [`PretrainedError::UnknownArchitecture`] or [`PretrainedError::UnknownTag`], with the nearest names.
///
/// ```
/// use effnet::pretrained::find;
/// assert_eq!(find("tf_efficientnet_lite0")?.cfg.name(), "tf_efficientnet_lite0.in1k");
/// let retired = find("mnasnet_b1")?;
/// assert_eq!(retired.cfg.name(), "mnasnet_100.rmsp_in1k");
/// assert!(retired.note.is_some());
/// let error = find("efficientnet-b0").unwrap_err().to_string();
/// assert!(error.contains("did you mean efficientnet_b0"), "{error}");
/// # Ok::<(), effnet::pretrained::PretrainedError>(())
/// ```
pub fn find(name: &str) -> Result<Found, PretrainedError> {
    let table = table();
    let (given, given_tag) = split(name);
    let (current, successor_tag, note) = match table.file.retired.get(given) {
        Some(successor) => {
            let (current, tag) = split(successor);
            let note = format!("timm has retired the name {given}: using {successor}");
            (current, tag, Some(note))
        }
        None => (given, None, None),
    };
    let architecture =
        table.architecture(current).ok_or_else(|| PretrainedError::UnknownArchitecture {
            name: given.to_owned(),
            suggestions: nearest(given, architectures().chain(retired().map(|(old, _)| old))),
        })?;
    let found = match given_tag.or(successor_tag) {
        None => architecture.tags.first(),
        Some(tag) => architecture.tags.iter().find(|cfg| cfg.tag.as_deref() == Some(tag)),
    };
    match found {
        Some(cfg) => Ok(Found { cfg, note }),
        None => {
            let tag = given_tag.unwrap_or_default();
            let tags = || architecture.tags.iter().filter_map(|cfg| cfg.tag.as_deref());
            Err(PretrainedError::UnknownTag {
                architecture: current.to_owned(),
                tag: tag.to_owned(),
                suggestions: nearest(tag, tags()),
                tags: tags().map(str::to_owned).collect(),
            })
        }
    }
}

/// Every entry that a shell pattern matches (`*`, `?`, `[...]`), in the order of [`all`]. As in timm, a
/// pattern without a tag matches all tags: `efficientnet_b?` finds `efficientnet_b0.ra_in1k`.
///
/// # Errors
/// [`PretrainedError::Pattern`] if the pattern does not parse.
///
/// ```
/// let lite = effnet::pretrained::glob("tf_efficientnet_lite*")?;
/// assert_eq!(lite.len(), 5);
/// assert_eq!(lite[0].name(), "tf_efficientnet_lite0.in1k");
/// # Ok::<(), effnet::pretrained::PretrainedError>(())
/// ```
pub fn glob(pattern: &str) -> Result<Vec<&'static PretrainedCfg>, PretrainedError> {
    let parse = |text: &str| {
        glob::Pattern::new(text).map_err(|e| PretrainedError::Pattern {
            pattern: pattern.to_owned(),
            reason: e.to_string(),
        })
    };
    let full = match split(pattern) {
        (_, Some(_)) => parse(pattern)?,
        (architecture, None) => parse(&format!("{architecture}.*"))?,
    };
    Ok(all().filter(|cfg| full.matches(&cfg.name())).collect())
}

/// Whether a name's architecture is in the table, by its present or a retired name.
pub(super) fn knows(name: &str) -> bool {
    let (architecture, _) = split(name);
    let table = table();
    table.by_name.contains_key(architecture) || table.file.retired.contains_key(architecture)
}

/// Architecture and tag: timm splits at the first dot.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('.') {
        Some((architecture, tag)) => (architecture, Some(tag)),
        None => (name, None),
    }
}

/// The names nearest to the one given, best first.
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let given: String = given
        .chars()
        .take(100)
        .map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
        .collect();
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| (strsim::normalized_damerau_levenshtein(&given, name), name))
        .filter(|(score, _)| *score >= NEAR)
        .collect();
    scored.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    // One clearly right answer needs no others next to it.
    let exact = scored.first().is_some_and(|(score, _)| *score == 1.0);
    let most = if exact { 1 } else { SUGGESTIONS };
    scored.truncate(most);
    scored.into_iter().map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_valid() {
        for cfg in all() {
            assert_eq!(cfg.validate(), Ok(()), "{}", cfg.name());
        }
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_errors() {
        assert!(parse(TABLE).is_ok());
        for (old, new) in [
            ("crop_pct = 0.9\n", "crop_percent = 0.9\n"),
            ("crop_pct = 0.9\n", "crop_pct = \"0.9\"\n"),
            ("module = ", "file = "),
            ("\n[retired]", "\n[old]"),
        ] {
            let changed = TABLE.replacen(old, new, 1);
            assert_ne!(changed, TABLE);
            assert!(parse(&changed).is_err(), "{new}");
        }
    }
}
