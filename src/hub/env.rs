//! What the environment says, read as `huggingface_hub/constants.py` reads it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HubError;

/// Looks variables up. An empty one counts as unset.
pub(super) struct Env<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

/// A secret: `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// Trims a token.
    ///
    /// # Errors
    /// If it contains anything that a header cannot carry.
    pub(super) fn new(text: &str, name: &'static str) -> Result<Option<Self>, HubError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            let reason = "the token holds spaces or other characters that no token has".to_owned();
            return Err(HubError::Setting { name, reason });
        }
        Ok(Some(Self(text.to_owned())))
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A server's text with this token removed.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Env<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        let value = self.get(name).map(|v| v.to_ascii_uppercase());
        matches!(value.as_deref(), Some("1" | "ON" | "YES" | "TRUE"))
    }

    pub(super) fn offline(&self) -> bool {
        match self.get("HF_HUB_OFFLINE") {
            Some(_) => self.is_true("HF_HUB_OFFLINE"),
            None => self.is_true("TRANSFORMERS_OFFLINE"),
        }
    }

    /// # Errors
    /// If the value is not a number of seconds.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<Duration>, HubError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let seconds = value.trim().parse::<u32>().map_err(|_| HubError::Setting {
            name,
            reason: format!("{value:?}; expected a number of seconds"),
        })?;
        // As in Python, 0 means the default.
        Ok((seconds > 0).then(|| Duration::from_secs(u64::from(seconds))))
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from).or_else(std::env::home_dir)
    }

    fn hf_home(&self) -> Option<PathBuf> {
        if let Some(home) = self.get("HF_HOME") {
            return Some(self.expand(&home));
        }
        let cache = match self.get("XDG_CACHE_HOME") {
            Some(cache) => self.expand(&cache),
            None => self.home()?.join(".cache"),
        };
        Some(cache.join("huggingface"))
    }

    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]
            .iter()
            .find_map(|name| self.get(name))
            .map(|dir| self.expand(&dir))
            .or_else(|| Some(self.hf_home()?.join("hub")))
    }

    /// The token from the environment, or else from the file that `hf auth login` writes.
    ///
    /// # Errors
    /// If it cannot be a token.
    pub(super) fn token(&self) -> Result<Option<Token>, HubError> {
        if self.is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return Ok(None);
        }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(value) = self.get(name) {
                return Token::new(&value, name);
            }
        }
        let file = match self.get("HF_TOKEN_PATH") {
            Some(file) => self.expand(&file),
            None => match self.hf_home() {
                Some(home) => home.join("token"),
                None => return Ok(None),
            },
        };
        read_token(&file)
    }

    /// Replaces a leading `~`, and `$NAME` or `${NAME}` if there is such a variable.
    fn expand(&self, text: &str) -> PathBuf {
        let text = match (text.strip_prefix('~'), self.home()) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(['/', '\\']) => {
                format!("{}{rest}", home.display())
            }
            _ => text.to_owned(),
        };
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, end) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
                Some((name, end)) => (name, end),
                None => {
                    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    after.split_at(after.find(|c| !word(c)).unwrap_or(after.len()))
                }
            };
            match (self.0)(name) {
                Some(value) if !name.is_empty() => out.push_str(&value),
                _ => {
                    out.push('$');
                    out.push_str(&after[..after.len() - end.len()]);
                }
            }
            rest = end;
        }
        out.push_str(rest);
        PathBuf::from(out)
    }
}

fn read_token(file: &Path) -> Result<Option<Token>, HubError> {
    match std::fs::read_to_string(file) {
        Ok(text) => Token::new(&text, "the token file"),
        // As in Python, a token file that cannot be read counts as no token.
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)], check: impl Fn(&Env<'_>)) {
        let pairs: Vec<_> = pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let get =
            move |name: &str| pairs.iter().find(|(k, _)| k == name).map(|(_, value)| value.clone());
        check(&Env(&get));
    }

    fn cache(pairs: &[(&str, &str)], expected: &str) {
        with(pairs, |env| assert_eq!(env.cache_dir(), Some(expected.into()), "{pairs:?}"));
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let home = ("HOME", "/home/me");
        cache(&[home], "/home/me/.cache/huggingface/hub");
        cache(&[home, ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub");
        cache(&[home, ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub");
        cache(&[home, ("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old");
        cache(&[home, ("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new");
        cache(&[home, ("HF_HUB_CACHE", ""), ("HF_HOME", " ")], "/home/me/.cache/huggingface/hub");
        cache(&[home, ("HF_HOME", "~/hf")], "/home/me/hf/hub");
        cache(&[home, ("HF_HOME", "~other/hf")], "~other/hf/hub");
        cache(&[home, ("D", "/d"), ("HF_HOME", "$D/a${D}b$NO${NO}$")], "/d/a/db$NO${NO}$/hub");
    }

    #[test]
    fn truth_is_what_python_takes_for_it() {
        for (value, expected) in
            [("1", true), ("on", true), ("Yes", true), ("0", false), ("", false)]
        {
            with(&[("HF_HUB_OFFLINE", value)], |env| assert_eq!(env.offline(), expected));
        }
        with(&[("TRANSFORMERS_OFFLINE", "1")], |env| assert!(env.offline()));
        let both = [("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")];
        with(&both, |env| assert!(!env.offline()));
    }

    #[test]
    fn a_token_is_trimmed_checked_and_hidden() {
        with(&[("HF_TOKEN", " hf_secret\n")], |env| {
            let token = env.token().unwrap().unwrap();
            assert_eq!(token.header(), "Bearer hf_secret");
            assert_eq!(format!("{token:?}"), "Token(***)");
        });
        with(&[("HF_TOKEN", "hf_se cret")], |env| {
            let error = env.token().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("cret\""), "{error}");
            assert!(error.to_string().starts_with("HF_TOKEN: "));
        });
        let off = [("HF_TOKEN", "hf_x"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        with(&off, |env| assert_eq!(env.token().unwrap(), None));
    }

    #[test]
    fn the_token_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = dir.path().to_str().unwrap();
        with(&[("HF_HOME", home)], |env| {
            assert_eq!(env.token().unwrap().unwrap().header(), "Bearer hf_file");
        });
        with(&[("HF_HOME", home), ("HF_TOKEN", "hf_env")], |env| {
            assert_eq!(env.token().unwrap().unwrap().header(), "Bearer hf_env");
        });
    }

    #[test]
    fn timeouts_are_whole_seconds() {
        let name = "HF_HUB_DOWNLOAD_TIMEOUT";
        with(&[(name, "7")], |env| {
            assert_eq!(env.seconds(name).unwrap(), Some(Duration::from_secs(7)));
        });
        with(&[(name, "0")], |env| assert_eq!(env.seconds(name).unwrap(), None));
        with(&[(name, "soon")], |env| assert!(env.seconds(name).is_err()));
    }
}
