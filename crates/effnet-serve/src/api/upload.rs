//! The body of a request: images with names, and what is asked of them.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::form::Parts;
use crate::error::clipped;
use crate::guard::Account;
use crate::{ApiError, Limits, Server};

/// What an image is called that has no name.
const UNNAMED: &str = "image";

/// What a request brings.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) images: Vec<Named>,
    /// Whether the answer is a list.
    pub(super) is_list: bool,
    pub(super) asked: Asked,
}

/// The bytes of an image's file.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// The settings of a request, from its query or its body.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) k: Option<NonZeroUsize>,
    pub(super) model: Option<String>,
}

/// A JSON body: `image` or `images`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Images<'a> {
    /// One image; the answer is one record.
    image: Option<EncodedImage>,
    /// Many images; the answer is a list of records.
    #[schema(value_type = Option<Vec<EncodedImage>>, min_items = 1)]
    #[serde(borrow)]
    images: Option<&'a RawValue>,
    /// How many classes to name; 5 if absent.
    #[schema(value_type = Option<usize>, minimum = 1)]
    k: Option<NonZeroUsize>,
    /// The model; the default if absent.
    model: Option<String>,
}

/// An image's file in base64, alone or with a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected base64, or an object with `data` (base64) and `name`")]
pub(crate) enum EncodedImage {
    /// The file in standard base64.
    #[schema(format = Byte)]
    Data(String),
    /// The same with a name.
    Named(NamedImage),
}

/// An image's file in base64 with a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedImage {
    /// What the record calls the image; `image` if absent.
    name: Option<String>,
    /// The file in standard base64.
    #[schema(format = Byte)]
    data: String,
}

/// A form: one or many files, each part's file name being the image's name. The text parts `k` and
/// `model` count like the query.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of a body that is read part by part")]
pub(crate) struct Form {
    /// The files.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
    /// How many classes to name; 5 if absent.
    #[schema(minimum = 1)]
    k: Option<usize>,
    /// The model; the default if absent.
    model: Option<String>,
}

/// The bytes of an image's file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the schema of a body that is taken as it is")]
pub(crate) struct File(Vec<u8>);

impl Upload {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// A body that is too large or not what its Content-Type says, no image, too many of them, and
    /// settings that do not exist or are given twice.
    pub(super) async fn read(server: &Server, request: Request) -> Result<Self, ApiError> {
        let limits = server.limits();
        let mut asked = Asked::default();
        let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let query = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
        for (key, value) in query.0 {
            asked.set("the query", &key, value)?;
        }
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limits.max_body as u64) {
            return Err(too_large(limits));
        }
        let account = request.extensions().get::<Arc<Account>>().cloned();
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut upload = match content_type.split(';').next().unwrap_or_default().trim() {
            kind if kind.eq_ignore_ascii_case("multipart/form-data") => {
                Self::of_form(limits, asked, request).await?
            }
            kind if kind.eq_ignore_ascii_case("application/json") => {
                let body = read(limits, request.into_body()).await?;
                Self::of_json(limits, asked, &body)?
            }
            _ => {
                let bytes = read(limits, request.into_body()).await?;
                let images = vec![Named { name: UNNAMED.to_owned(), bytes }];
                Self { images, is_list: false, asked }
            }
        };
        if let Some(account) = &account {
            for Named { bytes, .. } in &mut upload.images {
                *bytes = account.keep(std::mem::take(bytes));
            }
        }
        Ok(upload)
    }

    async fn of_form(
        limits: &Limits,
        mut asked: Asked,
        request: Request,
    ) -> Result<Self, ApiError> {
        let mut form = Parts::of(limits, request).await?;
        let mut images = Vec::new();
        while let Some(part) = form.next().await? {
            let Some(name) = part.field.file_name() else {
                let key = clipped(part.field.name().unwrap_or_default().to_owned());
                let value = clipped(part.text().await?);
                asked.set("the form (an image's part needs a file name)", &key, value)?;
                continue;
            };
            let name = if name.is_empty() { UNNAMED } else { name }.to_owned();
            check_count(limits, images.len() + 1)?;
            images.push(Named { name, bytes: part.bytes().await? });
        }
        if images.is_empty() {
            return Err(ApiError::bad_request(
                "the form has no image: add a part with a file name, such as curl -F file=@a.jpg",
            ));
        }
        Ok(Self { images, is_list: true, asked })
    }

    fn of_json(limits: &Limits, asked: Asked, body: &[u8]) -> Result<Self, ApiError> {
        let broken = |error| ApiError::bad_request(format!("the JSON body: {error}"));
        let body: Images<'_> = serde_json::from_slice(body).map_err(broken)?;
        let mut asked = asked;
        asked.set_k("the JSON body", body.k)?;
        asked.set_model("the JSON body", body.model)?;
        let (images, is_list) = match (body.image, body.images) {
            (Some(image), None) => (vec![image.decode("image")?], false),
            (None, Some(list)) => {
                let mut json = serde_json::Deserializer::from_str(list.get());
                let images = List { most: limits.max_images }.deserialize(&mut json);
                let images = images.map_err(|error| {
                    ApiError::bad_request(format!("the JSON body: images: {error}"))
                })?;
                check_count(limits, images.len())?;
                if images.is_empty() {
                    return Err(no_image());
                }
                let images = images.into_iter().enumerate();
                let images = images.map(|(at, image)| image.decode(&format!("images[{at}]")));
                (images.collect::<Result<_, _>>()?, true)
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request(
                    "the JSON body has `image` and `images`: give one of them",
                ));
            }
            (None, None) => return Err(no_image()),
        };
        Ok(Self { images, is_list, asked })
    }
}

fn no_image() -> ApiError {
    ApiError::bad_request("the JSON body has no image: give `image` (base64) or `images` (a list)")
}

/// Reads a list of images: of a longer one, one more than `most`, and the rest unseen. An empty
/// image has three bytes, and takes many times as much when it is read.
struct List {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<EncodedImage>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<EncodedImage>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of images")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut images = Vec::new();
        while images.len() <= self.most {
            let Some(image) = list.next_element()? else { return Ok(images) };
            images.push(image);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(images)
    }
}

impl EncodedImage {
    fn decode(self, place: &str) -> Result<Named, ApiError> {
        let (name, data, place) = match self {
            Self::Data(data) => (None, data, place.to_owned()),
            Self::Named(NamedImage { name, data }) => (name, data, format!("{place}.data")),
        };
        let bytes = STANDARD.decode(data).map_err(|error| {
            ApiError::bad_request(format!("the JSON body: {place} is not standard base64: {error}"))
        })?;
        Ok(Named { name: name.unwrap_or_else(|| UNNAMED.to_owned()), bytes: bytes.into() })
    }
}

impl Asked {
    /// Sets what a key says.
    fn set(&mut self, place: &str, key: &str, value: String) -> Result<(), ApiError> {
        match key {
            "k" => {
                let k = value.parse().map_err(|_| {
                    let says =
                        format!("{place}: k is {value:?}, but must be a whole number from 1");
                    ApiError::bad_request(says)
                })?;
                self.set_k(place, Some(k))
            }
            "model" => self.set_model(place, Some(value)),
            key => {
                let says = format!("{place} has {key:?}, which is not a setting: k and model are");
                Err(ApiError::bad_request(says))
            }
        }
    }

    fn set_k(&mut self, place: &str, k: Option<NonZeroUsize>) -> Result<(), ApiError> {
        once(place, "k", &mut self.k, k)
    }

    fn set_model(&mut self, place: &str, model: Option<String>) -> Result<(), ApiError> {
        once(place, "model", &mut self.model, model)
    }
}

fn once<T>(place: &str, key: &str, slot: &mut Option<T>, value: Option<T>) -> Result<(), ApiError> {
    match (&slot, value) {
        (_, None) => Ok(()),
        (Some(_), Some(_)) => {
            Err(ApiError::bad_request(format!("{place} gives {key} a second time: give it once")))
        }
        (None, value) => {
            *slot = value;
            Ok(())
        }
    }
}

async fn read(limits: &Limits, body: Body) -> Result<Bytes, ApiError> {
    to_bytes(body, limits.max_body).await.map_err(|error| {
        let is_limit = std::error::Error::source(&error)
            .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        match is_limit {
            true => too_large(limits),
            false => ApiError::bad_request("the body ended before its end"),
        }
    })
}

fn check_count(limits: &Limits, images: usize) -> Result<(), ApiError> {
    if images <= limits.max_images {
        return Ok(());
    }
    let says = format!(
        "the request has more than {} images, the limit: send several requests",
        limits.max_images
    );
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, says))
}

pub(super) fn too_large(limits: &Limits) -> ApiError {
    let says = format!(
        "the body is larger than the limit of {} bytes: send fewer or smaller images",
        limits.max_body
    );
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_that_is_too_long_little_is_kept() {
        let read = |text: &str| {
            List { most: 2 }.deserialize(&mut serde_json::Deserializer::from_str(text))
        };
        let list = format!("[{}\"\"]", "\"\",".repeat(1000));
        for (text, count) in [("[]", 0), (r#"["",""]"#, 2), (&*list, 3)] {
            assert_eq!(read(text).unwrap().len(), count, "{text}");
        }
        assert!(read("[\"\",\"\",\"\",]").is_err());
    }
}
