//! Settings of a [`Hub`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Proxies};
use super::env::{Env, Token};
use super::progress::Silent;
use super::url::Url;
use super::{Hub, HubError, Progress};
use crate::unstable::HubSettings;

const ENDPOINT: &str = "https://huggingface.co";

/// Settings of a [`Hub`]; a setter wins over the environment.
pub struct HubBuilder {
    endpoint: String,
    cache_dir: PathBuf,
    token: Option<Token>,
    proxies: Proxies,
    pub(super) limits: Limits,
    progress: Arc<dyn Progress>,
}

/// The settings that a running download looks at.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) offline: bool,
    pub(super) connect_timeout: Duration,
    pub(super) head_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) attempts: u32,
    pub(super) backoff: Duration,
    pub(super) longest_wait: Duration,
}

impl HubBuilder {
    /// The public hub, a cache folder, no token; reads nothing from the environment.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: ENDPOINT.to_owned(),
            cache_dir: cache_dir.into(),
            token: None,
            proxies: Proxies::default(),
            limits: Limits {
                offline: false,
                connect_timeout: Duration::from_millis(2500),
                head_timeout: Duration::from_secs(10),
                stall_timeout: Duration::from_secs(10),
                lock_timeout: Duration::from_secs(120),
                attempts: 5,
                backoff: Duration::from_secs(1),
                longest_wait: Duration::from_secs(60),
            },
            progress: Arc::new(Silent),
        }
    }

    /// The settings that Python's client would use: `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`,
    /// `HF_TOKEN` and the token file, `HF_HUB_OFFLINE`, `HF_HUB_ETAG_TIMEOUT`,
    /// `HF_HUB_DOWNLOAD_TIMEOUT`, `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// A value that cannot be used, or no folder for the cache.
    pub fn from_env() -> Result<Self, HubError> {
        let env = Env(&|name| std::env::var(name).ok());
        let mut builder = Self::new(env.cache_dir().ok_or(HubError::NoCacheDir)?);
        if let Some(endpoint) = env.get("HF_ENDPOINT") {
            builder.endpoint = endpoint;
        }
        builder.token = env.token()?;
        builder.proxies = Proxies::from_env(&env)?;
        builder.limits.offline = env.offline();
        if let Some(timeout) = env.seconds("HF_HUB_ETAG_TIMEOUT")? {
            builder.limits.head_timeout = timeout;
            builder.limits.connect_timeout = timeout;
        }
        if let Some(timeout) = env.seconds("HF_HUB_DOWNLOAD_TIMEOUT")? {
            builder.limits.stall_timeout = timeout;
        }
        Ok(builder)
    }

    /// Where the hub is; `https://huggingface.co` by default.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// Where files are kept.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = dir.into();
        self
    }

    /// An access token for private and gated repositories. It is sent to the endpoint's origin only.
    ///
    /// # Errors
    /// [`HubError::Setting`] if it cannot be a token.
    pub fn token(mut self, token: &str) -> Result<Self, HubError> {
        self.token = Token::new(token, "token")?;
        Ok(self)
    }

    /// Whether to use only the cache and make no request.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.limits.offline = offline;
        self
    }

    /// The longest time to look up the hub's address, and the longest to connect before asking
    /// about a file. A hub that cannot be reached in that time is not asked again. 2.5 seconds by
    /// default; `HF_HUB_ETAG_TIMEOUT` sets this and [`head_timeout`](Self::head_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// The longest time to ask about a file, connecting included. A question that gets no answer is
    /// not asked again. 10 seconds by default.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.limits.head_timeout = timeout;
        self
    }

    /// The longest time without a byte during a transfer, and the longest to connect before it. 10
    /// seconds by default.
    #[must_use]
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.limits.stall_timeout = timeout;
        self
    }

    /// How long to wait for another process that is downloading the same file while its download
    /// does not grow. 120 seconds by default.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.limits.lock_timeout = timeout;
        self
    }

    /// How many times a request is made before a passing failure is reported, and the pause after
    /// the first attempt. The pause doubles each time, up to 8 times the first. Attempts that bring
    /// new bytes do not count. 5 attempts and 1 second by default.
    #[must_use]
    pub fn retry(mut self, attempts: u32, backoff: Duration) -> Self {
        self.limits.attempts = attempts.max(1);
        self.limits.backoff = backoff;
        self
    }

    /// The longest pause that a server may ask for (`Retry-After`); if it asks for more, that is an
    /// error. 60 seconds by default.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.limits.longest_wait = wait;
        self
    }

    /// Where to report the progress of downloads.
    #[must_use]
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    pub(crate) fn settings(&self) -> HubSettings {
        HubSettings {
            endpoint: self.endpoint.clone(),
            offline: self.limits.offline,
            has_token: self.token.is_some(),
        }
    }

    /// The hub with these settings. Makes no request and touches no file.
    ///
    /// # Errors
    /// [`HubError::Setting`] if the endpoint is not a URL.
    pub fn build(self) -> Result<Hub, HubError> {
        let endpoint = self.endpoint.trim().trim_end_matches('/').to_owned();
        let url = Url::parse(&endpoint).map_err(|reason| HubError::Setting {
            name: "HF_ENDPOINT",
            reason: format!("{reason}; expected one such as {ENDPOINT}"),
        })?;
        let client = Client::new(endpoint, &url, self.token, &self.proxies, &self.limits)?;
        Ok(Hub::new(client, self.cache_dir, self.limits, self.progress))
    }
}

impl std::fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubBuilder")
            .field("cache_dir", &self.cache_dir)
            .field("token", &self.token)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
