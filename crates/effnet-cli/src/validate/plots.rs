//! Plots as SVG inside a page, which gives them their colours.

use std::fmt::Write;

use effnet::evaluation::{Bin, ClassReport};

use super::super::svg::escape;

/// A point's distance from the top left corner.
type Point = (f64, f64);

/// How often answers of each probability are right, above how many answers have it.
pub(super) fn reliability(bins: &[Bin], title: &str) -> String {
    const SIDE: f64 = 260.0;
    const STRIP: f64 = 46.0;
    let (left, top) = (34.0, 8.0);
    let (width, height) = (left + SIDE + 8.0, top + SIDE + STRIP + 44.0);
    let at = |x: f64, y: f64| -> Point { (left + x * SIDE, top + (1.0 - y) * SIDE) };
    let most = bins.iter().map(|bin| bin.images).max().unwrap_or(0).max(1) as f64;
    let total = bins.iter().map(|bin| bin.images).sum::<u64>();
    let mut svg = begin(width, height, title, &format!("{} bins, {total} images", bins.len()));
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let ((x0, y), (x1, _)) = (at(0.0, share), at(1.0, share));
        line(&mut svg, "axis", (x0, y), (x1, y));
        text(&mut svg, (x0 - 6.0, y + 4.0), "end", &share.to_string());
        text(&mut svg, (at(share, 0.0).0, height - 20.0), "middle", &share.to_string());
    }
    let bar = SIDE / bins.len() as f64;
    let strip = top + SIDE + 6.0;
    for (i, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        let x = left + i as f64 * bar + 1.0;
        let says = format!(
            "{} images, probability {:.3}, right {:.3}",
            bin.images, bin.confidence, bin.accuracy
        );
        let (low, high) = (bin.accuracy.min(bin.confidence), bin.accuracy.max(bin.confidence));
        let mut column = |class: &str, from: f64, to: f64| {
            let (y, height) = (at(0.0, to).1, (to - from) * SIDE);
            rect(&mut svg, class, (x, y), (bar - 2.0, height.max(0.5)), &says);
        };
        column("bar", 0.0, low);
        column(if bin.accuracy < bin.confidence { "over" } else { "under" }, low, high);
        let tall = (bin.images as f64 / most * STRIP).max(1.0);
        rect(&mut svg, "count", (x, strip + STRIP - tall), (bar - 2.0, tall), &says);
    }
    line(&mut svg, "ideal", at(0.0, 0.0), at(1.0, 1.0));
    line(&mut svg, "axis", (left, strip + STRIP), (left + SIDE, strip + STRIP));
    text(&mut svg, (left + SIDE / 2.0, height - 4.0), "middle", "probability of the answer");
    svg.push_str("</svg>");
    svg
}

/// The recall of every class that has images, from the lowest to the highest.
pub(super) fn recalls(sorted: &[&ClassReport], title: &str) -> String {
    const WIDTH: f64 = 680.0;
    const HEIGHT: f64 = 150.0;
    let (left, top) = (40.0, 8.0);
    let mut svg = begin(left + WIDTH + 8.0, top + HEIGHT + 22.0, title, &describe(sorted));
    for tick in 0..=2 {
        let share = f64::from(tick) / 2.0;
        let y = top + (1.0 - share) * HEIGHT;
        line(&mut svg, "axis", (left, y), (left + WIDTH, y));
        text(&mut svg, (left - 6.0, y + 4.0), "end", &format!("{:.0}%", share * 100.0));
    }
    let step = WIDTH / sorted.len().max(1) as f64;
    let mut path = String::new();
    for (i, class) in sorted.iter().enumerate() {
        let y = top + (1.0 - class.figures.recall) * HEIGHT;
        let (from, to) = (left + i as f64 * step, left + (i + 1) as f64 * step);
        let _ = write!(path, "{}{from:.1} {y:.1}H{to:.1}", if i == 0 { 'M' } else { 'L' });
    }
    let bottom = top + HEIGHT;
    let _ = write!(svg, r#"<path class="area" d="{path}V{bottom}H{left}z"/>"#);
    let _ = write!(svg, r#"<path class="curve" d="{path}"/>"#);
    text(&mut svg, (left, bottom + 18.0), "start", "lowest");
    text(&mut svg, (left + WIDTH, bottom + 18.0), "end", "highest");
    svg.push_str("</svg>");
    svg
}

fn describe(sorted: &[&ClassReport]) -> String {
    let recall = |class: Option<&&ClassReport>| class.map_or(0.0, |c| 100.0 * c.figures.recall);
    format!(
        "{} classes, from {:.0}% to {:.0}%, half of them below {:.0}%",
        sorted.len(),
        recall(sorted.first()),
        recall(sorted.last()),
        recall(sorted.get(sorted.len() / 2))
    )
}

fn begin(width: f64, height: f64, title: &str, about: &str) -> String {
    let label = escape(&format!("{title}: {about}"));
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">"#)
}

fn line(svg: &mut String, class: &str, from: Point, to: Point) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = write!(
        svg,
        r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
    );
}

fn rect(svg: &mut String, class: &str, (x, y): Point, (width, height): Point, title: &str) {
    let _ = write!(
        svg,
        r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{title}</title></rect>"#
    );
}

fn text(svg: &mut String, (x, y): Point, anchor: &str, text: &str) {
    let text = escape(text);
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
}
