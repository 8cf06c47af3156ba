//! The known image formats: how their files begin, how their names end, and what decodes them.

use image::metadata::Orientation;

use super::budget::Job;
use super::{bmp, gif, ico, jpeg, jpeg2000, png, pnm, qoi, tga, tiff, webp};
use crate::preprocess::error::DecodeError;
use crate::preprocess::raster::Raster;

/// A decoder: from a file's bytes to its picture and the orientation stored with it.
pub(super) type Decoder = fn(&[u8], &Job<'_>) -> Result<(Raster, Orientation), DecodeError>;

/// An image format.
#[derive(Debug)]
pub struct Format {
    /// The format's name in messages.
    pub name: &'static str,
    /// The file name endings, in lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// Whether a file begins like this format.
    accepts: fn(&[u8]) -> bool,
    decoder: Option<Decoder>,
    /// Whether Pillow always turns these files as their orientation says.
    pub(super) always_upright: bool,
}

impl Format {
    /// Whether [`decode`](super::decode()) reads this format; otherwise the error names it.
    pub fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// The format of a file, by its first bytes.
    pub(super) fn of(bytes: &[u8]) -> Result<(&'static Self, Decoder), DecodeError> {
        let format = FORMATS.iter().find(|format| (format.accepts)(bytes));
        let format = format.ok_or(DecodeError::UnknownFormat)?;
        let decoder = format.decoder.ok_or(DecodeError::NotDecoded { format: format.name })?;
        Ok((format, decoder))
    }
}

const fn row(
    name: &'static str,
    extensions: &'static [&'static str],
    accepts: fn(&[u8]) -> bool,
    decoder: Option<Decoder>,
) -> Format {
    Format { name, extensions, accepts, decoder, always_upright: false }
}

/// All known formats, in the order in which they are tried. Endings are those that Pillow registers
/// for a format, and others in use; only a file's content decides what it is.
pub const FORMATS: &[Format] = &[
    row(
        "JPEG",
        &["jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "mpo", "pjpeg", "pjp"],
        |b| b.starts_with(b"\xff\xd8\xff"),
        Some(jpeg::decode),
    ),
    row("PNG", &["png", "apng"], |b| b.starts_with(png::MAGIC), Some(png::decode)),
    row("WebP", &["webp"], |b| riff(b, b"WEBP"), Some(webp::decode)),
    row(
        "GIF",
        &["gif"],
        |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"),
        Some(gif::decode),
    ),
    row("BMP", &["bmp"], |b| b.starts_with(b"BM"), Some(bmp::decode)),
    Format { always_upright: true, ..row("TIFF", &["tif", "tiff"], is_tiff, Some(tiff::decode)) },
    row("PNM", &["pnm", "pbm", "pgm", "ppm", "pfm"], pnm::accepts, Some(pnm::decode)),
    row("QOI", &["qoi"], |b| b.starts_with(b"qoif"), Some(qoi::decode)),
    row("ICO", &["ico"], |b| b.starts_with(&[0, 0, 1, 0]), Some(ico::decode_icon)),
    row(
        "CUR",
        &["cur"],
        |b| b.starts_with(&[0, 0, 2, 0]) && b.get(4..6) != Some(&[0, 0]),
        Some(ico::decode_cursor),
    ),
    row("DIB", &["dib"], bmp::accepts_dib, Some(bmp::decode_dib)),
    row("AVIF", &["avif", "avifs"], |b| brand(b, &[b"avif", b"avis"]), None),
    row(
        "HEIC",
        &["heic", "heif", "hif"],
        |b| brand(b, &[b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"]),
        None,
    ),
    row(
        "JPEG 2000",
        &["jp2", "j2k", "j2c", "jpc", "jpf", "jpx"],
        jpeg2000::accepts,
        Some(jpeg2000::decode),
    ),
    row(
        "JPEG XL",
        &["jxl"],
        |b| b.starts_with(b"\0\0\0\x0cJXL ") || b.starts_with(b"\xff\x0a"),
        None,
    ),
    row("JPEG XR", &["jxr", "wdp", "hdp"], |b| b.starts_with(b"II\xbc"), None),
    row("camera raw", &["cr3"], |b| brand(b, &[b"crx "]), None),
    row("video (MP4 or QuickTime)", &["mp4", "m4v", "mov"], |b| b.get(4..8) == Some(b"ftyp"), None),
    row("video (Matroska or WebM)", &["mkv", "webm"], |b| b.starts_with(b"\x1a\x45\xdf\xa3"), None),
    row("video (AVI)", &["avi"], |b| riff(b, b"AVI "), None),
    row(
        "video (MPEG)",
        &["mpg", "mpeg"],
        |b| b.starts_with(&[0, 0, 1, 0xb3]) || b.starts_with(&[0, 0, 1, 0xba]),
        None,
    ),
    row("PDF", &["pdf"], |b| b.starts_with(b"%PDF"), None),
    row(
        "PostScript",
        &["eps", "ps"],
        |b| b.starts_with(b"%!PS") || b.starts_with(b"\xc5\xd0\xd3\xc6"),
        None,
    ),
    row("SVG", &["svg"], svg, None),
    row("XBM", &["xbm"], |b| b.trim_ascii_start().starts_with(b"#define "), None),
    row("XPM", &["xpm"], |b| b.starts_with(b"/* XPM */"), None),
    row("PSD", &["psd", "psb"], |b| b.starts_with(b"8BPS"), None),
    row("DDS", &["dds"], |b| b.starts_with(b"DDS "), None),
    row("OpenEXR", &["exr"], |b| b.starts_with(b"\x76\x2f\x31\x01"), None),
    row(
        "Radiance HDR",
        &["hdr"],
        |b| b.starts_with(b"#?RADIANCE") || b.starts_with(b"#?RGBE"),
        None,
    ),
    row("PCX", &["pcx"], |b| matches!(b, [10, 0 | 2 | 3 | 5, ..]), None),
    row("DCX", &["dcx"], |b| b.starts_with(b"\xb1\x68\xde\x3a"), None),
    row("BLP", &["blp"], |b| b.starts_with(b"BLP1") || b.starts_with(b"BLP2"), None),
    row("Sun raster", &["ras"], |b| b.starts_with(b"\x59\xa6\x6a\x95"), None),
    row("SGI", &["sgi", "rgb", "rgba", "bw"], |b| b.starts_with(b"\x01\xda"), None),
    row("ICNS", &["icns"], |b| b.starts_with(b"icns"), None),
    row("FITS", &["fits", "fit"], |b| b.starts_with(b"SIMPLE  ="), None),
    row("farbfeld", &["ff"], |b| b.starts_with(b"farbfeld"), None),
    row("PAM", &["pam"], |b| b.starts_with(b"P7\n"), None),
    row("FLI", &["fli", "flc"], |b| matches!(b.get(4..6), Some([0x11 | 0x12, 0xaf])), None),
    row("FTEX", &["ftc", "ftu"], |b| b.starts_with(b"FTEX"), None),
    row("MSP", &["msp"], |b| b.starts_with(b"DanM") || b.starts_with(b"LinS"), None),
    row(
        "WMF or EMF",
        &["wmf", "emf"],
        |b| {
            b.starts_with(b"\xd7\xcd\xc6\x9a")
                || (b.starts_with(&[1, 0, 0, 0]) && b.get(40..44) == Some(b" EMF"))
        },
        None,
    ),
    // TGA has no magic number, so it comes last.
    row("TGA", &["tga", "icb", "vda", "vst"], tga::accepts, Some(tga::decode)),
];

fn is_tiff(bytes: &[u8]) -> bool {
    // The last two are not in the standard, but Pillow reads them.
    matches!(
        bytes,
        [b'I', b'I', 42 | 43, 0, ..]
            | [b'M', b'M', 0, 42 | 43, ..]
            | [b'I', b'I', 0, 42, ..]
            | [b'M', b'M', 42, 0, ..]
    )
}

fn riff(bytes: &[u8], kind: &[u8; 4]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(kind)
}

fn brand(bytes: &[u8], brands: &[&[u8; 4]]) -> bool {
    let major = bytes.get(8..12).filter(|_| bytes.get(4..8) == Some(b"ftyp"));
    major.is_some_and(|major| brands.iter().any(|brand| *brand == major))
}

fn svg(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let head = &start[..start.len().min(1024)];
    start.starts_with(b"<svg")
        || (start.starts_with(b"<?xml") && head.windows(4).any(|word| word == b"<svg"))
}
