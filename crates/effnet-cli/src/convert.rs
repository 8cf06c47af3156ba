use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use effnet::conventions::{Convention, Conversion, Dtype, recognize};
use effnet::pretrained::{ModelConfig, PretrainedError, read_labels};
use effnet::unstable::file_name;
use effnet::weights::Checkpoint;

use super::output::{Stdout, complain, stdout};
use super::table::printable;
use super::{NoModel, Status};

/// Convert a checkpoint to the names and layout of another library
///
/// Prints which tensor went where, and writes a safetensors file.
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// Checkpoint to read: a file, or a folder with config.json, whose values are kept
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write; with --folder, the folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Convention to write: timm, torchvision, ...
    #[arg(long, value_name = "CONVENTION")]
    to: String,
    /// Convention of IN
    #[arg(long, value_name = "CONVENTION", default_value = AUTO)]
    from: String,
    /// Architecture of IN, with timm's name or the library's
    #[arg(long, value_name = "ARCH", default_value = AUTO)]
    arch: String,
    /// Type to store: f32, f16 or bf16
    #[arg(long, default_value_t, value_name = "DTYPE")]
    dtype: Dtype,
    /// File of the classes' names, for config.json (with --folder); forms as for classify
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write a folder that timm loads by local-dir: (--to timm), with config.json
    #[arg(long)]
    folder: bool,
}

/// Leaves a choice to the file's names and shapes.
const AUTO: &str = "auto";

impl Convert {
    pub(super) fn run(self) -> Result<Status> {
        if self.folder && self.to != "timm" {
            bail!("--folder writes timm's config.json: it goes with --to timm");
        }
        if self.labels.is_some() && !self.folder {
            bail!("--labels writes the names into config.json: it goes with --folder");
        }
        let no_model = |error: &dyn std::fmt::Display| NoModel(error.to_string());
        Convention::named(&self.to).map_err(|e| no_model(&e))?;
        let checkpoint = Checkpoint::open(&self.input).map_err(|e| no_model(&e))?;
        let given = |text: &'static str, value: &str| (value != text).then(|| value.to_owned());
        let (from, arch) = (given(AUTO, &self.from), given(AUTO, &self.arch));
        let config = self.config().map_err(|e| no_model(&e))?;
        let labels = self.labels.as_deref().map(read_labels).transpose();
        let labels = labels.map_err(|e| NoModel(format!("--labels: {e}")))?;
        if let (Some(config), Some(arch)) = (&config, &arch)
            && config.architecture != arch
        {
            let (file, says) = (file_name(&config.file), config.architecture);
            bail!(
                "{file} says {says}, not {arch}: convert the file of the weights alone, or without --arch"
            );
        }
        let arch = arch.or(config.as_ref().map(|config| config.architecture.to_owned()));
        let mut found =
            recognize(&checkpoint, from.as_deref(), arch.as_deref()).map_err(|e| no_model(&e))?;
        if let Some(config) = &config {
            found = found.with_config(config).map_err(|e| no_model(&e))?;
        }
        let mut conversion =
            Conversion::new(&checkpoint, &found, &self.to).map_err(|e| no_model(&e))?;
        if let Some(config) = &config {
            conversion = conversion.with_config(config);
        }
        if let Some(labels) = labels {
            conversion = conversion.with_labels(labels);
        }
        let file = file_name(&self.input);
        if let Some(note) = checkpoint.note() {
            complain(&format!("note: {file}: {note}"));
        }
        complain(&format!(
            "note: {file}: {} of {}, timm's {}, {} classes",
            found.model.name, found.convention, found.model.timm, found.network.num_classes
        ));
        if found.has_background {
            complain("note: the classifier's first class, a background class, is left out");
        }
        if !self.folder && !conversion.differences().is_empty() {
            complain(&format!(
                "note: {} of {} computes differently from the model of these weights: {}",
                conversion.target().name,
                self.to,
                conversion.differences().join(", ")
            ));
        }
        if self.folder {
            conversion.write_folder(&self.output, self.dtype)?;
        } else {
            conversion.write(&self.output, self.dtype)?;
        }
        table(&conversion, &mut stdout())?;
        Ok(Status::All)
    }
}

impl Convert {
    /// The configuration beside the weights of a folder.
    fn config(&self) -> Result<Option<ModelConfig>, PretrainedError> {
        let file = self.input.join("config.json");
        file.exists().then(|| ModelConfig::from_file(&file)).transpose()
    }
}

fn table(conversion: &Conversion<'_>, out: &mut Stdout) -> std::io::Result<()> {
    let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let mut rows = vec![["FROM", "SHAPE", "TO", "SHAPE"].map(str::to_owned)];
    rows.extend(conversion.moved().map(|moved| {
        [printable(&moved.from), shape(&moved.from_shape), moved.to, shape(&moved.to_shape)]
    }));
    rows.extend(
        conversion
            .ignored()
            .iter()
            .map(|name| [printable(name), String::new(), "-".to_owned(), String::new()]),
    );
    out.write_table(&rows, &[])?;
    out.flush()
}
