//! The orientation that a camera wrote beside the pixels.

use image::DynamicImage;
use image::metadata::Orientation;

use super::image::RgbImage;

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
pub(super) fn transpose(image: RgbImage, orientation: Orientation) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let Some(buffer) = image::RgbImage::from_raw(width, height, image.data().to_vec()) else {
        return image;
    };
    let mut upright = DynamicImage::ImageRgb8(buffer);
    upright.apply_orientation(orientation);
    RgbImage::try_from(upright).unwrap_or(image)
}
