//! Some of a model's classes: timm's `--valid-labels`.

use super::LabelError;

/// A data set with some of ImageNet-1k's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartialImagenet {
    /// ImageNet-A's 200 classes (arXiv:1907.07174).
    ImagenetA,
    /// ImageNet-R's 200 classes (arXiv:2006.16241).
    ImagenetR,
    /// Mini-ImageNet's 100 classes.
    MiniImagenet,
}

impl PartialImagenet {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ImagenetA, Self::ImagenetR, Self::MiniImagenet];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ImagenetA => "imagenet-a",
            Self::ImagenetR => "imagenet-r",
            Self::MiniImagenet => "mini-imagenet",
        }
    }

    /// Its classes' indices in ImageNet-1k, in the order of its folders.
    ///
    /// ```
    /// use effnet::labels::PartialImagenet;
    /// assert_eq!(PartialImagenet::ImagenetA.classes()[..3], [6, 11, 13]);
    /// assert_eq!(PartialImagenet::ImagenetR.classes().len(), 200);
    /// ```
    #[must_use]
    pub fn classes(self) -> Vec<usize> {
        let text = match self {
            Self::ImagenetA => include_str!("../../weights-map/labels/imagenet-a.txt"),
            Self::ImagenetR => include_str!("../../weights-map/labels/imagenet-r.txt"),
            Self::MiniImagenet => include_str!("../../weights-map/labels/mini-imagenet.txt"),
        };
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

/// The classes of a file with one index per line, as timm's `--valid-labels` takes it.
///
/// # Errors
///
/// A line that is not an index below `num_classes`, an index given twice, or no line at all.
///
/// ```
/// use effnet::labels::parse_valid_labels;
/// assert_eq!(parse_valid_labels("6\n11\n", 1000)?, [6, 11]);
/// assert!(parse_valid_labels("6\n1000\n", 1000).is_err());
/// # Ok::<(), effnet::labels::LabelError>(())
/// ```
pub fn parse_valid_labels(text: &str, num_classes: usize) -> Result<Vec<usize>, LabelError> {
    let at = |line, reason| LabelError::File { line, reason };
    let mut classes = Vec::new();
    for (line, text) in text.trim_end().lines().enumerate() {
        let class = text.trim().parse::<usize>().ok().filter(|class| *class < num_classes);
        let reason =
            || format!("expected a class index from 0 to {}", num_classes.saturating_sub(1));
        let class = class.ok_or_else(|| at(line + 1, reason()))?;
        if classes.contains(&class) {
            return Err(at(line + 1, format!("class {class} again")));
        }
        classes.push(class);
    }
    if classes.is_empty() { Err(at(1, "no class".to_owned())) } else { Ok(classes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        for (partial, classes) in PartialImagenet::ALL.into_iter().zip([200, 200, 100]) {
            let list = partial.classes();
            assert_eq!(list.len(), classes, "{}", partial.name());
            assert!(list.is_sorted() && list.iter().all(|class| *class < 1000));
        }
    }

    #[test]
    fn files_are_checked_line_by_line() {
        for (text, line) in [("", 1), ("1\nx\n", 2), ("1\n\n2", 2), ("3\n3\n", 2), ("-1", 1)] {
            let error = parse_valid_labels(text, 10).unwrap_err();
            assert!(matches!(error, LabelError::File { line: l, .. } if l == line), "{text:?}");
        }
    }
}
