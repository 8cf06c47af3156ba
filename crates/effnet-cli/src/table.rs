//! Text for people: columns that line up, within the terminal's width.

use effnet::unstable::{escape, is_obeyed};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The columns between two cells of a line.
const GAP: usize = 2;
/// The columns before the cells of a line that continues a row.
const INDENT: usize = 4;

/// `text` in one line, without what would control a terminal. Labels and names come from files.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) { escape(c, &mut printable) } else { printable.push(c) }
    }
    printable
}

/// [`printable`], line by line.
pub(super) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A bar of `width` columns, filled in eighths for a `share` in [0, 1].
pub(super) fn bar(share: f32, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f32).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

/// How many columns the widest of `lines` takes on a terminal.
pub(super) fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.width()).max().unwrap_or(0)
}

/// Formats `rows` with every column as wide as its widest cell; columns in `right` are aligned to
/// the right. A row that is wider than `width` continues on the next lines, indented, with the same
/// columns below each other in all rows; a wider cell is broken.
pub(super) fn align(rows: &[impl AsRef<[String]>], right: &[usize], width: usize) -> Vec<String> {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let most = width.saturating_sub(INDENT).max(1);
    let widest = |column| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell: &String| cell.width()).max().unwrap_or(0)
    };
    // Only the first column begins at the left edge.
    let room = |column| if column == 0 { width } else { most };
    let widths: Vec<usize> = (0..columns).map(|c| widest(c).min(room(c))).collect();
    let groups = groups(&widths, width);
    let mut lines = Vec::new();
    for row in rows {
        for (g, group) in groups.iter().enumerate() {
            let indent = if g == 0 { 0 } else { INDENT };
            let cells: Vec<Vec<String>> = group
                .clone()
                .map(|c| row.as_ref().get(c).map_or_else(Vec::new, |cell| broken(cell, widths[c])))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for piece in 0..height {
                let mut line = " ".repeat(indent);
                for (c, cell) in group.clone().zip(&cells) {
                    let text = cell.get(piece).map_or("", String::as_str);
                    let padding = " ".repeat(widths[c] - text.width());
                    let aligned =
                        if right.contains(&c) { [&padding, text] } else { [text, &padding] };
                    line.extend(aligned);
                    line.push_str(&" ".repeat(GAP));
                }
                line.truncate(line.trim_end().len());
                if !line.is_empty() || g == 0 {
                    lines.push(line);
                }
            }
        }
    }
    lines
}

/// Which columns are on each line of a row.
fn groups(widths: &[usize], width: usize) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut first, mut taken) = (0, 0);
    for (column, &own) in widths.iter().enumerate() {
        if column > first && taken + GAP + own > width {
            groups.push(first..column);
            (first, taken) = (column, INDENT + own);
        } else {
            taken += if column > first { GAP + own } else { own };
        }
    }
    groups.push(first..widths.len());
    groups
}

/// A cell in pieces of at most `width` columns. What reads as one character is not split.
fn broken(cell: &str, width: usize) -> Vec<String> {
    if cell.width() <= width {
        return vec![cell.to_owned()];
    }
    let mut pieces = vec![String::new()];
    for grapheme in cell.graphemes(true) {
        if let Some(piece) = pieces.last_mut() {
            // A character that is wider than the line cannot be split.
            if piece.is_empty() || piece.width() + grapheme.width() <= width {
                piece.push_str(grapheme);
            } else {
                pieces.push(grapheme.to_owned());
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: &[[&str; N]]) -> Vec<[String; N]> {
        rows.iter().map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn columns_line_up() {
        let table = rows(&[["tabby", "1"], ["cat", "10"]]);
        assert_eq!(align(&table, &[1], usize::MAX), ["tabby   1", "cat    10"]);
    }

    #[test]
    fn wide_and_combining_characters_line_up() {
        let table = rows(&[["猫", "1"], ["e\u{301}te\u{301}", "2"], ["👩‍🚀", "3"], ["abc", "4"]]);
        let lines = ["猫   1", "e\u{301}te\u{301}  2", "👩‍🚀   3", "abc  4"];
        assert_eq!(align(&table, &[], usize::MAX), lines);
    }

    #[test]
    fn rows_go_on_where_they_are_too_wide() {
        let table = rows(&[["NAME", "SIZE", "KIND"], ["a_long_name", "1", "x"]]);
        let lines = ["NAME         SIZE", "    KIND", "a_long_name     1", "    x"];
        assert_eq!(align(&table, &[1], 17), lines);
        assert_eq!(align(&table, &[1], 23).len(), 2);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_nothing_is_lost() {
        let table = rows(&[["name", "shape"], ["猫猫猫猫猫👩‍🚀abcdefghijklmnop", "32x3x3x3"]]);
        for width in 8..60 {
            let lines = align(&table, &[1], width);
            assert!(widest(&lines) <= width, "{width}: {lines:?}");
            let text: String = lines.concat().split_whitespace().collect();
            for part in ["猫", "👩‍🚀", "p"] {
                assert_eq!(
                    text.matches(part).count(),
                    table.concat().concat().matches(part).count()
                );
            }
        }
    }

    #[test]
    fn bars_are_filled_in_eighths() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.53125, 4), "██▏");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), r"a\x1B[31mb\x0A");
        assert_eq!(printable_lines("a\r\nb"), "a\\x0D\nb");
    }
}
