//! URLs, origins and redirects.

use ureq::http::Uri;

/// An absolute `http` or `https` URL without credentials in it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url(Uri);

/// Scheme, host and port: a token is sent only to its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Url {
    /// # Errors
    /// What is wrong with the text. The text is not quoted: it may contain a secret.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "not a URL")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("not an http or https URL");
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                Err("a URL with a user name in it")
            }
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri)),
            _ => Err("a URL without a host"),
        }
    }

    /// The URL that a `Location` header leads to, in an answer from this URL.
    ///
    /// # Errors
    /// What is wrong with the location.
    pub(super) fn join(&self, location: &str) -> Result<Self, &'static str> {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map(ToString::to_string).unwrap_or_default();
        let target = match location {
            full if full.contains("://") && !full.starts_with('/') => Self::parse(full)?,
            host if host.starts_with("//") => Self::parse(&format!("{scheme}:{host}"))?,
            path if path.starts_with('/') => Self::parse(&format!("{scheme}://{authority}{path}"))?,
            _ => return Err("redirected to something that is not an absolute path or URL"),
        };
        if self.origin().secure && !target.origin().secure {
            return Err("redirected from a secure to an insecure connection");
        }
        Ok(target)
    }

    pub(super) fn origin(&self) -> Origin {
        let secure = self.0.scheme_str() == Some("https");
        Origin {
            secure,
            host: self.0.host().unwrap_or_default().to_ascii_lowercase(),
            port: self.0.port_u16().unwrap_or(if secure { 443 } else { 80 }),
        }
    }

    /// The host, and the port if it is written: what messages show of a URL.
    pub(super) fn host(&self) -> String {
        self.0.authority().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.origin().secure
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Leaves out the query: on storage hosts it is a signature.
impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme_str().unwrap_or_default(), self.host(), self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_within_http_and_never_lose_security() {
        let from = Url::parse("https://hub.test:8443/a/b?c").unwrap();
        let to = |location: &str| from.join(location).map(|url| url.uri().to_string());
        assert_eq!(to("/x?y").unwrap(), "https://hub.test:8443/x?y");
        assert_eq!(to("//cdn.test/x").unwrap(), "https://cdn.test/x");
        assert_eq!(to("https://cdn.test/x").unwrap(), "https://cdn.test/x");
        for bad in ["http://cdn.test/x", "file:///etc/passwd", "ftp://a/b", "x", "https://u:p@h/"] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Url::parse(text).unwrap().origin();
        assert_eq!(origin("https://Hub.test/a"), origin("https://hub.test:443/b"));
        assert_ne!(origin("https://hub.test"), origin("http://hub.test"));
        assert_ne!(origin("http://hub.test:1"), origin("http://hub.test:2"));
        assert_ne!(origin("http://hub.test"), origin("http://hub.test.evil"));
    }

    #[test]
    fn debug_hides_the_query() {
        let url = Url::parse("https://cdn.test/x?Signature=secret").unwrap();
        assert_eq!(format!("{url:?}"), "https://cdn.test/x");
    }
}
