//! One HTTP request at a time: timeouts, proxies, and a token that stays with its origin.

use std::io::ErrorKind;
use std::sync::Arc;

use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy, Timeout};

use super::HubError;
use super::builder::Limits;
use super::env::{Env, Token};
use super::resolver::SystemResolver;
use super::url::{Origin, Url};

/// The longest chain of redirects.
const REDIRECTS: u32 = 8;

/// Proxies, by the scheme of the requested URL.
#[derive(Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
}

impl Proxies {
    /// # Errors
    /// If a variable is set and is not a proxy's URL.
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, HubError> {
        let no_proxy = env.get("no_proxy").or_else(|| env.get("NO_PROXY")).unwrap_or_default();
        let read = |names: [&'static str; 4]| {
            let Some((name, url)) = names.iter().find_map(|&n| Some((n, env.get(n)?))) else {
                return Ok(None);
            };
            proxy(url.trim(), &no_proxy).map(Some).map_err(|_| HubError::Setting {
                name,
                reason: "not a proxy's URL; expected one such as http://proxy.example:3128".into(),
            })
        };
        Ok(Self {
            http: read(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            https: read(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
        })
    }
}

fn proxy(url: &str, no_proxy: &str) -> Result<Proxy, ureq::Error> {
    let parsed = Proxy::new(url)?;
    let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        builder = builder.username(name);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for entry in no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        builder = builder.no_proxy(entry);
    }
    builder.build()
}

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The headers only.
    Head,
    /// The bytes from this one on.
    Get(u64),
}

/// Makes requests.
pub(super) struct Client {
    endpoint: String,
    home: Origin,
    token: Option<Token>,
    http: Agent,
    https: Agent,
    limits: Limits,
}

impl Client {
    pub(super) fn new(
        endpoint: String,
        url: &Url,
        token: Option<Token>,
        proxies: &Proxies,
        limits: &Limits,
    ) -> Result<Self, HubError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = |proxy: &Option<Proxy>| {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("effnet/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .tls_config(tls.clone())
                .proxy(proxy.clone())
                .timeout_resolve(Some(limits.connect_timeout))
                .timeout_send_request(Some(limits.stall_timeout))
                .build()
        };
        let agent = |proxy: &Option<Proxy>| {
            Agent::with_parts(config(proxy), DefaultConnector::default(), SystemResolver)
        };
        Ok(Self {
            endpoint,
            home: url.origin(),
            token,
            http: agent(&proxies.http),
            https: agent(&proxies.https),
            limits: limits.clone(),
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.home
    }

    /// A server's text made fit for a message: short, on one line, without the token.
    pub(super) fn sanitize(&self, text: &str) -> String {
        let text = match &self.token {
            Some(token) => token.redact(text),
            None => text.to_owned(),
        };
        text.chars().filter(|c| !c.is_control()).take(200).collect()
    }

    /// One request; redirects are not followed.
    ///
    /// # Errors
    /// [`HubError::Unreachable`], [`HubError::Network`] or [`HubError::Tls`]. An answer of any
    /// status is not an error.
    pub(super) fn send(&self, repo: &str, ask: Ask, url: &Url) -> Result<Response<Body>, HubError> {
        let agent = if url.is_secure() { &self.https } else { &self.http };
        let mut request = match ask {
            Ask::Head => agent.head(url.uri()),
            Ask::Get(_) => agent.get(url.uri()),
        };
        if let Some(token) = self.token.as_ref().filter(|_| self.is_home(url)) {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        if let Ask::Get(from @ 1..) = ask {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let config = request.config();
        let request = match ask {
            Ask::Head => config
                .timeout_connect(Some(self.limits.connect_timeout))
                .timeout_global(Some(self.limits.head_timeout))
                .build(),
            // By now the network is known to work; a storage host may be slow.
            Ask::Get(_) => config
                .timeout_connect(Some(self.limits.stall_timeout))
                .timeout_recv_response(Some(self.limits.stall_timeout))
                .timeout_per_read(Some(self.limits.stall_timeout))
                .build(),
        };
        request.call().map_err(|error| failure(repo, ask, url, &error))
    }

    /// A request whose redirects are followed. Returns the last answer and the URL it came from.
    ///
    /// `stop` sees every redirect before it is followed, and may take it as the answer.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`HubError::Redirect`].
    pub(super) fn follow(
        &self,
        repo: &str,
        ask: Ask,
        url: &Url,
        mut stop: impl FnMut(&Response<Body>, &Url) -> bool,
    ) -> Result<(Response<Body>, Url), HubError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let answer = self.send(repo, ask, &url)?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((answer, url));
            }
            let refuse =
                |reason| HubError::Redirect { repo: repo.to_owned(), host: url.host(), reason };
            let location = text(&answer, header::LOCATION.as_str())
                .ok_or_else(|| refuse("redirected without saying where to"))?;
            let target = url.join(location).map_err(refuse)?;
            if stop(&answer, &target) {
                return Ok((answer, target));
            }
            url = target;
        }
        let reason = "redirected again and again";
        Err(HubError::Redirect { repo: repo.to_owned(), host: url.host(), reason })
    }
}

/// A header's value, if it is readable text.
pub(super) fn text<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The seconds of a `Retry-After` header.
pub(super) fn retry_after(answer: &Response<Body>) -> Option<std::time::Duration> {
    let seconds: u32 = text(answer, header::RETRY_AFTER.as_str())?.trim().parse().ok()?;
    Some(std::time::Duration::from_secs(u64::from(seconds)))
}

/// The error for a status that any server may answer with and that may pass.
pub(super) fn busy(repo: &str, url: &Url, answer: &Response<Body>) -> Option<HubError> {
    let (repo, host) = (repo.to_owned(), url.host());
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => {
            Some(HubError::RateLimited { repo, host, retry_after: retry_after(answer) })
        }
        StatusCode::SERVICE_UNAVAILABLE if retry_after(answer).is_some() => {
            Some(HubError::RateLimited { repo, host, retry_after: retry_after(answer) })
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Some(HubError::Network { repo, host, cause: "the proxy wants a password".to_owned() })
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Some(HubError::Server { repo, host, status: status.as_u16() })
        }
        _ => None,
    }
}

/// The error for a request without an answer. It leaves out any text of the transport that may
/// quote the URL.
fn failure(repo: &str, ask: Ask, url: &Url, error: &ureq::Error) -> HubError {
    let (repo, host) = (repo.to_owned(), url.host());
    if let Some(cause) = tls_cause(error) {
        return HubError::Tls { repo, host, cause };
    }
    let cause = match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::ConnectProxyFailed(_) => "the proxy refuses the connection".to_owned(),
        ureq::Error::InvalidProxyUrl => "the proxy cannot be used".to_owned(),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            "the answer is not HTTP".to_owned()
        }
        _ => "no connection".to_owned(),
    };
    if is_unreachable(ask, error) {
        return HubError::Unreachable { repo, host, cause };
    }
    HubError::Network { repo, host, cause }
}

/// Whether a request found no server, so that the next would find none either.
fn is_unreachable(ask: Ask, error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        // A question is short: a server that has not answered by now is not there.
        ureq::Error::Timeout(_) => ask == Ask::Head,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::HostUnreachable
                | ErrorKind::AddrNotAvailable
                | ErrorKind::TimedOut
        ),
        _ => false,
    }
}

fn tls_cause(error: &ureq::Error) -> Option<String> {
    match error {
        ureq::Error::Rustls(error) => Some(error.to_string()),
        ureq::Error::Tls(cause) => Some((*cause).to_owned()),
        ureq::Error::Io(error) => {
            error.get_ref()?.downcast_ref::<rustls::Error>().map(ToString::to_string)
        }
        _ => None,
    }
}
