//! `preprocessor_config.json`: how transformers' image processors prepare images.
//!
//! Rescaling and both normalizations amount to one:
//! `(pixel * rescale_factor - offset - mean) / std`, divided by `std` once more for `include_top`,
//! is timm's `(pixel / 255 - mean) / std` with other numbers.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Kind, Refusal, cfg, fields, refuse};
use crate::pretrained::PretrainedCfg;

/// The values; `None` means the class's default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Size>,
    resample: Option<u8>,
    do_center_crop: Option<bool>,
    crop_size: Option<Size>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    rescale_offset: Option<bool>,
    do_normalize: Option<bool>,
    image_mean: Option<Values>,
    image_std: Option<Values>,
    include_top: Option<bool>,
    do_pad: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Size {
    Number(usize),
    Sides { height: usize, width: usize },
    Shortest { shortest_edge: usize },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Values {
    One(f64),
    Each(Vec<f64>),
}

impl Values {
    fn into_vec(self) -> Vec<f64> {
        match self {
            Self::One(value) => vec![value],
            Self::Each(values) => values,
        }
    }
}

/// A class's defaults.
struct Defaults {
    size: Size,
    crop_size: usize,
    do_center_crop: bool,
    resample: u8,
    include_top: bool,
    /// Whether one number means a square or the shorter side.
    is_square: bool,
}

/// The defaults of a model's processor class; `None` for other models.
fn defaults(class: &str) -> Option<Defaults> {
    match class {
        "EfficientNet" => Some(Defaults {
            size: Size::Sides { height: 346, width: 346 },
            crop_size: 289,
            do_center_crop: false,
            resample: 3,
            include_top: true,
            is_square: true,
        }),
        "MobileNetV1" | "MobileNetV2" => Some(Defaults {
            size: Size::Shortest { shortest_edge: 256 },
            crop_size: 224,
            do_center_crop: true,
            resample: 2,
            include_top: false,
            is_square: false,
        }),
        _ => None,
    }
}

/// The values with which timm prepares images as the processor does. `class` is the model's class,
/// for a file that names no processor.
pub(super) fn read(root: &Map<String, Value>, class: &str) -> Result<PretrainedCfg, Refusal> {
    let config: Config = fields(root)?;
    let name = config.image_processor_type.as_deref().or(config.feature_extractor_type.as_deref());
    let base = name.map_or(Some(class), |name| {
        let name = name.strip_suffix("Fast").or(name.strip_suffix("Pil")).unwrap_or(name);
        name.strip_suffix("ImageProcessor").or(name.strip_suffix("FeatureExtractor"))
    });
    let Some(usual) = base.and_then(defaults) else {
        let name = name.unwrap_or_default();
        return Err(refuse("image_processor_type", format!("{name:?} is not supported")));
    };
    for (key, value, expected) in
        [("do_resize", config.do_resize, true), ("do_pad", config.do_pad, false)]
    {
        if value.is_some_and(|value| value != expected) {
            return Err(refuse(key, format!("{} is not supported", !expected)));
        }
    }
    let mut prepared = cfg();
    config.geometry(&usual, &mut prepared)?;
    let resample = config.resample.unwrap_or(usual.resample);
    let interpolation = match resample {
        0 => "nearest",
        1 => "lanczos",
        2 => "bilinear",
        3 => "bicubic",
        _ => {
            let reason = format!("{resample} is not supported; expected 0 to 3");
            return Err(refuse("resample", reason));
        }
    };
    prepared.interpolation = Some(interpolation.to_owned());
    config.normalization(&usual, &mut prepared)?;
    prepared.validate().map_err(|(key, reason)| refuse(key, reason))?;
    Ok(prepared)
}

impl Config {
    /// Resize and crop as timm's `input_size`, `crop_pct` and `crop_mode`.
    fn geometry(&self, usual: &Defaults, prepared: &mut PretrainedCfg) -> Result<(), Refusal> {
        let crops = self.do_center_crop.unwrap_or(usual.do_center_crop);
        let crop = match self.crop_size.unwrap_or(Size::Number(usual.crop_size)) {
            Size::Number(side) => [side, side],
            Size::Sides { height, width } => [height, width],
            Size::Shortest { .. } => {
                return Err(refuse(
                    "crop_size",
                    "shortest_edge is not a size of a crop".to_owned(),
                ));
            }
        };
        let size = match self.size.unwrap_or(usual.size) {
            Size::Number(side) if usual.is_square => Size::Sides { height: side, width: side },
            Size::Number(side) => Size::Shortest { shortest_edge: side },
            size => size,
        };
        let mode;
        ([prepared.input_size, prepared.test_input_size], prepared.crop_pct, mode) = match (
            size, crops,
        ) {
            (Size::Sides { height, width }, false) => {
                ([Some([3, height, width]), None], Some(1.0), "squash")
            }
            (Size::Sides { height, width }, true) => {
                let crop_pct = crop_pct(crop, [height, width])?;
                ([Some([3, crop[0], crop[1]]), None], Some(crop_pct), "squash")
            }
            (Size::Shortest { shortest_edge }, true) if crop[0] == crop[1] => {
                let crop_pct = crop_pct(crop, [shortest_edge; 2])?;
                ([Some([3, crop[0], crop[1]]), None], Some(crop_pct), "center")
            }
            _ => {
                let reason = "shortest_edge without a square center crop makes images of different \
                                  shapes, which is not supported";
                return Err(refuse("size", reason.to_owned()));
            }
        };
        prepared.crop_mode = Some(mode.to_owned());
        Ok(())
    }

    /// Rescaling and normalization as timm's `mean` and `std`.
    fn normalization(&self, usual: &Defaults, prepared: &mut PretrainedCfg) -> Result<(), Refusal> {
        let factor = match self.do_rescale.unwrap_or(true) {
            true => self.rescale_factor.unwrap_or(1.0 / 255.0),
            false => 1.0,
        };
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(refuse("rescale_factor", format!("{factor}; expected above 0")));
        }
        let rescales = self.do_rescale.unwrap_or(true);
        let offset = f64::from(rescales && self.rescale_offset.unwrap_or(false));
        let given = |values: &Option<Values>| values.clone().map_or(vec![0.5], Values::into_vec);
        let (mean, std) = (given(&self.image_mean), given(&self.image_std));
        let (normalizes, again) =
            (self.do_normalize.unwrap_or(true), self.include_top.unwrap_or(usual.include_top));
        let unit = 255.0 * factor;
        let mean_of = |mean: &f64| (offset + if normalizes { *mean } else { 0.0 }) / unit;
        let std_of = |std: &f64| {
            let times = i32::from(normalizes) + i32::from(again);
            std.powi(times) / unit
        };
        prepared.mean = Some(mean.iter().map(mean_of).collect());
        prepared.std = Some(std.iter().map(std_of).collect());
        Ok(())
    }
}

/// The share of the resized sides that the crop keeps: the one for which timm's
/// `floor(crop / crop_pct)` gives back those sides.
fn crop_pct(crop: [usize; 2], resized: [usize; 2]) -> Result<f64, Refusal> {
    let gives = |crop_pct: &f64| {
        let side = |side: usize| (side as f64 / crop_pct).floor() as usize;
        crop.map(side) == resized
    };
    let exact = crop[0] as f64 / resized[0] as f64;
    let mut candidates = [exact, exact.next_down(), exact * (1.0 - 1e-12)].into_iter();
    candidates.find(gives).ok_or_else(|| {
        let reason =
            format!("{crop:?} of {resized:?}: a crop of a different shape is not supported");
        refuse("crop_size", reason)
    })
}

/// What the processors of the published models do, at an image size.
pub(super) fn published(kind: Kind, [height, width]: [usize; 2]) -> PretrainedCfg {
    let input_size = Some([3, height, width]);
    match kind {
        Kind::EfficientNet => PretrainedCfg {
            input_size,
            interpolation: Some("nearest".to_owned()),
            crop_pct: Some(1.0),
            crop_mode: Some("squash".to_owned()),
            ..cfg()
        },
        Kind::MobileNetV1 | Kind::MobileNetV2 => PretrainedCfg {
            input_size,
            interpolation: Some("bilinear".to_owned()),
            crop_pct: Some(height as f64 / (height + 32) as f64),
            crop_mode: Some("center".to_owned()),
            mean: Some(vec![0.5]),
            std: Some(vec![0.5]),
            ..cfg()
        },
    }
}
