use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use effnet::arch;
use effnet::pretrained::{self, PretrainedCfg, SizeChoice};
use serde::Serialize;

use super::Status;
use super::output::stdout;
use super::table::printable;

/// List the models, by name or pattern
#[derive(Debug, Args)]
pub(super) struct Models {
    /// Only names that match: a name, or a pattern such as 'tf_*b0*'
    #[arg(value_name = "GLOB", default_value = "*")]
    glob: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Only models in the cache, including those of other repositories
    #[cfg(feature = "hub")]
    #[arg(long)]
    cached: bool,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    hub: super::hub::CacheArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One list of objects
    Json,
}

/// One model of the list.
#[derive(Debug, Serialize)]
struct Row {
    /// Architecture and tag.
    name: String,
    /// Whether this program can build the architecture.
    built: bool,
    /// Whether timm publishes weights.
    weights: bool,
    num_classes: usize,
    /// The input size (C, H, W) at which the model is tested by default.
    input_size: [usize; 3],
    crop_pct: f64,
    interpolation: String,
    license: Option<String>,
}

impl Row {
    fn new(cfg: &PretrainedCfg) -> Result<Self> {
        let values = cfg.resolve(SizeChoice::Test);
        Ok(Self {
            name: cfg.name(),
            built: cfg.architecture.as_deref().is_some_and(|name| arch::find(name).is_some()),
            weights: cfg.has_weights(),
            num_classes: cfg.num_classes(),
            input_size: values.input_size.value,
            crop_pct: values.crop_pct.value,
            interpolation: values.interpolation.value,
            license: cfg.license.clone(),
        })
    }

    fn cells(&self) -> [String; 6] {
        let [_, h, w] = self.input_size;
        [
            printable(&self.name),
            format!("{h}x{w}"),
            self.crop_pct.to_string(),
            self.interpolation.clone(),
            self.num_classes.to_string(),
            self.license.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

impl Models {
    fn rows(&self) -> Result<Vec<Row>> {
        #[cfg(feature = "hub")]
        if self.cached {
            let models = self.hub.models(&self.glob)?;
            if models.is_empty() {
                bail!("no model in the cache matches {:?}", self.glob);
            }
            let named = |(name, cfg): (String, _)| Ok(Row { name, ..Row::new(&cfg)? });
            return models.into_iter().map(named).collect();
        }
        pretrained::glob(&self.glob)?.into_iter().map(Row::new).collect()
    }

    pub(super) fn run(self) -> Result<Status> {
        let rows = self.rows()?;
        if rows.is_empty() {
            bail!("no model matches {:?}; `effnet models` lists them all", self.glob);
        }
        let mut out = stdout();
        match self.format {
            Format::Json => {
                out.write_json(&rows)?;
            }
            Format::Table => {
                let header = ["MODEL", "SIZE", "CROP", "INTERPOLATION", "CLASSES", "LICENSE"];
                let mut cells = vec![header.map(str::to_owned)];
                cells.extend(rows.iter().map(Row::cells));
                out.write_table(&cells, &[1, 2, 4])?;
            }
        }
        out.flush()?;
        Ok(Status::All)
    }
}
