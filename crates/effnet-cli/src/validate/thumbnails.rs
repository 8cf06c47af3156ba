//! Small pictures inside a page.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use effnet::preprocess::{ColorMode, EvalTransform, PreprocessConfig};
use effnet::{AsInput, Labelled, Preprocessor};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

/// Width and height in pixels.
pub(super) const SIDE: usize = 160;

/// JPEGs of images by their names, as URLs that hold their data.
#[derive(Debug, Default)]
pub(super) struct Thumbnails<'a> {
    preprocessor: Option<&'a Preprocessor>,
    urls: BTreeMap<String, String>,
}

impl<'a> Thumbnails<'a> {
    /// Images are decoded as for a model.
    pub(super) fn new(preprocessor: &'a Preprocessor) -> Self {
        Self { preprocessor: Some(preprocessor), urls: BTreeMap::new() }
    }

    /// Makes one of an image; none if that fails.
    pub(super) fn add<I: AsInput>(&mut self, image: &Labelled<I>) {
        if let Some(url) = self.preprocessor.and_then(|preprocessor| url(preprocessor, image)) {
            self.urls.insert(image.name.clone(), url);
        }
    }

    /// The URL of an image's.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.urls.get(name).map(String::as_str)
    }
}

fn url(preprocessor: &Preprocessor, image: impl AsInput) -> Option<String> {
    let image = preprocessor.decode(image).ok()?.convert(ColorMode::Rgb);
    let input_size = (3, SIDE, SIDE);
    let config = PreprocessConfig { input_size, crop_pct: 1.0, ..PreprocessConfig::default() };
    let pixels = EvalTransform::new(config).ok()?.pixels(&image).ok()?;
    let jpeg = compress(pixels.data(), SIDE, SIDE, PixelFormat::Rgb, 80, Subsampling::S420).ok()?;
    Some(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
}
