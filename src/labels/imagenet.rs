//! The ImageNet class lists that timm knows (`timm/data/imagenet_info.py`).
//!
//! Two gzip files hold every synset once: the 1000 classes of ImageNet-1k in class order, and the
//! rest by synset id, each row with the letters of the sets it belongs to. Every list is rebuilt from
//! these. ImageNet-1k alone needs only the first, small file.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use super::LabelError;

static ONE_K: &[u8] = include_bytes!("../../weights-map/labels/imagenet-1k.tsv.gz");
static REST: &[u8] = include_bytes!("../../weights-map/labels/imagenet-rest.tsv.gz");

/// One class list of ImageNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subset {
    /// The 1000 classes of ILSVRC 2012.
    Imagenet1k,
    /// timm's 11821 classes of the fall 2011 release that have enough images.
    Imagenet12k,
    /// The 11221 classes of ImageNet-21K-P (arXiv:2104.10972), fall 2011.
    Imagenet21kMiil,
    /// All 21841 classes of the fall 2011 release.
    Imagenet22k,
    /// Microsoft's order of 22k: the 1000 classes of ImageNet-1k first, 21842 in all.
    Imagenet22kMs,
    /// Google's 21843 classes: the fall 2011 release and two more.
    Imagenet21kGoog,
}

impl Subset {
    /// Every subset, smallest first.
    pub const ALL: [Self; 6] = [
        Self::Imagenet1k,
        Self::Imagenet21kMiil,
        Self::Imagenet12k,
        Self::Imagenet22k,
        Self::Imagenet22kMs,
        Self::Imagenet21kGoog,
    ];

    /// timm's name of the subset.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet1k => "imagenet-1k",
            Self::Imagenet12k => "imagenet-12k",
            Self::Imagenet21kMiil => "imagenet-21k-miil",
            Self::Imagenet22k => "imagenet-22k",
            Self::Imagenet22kMs => "imagenet-22k-ms",
            Self::Imagenet21kGoog => "imagenet-21k-goog",
        }
    }

    /// How many classes the subset has.
    pub fn num_classes(self) -> usize {
        match self {
            Self::Imagenet1k => 1000,
            Self::Imagenet12k => 11821,
            Self::Imagenet21kMiil => 11221,
            Self::Imagenet22k => 21841,
            Self::Imagenet22kMs => 21842,
            Self::Imagenet21kGoog => 21843,
        }
    }

    /// The subset with this many classes, as timm infers it; no two have the same number.
    ///
    /// ```
    /// use effnet::labels::Subset;
    /// assert_eq!(Subset::from_num_classes(21843), Some(Subset::Imagenet21kGoog));
    /// assert_eq!(Subset::from_num_classes(10), None);
    /// ```
    pub fn from_num_classes(num_classes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.num_classes() == num_classes)
    }

    /// A subset from its name. As in timm, case, `-`, `_` and spaces do not matter, and
    /// `imagenet-21k` means `imagenet-21k-goog`.
    ///
    /// # Errors
    /// [`LabelError::UnknownSubset`] with the name.
    ///
    /// ```
    /// use effnet::labels::Subset;
    /// assert_eq!(Subset::parse("imagenet-22k"), Ok(Subset::Imagenet22k));
    /// assert_eq!(Subset::parse("ImageNet21k"), Ok(Subset::Imagenet21kGoog));
    /// assert!(Subset::parse("imagenet-2k").is_err());
    /// ```
    pub fn parse(name: &str) -> Result<Self, LabelError> {
        let plain = |s: &str| -> String {
            s.chars()
                .filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace())
                .flat_map(char::to_lowercase)
                .collect()
        };
        let wanted = plain(name);
        if wanted == "imagenet21k" {
            return Ok(Self::Imagenet21kGoog);
        }
        Self::ALL
            .into_iter()
            .find(|s| plain(s.name()) == wanted)
            .ok_or_else(|| LabelError::UnknownSubset { name: name.to_owned() })
    }

    /// The names of all subsets, for an error message.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The rows of the subset, in class order.
    pub(super) fn rows(self) -> Vec<&'static Row> {
        let letter = match self {
            Self::Imagenet1k => return one_k().iter().collect(),
            Self::Imagenet22kMs => {
                let mut rows: Vec<_> = one_k().iter().collect();
                rows.extend(rest().iter().filter(|row| row.sets.contains('w')));
                return rows;
            }
            Self::Imagenet12k => 'k',
            Self::Imagenet21kMiil => 'm',
            Self::Imagenet22k => 'w',
            Self::Imagenet21kGoog => 'g',
        };
        let mut rows: Vec<_> =
            one_k().iter().chain(rest()).filter(|row| row.sets.contains(letter)).collect();
        rows.sort_unstable_by_key(|row| row.synset);
        rows
    }
}

/// One synset.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) synset: &'static str,
    /// Letters of the larger sets that contain the synset: k = 12k, w = 22k, g = 21k-goog, m =
    /// 21k-miil.
    sets: &'static str,
    pub(super) lemmas: &'static str,
    pub(super) definition: &'static str,
}

fn one_k() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| read(ONE_K))
}

fn rest() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| read(REST))
}

/// Inflates and splits one of the two files. Their text lives as long as the program.
///
/// # Panics
/// If the bytes in the program are damaged: they are constants, and a test reads both.
#[allow(clippy::expect_used)]
fn read(gz: &[u8]) -> Vec<Row> {
    let mut text = String::new();
    GzDecoder::new(gz)
        .read_to_string(&mut text)
        .expect("the label file in the program is gzip of UTF-8");
    let text: &'static str = text.leak();
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut field = || fields.next().expect("four fields in a row");
            Row { synset: field(), sets: field(), lemmas: field(), definition: field() }
        })
        .collect()
}
