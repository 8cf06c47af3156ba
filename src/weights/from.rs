use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a model's weights come from.
///
/// ```
/// use effnet::weights::WeightsFrom;
/// assert_eq!(WeightsFrom::from("seeded:7"), WeightsFrom::Seeded(7));
/// assert_eq!(WeightsFrom::from("my.pth"), WeightsFrom::File("my.pth".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum WeightsFrom {
    /// A checkpoint, or a folder that has one.
    File(PathBuf),
    /// Generated from this seed: see [`seeded`](crate::weights::seeded).
    Seeded(u64),
}

impl FromStr for WeightsFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for WeightsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(&crate::text::file_name(file)),
            Self::Seeded(seed) => write!(f, "seeded:{seed}"),
        }
    }
}

impl From<&OsStr> for WeightsFrom {
    fn from(text: &OsStr) -> Self {
        let seed = text.to_str().and_then(|text| text.strip_prefix("seeded:"));
        match seed.and_then(|seed| seed.parse().ok()) {
            Some(seed) => Self::Seeded(seed),
            None => Self::File(text.into()),
        }
    }
}

macro_rules! weights_from {
    ($($from:ty),*) => {
        $(impl From<$from> for WeightsFrom {
            fn from(text: $from) -> Self {
                AsRef::<OsStr>::as_ref(&text).into()
            }
        })*
    };
}

weights_from!(&str, &String, String, &OsString, OsString, &Path, &PathBuf, PathBuf);

impl From<WeightsFrom> for String {
    fn from(weights: WeightsFrom) -> Self {
        weights.to_string()
    }
}
