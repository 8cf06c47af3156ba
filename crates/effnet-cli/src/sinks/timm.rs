//! The files of timm's `inference.py`, as pandas and NumPy write them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::{Outcome, Prediction, Record};

use super::numpy;
use crate::Usage;
use crate::journal::Head;

/// The options of timm's `inference.py`, by its names.
#[derive(Debug, Clone, Args)]
pub(super) struct TimmArgs {
    /// For --layout timm: names with their folders, below the folder that was given
    #[arg(long)]
    fullname: bool,
    /// For --layout timm: the classes' indices too
    #[arg(long)]
    include_index: bool,
    /// For --layout timm: columns of their own for each class, not lists
    #[arg(long)]
    results_separate_col: bool,
    /// For --layout timm: probabilities or logits; prob if absent
    #[arg(long, value_enum, value_name = "TYPE")]
    output_type: Option<OutputType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputType {
    Prob,
    Logit,
}

/// A column, or a value under its name in JSON.
struct Column {
    name: String,
    /// In CSV, and in JSON.
    text: [String; 2],
}

impl TimmArgs {
    /// Whether one of these options was given.
    pub(super) fn is_given(&self) -> bool {
        self.fullname
            || self.include_index
            || self.results_separate_col
            || self.output_type.is_some()
    }

    /// All rows in timm's order, by name with numbers as numbers.
    pub(super) fn csv<W: Write>(
        &self,
        out: W,
        records: impl Iterator<Item = Result<Record>>,
        head: &Head,
    ) -> Result<W> {
        let rows = self.rows(records, head)?;
        let mut csv = csv::Writer::from_writer(out);
        let names = |row: &[Column]| row.iter().map(|column| column.name.clone()).collect();
        let columns: Vec<String> = rows.first().map_or_else(Vec::new, |(_, row)| names(row));
        csv.write_record(std::iter::once("filename").chain(columns.iter().map(String::as_str)))?;
        for (name, row) in &rows {
            let cells = row.iter().map(|column| column.text[0].as_str());
            csv.write_record(std::iter::once(name.as_str()).chain(cells))?;
        }
        Ok(csv.into_inner().map_err(csv::IntoInnerError::into_error)?)
    }

    /// The same as an object of objects.
    pub(super) fn json<W: Write>(
        &self,
        mut out: W,
        records: impl Iterator<Item = Result<Record>>,
        head: &Head,
    ) -> Result<W> {
        let rows = self.rows(records, head)?;
        let mut seen = HashSet::new();
        if let Some((name, _)) = rows.iter().find(|(name, _)| !seen.insert(name)) {
            bail!("two images are called {name}, and are one key in JSON: add --fullname");
        }
        write!(out, "{{")?;
        for (i, (name, row)) in rows.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(out, "{comma}\n    {}:{{", numpy::json_text(name))?;
            for (i, column) in row.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let name = numpy::json_text(&column.name);
                write!(out, "{comma}\n        {name}:{}", column.text[1])?;
            }
            write!(out, "\n    }}")?;
        }
        write!(out, "\n}}")?;
        Ok(out)
    }

    fn rows(
        &self,
        records: impl Iterator<Item = Result<Record>>,
        head: &Head,
    ) -> Result<Vec<(String, Vec<Column>)>> {
        let mut records = records.collect::<Result<Vec<Record>>>()?;
        records.sort_by(|a, b| natural(&a.image, &b.image));
        records
            .iter()
            .map(|record| Ok((self.name(record, head), self.row(record, head)?)))
            .collect()
    }

    fn name(&self, record: &Record, head: &Head) -> String {
        let name = record.image.as_str();
        let shown = if self.fullname {
            let below = head.folder.as_deref().and_then(|folder| name.strip_prefix(folder));
            below.map_or(name, |below| below.trim_start_matches(['/', '\\']))
        } else {
            name.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(name)
        };
        shown.to_owned()
    }

    fn row(&self, record: &Record, head: &Head) -> Result<Vec<Column>> {
        let (k, output) = (head.top_k, self.output_type.unwrap_or(OutputType::Prob));
        let none = Vec::new();
        let (predictions, failed) = match &record.outcome {
            Outcome::Predictions(predictions) => (predictions, false),
            Outcome::Error(_) => (&none, true),
        };
        let index = |p: &Prediction| (p.index.to_string(), p.index.to_string());
        let label = |p: &Prediction| {
            let label = head.labels.get(p.index).cloned();
            let label = label.unwrap_or_else(|| format!("<unmapped:{}>", p.index));
            (label.clone(), numpy::json_text(&label))
        };
        let value = |p: &Prediction| match output {
            OutputType::Logit => Ok(p.logit),
            OutputType::Prob => p.probability.ok_or_else(|| {
                Usage("this model makes no probabilities: add --output-type logit".to_owned())
            }),
        };
        let values = predictions.iter().map(value).collect::<Result<Vec<f32>, _>>()?;
        let name = match output {
            OutputType::Logit => "logit",
            OutputType::Prob => "prob",
        };
        let mut columns = Vec::new();
        let mut add = |name: &str, cells: Vec<(String, String)>, list: &dyn Fn() -> String| {
            let empty = || [String::new(), "null".to_owned()];
            let numbered = self.results_separate_col && k > 1;
            if numbered || k == 1 {
                for i in 0..k {
                    let name = if numbered { format!("{name}_{i}") } else { name.to_owned() };
                    let text =
                        cells.get(i).map_or_else(empty, |(csv, json)| [csv.clone(), json.clone()]);
                    columns.push(Column { name, text });
                }
            } else {
                let json: Vec<&str> = cells.iter().map(|(_, json)| json.as_str()).collect();
                let json = format!("[\n            {}\n        ]", json.join(",\n            "));
                let text = if failed { empty() } else { [list(), json] };
                columns.push(Column { name: name.to_owned(), text });
            }
        };
        if self.include_index {
            let indices: Vec<usize> = predictions.iter().map(|p| p.index).collect();
            add("index", predictions.iter().map(index).collect(), &|| numpy::integers(&indices));
        }
        if !head.labels.is_empty() {
            let cells: Vec<_> = predictions.iter().map(label).collect();
            let labels: Vec<String> = cells.iter().map(|(label, _)| label.clone()).collect();
            add("label", cells, &|| numpy::texts(&labels));
        }
        let cells = values.iter().map(|v| (numpy::float(*v), numpy::json_float(*v))).collect();
        add(name, cells, &|| numpy::floats(&values));
        Ok(columns)
    }
}

/// timm's order of names: without case, and numbers as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let parts = |text: &str| {
        let mut parts = vec![String::new()];
        let mut in_number = false;
        for c in text.chars() {
            if c.is_ascii_digit() != in_number {
                in_number = !in_number;
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        parts
    };
    let (a, b) = (parts(&a), parts(&b));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        let order = match i % 2 {
            0 => a.cmp(b),
            _ => {
                let [a, b] = [a, b].map(|digits| digits.trim_start_matches('0'));
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What pandas made of results: `tests/parity/timm_layout`.
    const GOLDENS: &str = include_str!("../../../../tests/goldens/timm_layout.json");

    #[derive(Deserialize)]
    struct Golden {
        names: Vec<String>,
        indices: Vec<Vec<usize>>,
        labels: Vec<Vec<String>>,
        outputs: Vec<Vec<f32>>,
        separate: bool,
        include_index: bool,
        logit: bool,
        csv: String,
        json: String,
    }

    #[test]
    fn files_are_those_of_pandas() {
        let goldens: Vec<Golden> = serde_json::from_str(GOLDENS).unwrap();
        assert!(goldens.len() > 10);
        for golden in goldens {
            let mut labels = vec![String::new(); 1001];
            for (index, label) in
                golden.indices.iter().flatten().zip(golden.labels.iter().flatten())
            {
                labels[*index].clone_from(label);
            }
            let head = Head {
                model: String::new(),
                top_k: golden.outputs[0].len(),
                settings: Default::default(),
                labels,
                folder: None,
                answers: false,
                shard: (1, 1),
            };
            let args = TimmArgs {
                fullname: true,
                include_index: golden.include_index,
                results_separate_col: golden.separate,
                output_type: golden.logit.then_some(OutputType::Logit),
            };
            let records = || {
                golden.names.iter().zip(&golden.indices).zip(&golden.outputs).map(
                    |((name, indices), outputs)| {
                        let prediction = |(&index, &value): (&usize, &f32)| Prediction {
                            index,
                            synset: None,
                            label: None,
                            probability: Some(value),
                            logit: value,
                        };
                        let predictions = indices.iter().zip(outputs).map(prediction).collect();
                        let outcome = Outcome::Predictions(predictions);
                        Ok(Record::new(name, "", outcome))
                    },
                )
            };
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            assert_eq!(text(args.csv(Vec::new(), records(), &head).unwrap()), golden.csv);
            assert_eq!(text(args.json(Vec::new(), records(), &head).unwrap()), golden.json);
        }
    }

    #[test]
    fn names_are_in_timms_order() {
        let sorted = ["a/2.jpg", "a/10.jpg", "A/010.jpg", "a/b1.jpg", "a/b1c.jpg", "a/B2.jpg", "b"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let equal = natural(a, b).is_eq();
                assert_eq!(equal, i == j || [i, j] == [1, 2] || [i, j] == [2, 1], "{a} {b}");
                assert!(equal || natural(a, b) == i.cmp(&j), "{a} {b}");
            }
        }
    }
}
