//! Names from outside as text. A file's name need not be UTF-8, and a terminal obeys some characters.

use std::path::Path;

/// A file's name as messages and results show it, so that no two names look alike and none controls
/// a terminal. A byte that is not UTF-8, and each byte of a character that a terminal obeys,
/// becomes `\xNN` with two hexadecimal digits. So that this can be undone, a backslash before `xNN`
/// in the name itself becomes `\x5C`.
pub fn file_name(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            if is_obeyed(c) || (c == '\\' && is_escape(&valid.as_bytes()[at + 1..])) {
                escape(c, &mut text);
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(*byte, &mut text));
    }
    text
}

/// What an error of Candle's says: it appends a backtrace where the environment asks for one.
#[cfg(feature = "candle")]
pub(crate) fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Whether a terminal acts on a character instead of showing it: control characters, and those that
/// change the direction of the text around them or end its line.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Writes a character as the escapes of its bytes.
pub fn escape(c: char, text: &mut String) {
    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape_byte(byte, text));
}

fn escape_byte(byte: u8, text: &mut String) {
    text.push_str(&format!("\\x{byte:02X}"));
}

/// Whether what follows a backslash makes it an escape.
fn is_escape(rest: &[u8]) -> bool {
    matches!(rest, [b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["a b/Ü/猫.jpg", r"C:\images\xmas", r"a\x5", "👩‍🚀.png"] {
            assert_eq!(file_name(Path::new(name)), name);
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        for (name, shown) in [
            ("a\u{1b}[31m\n", r"a\x1B[31m\x0A"),
            ("a\u{9b}", r"a\xC2\x9B"),
            ("gpj.\u{202e}exe", r"gpj.\xE2\x80\xAEexe"),
        ] {
            assert_eq!(file_name(Path::new(name)), shown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_can_be_had_back() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let undo = |shown: &str| {
            let (mut bytes, mut rest) = (Vec::new(), shown.as_bytes());
            while let [first, tail @ ..] = rest {
                if *first == b'\\' && is_escape(tail) {
                    let digits = std::str::from_utf8(&tail[1..3]).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &tail[3..];
                } else {
                    bytes.push(*first);
                    rest = tail;
                }
            }
            bytes
        };
        // Every name of up to five of the bytes that matter.
        let letters = [b'\\', b'x', b'5', b'C', 0xff, 0x1b, 0xc3, 0xa9];
        let mut names = vec![Vec::new()];
        for _ in 0..5 {
            let longer = |name: &Vec<u8>| letters.map(|letter| [&name[..], &[letter]].concat());
            let more: Vec<Vec<u8>> = names.iter().flat_map(longer).collect();
            names = more;
            for name in &names {
                let shown = file_name(Path::new(OsStr::from_bytes(name)));
                assert_eq!(&undo(&shown), name, "{shown}");
                assert!(!shown.chars().any(is_obeyed), "{shown}");
            }
        }
    }
}
