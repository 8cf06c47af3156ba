//! The figures as one page without scripts, which needs no other file.

use std::fmt::Write;

use effnet::evaluation::{ClassReport, Named, TemperatureReport};

use super::super::svg::escape;
use super::Measured;
use super::plots;
use super::text::name;
use super::thumbnails::{SIDE, Thumbnails};

/// How many classes and pairs are shown at once.
const SHOWN: usize = 15;
/// The most classes in the table of all.
const MOST_CLASSES: usize = 2000;

pub(super) fn page(measured: &Measured, thumbnails: &Thumbnails<'_>) -> String {
    let mut page = String::new();
    let (model, data) = (escape(&measured.model), escape(&measured.data));
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{model} on {data}</title>\n<style>\n{}</style></head>\n<body><main>\n\
         <h1>{model}</h1>\n<p class=\"dim about\">{} images of {data}, {} classes",
        include_str!("page.css"),
        measured.report.accuracy.images,
        measured.report.num_classes
    );
    if measured.failed > 0 {
        let _ = write!(page, ", {} images that could not be read", measured.failed);
    }
    page.push_str("</p>\n");
    tiles(&mut page, measured);
    reliability(&mut page, measured);
    classes(&mut page, measured);
    confusion(&mut page, measured);
    worst(&mut page, measured, thumbnails);
    words(&mut page, measured);
    page.push_str("</main></body></html>\n");
    page
}

/// The figures that sum up the others.
fn tiles(page: &mut String, measured: &Measured) {
    let report = &measured.report;
    page.push_str("<dl class=\"tiles\">");
    let mut tile = |name: &str, value: String, about: &str| {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}<small>{about}</small></dd></div>");
    };
    tile("Top-1", percent(report.accuracy.top1), "the answer is right");
    tile("Top-5", percent(report.accuracy.top5), "one of the best 5 is");
    if let Some(real) = &report.real {
        tile("ReaL top-1", percent(real.top1), &format!("of {} images", real.images));
    }
    tile("Macro F1", percent(report.averages.macro_.f1), "mean over classes");
    tile("NLL", format!("{:.4}", report.nll), "cross-entropy");
    tile("Brier", format!("{:.4}", report.brier), "0 to 2");
    tile("ECE", format!("{:.4}", report.ece), "calibration error");
    page.push_str("</dl>\n");
}

fn reliability(page: &mut String, measured: &Measured) {
    let report = &measured.report;
    page.push_str(
        "<h2>Can its probabilities be believed?</h2>\n<p>Each column holds the answers of about one \
         probability, and is as high as the share of them that is right. Where it ends at the dashed \
         line, the probability holds.</p>\n<ul class=\"keys\">",
    );
    for (colour, opacity, what) in [
        ("right", 1.0, "right"),
        ("right", 0.45, "right more often than it says"),
        ("wrong", 0.55, "right less often than it says"),
        ("before", 1.0, "how many answers, below"),
    ] {
        let style = format!("background:var(--{colour});opacity:{opacity}");
        let _ = write!(page, "<li><span class=\"key\" style=\"{style}\"></span>{what}</li>");
    }
    page.push_str("</ul>\n<div class=\"plots\">");
    let mut plot = |bins, title: &str, about: &str| {
        let svg = plots::reliability(bins, title);
        let _ =
            write!(page, "<figure>{svg}<figcaption><b>{title}</b> {about}</figcaption></figure>");
    };
    match &report.calibration {
        None => plot(&report.reliability, "All images", ""),
        Some(fit) => {
            let ece = |ece: f64| format!("ECE {ece:.4}");
            plot(
                &fit.bins_before,
                "Before",
                &format!("as the network says it: {}", ece(fit.before.ece)),
            );
            plot(
                &fit.bins_after,
                "After",
                &format!("with the temperature: {}", ece(fit.after.ece)),
            );
        }
    }
    page.push_str("</div>\n");
    if let Some(fit) = &report.calibration {
        temperature(page, fit);
    }
}

fn temperature(page: &mut String, fit: &TemperatureReport) {
    let says = match (fit.helps(), fit.temperature > 1.0) {
        (false, _) => "on the others it does not help: there are too few images to tell",
        (true, true) => "the network is too sure of its answers",
        (true, false) => "the network is less sure than it could be",
    };
    let _ = write!(
        page,
        "<p>A temperature of <b>{:.4}</b> fits {} of the images best; {says}. Both plots show the {} \
         other images.</p>\n{}<thead><tr><th>on these images</th><th class=\"n\">before</th>\
         <th class=\"n\">after</th></tr></thead><tbody>",
        fit.temperature,
        fit.images,
        fit.held_out,
        table("temperature")
    );
    let (before, after) = (&fit.before, &fit.after);
    for (name, before, after) in [
        ("NLL", before.nll, after.nll),
        ("Brier score", before.brier, after.brier),
        ("ECE", before.ece, after.ece),
    ] {
        let _ = write!(
            page,
            "<tr><td>{name}</td><td class=\"n\">{before:.4}</td><td class=\"n\">{after:.4}</td></tr>"
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn classes(page: &mut String, measured: &Measured) {
    let shown = measured.report.classes.iter().filter(|class| class.images > 0);
    let mut sorted: Vec<&ClassReport> = shown.collect();
    sorted.sort_by(|a, b| {
        a.figures.recall.total_cmp(&b.figures.recall).then(b.images.cmp(&a.images))
    });
    let _ = write!(
        page,
        "<h2>Classes</h2>\n<p>The share of each class's images that gets the right answer.</p>\n\
         <figure>{}</figure>\n<h3>The lowest</h3>\n",
        plots::recalls(&sorted, "Recall of the classes")
    );
    class_table(page, &sorted[..sorted.len().min(SHOWN)]);
    if sorted.len() > SHOWN {
        let listed = sorted.len().min(MOST_CLASSES);
        let all = if listed < sorted.len() { "the lowest" } else { "all" };
        let _ = write!(page, "<details><summary>{all} {listed} classes</summary>");
        class_table(page, &sorted[..listed]);
        page.push_str("</details>\n");
    }
}

fn class_table(page: &mut String, classes: &[&ClassReport]) {
    page.push_str(&table("figures of classes"));
    page.push_str(
        "<thead><tr><th>class</th><th class=\"meter\">recall</th>\
         <th class=\"n\">recall</th><th class=\"n\">precision</th><th class=\"n\">F1</th>\
         <th class=\"n\">images</th></tr></thead><tbody>",
    );
    for class in classes {
        let figures = &class.figures;
        let _ = write!(
            page,
            "<tr><td>{}</td>{}<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            named(&class.class),
            meter(figures.recall, ""),
            percent(figures.recall),
            percent(figures.precision),
            percent(figures.f1),
            class.images
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn confusion(page: &mut String, measured: &Measured) {
    let report = &measured.report;
    if report.confusion.is_empty() {
        return;
    }
    page.push_str("<h2>What is confused</h2>\n<p>The pairs that cost the most images.</p>\n");
    page.push_str(&table("confused pairs"));
    page.push_str(
        "<thead><tr><th>shows</th><th>answer</th>\
         <th class=\"meter\">share of the class</th><th class=\"n\">images</th></tr></thead><tbody>",
    );
    for pair in report.confusion.iter().take(SHOWN) {
        let class = report.classes.iter().find(|class| class.class == pair.target);
        let of = class.map_or(pair.images, |class| class.images).max(1);
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td>{}<td class=\"n\">{} of {of}</td></tr>",
            named(&pair.target),
            named(&pair.answer),
            meter(pair.images as f64 / of as f64, "bad"),
            pair.images
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn worst(page: &mut String, measured: &Measured, thumbnails: &Thumbnails<'_>) {
    if measured.report.worst.is_empty() {
        return;
    }
    page.push_str(
        "<h2>The worst mistakes</h2>\n<p>The wrong answers with the highest probabilities: hard \
         images, or wrong labels.</p>\n<ul class=\"cards\">",
    );
    for mistake in &measured.report.worst {
        let image = escape(&mistake.image);
        page.push_str("<li>");
        match thumbnails.get(&mistake.image) {
            Some(url) => {
                let shows = escape(&name(&mistake.target));
                let _ = write!(
                    page,
                    "<img src=\"{url}\" width=\"{SIDE}\" height=\"{SIDE}\" alt=\"labelled {shows}\">"
                );
            }
            None => page.push_str("<span class=\"none\">no picture</span>"),
        }
        let _ = write!(
            page,
            "<div><b>{}</b> {}<small>labelled {}, {}</small><small>{image}</small></div></li>",
            escape(&name(&mistake.answer)),
            percent(mistake.probability),
            escape(&name(&mistake.target)),
            percent(mistake.target_probability),
        );
    }
    page.push_str("</ul>\n");
}

/// What the words mean, and what was measured.
fn words(page: &mut String, measured: &Measured) {
    let _ = write!(
        page,
        "<h2>Words</h2>\n<details><summary>What the figures are</summary>\
         <p><b>Recall</b>: of the images of a class, the share with the right answer. \
         <b>Precision</b>: of the images with an answer, the share for which it is right. \
         <b>F1</b>: the harmonic mean of both. <b>NLL</b>: the mean negative logarithm of the right \
         class's probability. <b>Brier score</b>: the mean squared difference between all \
         probabilities and the truth. <b>ECE</b>: the mean distance between the probability of an \
         answer and how often it is right, in 15 bins. <b>Temperature</b>: a number that all outputs \
         are divided by.</p></details>\n<details><summary>What was measured</summary>\
         <p class=\"about\">effnet {}; weights {}; {} images read, {} failed.</p></details>\n",
        env!("CARGO_PKG_VERSION"),
        escape(&measured.weights),
        measured.report.accuracy.images,
        measured.failed
    );
}

/// The beginning of a table, which may be wider than the window: the keyboard can move it, too.
fn table(about: &str) -> String {
    format!("<div class=\"scroll\" role=\"region\" aria-label=\"{about}\" tabindex=\"0\"><table>")
}

/// A class's name, with its synset if it has one.
fn named(class: &Named) -> String {
    let name = escape(&name(class));
    match (&class.label, &class.synset) {
        (Some(_), Some(synset)) => format!("{name} <span class=\"dim\">{}</span>", escape(synset)),
        _ => name,
    }
}

/// A cell with a bar.
fn meter(share: f64, class: &str) -> String {
    format!(
        "<td class=\"meter\"><span class=\"track\"><span class=\"{class}\" style=\"width:{:.1}%\">\
         </span></span></td>",
        share * 100.0
    )
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
