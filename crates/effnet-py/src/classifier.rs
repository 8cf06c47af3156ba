//! A loaded model, for Python.

use effnet::Model;
use effnet::preprocess::{ColorMode, Image as Decoded};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::answer::{self, Many};
use crate::image::{Image, Reader, refusal};
use crate::job::{Job, Task};
use crate::results::{Errors, Results};
use crate::settings::Settings;
use crate::wait::{self, Notes};
use crate::{error, process};

/// A loaded model. Its methods take one image or an iterable of them, and any thread may call them.
#[pyclass(frozen, module = "effnet")]
pub(crate) struct Classifier {
    model: Model,
    /// The arguments that it was made with, for `pickle`.
    settings: Py<PyDict>,
    notes: Notes,
    /// The process in which its threads are.
    process: u32,
}

/// Loads a model; `settings` has every argument of `create_model`.
#[pyfunction]
pub(crate) fn load(settings: &Bound<'_, PyDict>) -> PyResult<Classifier> {
    let (py, notes) = (settings.py(), Notes::default());
    // Here its absence is an ImportError; later it would be a panic.
    py.import("numpy")?;
    let builder = settings.extract::<Settings>()?.builder(py, &notes)?;
    let built = wait::interruptible(py, &notes, || builder.build())?;
    let model = built.map_err(|error| error::exception(py, &error))?;
    model.provenance().notes.iter().for_each(|note| notes.add(note));
    notes.log(py)?;
    let settings = settings.clone().unbind();
    Ok(Classifier { model, settings, notes, process: std::process::id() })
}

impl Classifier {
    fn job(&self, py: Python<'_>, task: Task) -> PyResult<Job> {
        process::check(py, self.process)?;
        if task == (Task::Classify { k: 0 }) {
            return Err(PyValueError::new_err("k is at least 1"));
        }
        Job::new(&self.model, task).map_err(|error| error::exception(py, &error))
    }

    fn reader(&self, py: Python<'_>) -> PyResult<Reader> {
        let preprocessor = self.model.preprocessor();
        let preprocessor = preprocessor.map_err(|error| error::exception(py, &error))?;
        Ok(Reader::new(preprocessor.transform().mode(), preprocessor.decode_options()))
    }

    /// The answers for any number of images, one after the other.
    fn each(
        &self,
        images: &Bound<'_, PyAny>,
        task: Task,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        let (py, errors) = (images.py(), Errors::new(errors)?);
        let (job, reader) = (self.job(py, task)?, self.reader(py)?);
        let images = match reader.single(images)? {
            None => images.try_iter().map_err(|_| PyTypeError::new_err(refusal(images)))?,
            Some(_) => {
                return Err(PyTypeError::new_err(
                    "this takes an iterable of images, not one image",
                ));
            }
        };
        Results::new(&images, job, batch_size, reader, errors, self.notes.clone())
    }

    /// The answer for one image, or those for many as one object.
    fn all<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        task: Task,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, errors) = (images.py(), Errors::new(errors)?);
        let (job, reader) = (self.job(py, task)?, self.reader(py)?);
        match reader.single(images) {
            Ok(None) => {}
            Ok(Some(image)) => {
                let answer = py.detach(|| job.one(&image));
                self.notes.log(py)?;
                let answer = answer.map_err(|error| error::exception(py, &error));
                return errors.settle(py, answer.and_then(|answer| answer::one(py, answer)));
            }
            Err(error) => return errors.settle(py, Err(error)),
        }
        let images = images.try_iter().map_err(|_| PyTypeError::new_err(refusal(images)))?;
        let notes = self.notes.clone();
        let mut results = Results::new(&images, job.clone(), batch_size, reader, errors, notes)?;
        if errors == Errors::Return {
            let list = PyList::empty(py);
            while let Some((_, answer)) = results.advance(py)? {
                let result = answer.and_then(|answer| answer::one(py, answer));
                list.append(errors.settle(py, result)?)?;
            }
            return Ok(list.into_any());
        }
        let mut many: Option<Many> = None;
        while let Some((_, answer)) = results.advance(py)? {
            let answer = answer?;
            many.get_or_insert_with(|| Many::like(&answer)).push(answer);
        }
        let many = match many {
            Some(many) => many,
            // No image: what the answer for one would look like.
            None => {
                let black = Decoded::new(ColorMode::L, 1, 1, vec![0]);
                let black = black.map_err(|error| PyValueError::new_err(error.to_string()))?;
                let answer = py.detach(|| job.one(&Image::Decoded(black)));
                Many::like(&answer.map_err(|error| error::exception(py, &error))?)
            }
        };
        many.finish(py)
    }
}

#[pymethods]
impl Classifier {
    /// The `k` most probable classes, best first.
    #[pyo3(signature = (images, k=5, *, batch_size=8, errors="raise"))]
    fn classify<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        k: usize,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Classify { k }, batch_size, errors)
    }

    /// The probability of every class.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn probabilities<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Probabilities, batch_size, errors)
    }

    /// The network's outputs, one per class; without a classifier, the pooled features.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn logits<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Logits, batch_size, errors)
    }

    /// The pooled features that the classifier reads: timm's `pre_logits`.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn embed<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Embed, batch_size, errors)
    }

    /// The feature map at the end of each resolution, coarsest last.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn feature_maps<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::FeatureMaps, batch_size, errors)
    }

    /// Images resized and cropped: uint8, (height, width, channels).
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn pixels<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Pixels, batch_size, errors)
    }

    /// Images as the network takes them: float32, (channels, height, width), normalized.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn preprocess<'py>(
        &self,
        images: &Bound<'py, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(images, Task::Preprocess, batch_size, errors)
    }

    /// `classify` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, k=5, *, batch_size=8, errors="raise"))]
    fn classify_each(
        &self,
        images: &Bound<'_, PyAny>,
        k: usize,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Classify { k }, batch_size, errors)
    }

    /// `probabilities` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn probabilities_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Probabilities, batch_size, errors)
    }

    /// `logits` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn logits_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Logits, batch_size, errors)
    }

    /// `embed` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn embed_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Embed, batch_size, errors)
    }

    /// `feature_maps` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn feature_maps_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::FeatureMaps, batch_size, errors)
    }

    /// `pixels` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn pixels_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Pixels, batch_size, errors)
    }

    /// `preprocess` for any number of images: pairs of an image and its result, one after the other.
    #[pyo3(signature = (images, *, batch_size=8, errors="raise"))]
    fn preprocess_each(
        &self,
        images: &Bound<'_, PyAny>,
        batch_size: usize,
        errors: &str,
    ) -> PyResult<Results> {
        self.each(images, Task::Preprocess, batch_size, errors)
    }

    /// The model's full name.
    #[getter]
    fn name(&self) -> &str {
        &self.model.provenance().model
    }

    /// The number of outputs; 0 without a classifier.
    #[getter]
    fn num_classes(&self) -> usize {
        self.model.num_classes()
    }

    /// The classes' names, or `None` if they are not known.
    #[getter]
    fn labels(&self) -> Option<Vec<&str>> {
        let labels = self.model.labels()?;
        Some((0..labels.len()).filter_map(|class| Some(labels.get(class)?.label)).collect())
    }

    /// The preprocessing values by timm's names.
    #[getter]
    fn data_config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = &self.model.provenance().preprocessing;
        let config = PyDict::new(py);
        let [channels, height, width] = values.input_size.value;
        config.set_item("input_size", (channels, height, width))?;
        config.set_item("interpolation", &values.interpolation.value)?;
        config.set_item("mean", PyTuple::new(py, &values.mean.value)?)?;
        config.set_item("std", PyTuple::new(py, &values.std.value)?)?;
        config.set_item("crop_pct", values.crop_pct.value)?;
        config.set_item("crop_mode", &values.crop_mode.value)?;
        Ok(config)
    }

    /// The engine that runs the network.
    #[getter]
    fn engine(&self) -> &str {
        self.model.provenance().engine.engine
    }

    /// The device that the network runs on.
    #[getter]
    fn device(&self) -> String {
        self.model.provenance().engine.device.to_string()
    }

    /// The numbers that the network computes in.
    #[getter]
    fn dtype(&self) -> &str {
        self.model.provenance().engine.dtype.name()
    }

    /// The file that the weights come from, or `seeded:N`.
    #[getter]
    fn weights(&self) -> &str {
        &self.model.provenance().weights
    }

    fn __repr__(&self) -> String {
        format!("<effnet.Classifier {} on {} ({})>", self.name(), self.device(), self.engine())
    }

    /// Pickled are the arguments of `create_model`, not the weights.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let load = py.import("effnet._effnet")?.getattr("load")?;
        Ok((load, (self.settings.bind(py).clone(),)))
    }
}
