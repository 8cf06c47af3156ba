//! A network as a graph for Graphviz.

use std::io::{Result, Write};

use effnet::summary::Summary;

use super::summary::{shape, short};

/// Writes a digraph: stages as clusters, blocks as nodes, shapes on the edges, residuals dashed.
pub(super) fn write(summary: &Summary, out: &mut impl Write) -> Result<()> {
    let name = &summary.architecture;
    writeln!(out, "digraph \"{name}\" {{")?;
    writeln!(out, "  node [shape=box, style=rounded, fontname=\"sans-serif\"];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=10];")?;
    writeln!(out, "  \"input\" [shape=plain];")?;
    let mut last = ("input", summary.input);
    let mut edges = Vec::new();
    for stage in &summary.stages {
        writeln!(out, "  subgraph \"cluster_{0}\" {{\n    label=\"{0}\";", stage.name)?;
        for block in &stage.blocks {
            writeln!(
                out,
                "    \"{}\" [label=\"{} {}\\n{} parameters, {} MACs\"];",
                block.name,
                block.kind,
                block.detail,
                short(block.total.parameters),
                short(block.total.macs),
            )?;
            let (from, to) = (last.0, &block.name);
            edges.push(format!("\"{from}\" -> \"{to}\" [label=\"{}\"];", shape(last.1)));
            if block.has_skip {
                edges.push(format!("\"{to}\" -> \"{to}\" [style=dashed];"));
            }
            last = (&block.name, block.output);
        }
        writeln!(out, "  }}")?;
    }
    for edge in edges {
        writeln!(out, "  {edge}")?;
    }
    writeln!(out, "}}")
}
