//! Loads a server with images, and says what came of it, as one line of JSON.
//!
//!     cargo run --release -p effnet-serve --example load -- http://127.0.0.1:8000/classify photos \
//!         --connections 64 --seconds 60 --rate 400 --broken 0.1 --vanish 0.05 --pid 4711
//!     cargo run --release -p effnet-serve --example load -- http://127.0.0.1:8000/classify photos --library 300
//!
//! Without `--rate` every connection asks again as soon as it is answered. `--broken` and `--vanish`
//! are shares of requests: those that carry a third of an image, and those whose connection ends in
//! mid-body. `--pid` samples the resident memory of that process. `--library` sends one request at a
//! time, and calls the library with the same bytes and the model inside the program, 50 images each
//! in turns.

#![allow(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use effnet::Model;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep_until;

type Failure = Box<dyn Error + Send + Sync>;

/// What the arguments say.
struct Load {
    uri: Uri,
    images: Vec<Bytes>,
    connections: usize,
    time: Duration,
    rate: Option<f64>,
    broken: f64,
    vanish: f64,
    pid: Option<u32>,
    library: Option<usize>,
}

/// Milliseconds of the answers by what they were.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<f64>>);

fn arguments() -> Result<Load, Failure> {
    let mut args = std::env::args().skip(1);
    let uri = args.next().ok_or("give an address")?.parse()?;
    let folder = args.next().ok_or("give a folder of images")?;
    let mut load = Load {
        uri,
        images: Vec::new(),
        connections: 1,
        time: Duration::from_secs(10),
        rate: None,
        broken: 0.0,
        vanish: 0.0,
        pid: None,
        library: None,
    };
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        match &*name {
            "--connections" => load.connections = value.parse()?,
            "--seconds" => load.time = Duration::from_secs_f64(value.parse()?),
            "--rate" => load.rate = Some(value.parse()?),
            "--broken" => load.broken = value.parse()?,
            "--vanish" => load.vanish = value.parse()?,
            "--pid" => load.pid = Some(value.parse()?),
            "--library" => load.library = Some(value.parse()?),
            _ => return Err(format!("no option {name:?}").into()),
        }
    }
    let mut files = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::path);
    let images: Result<Vec<_>, _> = files.iter().map(|file| std::fs::read(file.path())).collect();
    load.images = images?.into_iter().map(Bytes::from).collect();
    Ok(load)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let load = Arc::new(arguments()?);
    if let Some(calls) = load.library {
        println!("{}", beside_the_library(&load, calls).await?);
        return Ok(());
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let begin = Instant::now();
    let memory = tokio::spawn(memory(load.pid, begin + load.time));
    let clients: Vec<_> = (0..load.connections)
        .map(|number| tokio::spawn(client(Arc::clone(&load), number, begin, Arc::clone(&seen))))
        .collect();
    for client in clients {
        client.await??;
    }
    let took = begin.elapsed().as_secs_f64();
    let memory = memory.await?;
    let seen = std::mem::take(&mut *seen.lock().map_err(|_| "a client panicked")?);
    println!("{}", seen.report(took, &memory));
    Ok(())
}

/// One connection, as long as the load lasts.
async fn client(
    load: Arc<Load>,
    number: usize,
    begin: Instant,
    seen: Arc<Mutex<Seen>>,
) -> Result<(), Failure> {
    let between = load.rate.map(|rate| load.connections as f64 / rate);
    let mut sender = None;
    for turn in 0.. {
        if let Some(between) = between {
            let share = number as f64 / load.connections as f64;
            let due = begin + Duration::from_secs_f64((turn as f64 + share) * between);
            sleep_until(due.into()).await;
        }
        if begin.elapsed() >= load.time {
            break;
        }
        let at = turn * load.connections + number;
        let image = load.images[at % load.images.len()].clone();
        let asked = Instant::now();
        // Evenly spread, alike in every run.
        let is_among = |share: f64, shift: f64| (at as f64 * 0.618 + shift) % 1.0 < share;
        let what = if is_among(load.vanish, 0.5) {
            vanish(&load.uri, &image).await?;
            "vanished".to_owned()
        } else if is_among(load.broken, 0.0) {
            let third = image.slice(..image.len() / 3);
            format!("broken {}", answer(&load.uri, &mut sender, third).await?)
        } else {
            answer(&load.uri, &mut sender, image).await?
        };
        let took = asked.elapsed().as_secs_f64() * 1e3;
        seen.lock().map_err(|_| "a client panicked")?.0.entry(what).or_default().push(took);
    }
    Ok(())
}

async fn connect(uri: &Uri) -> Result<TcpStream, Failure> {
    let authority = uri.authority().ok_or("an address without a host")?;
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The status of the answer to a body, on the connection that is open or on a new one.
async fn answer(
    uri: &Uri,
    sender: &mut Option<SendRequest<Full<Bytes>>>,
    body: Bytes,
) -> Result<String, Failure> {
    let mut open = match sender.take() {
        Some(open) if !open.is_closed() => open,
        _ => {
            let (open, connection) = handshake(TokioIo::new(connect(uri).await?)).await?;
            tokio::spawn(connection);
            open
        }
    };
    if open.ready().await.is_err() {
        return Ok("connection closed".to_owned());
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::post(path).header("host", host).body(Full::new(body))?;
    let Ok(response) = open.send_request(request).await else {
        return Ok("connection closed".to_owned());
    };
    let status = response.status().as_u16().to_string();
    if response.into_body().collect().await.is_err() {
        return Ok("answer cut".to_owned());
    }
    *sender = Some(open);
    Ok(status)
}

/// Sends half of a body and goes away.
async fn vanish(uri: &Uri, body: &Bytes) -> Result<(), Failure> {
    let mut stream = connect(uri).await?;
    let (path, length) = (uri.path(), body.len());
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..length / 2]).await?;
    Ok(())
}

/// Resident megabytes of a process, once a second.
async fn memory(pid: Option<u32>, end: Instant) -> Vec<f64> {
    let mut samples = Vec::new();
    let Some(pid) = pid else { return samples };
    while Instant::now() < end {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes =
            resident.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        samples.extend(kilobytes.map(|kilobytes| kilobytes / 1024.0));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    samples
}

/// The medians of requests and of calls of the library, in turns.
async fn beside_the_library(load: &Load, calls: usize) -> Result<Value, Failure> {
    let classifier = Model::builder().build_classifier()?;
    let (mut sender, mut times) = (None, [Vec::new(), Vec::new(), Vec::new()]);
    let [server, library, pixels] = &mut times;
    let since = |begin: Instant| begin.elapsed().as_secs_f64() * 1e3;
    // In turns of many calls: after each other's calls, both would find cold caches.
    let images = load.images.iter().cycle().take(calls).collect::<Vec<_>>();
    for images in images.chunks(50) {
        for &image in images {
            let begin = Instant::now();
            let status = answer(&load.uri, &mut sender, image.clone()).await?;
            server.push(since(begin));
            if status != "200" {
                return Err(format!("the server answered {status}").into());
            }
        }
        for &image in images {
            let begin = Instant::now();
            classifier.classify(&image[..], 5)?;
            library.push(since(begin));
        }
        for &image in images {
            let begin = Instant::now();
            classifier.pixels(&image[..])?;
            pixels.push(since(begin));
        }
    }
    let [server, library, pixels] = times.map(|mut times| quantile(&mut times, 0.5));
    let cores = std::thread::available_parallelism()?.get();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (classifier, images) = (&classifier, &load.images);
            scope.spawn(move || {
                let mut images = images.iter().skip(core).step_by(cores);
                images.try_for_each(|image| classifier.pixels(&image[..]).map(drop))
            });
        }
    });
    let on_all_cores = begin.elapsed().as_secs_f64() * 1e3 / load.images.len() as f64;
    Ok(json!({
        "server_p50_ms": server,
        "library_p50_ms": library,
        "added_ms": server - library,
        "pixels_p50_ms": pixels,
        "pixels_on_all_cores_ms": on_all_cores,
    }))
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    values.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
}

impl Seen {
    fn report(self, took: f64, memory: &[f64]) -> Value {
        let per_second = self.0.get("200").map_or(0, Vec::len) as f64 / took;
        let answer = |(what, mut times): (String, Vec<f64>)| {
            let quantiles = [0.5, 0.9, 0.99, 1.0].map(|share| quantile(&mut times, share));
            (what, json!({ "count": times.len(), "p50_p90_p99_max_ms": quantiles }))
        };
        let answers: BTreeMap<_, _> = self.0.into_iter().map(answer).collect();
        let mean = |quarter: &[f64]| quarter.iter().sum::<f64>() / quarter.len() as f64;
        let quarters: Vec<f64> = memory.chunks(memory.len().div_ceil(4).max(1)).map(mean).collect();
        json!({
            "seconds": took,
            "images_per_second": per_second,
            "answers": answers,
            "resident_mb_by_quarter": quarters,
        })
    }
}
