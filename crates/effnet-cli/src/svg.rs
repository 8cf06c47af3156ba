//! A network as a self-contained picture.

use std::io::{Result, Write};

use effnet::summary::{BlockSummary, Summary};

use super::summary::{shape, short};

const WIDTH: usize = 820;
const MARGIN: usize = 20;
/// The left edge of the blocks; residuals are drawn to the left of it.
const BLOCK_X: usize = 150;
const BLOCK_WIDTH: usize = 300;
const BLOCK_HEIGHT: usize = 30;
/// The gap between two blocks, for the arrow and the shape beside it.
const GAP: usize = 26;
/// The space between the blocks of a stage and its border.
const PADDING: usize = 14;
/// The extra space between two stages, in addition to the gap between two blocks.
const STAGE_GAP: usize = 2 * PADDING;
const TOP: usize = 100;
/// Right edges of the columns of figures, and the bar after them.
const PARAMETERS_X: usize = 560;
const MACS_X: usize = 650;
const BAR_X: usize = 666;
const BAR_WIDTH: usize = 114;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2933}\
    .title{font-size:20px;font-weight:600}.dim{fill:#66727f;font-size:12px}\
    .number{text-anchor:end;font-variant-numeric:tabular-nums}\
    .kind{font-weight:600}.stage{fill:#f4f6f8;stroke:#d5dbe1}\
    .line{fill:none;stroke:#8a96a3;stroke-width:1.3}.skip{stroke-dasharray:4 3}\
    .bar{fill:#c3ccd5}";

/// Draws stages as groups, one row per block, shapes on the edges between blocks, residuals as
/// dashed lines, and each block's share of the operations as a bar.
pub(super) fn write(summary: &Summary, out: &mut impl Write) -> Result<()> {
    let blocks: usize = summary.stages.iter().map(|stage| stage.blocks.len()).sum();
    let gaps = (summary.stages.len() + 1) * STAGE_GAP;
    let height = TOP + GAP + blocks * (BLOCK_HEIGHT + GAP) + gaps;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#8a96a3\"/></marker>\
         </defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    )?;
    head(summary, out)?;
    let most = summary.stages.iter().flat_map(|s| &s.blocks).map(|b| b.total.macs).max();
    let mut y = TOP;
    let mut input = summary.input;
    for stage in &summary.stages {
        let first = y + GAP + STAGE_GAP;
        let rows = stage.blocks.len();
        let box_height = rows * (BLOCK_HEIGHT + GAP) - GAP + 2 * PADDING;
        let (box_x, box_y, box_width) = (MARGIN, first - PADDING, WIDTH - 2 * MARGIN);
        writeln!(
            out,
            "<rect class=\"stage\" x=\"{box_x}\" y=\"{box_y}\" width=\"{box_width}\" \
             height=\"{box_height}\" rx=\"8\"/>"
        )?;
        text(out, "kind", MARGIN + 12, first + 20, &stage.name)?;
        for (b, block) in stage.blocks.iter().enumerate() {
            let gap = if b == 0 { GAP + STAGE_GAP } else { GAP };
            edge(out, y, gap, &shape(input))?;
            y += gap;
            row(out, y, block, most.unwrap_or(1))?;
            input = block.output;
            y += BLOCK_HEIGHT;
        }
    }
    edge(out, y, GAP + STAGE_GAP, &shape(input))?;
    writeln!(out, "</svg>")
}

fn head(summary: &Summary, out: &mut impl Write) -> Result<()> {
    text(out, "title", MARGIN, 38, &summary.architecture)?;
    let total = summary.total;
    let line = format!(
        "input {}, {} parameters, {} MACs, {} activations",
        shape(summary.input),
        short(total.parameters),
        short(total.macs),
        short(total.activations)
    );
    text(out, "dim", MARGIN, 62, &line)?;
    text(out, "dim number", PARAMETERS_X, TOP - 16, "parameters")?;
    text(out, "dim number", MACS_X, TOP - 16, "MACs")
}

/// Draws the arrow from `y` over `gap`, and the shape of what it carries.
fn edge(out: &mut impl Write, y: usize, gap: usize, shape: &str) -> Result<()> {
    let x = BLOCK_X + BLOCK_WIDTH / 2;
    writeln!(
        out,
        "<path class=\"line\" marker-end=\"url(#tip)\" d=\"M{x} {} V{}\"/>",
        y,
        y + gap - 1
    )?;
    text(out, "dim", x + 10, y + gap / 2 + 4, shape)
}

fn row(out: &mut impl Write, y: usize, block: &BlockSummary, most: u64) -> Result<()> {
    let colour = colour(&block.kind);
    writeln!(
        out,
        "<rect x=\"{BLOCK_X}\" y=\"{y}\" width=\"{BLOCK_WIDTH}\" height=\"{BLOCK_HEIGHT}\" \
         rx=\"5\" fill=\"{colour}\"><title>{}</title></rect>",
        escape(&block.name)
    )?;
    let baseline = y + 20;
    text(out, "kind", BLOCK_X + 12, baseline, &block.kind)?;
    text(out, "", BLOCK_X + 62, baseline, &block.detail)?;
    text(out, "number", PARAMETERS_X, baseline, &short(block.total.parameters))?;
    text(out, "number", MACS_X, baseline, &short(block.total.macs))?;
    let bar = block.total.macs as f64 / most.max(1) as f64 * BAR_WIDTH as f64;
    writeln!(
        out,
        "<rect class=\"bar\" x=\"{BAR_X}\" y=\"{}\" width=\"{bar:.1}\" height=\"10\" rx=\"2\"/>",
        y + 10
    )?;
    if block.has_skip {
        let (from, to, left) = (y - GAP / 2, y + BLOCK_HEIGHT + 4, BLOCK_X - 22);
        let x = BLOCK_X + BLOCK_WIDTH / 2;
        writeln!(out, "<path class=\"line skip\" d=\"M{x} {from} H{left} V{to} H{x}\"/>")?;
    }
    Ok(())
}

fn text(out: &mut impl Write, class: &str, x: usize, y: usize, text: &str) -> Result<()> {
    writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escape(text))
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "ir" => "#cfe3f7",
        "er" => "#fbe0c3",
        "ds" | "dsa" => "#d5efd8",
        "cn" => "#efe3f8",
        "uir" => "#cdeeee",
        "mqa" | "mha" => "#f9d3dc",
        _ => "#e3e8ed",
    }
}

/// Text in a document of XML or HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
