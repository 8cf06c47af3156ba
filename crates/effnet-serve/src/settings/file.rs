//! The TOML file.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::resolve::{Item, Place, SettingsError};
use super::value::Raw;
use super::{Setting, TABLE};

/// What a file says, by field.
pub(super) type Said = Vec<(&'static str, Vec<Item>)>;

/// Reads a file of settings.
pub(super) fn read(path: &Path) -> Result<Said, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        wrong: error.to_string(),
    })?;
    parse(path, &text)
}

/// The settings in the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Said, SettingsError> {
    let place = |at: usize| Place::File { path: path.to_owned(), line: line(text, at) };
    let wrong = |at, wrong| SettingsError::Wrong { place: place(at).to_string(), wrong };
    let table = DeTable::parse(text).map_err(|error| {
        wrong(error.span().map_or(0, |span| span.start), error.message().to_owned())
    })?;
    let mut said = Vec::new();
    for (key, value) in table.get_ref() {
        let name = &**key.get_ref();
        let Some(setting) = TABLE.iter().find(|setting| setting.key() == name) else {
            return Err(wrong(key.span().start, unknown(name)));
        };
        let items = items(setting, value).map_err(|(at, what)| {
            wrong(at.unwrap_or(key.span().start), format!("{name} {what}"))
        })?;
        let items = items.into_iter().map(|(at, raw)| Item { raw, place: place(at) });
        said.push((setting.field, items.collect()));
    }
    Ok(said)
}

type Wrong = (Option<usize>, String);

/// The values of a key, each with where it is in the text.
fn items(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<(usize, Raw)>, Wrong> {
    match value.get_ref() {
        DeValue::Array(array) if setting.many => array.iter().map(item).collect(),
        DeValue::Array(_) => Err((None, "takes one value, not a list".to_owned())),
        _ => Ok(vec![item(value)?]),
    }
}

fn item(value: &Spanned<DeValue<'_>>) -> Result<(usize, Raw), Wrong> {
    let at = value.span().start;
    let raw = match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Text(number.as_str().to_owned()),
        DeValue::Float(number) => Raw::Text(number.as_str().to_owned()),
        DeValue::Table(_) => {
            let table = toml::Table::deserialize(ValueDeserializer::from(value.clone()));
            Raw::Table(table.map_err(|error| (Some(at), error.message().to_owned()))?)
        }
        other => {
            return Err((Some(at), format!("must not be of the type {}", other.type_str())));
        }
    };
    Ok((at, raw))
}

fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn unknown(name: &str) -> String {
    let key = name.replace('_', "-").to_lowercase();
    let known = TABLE.iter().map(Setting::key);
    let near = known.map(|known| (strsim::levenshtein(&known, &key), known)).min();
    match near {
        Some((distance, near)) if distance <= 3 => format!("unknown key {name}: is it {near}?"),
        _ => format!("unknown key {name}: `effnet serve --help` lists the settings"),
    }
}
