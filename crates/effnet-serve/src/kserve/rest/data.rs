//! The `data` of a tensor in JSON: a flat list, or lists nested as the shape is.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess};
use serde_json::value::RawValue;

use crate::ApiError;
use crate::kserve::tensor::{Data, Datatype, Header};

/// Reads the elements that the header tells of, and no more.
pub(super) fn parse(header: &Header, raw: &RawValue) -> Result<Data, ApiError> {
    // A list of N elements has at least 2 N bytes, whatever its shape claims.
    let capacity = header.elements().min(raw.get().len() / 2 + 1);
    let values = match header.datatype() {
        Datatype::Bytes => Read::Bytes(Vec::with_capacity(capacity)),
        Datatype::Uint8 => Read::Uint8(Vec::with_capacity(capacity)),
        Datatype::Fp32 => Read::Fp32(Vec::with_capacity(capacity)),
    };
    let mut state = State { shape: header.shape(), most: header.elements(), values, depth: None };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    List { state: &mut state, depth: 0 }
        .deserialize(&mut json)
        .map_err(|error| header.refused(format!("data: {error}")))?;
    Ok(match state.values {
        Read::Bytes(elements) => Data::Bytes(elements),
        Read::Uint8(values) => Data::Uint8(values.into()),
        Read::Fp32(values) => Data::Fp32(values),
    })
}

struct State<'a> {
    shape: &'a [usize],
    most: usize,
    values: Read,
    /// How many lists are around the elements, once the first is seen.
    depth: Option<usize>,
}

enum Read {
    Bytes(Vec<Bytes>),
    Uint8(Vec<u8>),
    Fp32(Vec<f32>),
}

impl Read {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(elements) => elements.len(),
            Self::Uint8(values) => values.len(),
            Self::Fp32(values) => values.len(),
        }
    }
}

/// A list, or an element, inside of `depth` lists.
struct List<'s, 'a> {
    state: &'s mut State<'a>,
    depth: usize,
}

impl List<'_, '_> {
    /// Whether an element may be here.
    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        let (shape, state) = (self.state.shape, &mut *self.state);
        if self.depth == 0 {
            return Err(E::custom("an element without a list around it"));
        }
        let depth = *state.depth.get_or_insert(self.depth);
        if depth != self.depth || depth != 1 && depth != shape.len() {
            return Err(E::custom(format!(
                "lists that are not nested as shape {shape:?} is, and are not one flat list"
            )));
        }
        if state.values.len() >= state.most {
            return Err(E::custom(format!(
                "more elements than the {} of shape {shape:?}",
                state.most
            )));
        }
        Ok(())
    }

    fn number<E: de::Error>(mut self, value: f64, unexpected: de::Unexpected<'_>) -> Result<(), E> {
        self.enter()?;
        match &mut self.state.values {
            Read::Fp32(values) => values.push(value as f32),
            Read::Uint8(values) if (0.0..256.0).contains(&value) && value.fract() == 0.0 => {
                values.push(value as u8);
            }
            _ => return Err(E::invalid_value(unexpected, &self)),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state.values {
            Read::Bytes(_) => "lists of BYTES as base64 text",
            Read::Uint8(_) => "lists of whole numbers from 0 to 255",
            Read::Fp32(_) => "lists of numbers",
        })
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64, de::Unexpected::Unsigned(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64, de::Unexpected::Signed(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.number(value, de::Unexpected::Float(value))
    }

    fn visit_str<E: de::Error>(mut self, text: &str) -> Result<(), E> {
        self.enter()?;
        let Read::Bytes(elements) = &mut self.state.values else {
            return Err(E::invalid_type(de::Unexpected::Other("a string"), &self));
        };
        let decoded = BASE64_STANDARD.decode(text).map_err(|error| {
            let place = elements.len();
            E::custom(format!("element {place} is not base64 text, as BYTES are in JSON: {error}"))
        })?;
        elements.push(decoded.into());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let shape = self.state.shape;
        if self.depth >= shape.len().max(1) {
            let text = format!("lists nested deeper than shape {shape:?}");
            return Err(de::Error::custom(text));
        }
        let mut count = 0;
        while list.next_element_seed(List { state: self.state, depth: self.depth + 1 })?.is_some() {
            count += 1;
        }
        let is_flat = self.depth == 0 && self.state.depth.is_none_or(|depth| depth == 1);
        if !is_flat && shape.get(self.depth) != Some(&count) {
            return Err(de::Error::custom(format!(
                "a list of {count} {} in dimension {} of shape {shape:?}",
                if count == 1 { "entry" } else { "entries" },
                self.depth
            )));
        }
        Ok(())
    }
}
