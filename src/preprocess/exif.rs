//! The orientation that a camera wrote beside the pixels.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::image::{ColorMode, Image};

/// The orientation in an EXIF block (with or without its `Exif\0\0` header) or else in an XMP
/// packet, as Pillow's `Image.getexif` looks for it; `NoTransforms` if neither has one.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let exif = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    exif.and_then(Orientation::from_exif_chunk)
        .or_else(|| Orientation::from_exif(xmp.and_then(xmp_orientation)?))
        .unwrap_or(Orientation::NoTransforms)
}

/// The digit after the first `tiff:Orientation="` or `tiff:Orientation>`.
fn xmp_orientation(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len()).enumerate().find_map(|(at, window)| {
        let rest = xmp[at..].get(NAME.len()..).filter(|_| window == NAME)?;
        let digit = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
        digit.is_ascii_digit().then(|| digit - b'0')
    })
}

/// Rotates and flips as Pillow's `ImageOps.exif_transpose` does.
pub(super) fn transpose(image: Image, orientation: Orientation) -> Image {
    let (mode, width, height) = (image.mode(), image.width(), image.height());
    let data = image.data().to_vec();
    let buffer = match mode {
        ColorMode::L => GrayImage::from_raw(width, height, data).map(DynamicImage::from),
        ColorMode::Rgb => RgbImage::from_raw(width, height, data).map(DynamicImage::from),
        ColorMode::Rgba => RgbaImage::from_raw(width, height, data).map(DynamicImage::from),
    };
    let Some(mut upright) = buffer else {
        return image;
    };
    upright.apply_orientation(orientation);
    let (width, height) = (upright.width(), upright.height());
    Image::new(mode, width, height, upright.into_bytes()).unwrap_or(image)
}
