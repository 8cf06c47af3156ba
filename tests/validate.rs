//! Figures of answers, compared with timm's `validate.py`, scikit-learn and numpy, and what calibrated
//! answers promise, on images that were held out. `tests/parity/validate` recorded the references.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use effnet::evaluation::{
    BINS, Calibration, CalibrationScores, Evaluation, EvaluationReport, Named, PrecisionRecall,
};
use effnet::{Answer, AnswerOptions, Classifier, Model};
use safetensors::SafeTensors;
use serde_json::Value;

const SHARE: f64 = 1e-12;
/// The sums of NLL, Brier score and ECE, in f64 in both.
const SCORE: f64 = 1e-9;

fn golden() -> Value {
    serde_json::from_str(include_str!("goldens/validate.json")).unwrap()
}

/// Recorded logits and targets.
fn recorded(name: &str) -> Vec<(Vec<f32>, usize)> {
    let bytes = include_bytes!("goldens/validate.safetensors");
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let logits = tensors.tensor(&format!("{name}.logits")).unwrap();
    let targets = tensors.tensor(&format!("{name}.targets")).unwrap();
    let classes = logits.shape()[1];
    let values: Vec<f32> =
        logits.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let targets = targets.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
    let targets = targets.map(|target| usize::try_from(target).unwrap());
    values.chunks_exact(classes).map(<[f32]>::to_vec).zip(targets).collect()
}

fn evaluated(rows: &[(Vec<f32>, usize)]) -> Evaluation {
    let mut evaluation = Evaluation::new(rows[0].0.len());
    for (number, (logits, target)) in rows.iter().enumerate() {
        evaluation.add(&number.to_string(), logits, *target).unwrap();
    }
    evaluation
}

fn report(evaluation: &Evaluation) -> EvaluationReport {
    evaluation.report(|index| Named { index, ..Named::default() })
}

fn close(found: f64, expected: &Value, within: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= within, "{found} and not {expected}");
}

fn same_figures(found: PrecisionRecall, expected: &Value) {
    close(found.precision, &expected["precision"], SHARE);
    close(found.recall, &expected["recall"], SHARE);
    close(found.f1, &expected["f1"], SHARE);
}

fn same_scores(found: CalibrationScores, expected: &Value, within: f64) {
    close(found.nll, &expected["nll"], within);
    close(found.brier, &expected["brier"], within);
    close(found.ece, &expected["ece"], within);
}

#[test]
fn figures_are_those_of_scikit_learn_and_numpy() {
    for (rows, name) in [("timm", "of_timm"), ("synthetic", "synthetic")] {
        let golden = &golden()[name];
        let report = report(&evaluated(&recorded(rows)));
        close(report.accuracy.top1, &golden["top1"], SHARE);
        close(report.accuracy.top5, &golden["top5"], SHARE);
        let scores = CalibrationScores { nll: report.nll, brier: report.brier, ece: report.ece };
        same_scores(scores, golden, SCORE);
        let bins: Vec<u64> = report.reliability.iter().map(|bin| bin.images).collect();
        assert_eq!((bins.len(), serde_json::json!(bins)), (BINS, golden["bins"].clone()));
        same_figures(report.averages.macro_, &golden["averages"]["macro"]);
        same_figures(report.averages.weighted, &golden["averages"]["weighted"]);
        let classes = golden["classes"].as_array().unwrap();
        assert_eq!(report.classes.len(), classes.len());
        for (found, expected) in report.classes.iter().zip(classes) {
            assert_eq!(found.class.index as u64, expected[0].as_u64().unwrap());
            close(found.figures.precision, &expected[1], SHARE);
            close(found.figures.recall, &expected[2], SHARE);
            close(found.figures.f1, &expected[3], SHARE);
            assert_eq!(found.images, expected[4].as_u64().unwrap());
        }
        let wrong: u64 = report.confusion.iter().map(|pair| pair.images).sum();
        assert_eq!(
            wrong,
            report.accuracy.images
                - (report.accuracy.top1 * report.accuracy.images as f64).round() as u64
        );
        assert!(report.confusion.is_sorted_by_key(|pair| std::cmp::Reverse(pair.images)));
    }
}

/// Golden section on ln T finds the minimum less exactly than Newton's method.
#[test]
fn the_temperature_is_the_one_that_another_search_finds() {
    for (rows, name) in [("timm", "of_timm"), ("synthetic", "synthetic")] {
        let golden = &golden()[name];
        let fit = evaluated(&recorded(rows)).fit().unwrap();
        close(fit.temperature, &golden["temperature"], 1e-6);
        assert_eq!(fit.images as u64, golden["fit_images"].as_u64().unwrap());
        same_scores(fit.before, &golden["before"], SCORE);
        same_scores(fit.after, &golden["after"], 1e-6);
        let right = golden["right"].as_array().unwrap();
        assert_eq!(fit.right.len(), right.len());
        for (found, expected) in fit.right.iter().zip(right) {
            close(f64::from(*found), expected, 1e-6);
        }
    }
    // The synthetic logits were doubled.
    let fit = evaluated(&recorded("synthetic")).fit().unwrap();
    assert!((1.7..2.3).contains(&fit.temperature));
    assert!(fit.after.nll < fit.before.nll && fit.after.ece < fit.before.ece / 2.0);
}

#[test]
fn accuracy_and_loss_of_timms_outputs_are_timms() {
    let (golden, rows) = (golden(), recorded("timm"));
    let same = |report: &EvaluationReport, name: &str| {
        let expected = &golden[name];
        close(100.0 * report.accuracy.top1, &expected["top1"], 1e-5);
        close(100.0 * report.accuracy.top5, &expected["top5"], 1e-5);
        close(report.nll, &expected["loss"], 1e-5);
    };
    same(&report(&evaluated(&rows)), "timm");

    let valid: Vec<usize> = serde_json::from_value(golden["valid_labels"].clone()).unwrap();
    let chosen: Vec<(Vec<f32>, usize)> = rows
        .iter()
        .map(|(logits, target)| {
            let place = valid.iter().position(|class| class == target).unwrap();
            (valid.iter().map(|&class| logits[class]).collect(), place)
        })
        .collect();
    same(&report(&evaluated(&chosen)), "timm_valid");

    let mut evaluation = evaluated(&rows);
    let real: Vec<Vec<usize>> = serde_json::from_value(golden["real"].clone()).unwrap();
    for ((logits, _), right) in rows.iter().zip(&real) {
        evaluation.add_real(logits, right);
    }
    let real = report(&evaluation).real.unwrap();
    assert_eq!(real.images, 35, "grass has no class");
    close(100.0 * real.top1, &golden["timm_real"]["top1"], 1e-5);
    close(100.0 * real.top5, &golden["timm_real"]["top5"], 1e-5);
}

#[test]
fn outputs_that_are_not_finite_are_not_counted() {
    let mut evaluation = Evaluation::new(2);
    evaluation.add("a", &[f32::NAN, 0.0], 0).unwrap_err();
    evaluation.add("b", &[0.0, f32::INFINITY], 0).unwrap_err();
    assert_eq!((evaluation.images(), report(&evaluation).classes.len()), (0, 0));
}

/// Of equal logits the lower index comes first, in the answer and in the rank.
#[test]
fn ties_go_to_the_lower_index() {
    let mut evaluation = Evaluation::new(7);
    evaluation.add("first", &[0.0; 7], 0).unwrap();
    evaluation.add("last", &[0.0; 7], 6).unwrap();
    let report = report(&evaluation);
    assert_eq!((report.accuracy.top1, report.accuracy.top5), (0.5, 0.5));
    assert_eq!(report.confusion[0].answer.index, 0);
}

#[test]
fn the_worst_mistakes_are_the_surest_wrong_answers() {
    let mut evaluation = Evaluation::new(2);
    let mut among = 0;
    for number in 0..1000_u16 {
        // Surer and less sure answers alternate; every third is right.
        let logit = f32::from(number * 37 % 1000) / 100.0;
        let is_worst =
            evaluation.add(&number.to_string(), &[logit, 0.0], usize::from(number % 3 != 0));
        among += usize::from(is_worst.unwrap());
    }
    let worst = report(&evaluation).worst;
    let mut expected: Vec<u16> = (0..1000).filter(|n| n % 3 != 0).collect();
    expected.sort_by_key(|n| std::cmp::Reverse(n * 37 % 1000));
    let expected: Vec<String> = expected[..worst.len()].iter().map(u16::to_string).collect();
    assert_eq!(worst.iter().map(|mistake| mistake.image.clone()).collect::<Vec<_>>(), expected);
    assert!(worst.len() == 24 && (24..300).contains(&among), "{among}");
}

#[test]
fn too_few_images_have_no_temperature() {
    let rows = vec![(vec![1.0, 0.0], 0)];
    assert!(evaluated(&rows).fit().unwrap_err().to_string().contains("too few"));
    let right = vec![(vec![1.0, 0.0], 0); 50];
    let error = evaluated(&right).fit().unwrap_err().to_string();
    assert!(error.contains("no temperature fits"), "{error}");
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Logits that are twice as large as they should be, and a class drawn as they should say.
    fn image(&mut self) -> (Vec<f32>, usize) {
        let honest: Vec<f64> = (0..CLASSES).map(|_| 2.0 * self.normal()).collect();
        let weights: Vec<f64> = honest.iter().map(|z| z.exp()).collect();
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        let past = |weight: &f64| {
            left -= weight;
            left < 0.0
        };
        let target = weights.iter().position(past).unwrap_or(CLASSES - 1);
        (honest.iter().map(|z| 2.0 * *z as f32).collect(), target)
    }

    fn images(&mut self, number: usize) -> Vec<(Vec<f32>, usize)> {
        (0..number).map(|_| self.image()).collect()
    }
}

const CLASSES: usize = 12;

fn builder() -> effnet::ModelBuilder {
    Model::builder().model("test_efficientnet").weights("seeded:0").num_classes(CLASSES)
}

/// A classifier with the calibration that these images give it.
fn calibrated(model: &Model, rows: &[(Vec<f32>, usize)], options: &AnswerOptions) -> Classifier {
    let calibration = Some(model.calibration(&evaluated(rows).fit().unwrap()));
    builder().answers(AnswerOptions { calibration, ..options.clone() }).build_classifier().unwrap()
}

/// Over many calibrations, the share of new images whose class is in the set is what was asked for,
/// and at most one of the calibration's images more.
#[test]
fn sets_hold_the_right_class_in_the_share_that_was_asked_for() {
    let (mut random, model) = (Random(7), builder().build().unwrap());
    for coverage in [0.8, 0.9] {
        let (mut covered, mut images, mut held_out, mut classes) = (0, 0, 0, 0);
        const CALIBRATIONS: usize = 100;
        for _ in 0..CALIBRATIONS {
            let rows = random.images(160);
            let options = AnswerOptions { coverage: Some(coverage), ..Default::default() };
            let classifier = calibrated(&model, &rows, &options);
            held_out += evaluated(&rows).fit().unwrap().right.len();
            for (logits, target) in random.images(100) {
                let set = classifier.top_k(&logits, 1).unwrap();
                assert_eq!(set.coverage, Some(coverage));
                covered += usize::from(set.iter().any(|p| p.index == target));
                classes += set.len();
                images += 1;
            }
        }
        let (share, held_out) = (covered as f64 / images as f64, held_out / CALIBRATIONS);
        // Three standard deviations of the mean: by the calibrations, and by the images.
        let variance = coverage * (1.0 - coverage) * (1.0 / held_out as f64 + 0.01);
        let noise = 3.0 * (variance / CALIBRATIONS as f64).sqrt();
        let most = coverage + 1.0 / (held_out + 1) as f64 + noise;
        assert!((coverage - noise..most).contains(&share), "{coverage}: {share} ± {noise}");
        // They say something: not all classes.
        assert!(classes < images * CLASSES / 2, "{classes} of {images}");
    }
}

/// Without the temperature, the same images give sets of another threshold: the promise is for what
/// was calibrated. A threshold from other images does not keep it.
#[test]
fn sets_for_other_images_do_not_keep_the_promise() {
    let (mut random, model) = (Random(3), builder().build().unwrap());
    let options = AnswerOptions { coverage: Some(0.9), ..Default::default() };
    let classifier = calibrated(&model, &random.images(2000), &options);
    // Images whose class is drawn at random.
    let is_in = |(i, (logits, _)): (usize, &(Vec<f32>, usize))| {
        classifier.top_k(logits, 1).unwrap().iter().any(|p| p.index == i % CLASSES)
    };
    let covered = random.images(500).iter().enumerate().filter(|row| is_in(*row)).count();
    assert!(covered < 400, "{covered}");
}

#[test]
fn a_temperature_makes_probabilities_hold_for_new_images() {
    let (mut random, model) = (Random(11), builder().build().unwrap());
    let rows = random.images(1000);
    let (before, after) = (
        Classifier::new(model.clone()).unwrap(),
        calibrated(&model, &rows, &AnswerOptions::default()),
    );
    let nll = |classifier: &Classifier, rows: &[(Vec<f32>, usize)]| -> f64 {
        let of_row = |(logits, target): &(Vec<f32>, usize)| {
            let classes = classifier.top_k(logits, CLASSES).unwrap();
            let right = classes.iter().find(|p| p.index == *target).unwrap();
            assert_eq!(right.logit, logits[*target], "a logit is the network's");
            -f64::from(right.probability.unwrap()).ln()
        };
        rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
    };
    let new = random.images(2000);
    let [before, after] = [before, after].map(|classifier| nll(&classifier, &new));
    assert!(after < before - 0.1, "{before} -> {after}");
}

/// Of calibrated answers with a least probability, at least that share is right.
#[test]
fn answers_that_are_given_are_right_as_often_as_was_asked_for() {
    let (mut random, model) = (Random(5), builder().build().unwrap());
    for least in [0.5, 0.7, 0.9] {
        let options = AnswerOptions { min_probability: Some(least), ..Default::default() };
        let classifier = calibrated(&model, &random.images(2000), &options);
        let (mut given, mut right, mut unknown) = (0, 0, 0);
        for (logits, target) in random.images(2000) {
            match classifier.top_k(&logits, 3).unwrap().answer.unwrap() {
                Answer::Class { index, probability, .. } => {
                    assert!(probability >= least);
                    given += 1;
                    right += usize::from(index == target);
                }
                Answer::Unknown => unknown += 1,
                Answer::Group { .. } => panic!("nothing was to be rolled up"),
            }
        }
        assert!(given > 50 && unknown > 100, "{given} {unknown}");
        assert!(right as f64 / given as f64 > f64::from(least), "{right} of {given}");
    }
}

#[test]
fn a_calibration_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calibration.json");
    let model = builder().build().unwrap();
    let calibration = model.calibration(&evaluated(&Random(1).images(100)).fit().unwrap());
    calibration.write(&file).unwrap();
    let mut read = Calibration::read(&file).unwrap();
    assert_eq!(read.right, calibration.right, "thresholds are compared exactly");
    // serde_json reads an f64 to within one unit in the last place.
    for (read, written) in [
        (&mut read.temperature, calibration.temperature),
        (&mut read.before.nll, calibration.before.nll),
        (&mut read.before.brier, calibration.before.brier),
        (&mut read.before.ece, calibration.before.ece),
        (&mut read.after.nll, calibration.after.nll),
        (&mut read.after.brier, calibration.after.brier),
        (&mut read.after.ece, calibration.after.ece),
    ] {
        assert!((*read / written - 1.0).abs() < 1e-15);
        *read = written;
    }
    assert_eq!(read, calibration);
}

#[test]
fn files_that_are_not_calibrations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calibration.json");
    Calibration::read(&file).unwrap_err();
    let model = builder().build().unwrap();
    let good = model.calibration(&evaluated(&Random(1).images(100)).fit().unwrap());
    let good = serde_json::to_value(&good).unwrap();
    for (key, value, says) in [
        ("format", Value::from("effnet-calibration-9"), "format"),
        ("temperature", Value::from(0.0), "temperature is 0"),
        ("temperature", Value::from(-1.0), "temperature is -1"),
        ("right", serde_json::json!([0.5, 0.25]), "ascending"),
        ("right", serde_json::json!([1.5]), "ascending"),
        ("images", Value::from("many"), "invalid type"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        std::fs::write(&file, bad.to_string()).unwrap();
        let error = Calibration::read(&file).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("calibration.json"), "{error}");
    }
}

#[test]
fn a_calibration_of_something_else_is_refused() {
    let model = builder().build().unwrap();
    let calibration = model.calibration(&evaluated(&Random(1).images(100)).fit().unwrap());
    let answers =
        |calibration| AnswerOptions { calibration: Some(calibration), ..Default::default() };
    let built = |b: effnet::ModelBuilder| b.answers(answers(calibration.clone())).build();
    built(builder()).unwrap();
    for (other, says) in [
        (builder().weights("seeded:1"), "for weights seeded:0, and the model has seeded:1"),
        (builder().num_classes(13), "12, and the model has 13"),
        (builder().img_size(96, 96), "96x96"),
        (builder().crop_pct(0.5), "0.5"),
    ] {
        let error = built(other).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("`effnet validate`"), "{error}");
    }
}

#[test]
fn options_that_do_not_fit_are_refused() {
    use effnet::labels::ClassifierActivation::{None as Nothing, Sigmoid};

    let model = builder().build().unwrap();
    let calibration = model.calibration(&evaluated(&Random(1).images(100)).fit().unwrap());
    let none = AnswerOptions::default;
    let fitted = || AnswerOptions { calibration: Some(calibration.clone()), ..none() };
    let rolled = AnswerOptions { roll_up: true, min_probability: Some(0.5), ..none() };
    for (builder, options, says) in [
        (
            builder(),
            AnswerOptions { coverage: Some(0.9), ..none() },
            "needs `AnswerOptions::calibration`",
        ),
        (builder(), AnswerOptions { coverage: Some(1.0), ..fitted() }, "below 1"),
        (builder(), AnswerOptions { coverage: Some(0.999), ..fitted() }, "at least 999 held-out"),
        (builder(), AnswerOptions { min_probability: Some(1.5), ..none() }, "from 0 to 1"),
        (
            builder(),
            AnswerOptions { roll_up: true, ..none() },
            "needs `AnswerOptions::min_probability`",
        ),
        (builder(), rolled.clone(), "no names"),
        (builder().activation(Sigmoid), fitted(), "activation is sigmoid"),
        (builder().activation(Sigmoid), rolled, "activation is sigmoid"),
        (
            builder().activation(Nothing),
            AnswerOptions { min_probability: Some(0.5), ..none() },
            "makes no probabilities",
        ),
    ] {
        let error = builder.answers(options).build().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// A network with one output, whose sigmoid is the positive class's probability.
#[test]
fn one_output_is_a_pair_of_classes() {
    use effnet::{Labelled, Validation};

    let builder = || Model::builder().model("test_efficientnet").weights("seeded:0").num_classes(1);
    let classifier = builder().build_classifier().unwrap();
    let mut validation = Validation::new(&classifier, None).unwrap();
    let mut random = Random(2);
    for number in 0..400 {
        let logit = random.normal() * 2.0;
        let target = usize::from(random.uniform() < 1.0 / (1.0 + (-logit).exp()));
        let image = Labelled { name: number.to_string(), image: "", target, real: None };
        validation.add(&image, &[3.0 * logit as f32]).unwrap();
    }
    let fit = validation.fit().unwrap();
    assert!((2.0..4.5).contains(&fit.temperature), "{}", fit.temperature);
    let options =
        AnswerOptions { calibration: Some(classifier.calibration(&fit)), ..Default::default() };
    let calibrated = builder().answers(options).build_classifier().unwrap();
    let best = calibrated.top_k(&[3.0], 1).unwrap();
    let expected = 1.0 / (1.0 + (-3.0_f64 / fit.temperature).exp());
    assert!((f64::from(best[0].probability.unwrap()) - expected).abs() < 1e-6);
}

#[cfg(feature = "bundled")]
mod bundled {
    use std::path::{Path, PathBuf};

    use effnet::labels::ClassMap;
    use effnet::{Labelled, Validation};

    use super::*;

    /// The images of `tests/data/validate` in timm's order, with their folders.
    fn images() -> Vec<(PathBuf, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/validate");
        let files =
            |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut images: Vec<PathBuf> =
            files(root).filter(|path| path.is_dir()).flat_map(files).collect();
        images.sort();
        let folder = |path: &PathBuf| {
            path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
        };
        images.into_iter().map(|path| (path.clone(), folder(&path))).collect()
    }

    /// From files to timm's figures.
    #[test]
    fn files_give_timms_figures() {
        let (golden, images) = (golden(), images());
        let valid: Vec<usize> = serde_json::from_value(golden["valid_labels"].clone()).unwrap();
        let classifier = Model::builder().build_classifier().unwrap();
        for (valid, name) in [(None, "timm"), (Some(valid), "timm_valid")] {
            let mut validation = Validation::new(&classifier, valid).unwrap();
            let labels = classifier.labels().unwrap();
            let known: Vec<_> =
                validation.classes().iter().map(|class| labels.get(class.index)).collect();
            let mut folders: Vec<&str> = images.iter().map(|(_, folder)| folder.as_str()).collect();
            folders.dedup();
            let map = ClassMap::of_folders(&folders, &known).unwrap();
            let labelled = images.iter().map(|(image, folder)| Labelled {
                name: image.display().to_string(),
                image,
                target: map.get(folder).unwrap(),
                real: None,
            });
            let each = |_: &Labelled<&PathBuf>, result| Result::map(result, drop);
            classifier.validate_each(labelled, 8, &mut validation, each).unwrap();
            let (report, expected) = (validation.report(), &golden[name]);
            close(100.0 * report.accuracy.top1, &expected["top1"], 1e-5);
            close(100.0 * report.accuracy.top5, &expected["top5"], 1e-5);
            close(report.nll, &expected["loss"], 1e-3);
        }
    }

    /// Many breeds, none of them sure: together they are a dog.
    #[test]
    fn breeds_are_rolled_up_to_dog() {
        let options =
            AnswerOptions { min_probability: Some(0.9), roll_up: true, ..Default::default() };
        let classifier = Model::builder().answers(options).build_classifier().unwrap();
        let mut logits = vec![0.0; 1000];
        // Terriers, hounds, spitzes.
        for class in [182, 190, 199, 160, 166, 176, 248, 250, 258, 263] {
            logits[class] = 10.0;
        }
        let answer = classifier.top_k(&logits, 5).unwrap().answer.unwrap();
        let Answer::Group { label, classes, probability, .. } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((label.as_str(), classes), ("dog", 118));
        assert!(probability > 0.99);
        // Nothing is said of everything at once.
        let answer = classifier.top_k(&[0.0; 1000], 5).unwrap().answer;
        assert_eq!(answer, Some(Answer::Unknown));
    }
}
