//! Pictures with answers drawn on them.

mod canvas;
mod colours;
mod text;

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use effnet::explain::Explanation;
use effnet::preprocess::Image;
use effnet::{Prediction, Preprocessor};

pub(crate) use self::canvas::Canvas;
use self::canvas::Rect;
use self::colours::{BAR, DARK, DIM, LIGHT, TRACK, inferno, mix, two_sided};
use self::text::Letters;

/// The longer side of pictures, in pixels: smaller images are enlarged to the first, larger ones
/// reduced to the second.
const SIDES: (u32, u32) = (480, 1280);
/// The longer side of thumbnails.
const THUMBNAIL: u32 = 480;
/// The least width of a picture with text.
const NARROWEST: usize = 360;

/// An image's file in a folder of pictures: its name below the folder, with `.png` behind it.
pub(super) fn path_in(folder: &Path, image: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in Path::new(image).components() {
        match part {
            Component::Normal(name) => path.push(name),
            // A picture stays in the folder.
            Component::ParentDir => path.push("__"),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".png");
    path.set_file_name(name);
    path
}

/// A small copy of an image.
pub(super) fn thumbnail(image: Image) -> Result<Canvas> {
    Canvas::of(image, 1, THUMBNAIL)
}

/// A class as text: its label, or its index.
pub(super) fn label(class: &Prediction) -> String {
    class.label.clone().unwrap_or_else(|| format!("class {}", class.index))
}

/// A class's probability, or its logit if there is none.
pub(super) fn percent(class: &Prediction) -> String {
    match class.probability {
        Some(probability) => format!("{:.1}%", probability * 100.0),
        None => format!("{:.3}", class.logit),
    }
}

/// The image with its classes below it.
pub(super) fn answer(image: Image, predictions: &[Prediction]) -> Result<Canvas> {
    let picture = Canvas::of(image, SIDES.0, SIDES.1)?;
    let width = picture.width.max(NARROWEST);
    let line = line_height(width);
    let letters = Letters::new(line as f32 * 0.68)?;
    let (margin, row) = (line / 2, line + line / 4);
    let height = picture.height + 2 * margin + row * predictions.len();
    let mut canvas = Canvas::new(width, height, DARK);
    canvas.paste(&picture, (width - picture.width) / 2, 0);
    let number = letters.width("100.0%").ceil() as usize + margin / 2;
    let widest = predictions.iter().map(|class| letters.width(&label(class)).ceil() as usize).max();
    let text = widest.unwrap_or(0).min(width / 2) + margin;
    let bar = width.saturating_sub(2 * margin + text + number);
    for (i, class) in predictions.iter().enumerate() {
        let y = picture.height + margin + i * row;
        let colour = if i == 0 { LIGHT } else { DIM };
        let name = letters.fitted(&label(class), (text - margin) as f32);
        canvas.text(&letters, margin, y, &name, colour);
        let share = class.probability.unwrap_or(0.0).clamp(0.0, 1.0);
        let x = margin + text;
        let track = Rect { x, y: y + line / 4, width: bar, height: line / 3 };
        canvas.fill(track, |_| TRACK);
        let filled = (share * bar as f32).round() as usize;
        canvas.fill(Rect { width: filled, ..track }, |_| BAR);
        let percent = percent(class);
        let x = (width - margin).saturating_sub(letters.width(&percent).ceil() as usize);
        canvas.text(&letters, x, y, &percent, colour);
    }
    Ok(canvas)
}

/// The image with the map over it, and below it what the map is of.
pub(super) fn explained(image: Image, explanation: &Explanation) -> Result<Canvas> {
    let (picture, most) = overlay(image, explanation, SIDES)?;
    let width = picture.width.max(NARROWEST);
    let line = line_height(width);
    let (letters, small) = (Letters::new(line as f32 * 0.68)?, Letters::new(line as f32 * 0.52)?);
    let margin = line / 2;
    let mut canvas = Canvas::new(width, picture.height + 2 * margin + 2 * line, DARK);
    canvas.paste(&picture, (width - picture.width) / 2, 0);
    let (top, room) = (picture.height + margin, (width - 2 * margin) as f32);
    canvas.text(&letters, margin, top, &letters.fitted(&title(explanation), room), LIGHT);
    // The colours' scale at the right end of the second line.
    let (least, most) = match explanation.versus {
        Some(_) => (-most, most),
        None => (0.0, most),
    };
    let [begin, end] = [least, most].map(|value| format!("{value:.3}"));
    let [begin_width, end_width] = [&begin, &end].map(|text| small.width(text).ceil() as usize);
    let (y, scale) = (top + line + line / 6, width / 5);
    let end_x = (width - margin).saturating_sub(end_width);
    let scale_x = end_x.saturating_sub(scale + margin / 2);
    let begin_x = scale_x.saturating_sub(begin_width + margin / 2);
    canvas.text(&small, end_x, y, &end, DIM);
    canvas.text(&small, begin_x, y, &begin, DIM);
    let rect = Rect { x: scale_x, y: y + line / 8, width: scale, height: line / 3 };
    let is_two_sided = explanation.versus.is_some();
    canvas.fill(rect, |x| {
        let share = x as f32 / scale.max(2).saturating_sub(1) as f32;
        if is_two_sided {
            let value = share * 2.0 - 1.0;
            mix(TRACK, two_sided(value), value.abs())
        } else {
            inferno(share)
        }
    });
    let room = begin_x.saturating_sub(2 * margin) as f32;
    canvas.text(&small, margin, y, &small.fitted(&means(explanation), room), DIM);
    Ok(canvas)
}

/// A small copy of the image with the map over it.
pub(super) fn explained_thumbnail(image: Image, explanation: &Explanation) -> Result<Canvas> {
    Ok(overlay(image, explanation, (1, THUMBNAIL))?.0)
}

/// What an explanation is of.
fn title(explanation: &Explanation) -> String {
    let class = |class: &Prediction| format!("{} {}", label(class), percent(class));
    match &explanation.versus {
        Some(versus) => format!("{}, not {}", class(&explanation.class), class(versus)),
        None => class(&explanation.class),
    }
}

/// How it was made.
pub(super) fn means(explanation: &Explanation) -> String {
    match &explanation.stage {
        Some(stage) => format!("{} of {stage}", explanation.method),
        None => explanation.method.clone(),
    }
}

/// The image in grey with the map's colours over it, darker where the network saw nothing; and the
/// map's value that has the strongest colour.
fn overlay(
    image: Image,
    explanation: &Explanation,
    (least, most): (u32, u32),
) -> Result<(Canvas, f32)> {
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let mut canvas = Canvas::of(image, least, most)?;
    let (x_scale, y_scale) = (width / canvas.width as f64, height / canvas.height as f64);
    let is_two_sided = explanation.versus.is_some();
    let sizes = explanation.map.iter().map(|&value| if is_two_sided { value.abs() } else { value });
    let largest = sizes.fold(0.0, f32::max);
    canvas.map(|x, y, colour| {
        let luma = (u32::from(colour[0]) * 19_595
            + u32::from(colour[1]) * 38_470
            + u32::from(colour[2]) * 7_471
            + 32_768)
            >> 16;
        let grey = mix(colour, [luma as u8; 3], 0.75);
        let (x, y) = ((x as f64 + 0.5) * x_scale, (y as f64 + 0.5) * y_scale);
        match explanation.at(x, y) {
            None => mix(grey, DARK, 0.72),
            Some(value) if largest > 0.0 => {
                let value = value / largest;
                if is_two_sided {
                    mix(mix(grey, DARK, 0.15), two_sided(value), 0.8 * value.abs())
                } else {
                    let value = value.clamp(0.0, 1.0);
                    mix(mix(grey, DARK, 0.15), inferno(value), 0.75 * value.sqrt())
                }
            }
            Some(_) => grey,
        }
    });
    Ok((canvas, largest))
}

/// The height of a line of text in a picture of this width.
fn line_height(width: usize) -> usize {
    (width / 22).clamp(22, 44)
}

/// The pictures of answers in a folder.
pub(super) struct Pictures<'a> {
    pub(super) folder: &'a Path,
    pub(super) preprocessor: &'a Preprocessor,
}

impl Pictures<'_> {
    /// Draws the answer for an image of this name.
    pub(super) fn save(
        &self,
        sample: &effnet::sources::Sample,
        predictions: &[Prediction],
    ) -> Result<()> {
        let image = self.preprocessor.decode(sample)?;
        answer(image, predictions)?.save(&path_in(self.folder, &sample.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stay_in_their_folder() {
        let path = |image: &str| path_in(Path::new("out"), image).display().to_string();
        assert_eq!(path("photos/a.jpg"), "out/photos/a.jpg.png");
        assert_eq!(path("/data/a"), "out/data/a.png");
        assert_eq!(path("../../a.jpg"), "out/__/__/a.jpg.png");
        assert_eq!(path("a.tar/x/y.jpg"), "out/a.tar/x/y.jpg.png");
    }

    #[test]
    fn text_is_cut_where_there_is_no_room() -> Result<()> {
        let letters = Letters::new(20.0)?;
        let room = letters.width("Egyptian…");
        assert_eq!(letters.fitted("Egyptian cat", room), "Egyptian…");
        assert_eq!(letters.fitted("Egyptian cat", 1e4), "Egyptian cat");
        assert_eq!(letters.fitted("Egyptian cat", 1.0), "");
        Ok(())
    }

    #[test]
    fn the_strongest_place_has_the_strongest_colour() {
        let luma = |rgb: colours::Rgb| rgb.iter().map(|&c| u32::from(c)).sum::<u32>();
        let steps: Vec<u32> = (0..=10).map(|i| luma(inferno(i as f32 / 10.0))).collect();
        assert!(steps.is_sorted(), "{steps:?}");
        assert_ne!(two_sided(-1.0), two_sided(1.0));
    }
}
