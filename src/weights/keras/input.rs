//! What a model's own layers do to pixels before its first convolution.

use std::collections::HashMap;

use super::config::Step;

/// ImageNet's standard deviations. `keras.applications.EfficientNetB*` divides by their roots
/// twice: its published files hold them in place of variances, and a layer without weights divides
/// again.
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];
/// How close the values of a published file are to them.
const NEAR: f64 = 1e-4;
/// The smallest deviation that Keras divides by.
const EPSILON: f64 = 1e-7;

/// How images are normalized, by channel: a pixel from 0 to 255 becomes
/// `(pixel / 255 - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Normalization {
    /// What is subtracted.
    pub mean: [f64; 3],
    /// The divisor.
    pub std: [f64; 3],
}

/// The values of a `Normalization` layer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub(super) mean: Option<[f64; 3]>,
    pub(super) variance: Option<[f64; 3]>,
}

/// What the layers before the first convolution do, as far as it can be known. `steps` come from
/// the model's description; `statistics` are the values of its layers, by name.
pub(super) fn normalization(
    steps: Option<&[Step]>,
    statistics: &HashMap<String, Statistics>,
) -> Option<Normalization> {
    // A pixel becomes `scale * pixel + offset`.
    let (mut scale, mut offset) = ([1.0; 3], [0.0; 3]);
    let undescribed = steps.is_none().then(|| undescribed(statistics)).flatten();
    let steps = steps.or(undescribed.as_deref())?;
    for step in steps {
        let (by, plus) = match step {
            Step::Rescale { scale, offset } => (*scale, *offset),
            Step::Normalize { layer, mean, variance } => {
                let read = statistics.get(layer).copied().unwrap_or_default();
                let (mean, variance) = (mean.or(read.mean)?, variance.or(read.variance)?);
                let by = variance.map(|variance| 1.0 / variance.sqrt().max(EPSILON));
                (by, [0, 1, 2].map(|c| -mean[c] * by[c]))
            }
        };
        for c in 0..3 {
            scale[c] *= by[c];
            offset[c] = offset[c] * by[c] + plus[c];
        }
    }
    let std = scale.map(|scale| 1.0 / (255.0 * scale));
    let mean = [0, 1, 2].map(|c| -offset[c] * std[c]);
    let is_sound = std.iter().all(|std| std.is_finite() && *std > 0.0)
        && mean.iter().all(|mean| mean.is_finite());
    (!steps.is_empty() && is_sound).then_some(Normalization { mean, std })
}

/// The steps for a file of weights alone, which only has the values of a `Normalization` layer:
/// those of `keras.applications.EfficientNetB*`.
fn undescribed(statistics: &HashMap<String, Statistics>) -> Option<Vec<Step>> {
    let mut layers = statistics.iter();
    let (Some((layer, found)), None) = (layers.next(), layers.next()) else {
        return None;
    };
    let rescale = |scale| Step::Rescale { scale, offset: [0.0; 3] };
    let mut steps = vec![
        rescale([1.0 / 255.0; 3]),
        Step::Normalize { layer: layer.clone(), mean: None, variance: None },
    ];
    let variance = found.variance?;
    if variance.iter().zip(IMAGENET_STD).all(|(found, known)| (found - known).abs() < NEAR) {
        steps.push(rescale(IMAGENET_STD.map(|std| 1.0 / std.sqrt())));
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];

    fn statistics(mean: [f64; 3], variance: [f64; 3]) -> HashMap<String, Statistics> {
        let found = Statistics { mean: Some(mean), variance: Some(variance) };
        HashMap::from([("normalization".to_owned(), found)])
    }

    fn assert_near(found: Option<Normalization>, mean: [f64; 3], std: [f64; 3]) {
        let found = found.unwrap();
        for c in 0..3 {
            assert!((found.mean[c] - mean[c]).abs() < 1e-12, "{found:?}");
            assert!((found.std[c] - std[c]).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn a_published_file_gives_imagenets_numbers_and_a_trained_one_its_own() {
        let published = statistics(IMAGENET_MEAN, IMAGENET_STD);
        assert_near(normalization(None, &published), IMAGENET_MEAN, IMAGENET_STD);
        let adapted = statistics([0.5, 0.25, 0.0], [0.25, 0.0625, 1.0]);
        assert_near(normalization(None, &adapted), [0.5, 0.25, 0.0], [0.5, 0.25, 1.0]);
        assert_eq!(normalization(None, &HashMap::new()), None);
    }

    #[test]
    fn the_layers_of_a_description_are_put_together() {
        let v3 = Step::Rescale { scale: [1.0 / 127.5; 3], offset: [-1.0; 3] };
        assert_near(normalization(Some(&[v3]), &HashMap::new()), [0.5; 3], [0.5; 3]);
        let v2 = Step::Rescale { scale: [1.0 / 128.0; 3], offset: [-1.0; 3] };
        let half = 128.0 / 255.0;
        assert_near(normalization(Some(&[v2]), &HashMap::new()), [half; 3], [half; 3]);
        assert_eq!(normalization(Some(&[]), &HashMap::new()), None);
        let unknown = Step::Normalize { layer: "other".to_owned(), mean: None, variance: None };
        assert_eq!(normalization(Some(&[unknown]), &HashMap::new()), None);
    }
}
