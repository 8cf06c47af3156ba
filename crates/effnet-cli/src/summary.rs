use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};
use effnet::arch::{Arch, DepthMultiplier, NetworkOptions};
use effnet::summary::{Figures, Summary};

use super::model_args::NamedModel;
use super::output::{Stdout, stdout};
use super::{Status, dot, svg};

/// Describe a network: shapes, parameters and operations, layer by layer
///
/// MACs and activations are counted as fvcore does, which timm's `benchmark.py --bench profile`
/// uses.
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    #[command(flatten)]
    model: NamedModel,
    /// Side of the input image in pixels; if absent, the model's
    #[arg(long, value_name = "S")]
    img_size: Option<usize>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Width multiplier in place of the architecture's
    #[arg(long, value_name = "W")]
    width: Option<f64>,
    /// Depth multiplier in place of the architecture's
    #[arg(long, value_name = "D")]
    depth: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One object
    Json,
    /// A graph for Graphviz
    Dot,
    /// A picture
    Svg,
}

impl SummaryArgs {
    pub(super) fn run(self) -> Result<Status> {
        let found = self.model.describe()?;
        let arch = Arch {
            channel_multiplier: self.width.unwrap_or(found.arch.channel_multiplier),
            depth_multiplier: self
                .depth
                .map_or(found.arch.depth_multiplier, DepthMultiplier::Uniform),
            ..found.arch
        };
        let [_, height, width] = found.preprocessing.input_size.value;
        let options = NetworkOptions {
            in_chans: found.in_chans,
            num_classes: found.num_classes,
            ..NetworkOptions::default()
        };
        let (height, width) = self.img_size.map_or((height, width), |size| (size, size));
        let mut summary = Summary::new(&arch.network(&options)?, height, width)?;
        for (what, factor) in [("width", self.width), ("depth", self.depth)] {
            if let Some(factor) = factor {
                summary.architecture.push_str(&format!(" {what} {factor}"));
            }
        }
        let mut out = stdout();
        match self.format {
            Format::Table => table(&summary, &mut out)?,
            Format::Json => {
                out.write_json(&summary)?;
            }
            Format::Dot => dot::write(&summary, &mut out)?,
            Format::Svg => svg::write(&summary, &mut out)?,
        }
        out.flush()?;
        Ok(Status::All)
    }
}

fn table(summary: &Summary, out: &mut Stdout) -> std::io::Result<()> {
    let header = ["LAYER", "KIND", "OUTPUT", "PARAMETERS", "MACS", "ACTIVATIONS"];
    let cells = |name: &str, kind: &str, output: String, figures: Figures| {
        let Figures { parameters, macs, activations } = figures;
        let [parameters, macs, activations] = [parameters, macs, activations].map(thousands);
        [name.to_owned(), kind.to_owned(), output, parameters, macs, activations]
    };
    let mut rows = vec![header.map(str::to_owned)];
    rows.push(cells("input", "", shape(summary.input), Figures::default()));
    let blocks = summary.stages.iter().flat_map(|stage| &stage.blocks);
    let layers = blocks.flat_map(|block| &block.layers);
    rows.extend(layers.map(|l| cells(&l.name, &l.kind, shape(l.output), l.figures)));
    rows.push(cells("total", "", String::new(), summary.total));
    out.write_table(&rows, &[2, 3, 4, 5])?;
    Ok(())
}

/// `3x224x224`, or `1280` if there is only one position.
pub(super) fn shape([channels, height, width]: [usize; 3]) -> String {
    if (height, width) == (1, 1) {
        channels.to_string()
    } else {
        format!("{channels}x{height}x{width}")
    }
}

/// Digits in groups of three.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits and a unit: `5.29 M`.
pub(super) fn short(n: u64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let Some((scale, unit)) = units.into_iter().find(|&(scale, _)| n as f64 >= scale) else {
        return n.to_string();
    };
    let value = n as f64 / scale;
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shortened() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(118_515_272), "118,515,272");
        assert_eq!(short(5_288_548), "5.29 M");
        assert_eq!(short(999), "999");
        assert_eq!(short(12_345_678_901), "12.3 G");
    }
}
