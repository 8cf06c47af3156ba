use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use effnet::explain::{
    ExplainError, Explainer, Explanation, ExplanationOutcome, ExplanationRecord, Method, Target,
};
use effnet::preprocess::Image;
use effnet::pretrained::read_labels;
use effnet::sources::Sample;
use effnet::{Classifier, Error};

use super::decoding::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::{Output, complain};
use super::picture::{explained, explained_thumbnail, means, path_in, thumbnail};
use super::preprocessing::PreprocessingArgs;
use super::rows::{Form, Row, Rows};
use super::sheet::{Card, Sheet};
use super::sources::{SourceArgs, tell_passed_over};
use super::{NoModel, Status, Usage, settings};

/// Show which parts of images speak for a class
///
/// An image that fails is reported in its place and the others go on; the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    images: SourceArgs,
    /// File to write: FILE.png for one image, FILE.html for a contact sheet, FILE.json or .jsonl for
    /// the numbers; any other name is a folder for a PNG of each image
    #[arg(short, long, value_name = "DIR|FILE")]
    output: Option<PathBuf>,
    /// Form of the output; if absent, what the ending of FILE says
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// How the map is made; if absent, cam where the network allows it, else grad-cam
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Option<MethodName>,
    /// The map that Grad-CAM looks at: features, the last one, or stages.N, the last one of a
    /// resolution
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// The class to explain: an index, a synset or a label; if absent, the most probable one
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Show why it is the class and not this one
    #[arg(long, value_name = "CLASS")]
    versus: Option<String>,
    /// File of the classes' names, as for `effnet classify`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// The last map, weighted by the classifier's weights: exact, where only a pool is between them
    Cam,
    /// A map, weighted by the gradients of the class's logit
    GradCam,
    /// The fall of the class's logit where a grey patch hides the image; 197 runs of the network
    Occlusion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Pictures with the map over the image
    Png,
    /// A contact sheet: one file, with the pictures in it
    Html,
    /// The maps' numbers: one list of objects
    Json,
    /// The same, one object per line
    Jsonl,
}

impl Format {
    /// What the ending of a file's name says; a name with another ending is a folder's.
    fn of(path: &Path) -> Self {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match &*ending {
            "html" | "htm" => Self::Html,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            _ => Self::Png,
        }
    }
}

impl Explain {
    pub(super) fn run(mut self) -> Result<Status> {
        self.images = self.images.with_hub_of(&self.model);
        let (format, output) = self.target()?;
        let method = self.method()?;
        let options = self.decode.options();
        let labels = self.labels.as_deref().map(read_labels).transpose();
        let labels = labels.map_err(|e| NoModel(format!("--labels: {e}")))?;
        let model = self.model.load(|builder| {
            let builder = self.preprocessing.apply(builder.decode_options(options));
            match labels {
                Some(labels) => builder.labels(labels),
                None => builder,
            }
        })?;
        let classifier = Classifier::new(model).map_err(|e| NoModel(e.to_string()))?;
        classifier.preprocessor().map_err(|e| NoModel(e.to_string()))?;
        let class = |name: &Option<String>| {
            let index = name.as_deref().map(|name| classifier.class(name)).transpose();
            index.map_err(|e| Usage(e.to_string()))
        };
        let target = Target { class: class(&self.class)?, versus: class(&self.versus)? };
        if let (Some(class), true) = (target.class, target.class == target.versus) {
            return Err(Usage(ExplainError::SameClass(class).to_string()).into());
        }
        let method = method.unwrap_or_else(|| Method::best_for(classifier.network()));
        let explainer = classifier.explainer(&method).map_err(|e| match e {
            Error::Explain(e) => Usage(e.to_string()).into(),
            e => anyhow::Error::from(NoModel(e.to_string())),
        })?;
        let mut writer = Writer::begin(format, output.as_deref(), &explainer)?;
        let mut done = Status::All;
        let mut images = self.images.open();
        for sample in &mut images {
            let explained = explain(&explainer, &sample, target);
            if let Err(error) = &explained {
                done = Status::Some;
                complain(&format!("error: {error}"));
            }
            writer.write(&explainer, &sample, explained)?;
        }
        tell_passed_over(&images);
        writer.finish()?;
        Ok(done)
    }

    /// The form of the output, and where it goes.
    fn target(&self) -> Result<(Format, Option<PathBuf>), Usage> {
        let format = match (&self.output, self.format) {
            (None, None | Some(Format::Png)) => {
                let message = "name a folder or a file with --output, or --format json, jsonl or html \
                               for standard output";
                return Err(Usage(message.to_owned()));
            }
            (_, Some(format)) => format,
            (Some(path), None) => Format::of(path),
        };
        if let Some(path) =
            self.output.as_deref().filter(|path| format == Format::Png && is_png(path))
            && self.images.open().nth(1).is_some()
        {
            let name = effnet::unstable::file_name(path);
            let message =
                format!("{name} holds one picture: name a folder for those of more images");
            return Err(Usage(message));
        }
        Ok((format, self.output.clone()))
    }

    fn method(&self) -> Result<Option<Method>, Usage> {
        let stage = || self.stage.clone().unwrap_or_else(|| "features".to_owned());
        Ok(match (self.method, &self.stage) {
            (Some(MethodName::GradCam), _) | (None, Some(_)) => {
                Some(Method::GradCam { stage: stage() })
            }
            (Some(_), Some(_)) => {
                return Err(Usage("--stage goes with --method grad-cam".to_owned()));
            }
            (Some(MethodName::Cam), None) => Some(Method::Cam),
            (Some(MethodName::Occlusion), None) => Some(Method::Occlusion),
            (None, None) => None,
        })
    }
}

/// Whether the name is that of one picture.
fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// The image and its explanation, or what is wrong, in the command's words.
fn explain(
    explainer: &Explainer,
    sample: &Sample,
    target: Target,
) -> Result<(Image, Explanation), String> {
    let image = explainer.classifier().preprocessor().and_then(|p| p.decode(sample));
    let explained = image.and_then(|image| {
        let explanation = explainer.explain(&image, target)?;
        Ok((image, explanation))
    });
    explained.map_err(|error| settings::as_options(&error.to_string()))
}

impl Row for ExplanationRecord {
    fn csv(&self) -> Vec<Vec<String>> {
        // No form of this command is CSV.
        Vec::new()
    }
}

/// Writes explanations in one of the formats.
enum Writer {
    Picture(PathBuf),
    Pictures(PathBuf),
    Sheet(Sheet<Output>),
    Rows(Rows<Output>),
}

impl Writer {
    fn begin(format: Format, output: Option<&Path>, explainer: &Explainer) -> Result<Self> {
        let open = || Output::open(output);
        Ok(match (format, output) {
            (Format::Png, Some(path)) if is_png(path) => Self::Picture(path.to_owned()),
            (Format::Png, path) => Self::Pictures(path.unwrap_or(Path::new("")).to_owned()),
            (Format::Html, _) => {
                let model = &explainer.classifier().provenance().model;
                let about = format!(
                    "Which parts of the images speak for a class, by {}. Bright places \
                                     speak for it.",
                    explainer.method().name()
                );
                Self::Sheet(Sheet::begin(open()?, model, &about, true)?)
            }
            (Format::Json, _) => Self::Rows(Rows::begin(Form::Json, open()?, &[])?),
            (Format::Jsonl, _) => Self::Rows(Rows::begin(Form::Jsonl, open()?, &[])?),
        })
    }

    fn write(
        &mut self,
        explainer: &Explainer,
        sample: &Sample,
        result: Result<(Image, Explanation), String>,
    ) -> Result<()> {
        match (self, result) {
            (Self::Picture(_) | Self::Pictures(_), Err(_)) => Ok(()),
            (Self::Picture(path), Ok((image, explanation))) => {
                explained(image, &explanation)?.save(path)
            }
            (Self::Pictures(folder), Ok((image, explanation))) => {
                explained(image, &explanation)?.save(&path_in(folder, &sample.name))
            }
            (Self::Rows(rows), result) => {
                let result = result.map(|(_, explanation)| explanation);
                rows.write(&explainer.record(&*sample.name, result))
            }
            (Self::Sheet(sheet), result) => {
                let (pictures, record) = match result {
                    Ok((image, explanation)) => {
                        let map = explained_thumbnail(image.clone(), &explanation)?;
                        (
                            vec![thumbnail(image)?, map],
                            explainer.record(&*sample.name, Ok::<_, String>(explanation)),
                        )
                    }
                    Err(error) => (Vec::new(), explainer.record(&*sample.name, Err(error))),
                };
                let (classes, how) = match &record.outcome {
                    ExplanationOutcome::Error(_) => (Vec::new(), None),
                    ExplanationOutcome::Explanation(made) => {
                        let classes = [Some(&made.class), made.versus.as_ref()];
                        let how = match made.versus {
                            Some(_) => format!(
                                "{}: orange speaks for the first, blue for the second",
                                means(made)
                            ),
                            None => means(made),
                        };
                        (classes.into_iter().flatten().cloned().collect(), Some(how))
                    }
                };
                let answer = match &record.outcome {
                    ExplanationOutcome::Error(error) => Err(&**error),
                    ExplanationOutcome::Explanation(_) => Ok(&classes[..]),
                };
                sheet.add(&Card { name: &sample.name, pictures: &pictures, answer, how })
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Picture(_) | Self::Pictures(_) => Ok(()),
            Self::Sheet(sheet) => sheet.finish()?.finish(),
            Self::Rows(rows) => rows.finish()?.finish(),
        }
    }
}
