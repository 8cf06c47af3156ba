use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::task::Poll;

use super::*;
use crate::ErrorKind;
use crate::engine::{Array, Capabilities, Engine, Images, Outputs};
use crate::preprocess::{ColorMode, Image};

/// Gives the first value of each image as its logit; waits for the gate, and panics for white.
#[derive(Debug, Clone)]
struct Mock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    device: Device,
    is_open: Mutex<bool>,
    opened: Condvar,
    batches: Mutex<Vec<Vec<f32>>>,
    /// Of a run, and of each image.
    costs: [Duration; 2],
    inside: Arc<AtomicUsize>,
}

const OUTPUTS: [&str; 2] = ["logits", "pre_logits"];

impl Mock {
    fn new(device: Device, costs: [u64; 2]) -> Self {
        Self(Arc::new(Inner {
            device,
            is_open: Mutex::new(true),
            opened: Condvar::new(),
            batches: Mutex::default(),
            costs: costs.map(Duration::from_millis),
            inside: Arc::default(),
        }))
    }

    fn open(&self, is_open: bool) {
        *self.0.is_open.lock().unwrap() = is_open;
        self.0.opened.notify_all();
    }

    /// The images of each run so far.
    fn batches(&self) -> Vec<Vec<f32>> {
        self.0.batches.lock().unwrap().clone()
    }

    fn batcher(&self, options: BatcherOptions) -> Batcher {
        let builder = Model::builder().model("efficientnet_lite0").custom_engine(self.clone());
        let model = builder.mean([0.0]).std([1.0]).threads(2).build().unwrap();
        Batcher::new(&model, options).unwrap()
    }
}

impl Engine for Mock {
    fn capabilities(&self) -> Capabilities {
        Capabilities { device: self.0.device, ..Capabilities::new("mock") }
    }

    fn run(&self, images: Images<'_>, outputs: &[&str]) -> Result<Outputs, EngineError> {
        assert_eq!(self.0.inside.fetch_add(1, SeqCst), 0, "two runs at once");
        let values = images.normalized();
        let first = values.chunks_exact(values.len() / images.shape()[0]).map(|image| image[0]);
        let data: Vec<f32> = first.collect();
        self.0.batches.lock().unwrap().push(data.clone());
        let gate = self.0.is_open.lock().unwrap();
        drop(self.0.opened.wait_while(gate, |is_open| !*is_open).unwrap());
        let images = u32::try_from(data.len()).unwrap();
        std::thread::sleep(self.0.costs[0] + self.0.costs[1] * images);
        self.0.inside.fetch_sub(1, SeqCst);
        assert!(!data.contains(&1.0), "a white image");
        let array = |scale: f32| Array {
            shape: vec![data.len(), 1],
            data: data.iter().map(|value| value * scale).collect(),
        };
        let scale = |name: &str| if name == "logits" { 1.0 } else { 2.0 };
        Ok(outputs.iter().map(|name| ((*name).to_owned(), array(scale(name)).into())).collect())
    }
}

fn grey(level: u8) -> Request {
    Request::decoded(Image::new(ColorMode::Rgb, 4, 4, vec![level; 48]).unwrap())
}

fn never() -> BatcherOptions {
    BatcherOptions { batching: Batching::Never, ..BatcherOptions::default() }
}

/// Waits until something is so, without a limit: a test that hangs has failed.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A future that has begun: it was polled once.
async fn begun<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "it was to wait");
        Poll::Ready(())
    })
    .await;
    future
}

/// A request whose run waits at the closed gate.
async fn at_the_gate(
    mock: &Mock,
    batcher: &Batcher,
) -> impl Future<Output = Result<Response, BatchError>> {
    mock.open(false);
    let seen = mock.batches().len();
    let request = begun(batcher.run(grey(51))).await;
    until(|| mock.batches().len() > seen).await;
    request
}

#[tokio::test]
async fn each_request_gets_its_own_outputs_in_its_order() {
    for batching in [Batching::Always, Batching::Never] {
        for device in [Device::Cpu, Device::Cuda(0)] {
            let mock = Mock::new(device, [0, 0]);
            let batcher = mock.batcher(BatcherOptions { batching, ..BatcherOptions::default() });
            let answers = (0..40_u8).map(|level| {
                let outputs = [&OUTPUTS[..1], &OUTPUTS[1..], &OUTPUTS, &["pre_logits", "logits"]];
                let outputs = outputs[level as usize % 4];
                let batcher = &batcher;
                async move {
                    let response =
                        batcher.run(grey(level).outputs(outputs.to_vec())).await.unwrap();
                    let value = f32::from(level) / 255.0;
                    let scale = |name: &&str| if *name == "logits" { value } else { 2.0 * value };
                    let got: Vec<f32> =
                        response.outputs.iter().map(|array| array.data[0]).collect();
                    let expected: Vec<f32> = outputs.iter().map(scale).collect();
                    assert_eq!(got, expected, "{level}");
                    assert!((1..=16).contains(&response.batch_size));
                }
            });
            futures(answers).await;
            let is_single = mock.batches().iter().all(|batch| batch.len() == 1);
            assert_eq!(is_single, batching == Batching::Never);
        }
    }
}

/// Runs futures at the same time.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        let is_over = done.iter().all(Option::is_some);
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_try_again() {
    let mock = Mock::new(Device::Cpu, [5, 0]);
    let batcher = mock.batcher(BatcherOptions { max_queue_size: 2, ..never() });
    batcher.run(grey(1)).await.unwrap();
    let first = at_the_gate(&mock, &batcher).await;
    let waiting = [begun(batcher.run(grey(2))).await, begun(batcher.run(grey(3))).await];
    let refused = batcher.run(grey(4)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let Some(retry) = refused.retry_after() else { panic!("{refused}") };
    assert!(retry >= Duration::from_millis(15), "three images of 5 ms: {retry:?}");
    mock.open(true);
    assert!(first.await.is_ok());
    assert!(futures(waiting.into_iter()).await.iter().all(Result::is_ok));
    assert!(batcher.run(grey(5)).await.is_ok());
}

#[tokio::test]
async fn the_queue_counts_images() {
    let mock = Mock::new(Device::Cpu, [0, 0]);
    let batcher = mock.batcher(BatcherOptions { max_queue_size: 4, max_batch_size: 3, ..never() });
    let tensor =
        |images: usize| Request::normalized(vec![0.5; images * 12], [images, 3, 2, 2]).unwrap();
    let first = at_the_gate(&mock, &batcher).await;
    let others = [begun(batcher.run(tensor(3))).await, begun(batcher.run(tensor(1))).await];
    assert_eq!(batcher.waiting(), 4);
    assert_eq!(batcher.run(grey(1)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    mock.open(true);
    assert!(first.await.is_ok());
    assert!(futures(others.into_iter()).await.iter().all(Result::is_ok));
    // More than the queue holds is taken if nothing else waits.
    assert_eq!(batcher.run(tensor(9)).await.unwrap().batch_size, 9);
    assert_eq!(batcher.0.shared.queue.images(), 0);
}

/// An image file of a few kilobytes with this many grey pixels each way.
fn file(side: u32, level: u8) -> Request {
    let picture = ::image::GrayImage::from_pixel(side, side, ::image::Luma([level]));
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, ::image::ImageFormat::Png).unwrap();
    Request::encoded(file.into_inner())
}

#[tokio::test]
async fn small_images_pass_large_ones_beyond_a_turns_share() {
    // Beside the image in the network, two are decoded on another device.
    for (device, taken) in [(Device::Cpu, 1), (Device::Cuda(0), 3)] {
        let mock = Mock::new(device, [0, 0]);
        let batcher = mock.batcher(never());
        mock.open(false);
        let mut waiting = Vec::new();
        for _ in 0..taken {
            waiting.push(begun(batcher.run(grey(0))).await);
            until(|| batcher.waiting() == 0).await;
        }
        for (side, level) in [(4097, 51), (4097, 102), (4097, 153), (4097, 204), (8, 85), (8, 170)]
        {
            waiting.push(begun(batcher.run(file(side, level))).await);
        }
        mock.open(true);
        assert!(futures(waiting.into_iter()).await.iter().all(Result::is_ok));
        let order: Vec<u8> =
            mock.batches().iter().map(|batch| (batch[0] * 255.0).round() as u8).collect();
        // There are two threads.
        assert_eq!(order[taken..], [51, 102, 85, 170, 153, 204], "{device}");
    }
}

#[tokio::test]
async fn a_small_image_is_not_refused_for_large_ones_that_it_passes() {
    let mock = Mock::new(Device::Cpu, [40, 0]);
    let batcher = mock.batcher(never());
    batcher.run(grey(1)).await.unwrap();
    let first = at_the_gate(&mock, &batcher).await;
    let mut large = Vec::new();
    for _ in 0..3 {
        large.push(begun(batcher.run(file(4097, 0))).await);
    }
    let soon = || Instant::now() + Duration::from_millis(100);
    let refused = batcher.run(file(4097, 0).deadline(soon())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    let small = begun(batcher.run(grey(2).deadline(soon()))).await;
    mock.open(true);
    assert!(first.await.is_ok());
    drop((small, large));
}

#[tokio::test]
async fn work_that_nobody_waits_for_is_skipped() {
    let mock = Mock::new(Device::Cpu, [0, 0]);
    let batcher = mock.batcher(BatcherOptions { max_queue_size: 2, ..never() });
    let first = at_the_gate(&mock, &batcher).await;
    // One passes its deadline, the caller of the other goes away.
    let soon = Instant::now() + Duration::from_millis(20);
    let late = batcher.run(grey(102).deadline(soon)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Deadline);
    drop(begun(batcher.run(grey(153))).await);
    // Both still hold a place, and give it up for one that is wanted.
    assert_eq!(batcher.waiting(), 2);
    let wanted = begun(batcher.run(grey(204))).await;
    assert_eq!(batcher.waiting(), 1);
    mock.open(true);
    assert!(first.await.is_ok());
    assert!(wanted.await.is_ok());
    assert_eq!(mock.batches(), [[0.2], [0.8]]);
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let mock = Mock::new(Device::Cpu, [40, 0]);
    let batcher = mock.batcher(never());
    batcher.run(grey(1)).await.unwrap();
    let first = at_the_gate(&mock, &batcher).await;
    let others = [begun(batcher.run(grey(2))).await, begun(batcher.run(grey(3))).await];
    let soon = Instant::now() + Duration::from_millis(60);
    let refused = batcher.run(grey(4).deadline(soon)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    let passed = batcher.run(grey(4).deadline(Instant::now())).await.unwrap_err();
    assert_eq!(passed.kind(), ErrorKind::Deadline, "{passed}");
    mock.open(true);
    assert!(first.await.is_ok());
    assert!(futures(others.into_iter()).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn shutting_down_answers_what_waits_and_takes_no_more() {
    for device in [Device::Cpu, Device::Cuda(0)] {
        let mock = Mock::new(device, [0, 0]);
        let batcher = mock.batcher(never());
        let first = at_the_gate(&mock, &batcher).await;
        let mut others = Vec::new();
        for level in 0..10 {
            others.push(begun(batcher.run(grey(level))).await);
        }
        let end = begun(batcher.shutdown()).await;
        assert!(matches!(batcher.run(grey(1)).await, Err(BatchError::Closed)));
        mock.open(true);
        end.await;
        assert!(first.await.is_ok());
        assert!(futures(others.into_iter()).await.iter().all(Result::is_ok));
        batcher.shutdown().await;
    }
}

#[tokio::test]
async fn threads_end_with_the_last_handle() {
    let mock = Mock::new(Device::Cpu, [0, 0]);
    let batcher = mock.batcher(never());
    let mut ended = batcher.0.ended.clone();
    let other = batcher.clone();
    drop(batcher);
    other.run(grey(1)).await.unwrap();
    drop(other);
    assert!(ended.changed().await.is_err());
}

#[tokio::test]
async fn times_add_up_to_the_wait() {
    let mock = Mock::new(Device::Cpu, [0, 5]);
    let batcher = mock.batcher(never());
    let begin = Instant::now();
    let all = futures((0..4).map(|level| batcher.run(grey(level)))).await;
    let took = begin.elapsed();
    for (place, response) in all.into_iter().enumerate() {
        let Timings { queue, decode, preprocess, infer } = response.unwrap().timings;
        let five = Duration::from_millis(5);
        assert!(infer >= five && queue >= five * u32::try_from(place).unwrap(), "{queue:?}");
        assert!(queue + decode + preprocess + infer <= took);
    }
}

#[tokio::test]
async fn a_panic_fails_its_own_request_only() {
    for device in [Device::Cpu, Device::Cuda(0)] {
        let mock = Mock::new(device, [0, 0]);
        let options = BatcherOptions { batching: Batching::Always, ..BatcherOptions::default() };
        let batcher = mock.batcher(options);
        let all = futures([10, 255, 20].into_iter().map(|level| batcher.run(grey(level)))).await;
        let kinds: Vec<_> = all.iter().map(|r| r.as_ref().err().map(BatchError::kind)).collect();
        assert_eq!(kinds, [None, Some(ErrorKind::Internal), None]);
        assert!(all[1].as_ref().unwrap_err().to_string().ends_with("a white image"));
        assert!(batcher.run(grey(30)).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let mock = Mock::new(Device::Cpu, [0, 0]);
    let batcher = mock.batcher(never());
    let kind = |result: Result<Response, BatchError>| result.unwrap_err().kind();
    assert_eq!(kind(batcher.run(Request::encoded("no image")).await), ErrorKind::Image);
    let unknown = batcher.run(grey(1).outputs(["logit"])).await.unwrap_err();
    assert!(unknown.to_string().starts_with("no output \"logit\": there are "), "{unknown}");
    assert!(Request::normalized(vec![0.0; 5], [1, 3, 2, 2]).is_err());
    assert!(mock.batches().is_empty());
    let two = Request::normalized([vec![0.25; 12], vec![0.5; 12]].concat(), [2, 3, 2, 2]).unwrap();
    let twice = two.outputs(["logits", "logits"]);
    let response = batcher.run(twice).await.unwrap();
    assert_eq!((response.batch_size, &response.outputs[1].data[..]), (2, &[0.25, 0.5][..]));
    let [logits, again] = &response.outputs[..] else { panic!("two outputs were asked for") };
    assert_eq!(logits, again);
}

#[tokio::test]
async fn batches_are_formed_if_they_are_faster() {
    {
        // A run takes as long for four images as for one.
        let mock = Mock::new(Device::Cpu, [8, 0]);
        let batcher =
            mock.batcher(BatcherOptions { max_batch_size: 4, ..BatcherOptions::default() });
        assert_eq!(batcher.forms_batches(), None);
        while batcher.forms_batches().is_none() {
            futures((0..12).map(|level| batcher.run(grey(level)))).await;
        }
        assert_eq!(batcher.forms_batches(), Some(true));
        let sizes: Vec<usize> = mock.batches().iter().map(Vec::len).collect();
        // Both ways have been tried.
        assert!(sizes.contains(&1) && sizes.contains(&4), "{sizes:?}");
    }
    let mock = Mock::new(Device::Cuda(0), [0, 4]);
    assert_eq!(mock.batcher(BatcherOptions::default()).forms_batches(), Some(true));
    let one = BatcherOptions { max_batch_size: 1, ..BatcherOptions::default() };
    assert_eq!(mock.batcher(one).forms_batches(), Some(false));
}

#[tokio::test]
async fn another_device_computes_while_images_are_decoded() {
    let mock = Mock::new(Device::Cuda(0), [0, 0]);
    let batcher = mock.batcher(never());
    let first = at_the_gate(&mock, &batcher).await;
    let others = [begun(batcher.run(grey(1))).await, begun(batcher.run(grey(2))).await];
    // Both are taken from the queue although the device is busy.
    until(|| batcher.waiting() == 0).await;
    assert_eq!(mock.batches().len(), 1);
    mock.open(true);
    assert!(first.await.is_ok());
    assert!(futures(others.into_iter()).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn models_on_the_cpu_take_turns() {
    let turns = Turns::default();
    let inside = Arc::new(AtomicUsize::new(0));
    let batchers = [0, 1].map(|_| {
        let mut mock = Mock::new(Device::Cpu, [1, 0]);
        Arc::get_mut(&mut mock.0).unwrap().inside = Arc::clone(&inside);
        mock.batcher(BatcherOptions { turns: turns.clone(), ..never() })
    });
    // The engines' counter would panic if two of them ran at once.
    let all = futures((0..40_u8).map(|n| batchers[n as usize % 2].run(grey(n)))).await;
    assert!(all.iter().all(Result::is_ok));
}
