//! A server on a free port, and models for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use effnet::arch::NetworkOptions;
use effnet::engine::{Array, Capabilities, Engine, EngineError, Images, Outputs};
use effnet::weights::{NamedTensor, Values, seeded, write_safetensors};
use effnet::{Classifier, Model, ModelBuilder};
use effnet_serve::{Limits, ModelSpec, Models, ModelsOptions, Server, router};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A small network, so that a test takes little time.
pub(crate) const TINY: &str = "test_efficientnet";

/// A server, until it is dropped.
pub(crate) struct Running {
    pub(crate) server: Server,
    client: Client,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    pub(crate) async fn with(models: Models, limits: Limits) -> Self {
        let server = Server::new(models, limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = router(&server);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { server, client: Client::new(), url, task }
    }

    /// A server of the tiny network.
    pub(crate) async fn tiny() -> Self {
        Self::with(loaded(ModelsOptions::default(), [spec("tiny")]).await, Limits::default()).await
    }

    /// A server of the tiny network with this engine in its place.
    pub(crate) async fn of_engine(
        engine: impl Engine + 'static,
        change: impl FnOnce(&mut ModelsOptions, &mut Limits),
    ) -> Self {
        let (mut options, mut limits) = (ModelsOptions::default(), Limits::default());
        options.builder = Model::builder().custom_engine(engine);
        change(&mut options, &mut limits);
        Self::with(loaded(options, [spec("mock")]).await, limits).await
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// The answer to a body that is sent in chunks, so that its length is not announced.
    pub(crate) async fn chunked(&self, path: &str, content_type: &str, body: &[u8]) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for chunk in body.chunks(10_000) {
            let size = format!("{:x}\r\n", chunk.len());
            // A server that has answered reads no further.
            let sent = [size.as_bytes(), chunk, b"\r\n"].concat();
            if stream.write_all(&sent).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut part).await {
            answer.extend_from_slice(&part[..read]);
        }
        String::from_utf8(answer).unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).send().await.unwrap().json().await.unwrap()
    }
}

/// The status of an answer, and its `error`.
pub(crate) async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

/// The tiny network with generated weights under this name.
pub(crate) fn spec(name: &str) -> ModelSpec {
    let mut spec: ModelSpec = format!("{name}={TINY}").parse().unwrap();
    spec.weights = Some("seeded:0".into());
    spec
}

/// Models that are loaded.
pub(crate) async fn loaded(
    options: impl Into<ModelsOptions>,
    specs: impl IntoIterator<Item = ModelSpec>,
) -> Models {
    let models = Models::new(options);
    for spec in specs {
        models.add(spec).unwrap();
    }
    models.load_all().await.unwrap();
    models
}

/// The library's model of [`spec`].
pub(crate) fn library(name: &str) -> Classifier {
    builder(name).weights("seeded:0").build_classifier().unwrap()
}

pub(crate) fn builder(name: &str) -> ModelBuilder {
    Model::builder().model(TINY).name(name)
}

pub(crate) fn photograph(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images");
    std::fs::read(folder.join(name)).unwrap()
}

/// Writes the tiny network's weights of a seed, in place of what is there, all at once.
pub(crate) fn write_weights(file: &Path, seed: u64) {
    let description = builder("").weights("seeded:0").describe().unwrap();
    let network = description.arch.network(&NetworkOptions::default()).unwrap();
    let tensors = network.graph().tensors();
    let values: Vec<_> =
        tensors.iter().map(|(name, shape)| seeded::tensor(seed, name, shape)).collect();
    let named = tensors.iter().zip(&values).map(|((name, shape), values)| NamedTensor {
        name,
        shape,
        values: Values::F32(values),
    });
    let new: PathBuf = file.with_extension("new");
    write_safetensors(&new, &named.collect::<Vec<_>>(), &Default::default()).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// An engine that works only while its gate is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    inside: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }

    /// Waits until an image is in front of the gate.
    pub(crate) async fn is_reached(&self) {
        while self.0.0.lock().unwrap().inside == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl Engine for Gate {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("gate")
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.inside += 1;
        while !state.is_open {
            state = changed.wait(state).unwrap();
        }
        state.inside -= 1;
        Ok(zeros(images, outputs))
    }
}

/// Outputs that say nothing.
pub(crate) fn zeros(images: Images<'_>, outputs: &[&str]) -> Outputs {
    let images = images.shape()[0];
    let array = Array { data: vec![0.0; images * 1000], shape: vec![images, 1000] };
    outputs.iter().map(|name| ((*name).to_owned(), array.clone().into())).collect()
}
