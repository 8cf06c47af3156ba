//! Which of the values that were given for a setting counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::value::{Raw, Value};
use super::{Flags, PREFIX, Setting, Settings, TABLE, file};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Flag(String),
    Variable(String),
    File { path: PathBuf, line: usize },
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "--{key}"),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => write!(f, "default"),
        }
    }
}

/// One value, and where it was given.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// Settings that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in {}: {wrong}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        wrong: String,
    },
    /// A value that was given.
    #[error("{place}: {wrong}")]
    Wrong {
        /// An option, a variable, or a line of a file.
        place: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Together(String),
}

/// The values that count, by field.
#[derive(Debug)]
pub(super) struct Given(BTreeMap<&'static str, Vec<Item>>);

impl Given {
    /// What counts of the options, the environment and the file.
    pub(super) fn new(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let said = flags.config.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let mut given = BTreeMap::new();
        for setting in TABLE {
            let of = |(field, _): &&(&'static str, Vec<_>)| *field == setting.field;
            let flag = flags.given.iter().find(of);
            let items = if let Some((_, values)) = flag {
                let place = Place::Flag(setting.key());
                items(values.iter().cloned(), &place)
            } else if let Some(value) = environment(&setting.variable()) {
                of_variable(setting, value)?
            } else if let Some((_, values)) = said.iter().find(|said| said.0 == setting.field) {
                values.clone()
            } else {
                let default = Some(setting.default).filter(|default| !default.is_empty());
                items(default.map(|text| Raw::Text(text.to_owned())).into_iter(), &Place::Default)
            };
            given.insert(setting.field, items);
        }
        Ok(Self(given))
    }

    /// The value of a field.
    pub(super) fn value<T: Value>(&self, field: &str) -> Result<T, SettingsError> {
        let items = self.0.get(field).map(Vec::as_slice).unwrap_or_default();
        let raw: Vec<Raw> = items.iter().map(|item| item.raw.clone()).collect();
        T::from_items(&raw).map_err(|(at, wrong)| {
            let place = items.get(at).map_or(Place::Default, |item| item.place.clone());
            // An option says its name; elsewhere the key is said.
            let wrong = match &place {
                Place::Flag(_) | Place::Variable(_) => wrong,
                _ => format!("{} = {wrong}", field.replace('_', "-")),
            };
            SettingsError::Wrong { place: place.to_string(), wrong }
        })
    }

    /// All values as a TOML file that says where each came from.
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        for setting in TABLE {
            let items = self.0.get(setting.field).map(Vec::as_slice).unwrap_or_default();
            let values: Vec<String> = items.iter().map(|item| item.raw.to_string()).collect();
            let place = items.first().map_or(Place::Default, |item| item.place.clone());
            let line = match &values[..] {
                [] if setting.many => format!("{} = []", setting.key()),
                [] => format!("{} = \"none\"", setting.key()),
                values if setting.many => format!("{} = [{}]", setting.key(), values.join(", ")),
                values => format!("{} = {}", setting.key(), values.join("")),
            };
            text.push_str(&format!("{line}  # {place}\n"));
        }
        text
    }
}

fn items(values: impl Iterator<Item = Raw>, place: &Place) -> Vec<Item> {
    values.map(|raw| Item { raw, place: place.clone() }).collect()
}

/// The values in a variable: one, or if the setting may be repeated those between its commas.
fn of_variable(setting: &Setting, value: OsString) -> Result<Vec<Item>, SettingsError> {
    let place = Place::Variable(setting.variable());
    let Ok(text) = value.into_string() else {
        return Err(SettingsError::Wrong {
            place: place.to_string(),
            wrong: "is not UTF-8".to_owned(),
        });
    };
    let texts = match setting.many {
        true => text.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect(),
        false => vec![text],
    };
    Ok(items(texts.into_iter().map(Raw::Text), &place))
}

impl Flags {
    /// The settings: these options, the environment's and the file's.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; a value that cannot be obeyed, with where it was given; values
    /// that do not go together.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        Ok(self.read()?.0)
    }

    /// The settings as a TOML file that says where each came from.
    ///
    /// # Errors
    ///
    /// Those of [`settings`](Self::settings).
    pub fn print(&self) -> Result<String, SettingsError> {
        Ok(self.read()?.1.print())
    }

    fn read(&self) -> Result<(Settings, Given), SettingsError> {
        let given = Given::new(self, |name| std::env::var_os(name))?;
        let settings = Settings::from(&given)?;
        settings.check()?;
        Ok((settings, given))
    }
}

impl Settings {
    /// Refuses what would not be obeyed.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let wrong = match self {
            Self { tls_cert: Some(_), tls_key: None, .. } => "--tls-cert needs --tls-key",
            Self { tls_cert: None, tls_key: Some(_), .. } => "--tls-key needs --tls-cert",
            Self { rate: Some(_), api_key_file: None, .. } => {
                "--rate is for each key and needs --api-key-file"
            }
            Self { otlp: Some(_), .. } if cfg!(not(feature = "otlp")) => {
                "--otlp needs a build with the feature otlp"
            }
            _ => return Ok(()),
        };
        Err(SettingsError::Together(wrong.to_owned()))
    }
}

/// Variables that look like settings and are none: a misspelt one would be missed in silence.
pub(crate) fn unknown_variables() -> Vec<String> {
    let known = |name: &str| TABLE.iter().any(|setting| setting.variable() == name);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && *name != format!("{PREFIX}CONFIG"))
        .filter(|name| !known(name))
        .collect();
    names.sort();
    names
}
