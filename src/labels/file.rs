//! Class names from a user's file.

use serde_json::{Map, Value};

use super::{LabelError, LabelNames};

/// Header words for columns of indices, and of names.
const INDEX_COLUMNS: [&str; 7] =
    ["index", "idx", "id", "class_id", "class_index", "label_id", "target"];
const NAME_COLUMNS: [&str; 6] =
    ["name", "class_name", "label", "label_name", "class", "description"];

impl LabelNames {
    /// Class names from the text of a file, in any of the usual forms.
    ///
    /// | form | example |
    /// | --- | --- |
    /// | one name per line, in class order | `cat` |
    /// | an index and a name per line | `0 cat`, `0,cat`, `0: cat`, `cat,0` |
    /// | CSV with a header | `index,name` |
    /// | JSON list of names | `["cat", "dog"]` |
    /// | JSON map of index to name | `{"0": "cat", "1": "dog"}` |
    /// | JSON map of name to index (PyTorch's `class_to_idx`) | `{"cat": 0, "dog": 1}` |
    /// | a `config.json` with `id2label` or `label_names` | |
    ///
    /// Indices are 0, 1, ... without gaps. Empty lines are allowed only at the end.
    ///
    /// # Errors
    /// [`LabelError::File`] with the line that is wrong, or what [`in_order`](Self::in_order) refuses.
    ///
    /// ```
    /// use effnet::labels::LabelNames;
    /// let lines = LabelNames::parse("cat\ndog\n")?;
    /// assert_eq!(lines.in_order()?, ["cat", "dog"]);
    /// assert_eq!(LabelNames::parse(r#"{"dog": 1, "cat": 0}"#)?.in_order()?, ["cat", "dog"]);
    /// assert_eq!(LabelNames::parse("index,name\n1,dog\n0,cat\n")?.in_order()?, ["cat", "dog"]);
    /// assert!(LabelNames::parse("0 cat\n2 dog\n").is_err());
    /// # Ok::<(), effnet::labels::LabelError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let names = match text.trim_start().starts_with(['[', '{']) {
            true => json(text)?,
            false => lines(text)?,
        };
        if names.is_empty() {
            return Err(at(1, "no names"));
        }
        // Report a repeated or missing index here, where the error gets the file's name.
        names.in_order()?;
        Ok(names)
    }
}

/// Splits a line into its index and its name, if it has both.
type Form = fn(&str) -> Option<(String, String)>;

fn at(line: usize, reason: impl Into<String>) -> LabelError {
    LabelError::File { line, reason: reason.into() }
}

fn json(text: &str) -> Result<LabelNames, LabelError> {
    let value = serde_json::from_str(text).map_err(|e| at(e.line(), format!("not JSON: {e}")))?;
    match value {
        Value::Object(mut map) => {
            for key in ["id2label", "label_names"] {
                match map.remove(key) {
                    Some(Value::Object(names)) => return object(names),
                    Some(names @ Value::Array(_)) => return list(names),
                    _ => {}
                }
            }
            object(map)
        }
        value => list(value),
    }
}

fn list(value: Value) -> Result<LabelNames, LabelError> {
    let names = serde_json::from_value(value);
    names.map(LabelNames::List).map_err(|e| at(1, format!("expected a list of names: {e}")))
}

fn object(map: Map<String, Value>) -> Result<LabelNames, LabelError> {
    if map.values().all(Value::is_string) {
        let names =
            map.into_iter().filter_map(|(key, name)| Some((key, name.as_str()?.to_owned())));
        return Ok(LabelNames::Map(names.collect()));
    }
    let mut pairs = Vec::new();
    for (name, index) in map {
        let Some(index) = index.as_u64() else {
            let reason = format!("{name:?}: {index}; expected index to name, or name to index");
            return Err(at(1, reason));
        };
        pairs.push((index.to_string(), name));
    }
    indexed(pairs.into_iter().map(|(index, name)| (1, index, name)))
}

/// A map from pairs with their lines; a repeated index is an error that gives both names.
fn indexed(pairs: impl Iterator<Item = (usize, String, String)>) -> Result<LabelNames, LabelError> {
    let mut names = std::collections::BTreeMap::new();
    for (line, index, name) in pairs {
        if let Some(first) = names.get(&index) {
            return Err(at(line, format!("index {index} is {first:?} and {name:?}")));
        }
        names.insert(index, name);
    }
    Ok(LabelNames::Map(names))
}

fn lines(text: &str) -> Result<LabelNames, LabelError> {
    let lines: Vec<(usize, &str)> =
        text.trim_end().lines().enumerate().map(|(i, line)| (i + 1, line.trim())).collect();
    if let Some((line, _)) = lines.iter().find(|(_, line)| line.is_empty()) {
        return Err(at(*line, "empty; expected a name"));
    }
    if let Some(&(_, first)) = lines.first()
        && let Some(columns) = header(first)
    {
        return table(&lines[1..], columns);
    }
    for form in [index_first as Form, index_last] {
        let parsed = lines.iter().map(|(line, text)| (*line, form(text)));
        let pairs: Vec<_> =
            parsed.clone().filter_map(|(line, p)| p.map(|(i, n)| (line, i, n))).collect();
        if pairs.len() == lines.len() {
            return indexed(pairs.into_iter());
        }
        // Two in a row are not chance.
        let starts_so = parsed.clone().take(2).filter(|(_, p)| p.is_some()).count() == 2;
        if starts_so && let Some((line, _)) = parsed.clone().find(|(_, p)| p.is_none()) {
            return Err(at(line, "expected an index and a name, as in the lines before"));
        }
    }
    Ok(LabelNames::List(lines.iter().map(|(_, line)| (*line).to_owned()).collect()))
}

/// `0 cat`, `0,cat`, `0: cat`, `0<tab>cat`.
fn index_first(line: &str) -> Option<(String, String)> {
    let end = line.find(|c: char| !c.is_ascii_digit())?;
    let (index, rest) = line.split_at(end);
    let name = rest.strip_prefix([',', ';', ':', '\t', ' '])?.trim();
    let name = unquoted(name);
    (!index.is_empty() && !name.is_empty()).then(|| (plain(index), name))
}

/// `cat,0`.
fn index_last(line: &str) -> Option<(String, String)> {
    let (name, index) = line.rsplit_once([',', ';', '\t'])?;
    let (name, index) = (unquoted(name.trim()), index.trim());
    let is_index = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    (is_index && !name.is_empty()).then(|| (plain(index), name))
}

/// An index without leading zeros, so that the same index is the same key.
fn plain(index: &str) -> String {
    match index.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

/// A header's separator, and the columns of the index and of the name.
fn header(line: &str) -> Option<(char, usize, usize)> {
    let separator = [',', ';', '\t'].into_iter().find(|&c| line.contains(c))?;
    let cells: Vec<String> = cells(line, separator).iter().map(|c| c.to_lowercase()).collect();
    let find = |words: &[&str]| words.iter().find_map(|word| cells.iter().position(|c| c == word));
    let index = find(&INDEX_COLUMNS)?;
    let name = find(&NAME_COLUMNS)?;
    (index != name).then_some((separator, index, name))
}

fn table(
    lines: &[(usize, &str)],
    (separator, index, name): (char, usize, usize),
) -> Result<LabelNames, LabelError> {
    let mut pairs = Vec::new();
    for &(line, text) in lines {
        let cells = cells(text, separator);
        let cell = |column: usize| cells.get(column).filter(|cell| !cell.is_empty());
        let (Some(index), Some(name)) = (cell(index), cell(name)) else {
            return Err(at(line, "expected an index and a name, as the header says"));
        };
        if !index.bytes().all(|b| b.is_ascii_digit()) {
            return Err(at(line, format!("{index:?} is not a class index")));
        }
        pairs.push((line, plain(index), name.clone()));
    }
    indexed(pairs.into_iter())
}

/// The cells of a line of CSV.
fn cells(line: &str, separator: char) -> Vec<String> {
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// A name without the quotes of CSV.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
