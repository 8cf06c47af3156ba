//! Host names to addresses.

use std::sync::mpsc;
use std::thread;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration;

/// Asks the system, as ureq's own resolver does. That one panics if no thread starts, and its error
/// does not distinguish a name that is not found from a connection that breaks.
#[derive(Debug)]
pub(super) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let patient = NextTimeout { after: Duration::NotHappening, ..timeout };
        let (sender, receiver) = mpsc::sync_channel(1);
        let (own_uri, own_config) = (uri.clone(), config.clone());
        // The system's call cannot be stopped, so a thread is left to it.
        let started = thread::Builder::new().name("effnet-names".to_owned()).spawn(move || {
            // The asker may have gone.
            let _ = sender.send(DefaultResolver::default().resolve(&own_uri, &own_config, patient));
        });
        let found = match started {
            Ok(_) => match receiver.recv_timeout(*timeout.after) {
                Ok(found) => found,
                Err(_) => return Err(Error::Timeout(timeout.reason)),
            },
            Err(_) => DefaultResolver::default().resolve(uri, config, patient),
        };
        found.map_err(|error| match error {
            Error::Io(_) => Error::HostNotFound,
            other => other,
        })
    }
}
