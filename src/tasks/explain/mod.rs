//! Which parts of an image speak for a class.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use effnet::explain::{Method, Target};
//! let classifier = effnet::Model::builder().build_classifier()?;
//! let explainer = classifier.explainer(&Method::Cam)?;
//! let map = explainer.explain("examples/images/coffee.png", Target::default())?;
//! assert_eq!(map.class.label.as_deref(), Some("espresso"));
//! assert_eq!((map.height, map.width), (7, 7));
//! // What all places add, and the bias, is the logit.
//! assert!((map.mean() + map.bias.unwrap() - map.class.logit).abs() < 1e-3);
//!
//! // Why it is an espresso and not soup.
//! let soup = Target { versus: Some(classifier.class("soup bowl")?), ..Target::default() };
//! let map = explainer.explain("examples/images/coffee.png", soup)?;
//! assert_eq!(map.score, map.class.logit - map.versus.unwrap().logit);
//! # }
//! # Ok::<(), effnet::Error>(())
//! ```

mod error;
mod explanation;
#[cfg(feature = "candle")]
mod gradient;
mod target;

pub use error::ExplainError;
pub use explanation::{Explanation, ExplanationOutcome, ExplanationRecord, Places};

use std::ops::Range;
use std::sync::Arc;

use self::target::Score;
use super::Classifier;
use crate::Error;
use crate::arch::{Grid, Head, Network};
use crate::engine::Array;
use crate::model::{AsInput, only};
use crate::preprocess::Pixels;

/// How many patches there are along a side of the input.
const PATCHES: usize = 14;
/// A patch's share of a side of the input: one in this many.
const PATCH: usize = 5;
/// Images with a patch that go through the network together.
const BATCH: usize = 14;

/// How an explanation is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// A class activation map (Zhou et al. 2016): the last feature map, weighted by the classifier's
    /// weights of the class. It is exact: its mean and the bias are the logit. Only for networks whose
    /// classifier reads the pooled map itself.
    Cam,
    /// Grad-CAM (Selvaraju et al. 2017), with the feature `candle`: a map weighted by the means of the
    /// score's gradients, without what is negative. It runs on the CPU.
    GradCam {
        /// The map: `features`, the last one, or `stages.N`, the last one of a resolution.
        stage: String,
    },
    /// The fall of the score when a patch of the model's mean colour hides a part of the image (Zeiler
    /// and Fergus 2014), for 14 x 14 places: it asks the network itself, and takes 197 runs.
    Occlusion,
}

impl Method {
    /// CAM if the network allows it, else Grad-CAM of the last map.
    #[must_use]
    pub fn best_for(network: &Network) -> Self {
        if is_linear(network) { Self::Cam } else { Self::GradCam { stage: "features".to_owned() } }
    }

    /// `cam`, `grad-cam` or `occlusion`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cam => "cam",
            Self::GradCam { .. } => "grad-cam",
            Self::Occlusion => "occlusion",
        }
    }

    /// The map that is shown.
    fn stage(&self) -> Option<&str> {
        match self {
            Self::Cam => Some("features"),
            Self::GradCam { stage } => Some(stage),
            Self::Occlusion => None,
        }
    }
}

/// Whether the classifier reads the mean of the last map.
fn is_linear(network: &Network) -> bool {
    matches!(network.head, Head::ConvThenPool | Head::Pool)
}

/// What is explained, by classes' indices ([`Classifier::class`] finds them by name).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// The class; by default the image's best, other than `versus`.
    pub class: Option<usize>,
    /// A class that it is compared with: the map then shows why it is the one and not the other.
    pub versus: Option<usize>,
}

/// Makes explanations of a classifier's answers by one method; [`Classifier::explainer`] gives it.
///
/// It is cheap to clone, and works from any number of threads at once.
#[derive(Debug, Clone)]
pub struct Explainer {
    classifier: Classifier,
    method: Method,
    how: How,
}

/// What a method needs besides the classifier.
#[derive(Debug, Clone)]
enum How {
    Cam(Arc<Linear>),
    #[cfg(feature = "candle")]
    GradCam(gradient::Gradients),
    Occlusion,
}

/// The classifier's layer.
#[derive(Debug)]
struct Linear {
    /// (classes, features).
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Classifier {
    /// What explains its answers by this method.
    ///
    /// # Errors
    ///
    /// A network that the method does not fit, a map that it does not have, weights that cannot be
    /// read again, or Grad-CAM without the feature `candle`.
    pub fn explainer(&self, method: &Method) -> Result<Explainer, Error> {
        let network = self.network();
        let model = || self.provenance().model.clone();
        let how = match method {
            Method::Cam if !is_linear(network) => {
                return Err(ExplainError::NotLinear { model: model() }.into());
            }
            Method::Cam => How::Cam(Arc::new(self.with_tensors(|tensors| {
                let (classes, features) = (network.num_classes, network.num_features);
                Ok(Linear {
                    weight: tensors.get("classifier.weight", &[classes, features])?,
                    bias: tensors.get("classifier.bias", &[classes])?,
                })
            })?)),
            Method::GradCam { stage } => {
                let maps = || {
                    let is_map = |name: &String| name.starts_with("stages.") || name == "features";
                    network.graph().outputs().into_iter().filter(is_map).collect::<Vec<_>>()
                };
                if !maps().contains(stage) {
                    let (map, known) = (stage.clone(), maps().join(", "));
                    return Err(ExplainError::UnknownMap { model: model(), map, known }.into());
                }
                #[cfg(not(feature = "candle"))]
                return Err(Error::NeedsCandle);
                #[cfg(feature = "candle")]
                How::GradCam(gradient::Gradients::new(self)?)
            }
            Method::Occlusion => How::Occlusion,
        };
        Ok(Explainer { classifier: self.clone(), method: method.clone(), how })
    }
}

impl Explainer {
    /// What explains `target` in an image.
    ///
    /// # Errors
    ///
    /// An image that cannot be read, a class that the model does not have, or an engine that fails.
    pub fn explain(&self, image: impl AsInput, target: Target) -> Result<Explanation, Error> {
        let preprocessor = self.classifier.preprocessor()?;
        let image = preprocessor.decode(image)?;
        let pixels = preprocessor.pixels(&image)?;
        let transform = preprocessor.transform();
        let region = transform
            .region(image.width(), image.height())
            .map_err(|source| Error::Transform { image: "image".to_owned(), source })?;
        let (map, score, logits, bias) = match &self.how {
            How::Cam(linear) => self.cam(&pixels, linear, target)?,
            #[cfg(feature = "candle")]
            How::GradCam(gradients) => self.grad_cam(&image, gradients, target)?,
            How::Occlusion => self.occlusion(&pixels, target)?,
        };
        let [rows, columns] = self.grids(&pixels);
        Ok(Explanation {
            method: self.method.name().to_owned(),
            stage: self.method.stage().map(str::to_owned),
            score: score.of(&logits),
            class: score.class,
            versus: score.versus,
            bias,
            height: map.shape[1],
            width: map.shape[2],
            map: map.data,
            region,
            rows: Places::new(rows, pixels.height(), region.y, region.height),
            columns: Places::new(columns, pixels.width(), region.x, region.width),
        })
    }

    /// The model whose answers it explains.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Where the map's positions are on the input, along its height and its width.
    fn grids(&self, pixels: &Pixels) -> [Grid; 2] {
        let (height, width) = (pixels.height(), pixels.width());
        let graph = self.classifier.network().graph();
        match self.method.stage().and_then(|stage| graph.tap(stage)) {
            Some(tap) => graph.grids(tap.value, height, width),
            None => [height, width].map(|side| {
                let step = side as f64 / PATCHES as f64;
                Grid { first: step / 2.0, step }
            }),
        }
    }

    fn cam(&self, pixels: &Pixels, linear: &Linear, target: Target) -> Made {
        let mut outputs = self.classifier.run_pixels(&[pixels], &["features", "logits"])?;
        let (features, logits) = (outputs.take("features")?, outputs.take("logits")?);
        let score = Score::new(&self.classifier, target, &logits.data)?;
        let (channels, shape) = (features.shape[1], [&[1], &features.shape[2..]].concat());
        // The score's weights: of one class, or the difference of two.
        let mut weights = vec![0.0; channels];
        let rows = score.factors.iter().zip(linear.weight.chunks_exact(channels));
        for (factor, row) in rows.filter(|(factor, _)| **factor != 0.0) {
            weights.iter_mut().zip(row).for_each(|(sum, weight)| *sum += factor * weight);
        }
        let positions = shape[1..].iter().product();
        let mut sums = vec![0.0; positions];
        for (plane, weight) in features.data.chunks_exact(positions).zip(weights) {
            let sums = sums.iter_mut().zip(plane);
            sums.for_each(|(sum, value)| *sum += f64::from(weight) * f64::from(*value));
        }
        let data = sums.iter().map(|&sum| sum as f32).collect();
        let bias = score.of(&linear.bias);
        Ok((Array { data, shape }, score, logits.data, Some(bias)))
    }

    #[cfg(feature = "candle")]
    fn grad_cam(
        &self,
        image: &crate::preprocess::Image,
        gradients: &gradient::Gradients,
        target: Target,
    ) -> Made {
        let preprocessor = self.classifier.preprocessor()?;
        let (channels, height, width) = preprocessor.transform().config().input_size;
        let (input, shape) = (preprocessor.input(image)?, [1, channels, height, width]);
        let stage = self.method.stage().unwrap_or_default();
        let (map, logits, score) = gradients.grad_cam(stage, input, shape, |logits| {
            let score = Score::new(&self.classifier, target, logits)?;
            Ok((score.factors.clone(), score))
        })?;
        Ok((map, score, logits, None))
    }

    fn occlusion(&self, pixels: &Pixels, target: Target) -> Made {
        let logits = self.classifier.run_pixels(&[pixels], &["logits"])?.take("logits")?;
        let score = Score::new(&self.classifier, target, &logits.data)?;
        let whole = score.of(&logits.data);
        let config = self.classifier.preprocessor()?.transform().config();
        let mean = |mean: &f64| (255.0 * mean).round_ties_even() as u8;
        let colour: Vec<u8> = config.mean.iter().map(mean).collect();
        let [rows, columns] = [pixels.height(), pixels.width()].map(patches);
        let covered = |place: usize| {
            let (row, column) = (&rows[place / PATCHES], &columns[place % PATCHES]);
            pixels.covered(row.clone(), column.clone(), &colour)
        };
        let places: Vec<usize> = (0..PATCHES * PATCHES).collect();
        let mut data = Vec::with_capacity(places.len());
        for batch in places.chunks(BATCH) {
            let images: Vec<Pixels> = batch.iter().map(|&place| covered(place)).collect();
            let images: Vec<&Pixels> = images.iter().collect();
            for logits in self.classifier.arrays_of_each(&images, &["logits"]) {
                data.push(whole - score.of(&only(logits?)?));
            }
        }
        Ok((Array { data, shape: vec![1, PATCHES, PATCHES] }, score, logits.data, None))
    }
}

/// A map (1, h, w), whose score it explains, the logits, and the bias.
type Made = Result<(Array, Score, Vec<f32>, Option<f32>), Error>;

/// The pixels that each patch hides along a side of the input.
fn patches(side: usize) -> Vec<Range<usize>> {
    let half = (side / PATCH).max(1) as f64 / 2.0;
    let step = side as f64 / PATCHES as f64;
    let centre = |patch: usize| (patch as f64 + 0.5) * step;
    let begin = |patch| (centre(patch) - half).round().max(0.0) as usize;
    let end = |patch| ((centre(patch) + half).round() as usize).min(side);
    (0..PATCHES).map(|patch| begin(patch)..end(patch).max(begin(patch) + 1)).collect()
}
