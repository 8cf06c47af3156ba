//! How the local hub can misbehave.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use tokio::time::sleep;

/// Which answers a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The hub's answers to HEAD.
    Head,
    /// The hub's answers to GET.
    Get,
    /// The storage host's answers.
    Storage,
}

#[derive(Debug, Clone)]
pub enum Fault {
    /// Another status, with headers.
    Status(u16, Vec<(&'static str, &'static str)>),
    /// A web page in place of the file: a captive portal.
    Page,
    /// No answer.
    Silence,
    /// A redirect.
    Redirect(String),
    /// A header has another value; with an empty value it is left out.
    Header(&'static str, String),
    /// The connection breaks after this many bytes of the body.
    Drop(usize),
    /// After this many bytes of the body, nothing follows.
    Stall(usize),
    /// This many bytes at a time, with a pause after each.
    Trickle(usize, Duration),
    /// The body has no announced length and ends after this many bytes.
    Truncate(usize),
    /// One bit is wrong.
    Corrupt,
    /// This many bytes follow the file, and are announced.
    Extra(usize),
    /// This many bytes follow the file, and no length is announced.
    ExtraUnannounced(usize),
    /// A range is ignored.
    NoRange,
    /// No range is satisfiable.
    BadRange,
    /// The range is not the requested one.
    OtherRange,
}

/// Marks an answer that must not be sent.
#[derive(Clone, Copy)]
pub(crate) struct Silent;

/// How a body is sent.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How many bytes are sent at a time, and the pause after each time.
    pub chunk: usize,
    pub pause: Duration,
    pub end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    Break,
    Stall,
}

/// Sends `bytes` as planned.
pub(crate) fn body(bytes: Bytes, plan: Plan) -> Body {
    Body::from_stream(unfold((bytes, plan), |(mut rest, plan)| async move {
        if !rest.is_empty() {
            let chunk = rest.split_to(plan.chunk.min(rest.len()));
            if !plan.pause.is_zero() {
                sleep(plan.pause).await;
            }
            return Some((Ok(chunk), (rest, plan)));
        }
        match plan.end {
            End::Well => None,
            End::Break => {
                // When a body fails, unsent bytes are lost; they are sent while it waits.
                sleep(Duration::from_millis(1)).await;
                Some((Err(io::Error::other("broken on purpose")), (rest, plan)))
            }
            End::Stall => std::future::pending().await,
        }
    }))
}
