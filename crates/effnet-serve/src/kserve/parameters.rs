//! Parameters: values by name that a request, an input or an output may carry.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::ApiError;

/// Parameters by name.
pub(super) type Parameters = BTreeMap<String, Parameter>;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parameter {
    Bool(bool),
    /// Large enough for both kinds of integers that the protocol has.
    Integer(i128),
    Float(f64),
    Text(String),
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Parameter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Parameter, E> {
                Ok(Parameter::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Parameter, E> {
                Ok(Parameter::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Parameter, E> {
                Ok(Parameter::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Parameter, E> {
                Ok(Parameter::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Parameter, E> {
                Ok(Parameter::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The most parameters of one owner: there are far fewer names.
const MOST: usize = 64;

/// Reads parameters from JSON, and does not keep more than anybody could know.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Parameters>, D::Error> {
    struct Visitor;

    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Option<Parameters>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of parameters")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut parameters = Parameters::new();
            while let Some((name, value)) = map.next_entry()? {
                if parameters.len() == MOST {
                    let says = format!("more than {MOST} parameters");
                    return Err(de::Error::custom(says));
                }
                parameters.insert(name, value);
            }
            Ok(Some(parameters))
        }
    }

    from.deserialize_any(Visitor)
}

/// Takes a whole number of at least 1. `owner` is whose parameter it is, for the message.
pub(super) fn take_count(
    parameters: &mut Parameters,
    name: &str,
    owner: &str,
) -> Result<Option<u64>, ApiError> {
    let Some(value) = parameters.remove(name) else { return Ok(None) };
    let count = match value {
        Parameter::Integer(count) => u64::try_from(count).ok().filter(|&count| count > 0),
        _ => None,
    };
    count.map(Some).ok_or_else(|| {
        let message = format!("{owner}: parameter {name:?} is {value}, not a whole number from 1");
        ApiError::bad_request(message)
    })
}

/// Takes true or false.
pub(super) fn take_bool(
    parameters: &mut Parameters,
    name: &str,
    owner: &str,
) -> Result<Option<bool>, ApiError> {
    match parameters.remove(name) {
        None => Ok(None),
        Some(Parameter::Bool(value)) => Ok(Some(value)),
        Some(value) => Err(ApiError::bad_request(format!(
            "{owner}: parameter {name:?} is {value}, not true or false"
        ))),
    }
}

/// Refuses the parameters that nobody has taken. `known` are those that somebody would have.
pub(super) fn refuse_rest(
    parameters: &Parameters,
    owner: &str,
    known: &[&str],
) -> Result<(), ApiError> {
    let Some((name, value)) = parameters.first_key_value() else { return Ok(()) };
    let known = match known {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let message = format!("{owner}: unknown parameter {name:?} ({value}): {known}");
    Err(ApiError::bad_request(message))
}
