//! A hub on this machine: two servers on loopback, because the real hub and its storage host are
//! two origins. Speaks the hub's protocol, and misbehaves when told to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fault;
mod repo;
mod serve;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use fault::{At, Fault};
pub use repo::{Access, Repo};

/// The token that the hub accepts.
pub const TOKEN: &str = "hf_testtoken0123456789";
/// A valid token whose owner has not accepted the conditions of gated repositories.
pub const STRANGER: &str = "hf_strangertoken012345";

/// A request as a server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub storage: bool,
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

/// What the two servers share.
pub(crate) struct Shared {
    pub hub: String,
    pub storage: String,
    pub state: Mutex<Inner>,
    pub changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub repos: Vec<Repo>,
    pub faults: Vec<(At, String, Fault, usize)>,
    pub log: Vec<Seen>,
    /// Part of every signed address of the storage host; addresses with earlier signatures have
    /// expired.
    pub signature: u32,
}

/// A running hub. Stops when it is dropped.
pub struct TestHub {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl TestHub {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (hub, storage) = runtime.block_on(async {
            let bind = || TcpListener::bind("127.0.0.1:0");
            (bind().await.unwrap(), bind().await.unwrap())
        });
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            hub: url(&hub),
            storage: url(&storage),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let shared = shared.clone();
            let answer = move |State(shared): State<Arc<Shared>>, request: HttpRequest| async move {
                let response = serve::answer(&shared, is_storage, &request);
                if response.extensions().get::<fault::Silent>().is_some() {
                    std::future::pending::<()>().await;
                }
                response
            };
            let router = Router::new().fallback(answer).with_state(shared);
            runtime.spawn(async move { axum::serve(listener, router).await });
        }
        Self { shared, runtime: Some(runtime) }
    }

    pub fn url(&self) -> &str {
        &self.shared.hub
    }

    pub fn storage_url(&self) -> &str {
        &self.shared.storage
    }

    pub fn add(&self, repo: Repo) {
        let mut state = self.shared.state.lock().unwrap();
        state.repos.retain(|old| old.id != repo.id);
        state.repos.push(repo);
    }

    /// Misbehaves in the next `times` answers about `file` (about any file if it is empty).
    pub fn fault(&self, at: At, file: &str, fault: Fault, times: usize) {
        self.shared.state.lock().unwrap().faults.push((at, file.to_owned(), fault, times));
    }

    /// Stops misbehaving.
    pub fn heal(&self) {
        self.shared.state.lock().unwrap().faults.clear();
    }

    /// Makes all addresses of the storage host that were given out so far expire.
    pub fn expire(&self) {
        self.shared.state.lock().unwrap().signature += 1;
    }

    /// The requests since the last call.
    pub fn take_log(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.state.lock().unwrap().log)
    }

    /// Waits until the requests so far satisfy `enough`.
    pub fn wait_until(&self, enough: impl Fn(&[Seen]) -> bool) {
        let state = self.shared.state.lock().unwrap();
        let limit = Duration::from_secs(30);
        let (_state, result) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| !enough(&state.log))
            .unwrap();
        assert!(!result.timed_out(), "the hub has not seen the requests expected");
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
