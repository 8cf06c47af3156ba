//! What Python calls an image, as the library takes it.

use std::path::PathBuf;

use effnet::preprocess::{ColorMode, DecodeOptions, Image as Decoded};
use effnet::{AsInput, Input};
use numpy::{
    PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

/// One image. Nothing in it can be changed by Python.
pub(crate) enum Image {
    Path(PathBuf),
    Bytes(PyBackedBytes),
    Decoded(Decoded),
}

impl AsInput for Image {
    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Path(path) => path.as_input(),
            Self::Bytes(bytes) => Input::Encoded(bytes),
            Self::Decoded(image) => image.as_input(),
        }
    }
}

/// How images that are decoded already are read.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    mode: ColorMode,
    turns_exif: bool,
}

impl Reader {
    pub(crate) fn new(mode: ColorMode, options: &DecodeOptions) -> Self {
        Self { mode, turns_exif: options.exif_orientation }
    }

    /// The image, if `object` is one and not many.
    pub(crate) fn single(self, object: &Bound<'_, PyAny>) -> PyResult<Option<Image>> {
        let py = object.py();
        if object.is_instance_of::<PyString>() || object.hasattr("__fspath__")? {
            return Ok(Some(Image::Path(object.extract()?)));
        }
        if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
            return Ok(Some(Image::Bytes(object.extract()?)));
        }
        if object.is_instance_of::<PyMemoryView>() {
            return Ok(Some(Image::Bytes(object.call_method0("tobytes")?.extract()?)));
        }
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            // Four dimensions are many images.
            return if array.ndim() == 4 { Ok(None) } else { from_array(array).map(Some) };
        }
        // Who has one of Pillow's images has imported Pillow.
        if let Ok(pillow) = py.import("sys")?.getattr("modules")?.get_item("PIL.Image")
            && object.is_instance(&pillow.getattr("Image")?)?
        {
            return self.pillow(object).map(Some);
        }
        Ok(None)
    }

    /// One of many images.
    pub(crate) fn one(self, object: &Bound<'_, PyAny>) -> PyResult<Image> {
        self.single(object)?.ok_or_else(|| PyTypeError::new_err(refusal(object)))
    }

    /// One of Pillow's images, in the network's channels as Pillow converts it: timm's way.
    fn pillow(self, image: &Bound<'_, PyAny>) -> PyResult<Image> {
        let mut image = image.clone();
        if self.turns_exif {
            let operations = image.py().import("PIL.ImageOps")?;
            image = operations.call_method1("exif_transpose", (image,))?;
        }
        let mode = match self.mode {
            ColorMode::L => "L",
            ColorMode::Rgb => "RGB",
            ColorMode::Rgba => "RGBA",
        };
        let image = image.call_method1("convert", (mode,))?;
        let (width, height) = image.getattr("size")?.extract()?;
        let data: PyBackedBytes = image.call_method0("tobytes")?.extract()?;
        decoded(self.mode, width, height, data.to_vec())
    }
}

/// What a caller is told whose object is neither an image nor many.
pub(crate) fn refusal(object: &Bound<'_, PyAny>) -> String {
    let class = object.get_type();
    let name = class.name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    format!(
        "an image is a path, the bytes of a file, one of Pillow's images or a numpy array of uint8, not {name}"
    )
}

/// A copy of an array: who has it may change it while the GIL is released.
fn from_array(array: &Bound<'_, PyUntypedArray>) -> PyResult<Image> {
    let shape = array.shape().to_vec();
    let (mode, height, width) = match shape[..] {
        [height, width] | [height, width, 1] => (ColorMode::L, height, width),
        [height, width, 3] => (ColorMode::Rgb, height, width),
        [height, width, 4] => (ColorMode::Rgba, height, width),
        _ => {
            return Err(PyValueError::new_err(format!(
                "an array with the shape {shape:?} is not an image: it has the shape (height, width) or \
                 (height, width, channels), with 1, 3 (RGB) or 4 (RGBA) channels"
            )));
        }
    };
    let Ok(array) = array.cast::<PyArrayDyn<u8>>() else {
        return Err(PyTypeError::new_err(format!(
            "an array of {} is not an image: its values are uint8, from 0 to 255",
            array.dtype()
        )));
    };
    let array: PyReadonlyArrayDyn<'_, u8> = array.try_readonly()?;
    // A slice of an array in Fortran's order would not be row by row.
    let data = match array.as_slice() {
        Ok(data) if array.is_c_contiguous() => data.to_vec(),
        _ => array.as_array().iter().copied().collect(),
    };
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    decoded(mode, side(width), side(height), data)
}

fn decoded(mode: ColorMode, width: u32, height: u32, data: Vec<u8>) -> PyResult<Image> {
    let image = Decoded::new(mode, width, height, data);
    Ok(Image::Decoded(image.map_err(|error| PyValueError::new_err(error.to_string()))?))
}
