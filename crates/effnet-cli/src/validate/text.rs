//! The figures that matter most, for a terminal.

use std::io::Write;

use anyhow::Result;
use effnet::evaluation::Named;

use super::super::output::{Stdout, width};
use super::super::table::{align, printable};
use super::Measured;

/// How many confused pairs and how many classes are listed.
const LISTED: usize = 8;

pub(super) fn write(measured: &Measured, out: &mut Stdout) -> Result<()> {
    let report = &measured.report;
    let images = report.accuracy.images;
    let mut title = vec![
        printable(&measured.data),
        format!("({})", printable(&measured.model)),
        format!("{images} images"),
    ];
    if measured.failed > 0 {
        title.push(format!("{} failed", measured.failed));
    }
    table(out, &[title], &[])?;
    let row =
        |name: &str, value: String, about: &str| vec![format!("  {name}"), value, about.to_owned()];
    let percent = |share: f64| format!("{:.3}%", 100.0 * share);
    let mut rows = vec![
        row("top-1", percent(report.accuracy.top1), ""),
        row("top-5", percent(report.accuracy.top5), ""),
    ];
    if let Some(real) = &report.real {
        let about = format!("of {} images with ReaL labels", real.images);
        rows.push(row("ReaL top-1", percent(real.top1), &about));
        rows.push(row("ReaL top-5", percent(real.top5), &about));
    }
    let mean = &report.averages.macro_;
    rows.extend([
        row("precision", percent(mean.precision), "mean over classes"),
        row("recall", percent(mean.recall), "mean over classes"),
        row("F1", percent(mean.f1), "mean over classes"),
        row("NLL", format!("{:.4}", report.nll), "cross-entropy"),
        row("Brier", format!("{:.4}", report.brier), ""),
        row("ECE", format!("{:.4}", report.ece), "expected calibration error"),
    ]);
    table(out, &rows, &[1])?;
    if let Some(fit) = &report.calibration {
        writeln!(out)?;
        let title = format!(
            "temperature {:.4}, fitted to {} images; on {} others:",
            fit.temperature, fit.images, fit.held_out
        );
        writeln!(out, "{title}")?;
        let line = |name: &str, before: f64, after: f64| {
            [format!("  {name}"), format!("{before:.4}"), "->".to_owned(), format!("{after:.4}")]
        };
        let (before, after) = (&fit.before, &fit.after);
        let rows = [
            line("NLL", before.nll, after.nll),
            line("Brier", before.brier, after.brier),
            line("ECE", before.ece, after.ece),
        ];
        table(out, &rows, &[1, 3])?;
    }
    if !report.confusion.is_empty() {
        writeln!(out, "\nmost confused")?;
        let of = |target: &Named| {
            let class = report.classes.iter().find(|class| class.class == *target);
            class.map_or(0, |class| class.images)
        };
        let row = |pair: &effnet::evaluation::Confused| {
            let (target, answer) = (name(&pair.target), name(&pair.answer));
            let share = format!("{} of {}", pair.images, of(&pair.target));
            [format!("  {target}"), format!("-> {answer}"), share]
        };
        let rows: Vec<_> = report.confusion.iter().take(LISTED).map(row).collect();
        table(out, &rows, &[])?;
    }
    Ok(out.flush()?)
}

fn table(out: &mut Stdout, rows: &[impl AsRef<[String]>], right: &[usize]) -> Result<()> {
    for line in align(rows, right, width()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What a class is called.
pub(super) fn name(class: &Named) -> String {
    match (&class.label, &class.synset) {
        (Some(name), _) | (None, Some(name)) => printable(name),
        (None, None) => format!("class {}", class.index),
    }
}
