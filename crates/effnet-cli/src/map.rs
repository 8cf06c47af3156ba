use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::arch::NetworkOptions;
use effnet::conventions::{Convention, LibraryModel, library_models};
use effnet::weights::{MappedTensor, Renaming};
use serde::Serialize;

use super::Status;
use super::model_args::NamedModel;
use super::output::{Stdout, stdout};

/// Show how other libraries name and lay out a model's tensors
#[derive(Debug, Args)]
pub(super) struct Map {
    #[command(flatten)]
    model: NamedModel,
    /// Convention to show; if absent, all that cover the model
    #[arg(long, value_name = "CONVENTION")]
    to: Option<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One list of objects, one per tensor
    Json,
}

/// A tensor and its names.
#[derive(Debug, Serialize)]
struct Tensor<'a> {
    /// timm's name.
    name: &'a str,
    shape: &'a [usize],
    /// Other names, by convention; timm's is not among them.
    names: BTreeMap<&'a str, Named<'a>>,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    /// The library's name for the model.
    model: &'a str,
    name: &'a str,
    shape: &'a [usize],
}

/// A library's model and its names.
struct Column {
    convention: String,
    model: String,
    renaming: Renaming,
}

impl Column {
    fn new(model: LibraryModel<'_>) -> Result<Self> {
        let network = model.network(&NetworkOptions::default())?;
        Ok(Self {
            convention: model.family.convention().to_owned(),
            model: model.covered.name.clone(),
            renaming: model.renaming(&network)?,
        })
    }
}

impl Map {
    pub(super) fn run(self) -> Result<Status> {
        let timm = self.model.describe()?.arch.name;
        let names: Vec<&str> = match &self.to {
            Some(name) => vec![name],
            None => Convention::names().collect(),
        };
        let mut columns = Vec::new();
        let mut covered = BTreeSet::new();
        for name in names {
            let convention = Convention::named(name)?;
            // The first of a library's models that compute the same.
            let model = library_models(&convention)
                .find(|m| m.covered.timm == timm && m.covered.channel_multiplier.is_none());
            columns.extend(model.map(Column::new).transpose()?);
            covered.extend(library_models(&convention).map(|m| m.covered.timm.clone()));
        }
        let Some(first) = columns.first() else {
            let to = self.to.unwrap_or_default();
            let covered = covered.into_iter().collect::<Vec<_>>().join(", ");
            bail!("the convention `{to}` does not cover {timm}: it covers {covered}");
        };
        let tensors = first.renaming.tensors();
        let mut out = stdout();
        match self.format {
            Format::Table => table(tensors, &columns, &mut out)?,
            Format::Json => {
                let list: Vec<_> = tensors.iter().map(|tensor| object(tensor, &columns)).collect();
                out.write_json(&list)?;
            }
        }
        out.flush()?;
        Ok(Status::All)
    }
}

fn object<'a>(tensor: &'a MappedTensor, columns: &'a [Column]) -> Tensor<'a> {
    let named = columns.iter().filter_map(|column| {
        let mapped = column.renaming.mapped(&tensor.canonical)?;
        let (name, shape) = (mapped.foreign.as_str(), mapped.foreign_shape.as_slice());
        Some((column.convention.as_str(), Named { model: &column.model, name, shape }))
    });
    Tensor { name: &tensor.canonical, shape: &tensor.shape, names: named.collect() }
}

fn table(tensors: &[MappedTensor], columns: &[Column], out: &mut Stdout) -> std::io::Result<()> {
    let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let foreign: Vec<_> = columns.iter().filter(|c| c.convention != "timm").collect();
    let mut header = vec!["TIMM".to_owned(), "SHAPE".to_owned()];
    header.extend(foreign.iter().map(|c| format!("{} ({})", c.convention.to_uppercase(), c.model)));
    let mut rows = vec![header];
    for tensor in tensors {
        let mut row = vec![tensor.canonical.clone(), shape(&tensor.shape)];
        row.extend(foreign.iter().map(|column| match column.renaming.mapped(&tensor.canonical) {
            Some(mapped) if mapped.foreign_shape == tensor.shape => mapped.foreign.clone(),
            Some(mapped) => format!("{} {}", mapped.foreign, shape(&mapped.foreign_shape)),
            None => "-".to_owned(),
        }));
        rows.push(row);
    }
    out.write_table(&rows, &[])?;
    Ok(())
}
