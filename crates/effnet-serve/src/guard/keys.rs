//! Keys of clients, from a file.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::ApiError;

/// How often a key may be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second, on average: more than 0.
    pub per_second: f64,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
}

/// Carries a key, beside `Authorization: Bearer`.
pub(super) const HEADER: &str = "x-api-key";

/// The keys of a file, one a line: `KEY` or `NAME:KEY`. `#` begins a comment.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
    rate: Option<Rate>,
    keys: RwLock<Arc<[Arc<Key>]>>,
}

/// A key. It is kept as a hash: what is compared has one length, and cannot be told.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    hash: [u8; 32],
    turns: Option<DefaultDirectRateLimiter>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[error("the API keys in {}: {wrong}", path.display())]
#[non_exhaustive]
pub struct KeysError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub wrong: String,
}

impl Keys {
    /// Reads the keys. Each may be used as often as `rate` says.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, a line that is not a key, no keys at all.
    pub fn read(path: &Path, rate: Option<Rate>) -> Result<Self, KeysError> {
        let keys = read(path, rate, &[])?;
        Ok(Self { path: path.to_owned(), rate, keys: RwLock::new(keys) })
    }

    /// Reads the file again, and returns how many keys there are. If that fails, the old keys stay.
    /// A key that stays has as many requests left as before.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn reload(&self) -> Result<usize, KeysError> {
        let keys = read(&self.path, self.rate, &self.keys())?;
        let number = keys.len();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(number)
    }

    fn keys(&self) -> Arc<[Arc<Key>]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key that a request has. How long this takes says nothing about the keys.
    pub(super) fn find(&self, headers: &HeaderMap) -> Result<Arc<Key>, ApiError> {
        let refuse = |message: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, message));
        let Some(given) = given(headers) else {
            return refuse("a key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`");
        };
        let (hash, keys) = (hash(given), self.keys());
        let (mut found, mut place) = (Choice::from(0), 0_u32);
        for (number, key) in (0_u32..).zip(&*keys) {
            let equal = key.hash.ct_eq(&hash);
            place.conditional_assign(&number, equal);
            found |= equal;
        }
        match keys.get(place as usize) {
            Some(key) if found.into() => Ok(Arc::clone(key)),
            _ => refuse("this key is not one of the server's"),
        }
    }
}

impl Key {
    /// Counts a request.
    pub(super) fn take_turn(&self) -> Result<(), ApiError> {
        let Some(Err(early)) = self.turns.as_ref().map(DefaultDirectRateLimiter::check) else {
            return Ok(());
        };
        let wait = early.wait_time_from(DefaultClock::default().now());
        let rate = format!("more requests than key {} may send: try again later", self.name);
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, rate);
        Err(ApiError { retry_after: Some(wait), ..error })
    }
}

/// The key in a request's head.
fn given(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(HEADER) {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn read(path: &Path, rate: Option<Rate>, old: &[Arc<Key>]) -> Result<Arc<[Arc<Key>]>, KeysError> {
    let wrong = |wrong: String| KeysError { path: path.to_owned(), wrong };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut keys: Vec<Arc<Key>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // No message may contain a key.
        let wrong = |what: &str| wrong(format!("line {number} {what}"));
        let (name, key) = match line.split_once(':') {
            Some((name, key)) => (name.trim().to_owned(), key.trim()),
            None => (format!("line-{number}"), line),
        };
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_plain(&name) || !is_plain(key) {
            return Err(wrong("is not KEY or NAME:KEY, of ASCII without spaces"));
        }
        let hash = hash(key.as_bytes());
        if keys.iter().any(|key| key.hash == hash || key.name == name) {
            return Err(wrong("has a name or a key that an earlier line has"));
        }
        let same = |old: &&Arc<Key>| old.hash == hash && old.name == name;
        let turns = || rate.map(|rate| DefaultDirectRateLimiter::direct(quota(rate)));
        let key = old.iter().find(same).cloned();
        keys.push(
            key.unwrap_or_else(|| Arc::new(Key { hash, turns: turns(), name: name.clone() })),
        );
    }
    match keys.is_empty() {
        true => Err(wrong("there are none: nobody could use the server".to_owned())),
        false => Ok(keys.into()),
    }
}

fn quota(rate: Rate) -> Quota {
    let period = Duration::from_secs_f64(1.0 / rate.per_second);
    // A period is nothing only at rates that the settings refuse.
    let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(rate.burst));
    quota.allow_burst(rate.burst)
}
