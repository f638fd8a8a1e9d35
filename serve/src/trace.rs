//! Which trace a request belongs to, as the W3C's Trace Context has it.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The header, and the metadata of gRPC.
pub(crate) const TRACE_PARENT: &str = "traceparent";

/// A request's place in a trace: the client's, or one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    /// What the server calls its part.
    span: u64,
    flags: u8,
}

impl Trace {
    /// A trace of its own.
    pub(crate) fn new() -> Self {
        Trace { id: u128::from(random()) << 64 | u128::from(random()), span: random(), flags: 0 }
    }

    /// The trace that these headers name, else one of its own.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(TRACE_PARENT).and_then(|value| parse(value.to_str().ok()?));
        given.map_or_else(Trace::new, |(id, flags)| Trace { id, span: random(), flags })
    }

    /// What the client is told: its trace, and what the server's part of it is called.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        let Trace { id, span, flags } = self;
        HeaderValue::try_from(format!("00-{id:032x}-{span:016x}-{flags:02x}")).ok()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// A number that is not 0, and that is another each time. It is no secret.
fn random() -> u64 {
    RandomState::new().hash_one(0).max(1)
}

/// The trace and the flags of a header: `VERSION-TRACE-PARENT-FLAGS`, behind which versions to come may say more.
fn parse(text: &str) -> Option<(u128, u8)> {
    let mut parts = text.trim().splitn(5, '-');
    let mut hexadecimal = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        let lower = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        part.chars().all(lower).then(|| u128::from_str_radix(part, 16).ok()).flatten()
    };
    let version = hexadecimal(2).filter(|version| *version != 0xff)?;
    let id = hexadecimal(32).filter(|id| *id != 0)?;
    hexadecimal(16).filter(|parent| *parent != 0)?;
    let flags = u8::try_from(hexadecimal(2)?).ok()?;
    (version > 0 || parts.next().is_none()).then_some((id, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_under_a_name_of_the_servers_own() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [(TRACE_PARENT.parse().expect("a name"), HeaderValue::from_static(text))].into_iter().collect();
        let trace = Trace::of(&headers);
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let header = trace.header().expect("it is a header");
        let header = header.to_str().expect("it is text");
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && header.ends_with("-01"), "{header}");
        assert!(!header.contains("00f067aa0ba902b7"));
        assert!(parse(header).is_some());
        assert_ne!(Trace::new(), Trace::new());
    }

    #[test]
    fn what_is_malformed_names_no_trace() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(parse(&format!("01-{id}-00f067aa0ba902b7-01-more")).is_some());
        for text in [
            String::new(),
            format!("00-{id}-00f067aa0ba902b7"),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}-0000000000000000-01"),
            format!("00-{id}-+0f067aa0ba902b7-01"),
            format!("0-{id}-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }
}
