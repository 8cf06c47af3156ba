//! The images of one request on their way through a model's queue.

use effnet::batcher::{BatchError, Batcher};
use futures_util::stream::{self, Stream, StreamExt};

/// Runs what `runs` gives, one future for each image of a request, and gives the answers in the
/// order of the images.
///
/// At most as many images of the request are with the model at a time as may go through the network
/// together, or as its queue holds: a request of many images fits into a short queue, and leaves
/// room for others. So the queue can be full when the turn of a later image comes, because others
/// have filled it meanwhile. Then that image's answer is the refusal, and those after it still run;
/// a caller that wants all or nothing drops the stream, which ends the rest.
pub(crate) fn in_order<T>(
    batcher: &Batcher,
    runs: impl Iterator<Item = impl Future<Output = Result<T, BatchError>>>,
) -> impl Stream<Item = Result<T, BatchError>> {
    let options = batcher.options();
    stream::iter(runs).buffered(options.max_batch_size.min(options.max_queue_size))
}
