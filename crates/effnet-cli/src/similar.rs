use std::ffi::OsString;
use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::Model;
use effnet::sources::{Sample, SourceOptions, Sources};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::Serialize;

use super::decoding::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::{complain, stdout, width};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::sources::{Datasets, tell_passed_over};
use super::table::{align, printable};
use super::{NoModel, Status, Usage};

/// How many images are compared with all others at a time.
const BLOCK: usize = 256;

/// Find the images that look most like others
///
/// Images are compared by the cosine of their embeddings, each with every other: the result is exact.
/// The embeddings stay in memory, 5 KB for an image and 1280 features.
#[derive(Debug, Args)]
pub(super) struct Similar {
    /// Images to search: a folder, or anything else that `classify` takes
    #[arg(value_name = "DIR")]
    images: OsString,
    /// Images whose neighbors are asked for
    #[arg(
        value_name = "QUERY",
        required_unless_present = "duplicates",
        conflicts_with = "duplicates"
    )]
    queries: Vec<OsString>,
    /// How many neighbors to name
    #[arg(short = 'k', long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// List the pairs of DIR that are nearly the same image
    #[arg(long)]
    duplicates: bool,
    /// The least cosine of a listed pair
    #[arg(
        long,
        default_value_t = 0.95,
        value_name = "COSINE",
        requires = "duplicates",
        allow_negative_numbers = true
    )]
    threshold: f32,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One list of objects
    Json,
    /// One object per line
    Jsonl,
    /// One line per neighbor: image, rank, neighbor, similarity
    Csv,
}

/// An image and those most like it, best first.
#[derive(Debug, Serialize)]
struct Found {
    image: String,
    neighbors: Vec<Neighbor>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Neighbor {
    image: String,
    /// The cosine of the embeddings, from -1 to 1.
    similarity: f32,
}

impl Row for Found {
    fn csv(&self) -> Vec<Vec<String>> {
        let line = |(i, neighbor): (usize, &Neighbor)| {
            let rank = (i + 1).to_string();
            vec![self.image.clone(), rank, neighbor.image.clone(), neighbor.similarity.to_string()]
        };
        self.neighbors.iter().enumerate().map(line).collect()
    }
}

impl Similar {
    pub(super) fn run(self) -> Result<Status> {
        if !(-1.0..=1.0).contains(&self.threshold) {
            bail!(Usage(format!("--threshold {} is not a cosine, from -1 to 1", self.threshold)));
        }
        let datasets = Datasets::of(&self.model);
        let options = self.decode.options();
        let model = self.model.load(|b| self.preprocessing.apply(b.decode_options(options)))?;
        model.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        let mut done = Status::All;
        let mut embedded = |images: Vec<OsString>| {
            let (embedded, status) = Embedded::of(
                &model,
                datasets.open(&images, SourceOptions::default()),
                self.batch_size.into(),
            )?;
            if status == Status::Some {
                done = Status::Some;
            }
            anyhow::Ok(embedded)
        };
        let images = embedded(vec![self.images])?;
        let found = if self.duplicates {
            images.pairs(self.threshold)
        } else {
            let queries = embedded(self.queries)?;
            let k = self.top_k as usize;
            let one = |(name, vector): (&String, ArrayView1<'_, f32>)| Found {
                image: name.clone(),
                neighbors: images.nearest(&vector.to_owned(), k),
            };
            queries.names.iter().zip(queries.vectors.outer_iter()).map(one).collect()
        };
        write(self.format, &found)?;
        Ok(done)
    }
}

/// Images and their embeddings, which have length 1.
struct Embedded {
    names: Vec<String>,
    /// (N, F)
    vectors: Array2<f32>,
}

impl Embedded {
    /// The images that can be read; the others are named on standard error.
    fn of(model: &Model, images: Sources, batch_size: usize) -> Result<(Self, Status)> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut done = Status::All;
        let mut sources = images.on_note(|note| complain(&format!("note: {note}")));
        model.embed_each(&mut sources, batch_size, |sample: Sample, result| {
            match result {
                Ok(row) => {
                    names.push(sample.name);
                    values.extend(row);
                }
                Err(error) => {
                    done = Status::Some;
                    complain(&format!("error: {error}"));
                }
            }
            anyhow::Ok(())
        })?;
        tell_passed_over(&sources);
        let features = values.len() / names.len().max(1);
        let mut vectors = Array2::from_shape_vec((names.len(), features), values)?;
        for mut row in vectors.outer_iter_mut() {
            let length = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            row.mapv_inplace(|value| (f64::from(value) / length.max(f64::MIN_POSITIVE)) as f32);
        }
        Ok((Self { names, vectors }, done))
    }

    /// The images most like a vector, best first, then in their order.
    fn nearest(&self, vector: &Array1<f32>, k: usize) -> Vec<Neighbor> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let cosines = self.vectors.dot(vector);
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.sort_by(|&a, &b| cosines[b].total_cmp(&cosines[a]));
        let neighbor =
            |at: usize| Neighbor { image: self.names[at].clone(), similarity: cosines[at] };
        order.into_iter().take(k).map(neighbor).collect()
    }

    /// The pairs that are at least this similar, the most similar first.
    fn pairs(&self, threshold: f32) -> Vec<Found> {
        let mut pairs = Vec::new();
        for begin in (0..self.names.len()).step_by(BLOCK) {
            let end = self.names.len().min(begin + BLOCK);
            let others = self.vectors.slice(s![begin.., ..]);
            let cosines = self.vectors.slice(s![begin..end, ..]).dot(&others.t());
            for (row, cosines) in cosines.axis_iter(Axis(0)).enumerate() {
                for (other, cosine) in cosines.iter().enumerate().skip(row + 1) {
                    if *cosine >= threshold {
                        pairs.push((begin + row, begin + other, *cosine));
                    }
                }
            }
        }
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
        let found = |(one, other, similarity): (usize, usize, f32)| Found {
            image: self.names[one].clone(),
            neighbors: vec![Neighbor { image: self.names[other].clone(), similarity }],
        };
        pairs.into_iter().map(found).collect()
    }
}

fn write(format: Format, found: &[Found]) -> Result<()> {
    let mut out = stdout();
    let form = match format {
        Format::Json => Form::Json,
        Format::Jsonl => Form::Jsonl,
        Format::Csv => Form::Csv,
        Format::Table => {
            for found in found {
                writeln!(out, "{}", printable(&found.image))?;
                let row = |neighbor: &Neighbor| {
                    vec![format!("  {:.4}", neighbor.similarity), printable(&neighbor.image)]
                };
                let rows: Vec<_> = found.neighbors.iter().map(row).collect();
                for line in align(&rows, &[0], width()) {
                    writeln!(out, "{line}")?;
                }
            }
            return Ok(out.flush()?);
        }
    };
    let columns = ["image", "rank", "neighbor", "similarity"].map(str::to_owned);
    let mut rows = Rows::begin(form, out, &columns)?;
    found.iter().try_for_each(|found| rows.write(found))?;
    rows.finish()?.flush()?;
    Ok(())
}
