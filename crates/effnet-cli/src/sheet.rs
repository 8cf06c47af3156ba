//! A contact sheet: one HTML file with everything in it, light or dark, for wide screens and phones.

use std::io::Write;

use anyhow::Result;
use effnet::Prediction;
use effnet::unstable::{escape, is_obeyed};

use super::picture::{Canvas, label, percent};

/// Writes a sheet, one image after the other.
pub(super) struct Sheet<W: Write> {
    out: W,
    images: u64,
    failed: u64,
}

/// What a sheet shows of one image.
pub(super) struct Card<'a> {
    pub(super) name: &'a str,
    pub(super) pictures: &'a [Canvas],
    /// The classes, best first, or why there are none.
    pub(super) answer: Result<&'a [Prediction], &'a str>,
    /// A line below the classes.
    pub(super) how: Option<String>,
}

impl<W: Write> Sheet<W> {
    /// Begins a sheet of cards that are wide if they have two pictures.
    pub(super) fn begin(mut out: W, title: &str, subtitle: &str, is_wide: bool) -> Result<Self> {
        let (title, subtitle) = (html(title), html(subtitle));
        let class = if is_wide { " class=\"wide\"" } else { "" };
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><p>{subtitle}</p></header>\n<main{class}>\n",
            include_str!("sheet.css")
        )?;
        Ok(Self { out, images: 0, failed: 0 })
    }

    /// Adds an image.
    pub(super) fn add(&mut self, card: &Card<'_>) -> Result<()> {
        self.images += 1;
        let out = &mut self.out;
        write!(out, "<article>")?;
        if !card.pictures.is_empty() {
            write!(out, "<div class=\"pictures\">")?;
            for picture in card.pictures {
                write!(out, "<img alt=\"\" loading=\"lazy\" src=\"{}\">", picture.url()?)?;
            }
            write!(out, "</div>")?;
        }
        write!(out, "<div class=\"about\"><h2>{}</h2>", html(card.name))?;
        match card.answer {
            Err(error) => {
                self.failed += 1;
                write!(out, "<p class=\"error\">{}</p>", html(error))?;
            }
            Ok(classes) => {
                write!(out, "<ol>")?;
                for class in classes {
                    let name = html(&label(class));
                    write!(out, "<li><span>{name}</span><b>{}</b>", percent(class))?;
                    if let Some(share) = class.probability {
                        write!(out, "<i style=\"--share:{:.2}%\"></i>", share * 100.0)?;
                    }
                    write!(out, "</li>")?;
                }
                write!(out, "</ol>")?;
            }
        }
        if let Some(how) = &card.how {
            write!(out, "<p class=\"how\">{}</p>", html(how))?;
        }
        writeln!(out, "</div></article>")?;
        Ok(out.flush()?)
    }

    /// Ends the sheet, and returns what it was written to.
    pub(super) fn finish(mut self) -> Result<W> {
        let images = match self.images {
            1 => "1 image".to_owned(),
            n => format!("{n} images"),
        };
        let failed = match self.failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        let version = env!("CARGO_PKG_VERSION");
        write!(
            self.out,
            "</main>\n<footer>{images}{failed} · effnet {version}</footer>\n</body>\n</html>\n"
        )?;
        Ok(self.out)
    }
}

/// Text as HTML. Names and labels come from files.
fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if is_obeyed(c) => escape(c, &mut safe),
            c => safe.push(c),
        }
    }
    safe
}
