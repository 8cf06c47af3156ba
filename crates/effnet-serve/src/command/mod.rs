//! What `effnet serve` does with its [`Settings`].

mod check;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use effnet::ModelBuilder;
use effnet::batcher::BatcherOptions;
use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

pub use self::check::check;
use self::signals::Signals;
use crate::guard::{Guard, GuardOptions, Keys, KeysError};
use crate::listen::{ListenOptions, TlsError, serve, tls};
use crate::models::LoadError;
use crate::settings::{Settings, SettingsError, unknown_variables};
use crate::telemetry::{Log, LogError, LogOptions, traced};
use crate::{Limits, ModelSpec, Models, ModelsOptions, Server, grpc, router};

/// Why a server ended, or did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The file of keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The files for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A model.
    #[error("{0}")]
    Model(#[from] LoadError),
    /// An address.
    #[error("cannot listen at {address} (--{key}): {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        key: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// Threads or signals.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
    /// The end came before all answers.
    #[error("the server ended with {0} requests unanswered: --grace gives more time")]
    Unanswered(usize),
    /// A second signal.
    #[error("a second signal ended the server at once")]
    Interrupted,
    /// The server that was asked is not ready.
    #[error("{0}")]
    NotReady(String),
}

/// Serves until a signal ends it.
///
/// # Errors
///
/// Settings that cannot be obeyed, a model that cannot be loaded, requests without an answer at the
/// end.
pub fn run(settings: &Settings) -> Result<(), CommandError> {
    let begin = Instant::now();
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(CommandError::Start)?;
    // What exports traces needs the runtime.
    let log = runtime.block_on(async { Log::start(&settings.log_options()) })?;
    log_panics();
    let result = runtime.block_on(until_the_end(settings, &log, begin));
    if let (Err(error), Some(_)) = (&result, &settings.log_file) {
        error!(%error, "the server has failed");
    }
    drop(log);
    // A model that is still being loaded is not waited for.
    runtime.shutdown_background();
    result
}

async fn until_the_end(settings: &Settings, log: &Log, begin: Instant) -> Result<(), CommandError> {
    let keys = settings.api_key_file.as_ref();
    let keys = keys.map(|path| Keys::read(path, settings.rate)).transpose()?.map(Arc::new);
    let listen = settings.listen_options()?;
    for name in unknown_variables() {
        warn!("{name} in the environment is not a setting");
    }
    let mut signals = Signals::new().map_err(CommandError::Start)?;
    let found = settings.clone();
    // It may read from the hub.
    let models = spawn_blocking(move || models(&found)).await;
    let models = models.map_err(io::Error::other).map_err(CommandError::Start)??;
    let server = Server::new(models.clone(), settings.limits());
    let guard = Guard::new(settings.guard_options(keys.clone()));
    let http = bind(settings.bind, "bind")?;
    let mut sides = vec![(http, router(&server))];
    if let Some(address) = settings.grpc_bind {
        sides.push((bind(address, "grpc-bind")?, grpc(&server)));
    }
    for (side, (listener, _)) in ["http", "grpc"].iter().zip(&sides) {
        let address = listener.local_addr().map_err(CommandError::Start)?;
        info!(%address, tls = listen.tls.is_some(), "listening for {side}");
        if !address.ip().is_loopback() && keys.is_none() {
            warn!(%address, "others can reach this address, and no keys are asked for (--api-key-file)");
        }
    }
    settings.log_limits();
    let sides =
        sides.into_iter().map(|(listener, router)| (listener, traced(guard.protect(router))));

    let (stop, stopped) = oneshot::channel::<()>();
    let failed = OnceLock::new();
    let control = async {
        tokio::select! {
            signal = signals.end(keys.as_deref(), log) => {
                info!(signal, grace = ?settings.grace.0, "ending: answering what has come");
            }
            Err(error) = load(&models, begin) => drop(failed.set(error)),
        }
        models.begin_drain();
        drop(stop);
        signals.end(keys.as_deref(), log).await;
    };
    let serving = async {
        // Dropping the sender is the sign.
        let cut = serve(sides.collect(), listen, stopped.map(drop)).await;
        if cut == 0 {
            models.drain().await;
        }
        cut
    };
    let cut = tokio::select! {
        cut = serving => cut,
        () = control => return Err(CommandError::Interrupted),
    };
    match (failed.into_inner(), cut) {
        (Some(error), _) => Err(error.into()),
        (None, 0) => {
            info!("ended: every request is answered");
            Ok(())
        }
        (None, cut) => Err(CommandError::Unanswered(cut)),
    }
}

/// Connections that the system holds until they are accepted. One too many tries again a second
/// later.
const BACKLOG: u32 = 4096;

fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, CommandError> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A server that takes the place of another has its address at once. On Windows this would
        // take it from a server that runs.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| CommandError::Bind { address, key, error })
}

/// The models by name, not loaded yet.
fn models(settings: &Settings) -> Result<Models, LoadError> {
    let models = Models::new(settings.models_options());
    let mut specs = settings.model.clone();
    if specs.is_empty() {
        specs.push(ModelSpec::default());
    }
    for mut spec in specs {
        spec.max_pixels.get_or_insert(settings.max_pixels.get() as u64);
        models.add(spec)?;
    }
    Ok(models)
}

/// Loads the models while the server answers already.
async fn load(models: &Models, begin: Instant) -> Result<(), LoadError> {
    models.load_all().await?;
    info!(after = ?begin.elapsed(), "ready");
    Ok(())
}

/// Has panics logged, with the request that they end.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        error!(place, panic = panic.payload_as_str(), "a fault of the program: a panic");
    }));
}

impl Settings {
    fn log_options(&self) -> LogOptions {
        LogOptions {
            format: self.log,
            file: self.log_file.clone(),
            level: self.log_level.0,
            #[cfg(feature = "otlp")]
            otlp: self.otlp.as_ref().map(|endpoint| endpoint.0.clone()),
        }
    }

    fn listen_options(&self) -> Result<ListenOptions, TlsError> {
        let files = self.tls_cert.as_ref().zip(self.tls_key.as_ref());
        Ok(ListenOptions {
            max_connections: self.max_connections.get(),
            header_timeout: self.header_timeout.0,
            body_timeout: self.body_timeout.0,
            idle_timeout: self.idle_timeout.0,
            grace: self.grace.0,
            tls: files.map(|(certificate, key)| tls(certificate, key)).transpose()?,
        })
    }

    fn guard_options(&self, keys: Option<Arc<Keys>>) -> GuardOptions {
        GuardOptions {
            keys,
            cors: self.cors.iter().map(|origin| origin.0.clone()).collect(),
            max_body: self.max_body.0,
            body_timeout: self.body_timeout.0,
        }
    }

    fn models_options(&self) -> ModelsOptions {
        let mut batcher = BatcherOptions::default();
        batcher.max_batch_size = self.max_batch_size.get();
        batcher.max_queue_size = self.max_queue_size.get();
        batcher.max_queue_delay = self.max_queue_delay;
        batcher.batching = self.batching;
        let mut builder = ModelBuilder::default().on_note(|note| warn!("{note}"));
        if let Some(threads) = self.threads {
            builder = builder.threads(threads.get());
        }
        ModelsOptions { builder, batcher, max_memory: self.max_memory.map(|size| size.0 as u64) }
    }

    fn limits(&self) -> Limits {
        Limits {
            max_body: self.max_body.0,
            max_images: self.max_images.get(),
            timeout: self.timeout.0,
        }
    }

    fn log_limits(&self) {
        info!(
            max_body = self.max_body.0,
            max_images = self.max_images.get(),
            max_pixels = self.max_pixels.get(),
            max_queue_size = self.max_queue_size.get(),
            timeout = ?self.timeout.0,
            "limits"
        );
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn connections_that_come_at_once_are_held() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "bind").unwrap();
        let address = listener.local_addr().unwrap();
        let mut streams = Vec::new();
        // Nobody accepts them.
        for _ in 0..500 {
            streams.push(TcpStream::connect(address).await.unwrap());
        }
    }
}
