//! What the text of a setting means.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use effnet::batcher::Batching;
use toml::Table;

use crate::{LogFormat, ModelSpec, NameError, Rate};

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Text(String),
    /// A table of the TOML file.
    Table(Table),
}

/// What one text can be.
pub(super) trait Parse: Sized {
    /// Says what is wrong without the text itself, which the caller has.
    fn parse(text: &str) -> Result<Self, String>;

    fn parse_table(_: &Table) -> Result<Self, String> {
        Err("must not be a table".to_owned())
    }

    fn parse_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::parse(text).map_err(|wrong| format!("{text:?} {wrong}")),
            Raw::Table(table) => Self::parse_table(table),
        }
    }
}

/// What all the texts of a setting are together.
pub(super) trait Value: Sized {
    /// Whether the setting may be given more than once.
    const MANY: bool = false;

    /// The error names the item that is wrong.
    fn from_items(items: &[Raw]) -> Result<Self, (usize, String)>;
}

impl<T: Parse> Value for T {
    fn from_items(items: &[Raw]) -> Result<Self, (usize, String)> {
        let [item] = items else {
            return Err((0, "takes one value".to_owned()));
        };
        T::parse_raw(item).map_err(|wrong| (0, wrong))
    }
}

impl<T: Parse> Value for Option<T> {
    fn from_items(items: &[Raw]) -> Result<Self, (usize, String)> {
        match items {
            [] => Ok(None),
            [Raw::Text(text)] if text == "none" => Ok(None),
            items => T::from_items(items).map(Some),
        }
    }
}

impl<T: Parse> Value for Vec<T> {
    const MANY: bool = true;

    fn from_items(items: &[Raw]) -> Result<Self, (usize, String)> {
        let parse = |(place, item)| T::parse_raw(item).map_err(|wrong| (place, wrong));
        items.iter().enumerate().map(parse).collect()
    }
}

/// A number and the unit after it, each as text.
fn number_and_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

/// A time of at least a millisecond's thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl Parse for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a time such as 500us, 2ms, 30s, 5m or 1h".to_owned();
        let (number, unit) = number_and_unit(text);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        match unit {
            "us" => Ok(Self::from_micros(number)),
            "ms" => Ok(Self::from_millis(number)),
            "s" => Ok(Self::from_secs(number)),
            "m" => number.checked_mul(60).map(Self::from_secs).ok_or_else(wrong),
            "h" => number.checked_mul(3600).map(Self::from_secs).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl Parse for Timeout {
    fn parse(text: &str) -> Result<Self, String> {
        let time = Duration::parse(text)?;
        // Far beyond a year, instants overflow.
        let year = Duration::from_secs(366 * 24 * 3600);
        match time {
            time if time.is_zero() => Err("must be more than nothing".to_owned()),
            time if time > year => Err("is more than a year".to_owned()),
            time => Ok(Self(time)),
        }
    }
}

/// A number of bytes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl Parse for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a size such as 64KiB, 32MiB, 2GiB, 10MB or 512B".to_owned();
        let (number, unit) = number_and_unit(text);
        let factor = match unit {
            "B" => 1,
            "kB" | "KB" => 1000,
            "MB" => 1000 * 1000,
            "GB" => 1000 * 1000 * 1000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: usize = number.parse().map_err(|_| wrong())?;
        match number.checked_mul(factor) {
            Some(0) => Err("must be more than nothing".to_owned()),
            Some(bytes) => Ok(Self(bytes)),
            None => Err(wrong()),
        }
    }
}

impl Parse for NonZeroUsize {
    fn parse(text: &str) -> Result<Self, String> {
        // `from_str` takes a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.ok_or_else(|| "is not a number of 1 or more".to_owned())
    }
}

impl Parse for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            "is not an address and a port such as 127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000"
                .to_owned()
        })
    }
}

impl Parse for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is not the name of a file".to_owned()),
            text => Ok(text.into()),
        }
    }
}

impl Parse for Rate {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a rate such as 10, 0.5 or 10:50 (a second, and at once)".to_owned();
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let per_second: f64 = rate.parse().map_err(|_| wrong())?;
        if !plain(rate) || !(0.001..=1e6).contains(&per_second) {
            return Err(format!("{}, and from 0.001 to 1000000", wrong()));
        }
        let burst = match burst {
            Some(burst) if plain(burst) => burst.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
            None => NonZeroU32::new(per_second.ceil() as u32).unwrap_or(NonZeroU32::MIN),
        };
        Ok(Self { per_second, burst })
    }
}

/// An origin whose pages may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub HeaderValue);

impl Parse for Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not * or an origin such as https://example.org".to_owned();
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        if text != "*" && !host.is_some_and(is_host) {
            return Err(wrong());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| wrong())
    }
}

/// A setting whose values are words.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl Parse for $type {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(format!("is not one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

words!(Batching { "auto" => Self::Auto, "always" => Self::Always, "never" => Self::Never });

words!(LogFormat { "text" => Self::Text, "json" => Self::Json });

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub tracing::level_filters::LevelFilter);

words!(LogLevel {
    "error" => Self(tracing::level_filters::LevelFilter::ERROR),
    "warn" => Self(tracing::level_filters::LevelFilter::WARN),
    "info" => Self(tracing::level_filters::LevelFilter::INFO),
    "debug" => Self(tracing::level_filters::LevelFilter::DEBUG),
    "trace" => Self(tracing::level_filters::LevelFilter::TRACE),
});

/// The address of an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(pub String);

impl Parse for Endpoint {
    fn parse(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() => Ok(Self(text.to_owned())),
            _ => Err("is not an address such as http://127.0.0.1:4317".to_owned()),
        }
    }
}

impl Parse for ModelSpec {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("is not MODEL or NAME=MODEL: {why}");
        let spec: Self = text.parse().map_err(|error: NameError| wrong(&error.to_string()))?;
        match spec.model {
            Some(_) => Ok(spec),
            None => Err(wrong("the model is missing")),
        }
    }

    fn parse_table(table: &Table) -> Result<Self, String> {
        table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

impl fmt::Display for Raw {
    /// As TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Numbers as numbers; those with a leading zero are none.
            Self::Text(text) if text.parse::<u32>().is_ok_and(|n| n.to_string() == *text) => {
                f.write_str(text)
            }
            Self::Text(text) => toml::Value::from(text.as_str()).fmt(f),
            Self::Table(table) => toml::Value::from(table.clone()).fmt(f),
        }
    }
}
