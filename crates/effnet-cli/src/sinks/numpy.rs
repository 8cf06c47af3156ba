//! Numbers and lists as NumPy and pandas write them (`numpy/_core/arrayprint.py` with the default
//! options, and pandas' JSON encoder).

/// Columns of a line of a list.
const WIDTH: usize = 75;
/// Digits after the point in lists.
const PRECISION: usize = 8;

/// A number as `str(numpy.float32)`: the fewest digits that give the same number again.
pub(super) fn float(value: f32) -> String {
    let size = value.abs();
    if value != 0.0 && size.is_finite() && !(1e-4..1e16).contains(&size) {
        let text = exponential(value, fraction(value));
        return text.replace(".e", "e");
    }
    if size.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}

/// A list of float32 as `str(numpy.ndarray)`.
pub(super) fn floats(values: &[f32]) -> String {
    let sizes = || values.iter().map(|value| value.abs()).filter(|size| *size > 0.0);
    let (most, least) = (sizes().fold(0.0, f32::max), sizes().fold(f32::INFINITY, f32::min));
    let scientific = most >= 1e8 || (most > 0.0 && (least < 1e-4 || most / least > 1000.0));
    let texts: Vec<String> = match scientific {
        true => {
            // As many digits as the number needs that needs most.
            let digits = values.iter().map(|value| fraction(*value)).max().unwrap_or(0);
            values.iter().map(|value| exponential(*value, digits)).collect()
        }
        false => {
            let texts: Vec<String> = values.iter().map(|value| positional(*value)).collect();
            let parts = |text: &str| {
                let point = text.find('.').unwrap_or(text.len());
                (point, text.len() - point)
            };
            let right = texts.iter().map(|text| parts(text).1).max().unwrap_or(0);
            texts
                .iter()
                .map(|text| format!("{text}{}", " ".repeat(right - parts(text).1)))
                .collect()
        }
    };
    list(&right_aligned(&texts))
}

/// A list of int64 as `str(numpy.ndarray)`.
pub(super) fn integers(values: &[usize]) -> String {
    list(&right_aligned(&values.iter().map(usize::to_string).collect::<Vec<_>>()))
}

/// A list of texts as `str(numpy.ndarray)` of objects.
pub(super) fn texts(values: &[String]) -> String {
    list(&values.iter().map(|text| python_text(text)).collect::<Vec<_>>())
}

/// A number in JSON as pandas writes it: 10 digits after the point, or in all if it is tiny.
pub(super) fn json_float(value: f32) -> String {
    let value = f64::from(value);
    if !value.is_finite() {
        return "null".to_owned();
    }
    if value != 0.0 && value.abs() < 1e-15 {
        let text = format!("{value:.9e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let text = format!("{value:.10}");
    let trimmed = text.trim_end_matches('0');
    match trimmed.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => trimmed.to_owned(),
    }
}

/// A text in JSON as pandas writes it: in ASCII, with `/` escaped.
pub(super) fn json_text(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '/' => json.push_str("\\/"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            ' '..='~' => json.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                json.push_str(&format!("\\u{unit:04x}"));
            }),
        }
    }
    json.push('"');
    json
}

/// How many digits after the point a number with an exponent needs, at most [`PRECISION`].
fn fraction(value: f32) -> usize {
    let text = format!("{value:e}");
    let digits = text.split_once('e').map_or(&*text, |(digits, _)| digits);
    digits.split_once('.').map_or(0, |(_, fraction)| fraction.len()).min(PRECISION)
}

/// A number with an exponent and this many digits after the point.
fn exponential(value: f32, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits == 0 { "." } else { "" };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{mantissa}{point}e{sign}{exponent:0>2}")
}

/// A number without an exponent, at most [`PRECISION`] digits after the point.
fn positional(value: f32) -> String {
    let shortest = format!("{value:?}");
    let fraction = shortest.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let text = match fraction > PRECISION {
        true => format!("{value:.PRECISION$}"),
        false => shortest,
    };
    text.trim_end_matches('0').to_owned()
}

fn right_aligned(texts: &[String]) -> Vec<String> {
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    texts.iter().map(|text| format!("{text:>width$}")).collect()
}

/// A list in lines of at most [`WIDTH`] columns.
fn list(words: &[String]) -> String {
    let (mut all, mut line) = (String::new(), String::from(" "));
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            line.push(' ');
        }
        let columns = |text: &str| text.chars().count();
        if columns(&line) + columns(word) > WIDTH - 1 && columns(&line) > 1 {
            all.push_str(line.trim_end());
            all.push('\n');
            line = String::from(" ");
        }
        line.push_str(word);
    }
    all.push_str(&line);
    format!("[{}]", &all[1..])
}

/// A text as Python's `repr`.
fn python_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            c if c == quote => repr.extend(['\\', c]),
            c if c.is_control() => repr.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => repr.push(c),
        }
    }
    repr.push(quote);
    repr
}
