use std::ffi::OsString;
use std::sync::Arc;

use super::decoders::Decoders;
use super::described::Described;
use super::find::{Finder, Source};
use super::load::{self, Load};
use super::preprocessor::Listener;
use super::{Description, Inner, Model, Preprocessor, Provenance};
use crate::Error;
use crate::arch::NetworkOptions;
use crate::engine::{DeviceChoice, Dtype, Engine, EngineChoice};
use crate::evaluation::Calibration;
use crate::labels::{ClassifierActivation, LabelNames, label_set_for};
use crate::preprocess::{ColorMode, CropMode, DecodeOptions, Interpolation};
use crate::pretrained::{
    PreprocessingOptions, Resolved, ResolvedPreprocessing, SizeChoice, ValueSource,
};
use crate::tasks::{AnswerOptions, Answers};
use crate::weights::{Checkpoint, WeightsFrom};

/// The settings of a [`Model`]; each has a default.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use effnet::Model;
/// let model = Model::builder().threads(1).build()?;
/// assert_eq!(model.provenance().model, "tf_efficientnet_lite0.in1k");
/// # }
/// # Ok::<(), effnet::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ModelBuilder {
    model: Option<OsString>,
    weights: Option<WeightsFrom>,
    num_classes: Option<usize>,
    load: Load,
    name: Option<String>,
    custom: Option<Arc<dyn Engine>>,
    labels: Option<LabelNames>,
    activation: Option<ClassifierActivation>,
    answers: AnswerOptions,
    preprocessing: PreprocessingOptions,
    decode: DecodeOptions,
    finder: Finder,
    listener: Listener,
}

impl ModelBuilder {
    /// The model: a timm name with or without tag, a hub repository (`org/name`, with `@revision` if
    /// need be), or a folder with `config.json`. The default is the model whose weights are inside
    /// the program. [`build`](Self::build) downloads what is not in the hub's cache, and blocks
    /// meanwhile.
    #[must_use]
    pub fn model(mut self, model: impl Into<OsString>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// A checkpoint file to load instead of the model's own weights, or `seeded:N` for generated
    /// weights.
    #[must_use]
    pub fn weights(mut self, weights: impl Into<WeightsFrom>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// The number of classes, if the checkpoint's differs from the model's; 0 for a network without
    /// a classifier, which outputs the pooled features.
    #[must_use]
    pub fn num_classes(mut self, num_classes: usize) -> Self {
        self.num_classes = Some(num_classes);
        self
    }

    /// What runs the network; by default the fastest engine that the device has.
    #[must_use]
    pub fn engine(mut self, engine: EngineChoice) -> Self {
        self.load.engine = engine;
        self
    }

    /// Your own engine, such as a mock, which runs in place of the model's network. No weights are
    /// read.
    #[must_use]
    pub fn custom_engine(mut self, engine: impl Engine + 'static) -> Self {
        self.custom = Some(Arc::new(engine));
        self
    }

    /// What the model is called in records and errors, in place of its own name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The numbers that the fused CPU engine multiplies; float32 by default. If the machine has no
    /// instructions for another type, or another engine runs the network, float32 is used, with a
    /// note.
    #[must_use]
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.load.dtype = dtype;
        self
    }

    /// The most threads that work at once, on decoding or on inference on a CPU; the two then take
    /// turns. By default inference has all cores, and decoding runs alongside. If the system starts
    /// fewer threads, fewer are used.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.load.threads = Some(threads);
        self
    }

    /// The device that runs the network; by default the first device that this program was built
    /// for and that the machine has, the CPU last.
    #[must_use]
    pub fn device(mut self, device: impl Into<DeviceChoice>) -> Self {
        self.load.device = device.into();
        self
    }

    /// Whether images get the size at which the model tests best, the default, or the size at which
    /// it was trained.
    #[must_use]
    pub fn size(mut self, size: SizeChoice) -> Self {
        self.preprocessing.size = size;
        self
    }

    /// Height and width of the network's input in pixels, in place of the model's.
    #[must_use]
    pub fn img_size(mut self, height: usize, width: usize) -> Self {
        self.preprocessing.img_size = Some([height, width]);
        self
    }

    /// The filter of the resize, in place of the model's.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.preprocessing.interpolation = Some(interpolation.to_string());
        self
    }

    /// The share of the resized image that the crop keeps, in place of the model's: above 0, usually
    /// 0.875 to 1.
    #[must_use]
    pub fn crop_pct(mut self, crop_pct: f64) -> Self {
        self.preprocessing.crop_pct = Some(crop_pct);
        self
    }

    /// How an image is fitted to the input size, in place of the model's crop mode.
    #[must_use]
    pub fn crop_mode(mut self, crop_mode: CropMode) -> Self {
        self.preprocessing.crop_mode = Some(crop_mode.to_string());
        self
    }

    /// The mean that is subtracted from pixels, which are from 0 to 1, in place of the model's
    /// mean: one value for all channels, or one per channel.
    #[must_use]
    pub fn mean(mut self, mean: impl Into<Vec<f64>>) -> Self {
        self.preprocessing.mean = Some(mean.into());
        self
    }

    /// The standard deviation that divides the difference, in place of the model's: one value for
    /// all channels, or one per channel.
    #[must_use]
    pub fn std(mut self, std: impl Into<Vec<f64>>) -> Self {
        self.preprocessing.std = Some(std.into());
        self
    }

    /// The classes' names, in place of the model's: one per class. A network with one output takes
    /// two names, the negative class's first, or the positive class's name alone.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// use effnet::Model;
    /// use effnet::labels::LabelNames;
    /// let names = LabelNames::parse("cat\ndog")?; // or effnet::pretrained::read_labels(path)?
    /// let builder = Model::builder().weights("seeded:0").num_classes(2).labels(names);
    /// let best = &builder.build_classifier()?.classify("examples/images/coffee.png", 1)?[0];
    /// assert!(["cat", "dog"].contains(&best.label.as_deref().unwrap()));
    /// # }
    /// # Ok::<(), effnet::Error>(())
    /// ```
    #[must_use]
    pub fn labels(mut self, labels: LabelNames) -> Self {
        self.labels = Some(labels);
        self
    }

    /// What turns outputs into probabilities, in place of what the model's configuration says.
    /// Without either it is softmax, and sigmoid for one output.
    #[must_use]
    pub fn activation(mut self, activation: ClassifierActivation) -> Self {
        self.activation = Some(activation);
        self
    }

    /// How images are decoded: limits, leniency, EXIF orientation.
    #[must_use]
    pub fn decode_options(mut self, options: DecodeOptions) -> Self {
        self.decode = options;
        self
    }

    /// The hub that models come from; by default the hub that the environment describes.
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn hub(mut self, hub: crate::hub::Hub) -> Self {
        self.finder.hub = Some(hub);
        self
    }

    /// What classifications may answer: calibrated probabilities, sets, "unknown".
    #[must_use]
    pub fn answers(mut self, answers: AnswerOptions) -> Self {
        self.answers = answers;
        self
    }

    /// A callback for what a user may want to know about single images, such as levels of 16-bit or
    /// float greys that became white. The decoding threads call it. There is none by default.
    #[must_use]
    pub fn on_note(mut self, listen: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listen);
        self
    }

    /// Finds the model, loads its weights strictly, and makes it ready to run.
    ///
    /// # Errors
    ///
    /// A model, checkpoint or device that is missing or does not fit; missing, unexpected or
    /// misshapen tensors, all listed; preprocessing values that give no image.
    pub fn build(self) -> Result<Model, Error> {
        let (described, source) = match &self.custom {
            Some(_) => (self.described()?, None),
            None => {
                let (described, source) =
                    self.finder.resolve(self.model.as_deref(), self.weights.as_ref())?;
                (described, Some(source))
            }
        };
        let num_classes = self.num_classes.unwrap_or(described.num_classes);
        let source = source.map(|source| source.with_classes(num_classes)).transpose()?;
        let options =
            NetworkOptions { in_chans: described.in_chans, num_classes, ..Default::default() };
        let network = described.arch.network(&options)?;
        let activation = self.activation_of(&described, num_classes)?;
        let (values, mut notes) = self.preprocessing_of(&described)?;
        let preprocessor = ColorMode::from_channels(described.in_chans)
            .map(|_| self.preprocessor_of(&described, &values, &notes))
            .transpose()?;
        let Described { name, cfg, labels, revision, .. } = described;
        let labels = match &self.labels {
            Some(names) => {
                label_set_for(num_classes, Some(names), None).map_err(Error::GivenLabels)?
            }
            // The names of other classes would be wrong.
            None => labels.filter(|labels| labels.len() == classes(num_classes)),
        };
        let engine = match (self.custom, &source) {
            (None, Some(source)) => {
                let (engine, more) = load::engine(source, &network, self.load)?;
                notes.extend(more);
                engine
            }
            (None, None) => return Err(Error::Untrained { model: name }),
            (Some(engine), _) => engine,
        };
        let weights = match &source {
            Some(Source::Checkpoint(checkpoint) | Source::Foreign(checkpoint, _)) => {
                let file = checkpoint.file().to_owned();
                notes.extend(checkpoint.note().map(|note| format!("{file}: {note}")));
                file
            }
            Some(Source::Seeded(seed)) => format!("seeded:{seed}"),
            None => "none: a custom engine".to_owned(),
        };
        let answers = {
            let checkpoint = source.as_ref().and_then(Source::checkpoint);
            let digest = || checkpoint.map_or(weights.as_str(), Checkpoint::digest);
            let check = |c: &Calibration| c.check_for(digest(), &values.in_one(), num_classes);
            Answers::new(&self.answers, activation.value, num_classes, labels.as_ref(), check)?
        };
        let provenance = Provenance {
            model: self.name.unwrap_or(name),
            architecture: network.name.clone(),
            tag: cfg.tag,
            revision,
            weights,
            engine: engine.capabilities(),
            preprocessing: values,
            activation,
            notes,
        };
        Ok(Model(Arc::new(Inner {
            stages: (0..network.stage_ends().len()).map(|n| format!("stages.{n}")).collect(),
            network,
            engine,
            fits: usize::MAX.into(),
            preprocessor,
            labels,
            answers,
            decoders: Decoders::new(self.load.threads),
            provenance,
            source,
        })))
    }

    /// Finds the model like [`build`](Self::build), and makes what prepares its images. Nothing
    /// that only the network needs is read or downloaded, so the model's own weights are not.
    ///
    /// # Errors
    ///
    /// A model that is missing; preprocessing values that give no image.
    ///
    /// ```
    /// use effnet::Model;
    /// let preprocessor = Model::builder().model("efficientnet_b1.ft_in1k").build_preprocessor()?;
    /// let pixels = preprocessor.pixels("examples/images/coffee.png")?;
    /// assert_eq!((pixels.height(), pixels.width()), (256, 256));
    /// # Ok::<(), effnet::Error>(())
    /// ```
    pub fn build_preprocessor(self) -> Result<Preprocessor, Error> {
        let described = self.described()?;
        let (values, notes) = self.preprocessing_of(&described)?;
        self.preprocessor_of(&described, &values, &notes)
    }

    /// Finds the model like [`build`](Self::build), and says what it is, without its network. The
    /// model's own weights are not downloaded.
    ///
    /// # Errors
    ///
    /// A model that is missing, or preprocessing values that contradict each other.
    pub fn describe(self) -> Result<Description, Error> {
        let described = self.described()?;
        let (preprocessing, notes) = self.preprocessing_of(&described)?;
        Ok(Description {
            num_classes: self.num_classes.unwrap_or(described.num_classes),
            in_chans: described.in_chans,
            arch: described.arch,
            model: described.name,
            preprocessing,
            notes,
        })
    }

    fn described(&self) -> Result<Described, Error> {
        self.finder.describe(self.model.as_deref(), self.weights.as_ref())
    }

    /// The preprocessing values, and everything that a user may want to know about the model.
    fn preprocessing_of(
        &self,
        described: &Described,
    ) -> Result<(ResolvedPreprocessing, Vec<String>), Error> {
        let (values, more) = described.preprocessing(&self.preprocessing)?;
        Ok((values, described.notes.iter().cloned().chain(more).collect()))
    }

    fn preprocessor_of(
        &self,
        described: &Described,
        values: &ResolvedPreprocessing,
        notes: &[String],
    ) -> Result<Preprocessor, Error> {
        let mut decode = self.decode;
        decode.exif_orientation |= described.turns_exif;
        let (values, notes, listener) = (values.clone(), notes.to_vec(), self.listener.clone());
        Preprocessor::new(&described.name, values, decode, notes, listener)
    }

    /// What turns outputs into probabilities: what was asked for, else what the configuration says,
    /// else what suits the number of outputs.
    fn activation_of(
        &self,
        described: &Described,
        outputs: usize,
    ) -> Result<Resolved<ClassifierActivation>, Error> {
        let asked = self.activation.map(|value| Resolved { value, source: ValueSource::Option });
        let by_number = || Resolved {
            value: ClassifierActivation::for_outputs(outputs),
            source: if outputs == 1 { ValueSource::OneOutput } else { ValueSource::Default },
        };
        let activation = asked.or(described.activation.clone()).unwrap_or_else(by_number);
        if outputs == 1 && activation.value == ClassifierActivation::Softmax {
            return Err(Error::OneOutput { model: described.name.clone() });
        }
        Ok(activation)
    }
}

/// How many classes this number of outputs makes.
fn classes(outputs: usize) -> usize {
    if outputs == 1 { 2 } else { outputs }
}
