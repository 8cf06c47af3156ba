//! Ids of requests and of traces (W3C Trace Context, level 1).

use axum::http::{HeaderMap, HeaderValue};

/// The longest id of a request that is taken from a client.
const LONGEST: usize = 128;

/// Of which trace a request is a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace: u128,
    /// The caller's span.
    pub(super) span: u64,
    pub(super) flags: u8,
}

impl TraceParent {
    /// The caller's trace, if it says one in the right form.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |digits| parts.next().filter(|part| is_hex(part, digits));
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let more = parts.next().is_some();
        // A later version may add parts.
        if version == "ff" || version == "00" && more {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        Some(Self { trace, span, flags: u8::from_str_radix(flags, 16).ok()? })
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// An id for a trace that begins here.
pub(super) fn new_trace() -> u128 {
    fastrand::u128(1..)
}

/// The id that a client gave its request, if it can stand in a log, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &[u8]| {
        (1..=LONGEST).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
    };
    let given = headers.get("x-request-id").filter(|id| is_plain(id.as_bytes()));
    given.cloned().unwrap_or_else(|| {
        let id = format!("{:032x}", fastrand::u128(..));
        // Hexadecimal digits are always a header's value.
        HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_is_continued() {
        let trace = TraceParent::parse(TRACE).unwrap();
        assert_eq!(trace.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((trace.span, trace.flags), (0x00f0_67aa_0ba9_02b7, 1));
        // What a later version adds is not read.
        let later = TRACE.replacen("00", "cc", 1) + "-what-will-come";
        assert_eq!(TraceParent::parse(&later), Some(trace));
    }

    #[test]
    fn what_is_not_a_trace_is_not_continued() {
        for wrong in [
            "",
            "00",
            &TRACE.to_uppercase(),
            &TRACE.replacen("00", "ff", 1),
            &TRACE.replacen("00", "0", 1),
            &format!("{TRACE}-more"),
            &format!(" {TRACE}"),
            &TRACE.replace("4736", "473"),
            &TRACE.replace("4736", "473g"),
            &TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &TRACE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &TRACE.replace("-01", "-0"),
            &TRACE.replace("-01", "-+1"),
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static(TRACE));
        assert!(TraceParent::of(&headers).is_some());
        headers.append("traceparent", HeaderValue::from_static(TRACE));
        assert!(TraceParent::of(&headers).is_none());
    }

    #[test]
    fn a_plain_id_is_kept() {
        let id_for = |id: &str| {
            let id = HeaderValue::from_str(id).unwrap();
            request_id(&HeaderMap::from_iter([("x-request-id".parse().unwrap(), id)]))
        };
        assert_eq!(id_for("order-7_a.b:c/d+e=@"), "order-7_a.b:c/d+e=@");
        for wrong in ["", "two words", "quote\"", "new{line}", &"x".repeat(129), "\u{e9}"] {
            let id = id_for(wrong);
            assert!(is_hex(id.to_str().unwrap(), 32), "{wrong} gave {id:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
