//! Tensors as the codecs give them to the model, and as it gives them back.

use bytes::{BufMut, Bytes};

use crate::ApiError;

/// What the elements of a tensor are, of all that the protocol has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    Bytes,
    Uint8,
    Fp32,
}

impl Datatype {
    const ALL: [Self; 3] = [Self::Bytes, Self::Uint8, Self::Fp32];

    /// The protocol's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "BYTES",
            Self::Uint8 => "UINT8",
            Self::Fp32 => "FP32",
        }
    }
}

/// A tensor of a request, before its data is read.
#[derive(Debug)]
pub(super) struct Header {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    elements: usize,
}

/// An input of a request.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
}

/// The elements of an input, row-major.
#[derive(Debug, PartialEq)]
pub(super) enum Data {
    Bytes(Vec<Bytes>),
    Uint8(Bytes),
    Fp32(Vec<f32>),
}

impl Data {
    pub(super) fn datatype(&self) -> Datatype {
        match self {
            Self::Bytes(_) => Datatype::Bytes,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Fp32(_) => Datatype::Fp32,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(elements) => elements.len(),
            Self::Uint8(values) => values.len(),
            Self::Fp32(values) => values.len(),
        }
    }
}

/// Sizes as the protocol writes them, which may be negative there.
pub(super) fn sizes(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

impl Header {
    /// Reads the datatype and the shape. `max_images` is the most elements of a BYTES tensor, which
    /// are images.
    pub(super) fn new(
        name: String,
        datatype: &str,
        shape: &[i64],
        max_images: usize,
    ) -> Result<Self, ApiError> {
        let refused = |reason: String| ApiError::bad_request(format!("input {name:?}: {reason}"));
        let of_name = |known: &Datatype| known.name() == datatype;
        let Some(datatype) = Datatype::ALL.into_iter().find(of_name) else {
            let reason = format!("datatype {datatype:?} is not one of BYTES, UINT8 and FP32");
            return Err(refused(reason));
        };
        if shape.len() > MAX_RANK {
            return Err(refused(format!(
                "its shape has {} dimensions, at most {MAX_RANK} are understood",
                shape.len()
            )));
        }
        let dims: Option<Vec<usize>> = shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let Some(dims) = dims else {
            return Err(refused(format!("shape {} has a size below 0", sizes(shape))));
        };
        let elements = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        let Some(elements) = elements else {
            return Err(refused(format!("shape {} has too many elements", sizes(shape))));
        };
        if datatype == Datatype::Bytes && elements > max_images {
            return Err(refused(format!(
                "{elements} images; a request may have {max_images}: send more requests"
            )));
        }
        Ok(Self { name, datatype, shape: dims, elements })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn datatype(&self) -> Datatype {
        self.datatype
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The product of the shape.
    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    pub(super) fn refused(&self, reason: impl std::fmt::Display) -> ApiError {
        ApiError::bad_request(format!("input {:?}: {reason}", self.name))
    }

    /// The tensor with these elements.
    pub(super) fn with(self, data: Data) -> Result<Tensor, ApiError> {
        if data.len() != self.elements {
            return Err(self.refused(format!(
                "shape {:?} has {} elements, the data has {}",
                self.shape,
                self.elements,
                data.len()
            )));
        }
        Ok(Tensor { name: self.name, shape: self.shape, data })
    }

    /// The tensor whose elements are these bytes: little-endian numbers, or for BYTES each element
    /// after its length in 4 bytes. Images and pixels are not copied.
    pub(super) fn with_raw(self, raw: Bytes) -> Result<Tensor, ApiError> {
        let data = match self.datatype {
            Datatype::Bytes => Data::Bytes(self.byte_strings(raw)?),
            Datatype::Uint8 => {
                self.expects(1, &raw)?;
                Data::Uint8(raw)
            }
            Datatype::Fp32 => {
                self.expects(4, &raw)?;
                let (values, _) = raw.as_chunks();
                Data::Fp32(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
            }
        };
        self.with(data)
    }

    fn expects(&self, size: usize, raw: &[u8]) -> Result<(), ApiError> {
        if self.elements.checked_mul(size) == Some(raw.len()) {
            return Ok(());
        }
        Err(self.refused(format!(
            "shape {:?} of {} has {} elements of {size} bytes, the data has {} bytes",
            self.shape,
            self.datatype.name(),
            self.elements,
            raw.len()
        )))
    }

    fn byte_strings(&self, raw: Bytes) -> Result<Vec<Bytes>, ApiError> {
        let mut elements = Vec::new();
        let mut rest = raw;
        while !rest.is_empty() && elements.len() < self.elements {
            let Some((&length, _)) = rest.split_first_chunk() else {
                return Err(self.refused(format!(
                    "element {}: {} bytes left for its length, which has 4",
                    elements.len(),
                    rest.len()
                )));
            };
            let length = u32::from_le_bytes(length) as usize;
            rest = rest.slice(4..);
            if length > rest.len() {
                return Err(self.refused(format!(
                    "element {}: its length is given as {length}, but {} bytes are left",
                    elements.len(),
                    rest.len()
                )));
            }
            elements.push(rest.split_to(length));
        }
        if !rest.is_empty() {
            return Err(self.refused(format!(
                "{} bytes are left after the {} elements of shape {:?}",
                rest.len(),
                self.elements,
                self.shape
            )));
        }
        Ok(elements)
    }
}

/// No tensor here has more dimensions than N, C, H and W.
const MAX_RANK: usize = 4;

/// An output of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Output {
    pub(super) name: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// The elements of an output, row-major.
#[derive(Debug, PartialEq)]
pub(super) enum Values {
    Fp32(Vec<f32>),
    /// BYTES that are UTF-8.
    Text(Vec<String>),
}

impl Output {
    pub(super) fn datatype(&self) -> Datatype {
        match self.values {
            Values::Fp32(_) => Datatype::Fp32,
            Values::Text(_) => Datatype::Bytes,
        }
    }

    /// Sizes as the protocol writes them.
    pub(super) fn sizes(&self) -> Vec<i64> {
        self.shape.iter().map(|&dim| dim as i64).collect()
    }

    /// The elements as bytes: see [`Header::with_raw`].
    pub(super) fn raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        match &self.values {
            Values::Fp32(values) => {
                raw.reserve_exact(values.len() * 4);
                values.iter().for_each(|&value| raw.put_f32_le(value));
            }
            Values::Text(texts) => {
                for text in texts {
                    raw.put_u32_le(text.len() as u32);
                    raw.put_slice(text.as_bytes());
                }
            }
        }
        raw
    }
}
