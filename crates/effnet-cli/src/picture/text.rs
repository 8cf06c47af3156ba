//! Text in pictures.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use anyhow::{Context, Result};

/// DejaVu Sans: Latin, Greek and Cyrillic. Its license is in the file beside it.
const FONT: &[u8] = include_bytes!("DejaVuSans-subset.ttf");
/// What stands for a character that the font lacks.
const MISSING: char = '\u{FFFD}';

/// Letters of one size.
pub(super) struct Letters {
    font: FontRef<'static>,
    scale: PxScale,
}

impl Letters {
    /// Letters whose lines are `height` pixels high.
    pub(super) fn new(height: f32) -> Result<Self> {
        let font = FontRef::try_from_slice(FONT).context("the program's font")?;
        Ok(Self { font, scale: PxScale::from(height) })
    }

    /// How wide a text is, in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        let font = self.font.as_scaled(self.scale);
        text.chars().map(|c| font.h_advance(self.glyph(c))).sum()
    }

    /// The text, or its beginning with an ellipsis, in `room` pixels.
    pub(super) fn fitted(&self, text: &str, room: f32) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let mut kept: Vec<char> = text.chars().collect();
        while kept.pop().is_some() {
            let shorter = format!("{}…", kept.iter().collect::<String>().trim_end());
            if self.width(&shorter) <= room {
                return shorter;
            }
        }
        String::new()
    }

    /// Calls `dot` with each pixel of the text and how much of it a letter covers, from 0 to 1. The
    /// line's top left corner is at (0, 0).
    pub(super) fn draw(&self, text: &str, mut dot: impl FnMut(i64, i64, f32)) {
        let font = self.font.as_scaled(self.scale);
        let mut x = 0.0;
        for c in text.chars() {
            let id = self.glyph(c);
            let glyph = id.with_scale_and_position(self.scale, point(x, font.ascent()));
            if let Some(outline) = self.font.outline_glyph(glyph) {
                let begin = outline.px_bounds().min;
                outline.draw(|dx, dy, share| {
                    dot(begin.x as i64 + i64::from(dx), begin.y as i64 + i64::from(dy), share);
                });
            }
            x += font.h_advance(id);
        }
    }

    fn glyph(&self, c: char) -> ab_glyph::GlyphId {
        match self.font.glyph_id(c) {
            ab_glyph::GlyphId(0) => self.font.glyph_id(MISSING),
            id => id,
        }
    }
}
