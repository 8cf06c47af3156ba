//! The Open Inference Protocol (KServe v2): REST and gRPC.
//!
//! ```text
//! REST (JSON, binary)  -> InferRequest -> infer -> InferResponse -> REST
//! gRPC                 ->                                        -> gRPC
//! ```
//!
//! A model has these tensors; a request has one of the inputs.
//!
//! | input | | |
//! | --- | --- | --- |
//! | `image` | BYTES \[N\] | image files, decoded as the command does; in JSON as base64 text |
//! | `pixels` | UINT8 \[N, height, width, C\] | images of any size, resized and cropped as files are |
//! | `input` | FP32 \[N, C, H, W\] | normalized images of the model's size, run as they are |
//!
//! | output | | |
//! | --- | --- | --- |
//! | `logits` | FP32 \[N, classes\] | what the network gives |
//! | `probabilities` | FP32 \[N, classes\] | of every class; two for a network with one output |
//! | `labels` | BYTES \[N, k\] | names of the best classes, best first; the request's parameter `k` counts them, else there are 5 |
//! | `embedding` | FP32 \[N, features\] | the features before the classifier |
//!
//! A model without classes has only `embedding`; one without names has no `labels`; one whose
//! activation is none has no `probabilities`. A request that names no outputs gets all.
//!
//! Parameters: `k`; `timeout` of a request, in microseconds, shortens its deadline;
//! `classification` of the outputs `logits` and `probabilities` (Triton's extension) gives BYTES
//! \[N, k\] of the best classes in place of all values, `value:index:label`, best first, where the
//! value is written with all its digits, and `:label` is missing if the model has no names.
//!
//! One image that fails fails its request, and the error says which: the protocol has no errors of
//! single images.

pub(crate) mod grpc;
mod infer;
mod metadata;
mod parameters;
mod repository;
mod rest;
mod tensor;

#[cfg(test)]
mod tests;

pub use grpc::grpc;
pub(crate) use rest::{document, routes};
