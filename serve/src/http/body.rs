//! Bodies: read within bounds of size and time, and decompressed; responses of several parts, and compressed.

use crate::access::Share;
use crate::failure::{Code, Failure, Result};
use crate::settings::Settings;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// From this length on, work on a body is announced to the runtime, since it keeps a thread busy.
const LONG: usize = 64 << 10;

/// Shorter responses are not compressed.
const WORTH_COMPRESSING: usize = 1 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        }
    }

    /// What the body of a request is compressed by.
    pub(super) fn of_content(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
            "deflate" => Ok(Some(Encoding::Deflate)),
            _ => Err(Failure::invalid("Content-Encoding: expected gzip, deflate or identity")),
        }
    }

    /// What a client takes a response by, gzip first.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let names: Vec<&str> = values.flat_map(|value| value.split(',')).filter_map(wanted).collect();
        let has = |name: &str| names.iter().any(|found| found.eq_ignore_ascii_case(name));
        has("gzip").then_some(Encoding::Gzip).or_else(|| has("deflate").then_some(Encoding::Deflate))
    }
}

/// The name of an encoding that is not refused by a weight of zero.
fn wanted(item: &str) -> Option<&str> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next()?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
    weight.is_ok_and(|weight| weight > 0.0).then_some(name)
}

/// The body of a request, decompressed: within the bounds of size and time. Several pieces are joined so that what follows `head` bytes is aligned as
/// tensors are.
pub(super) async fn received(
    settings: &Settings,
    headers: &HeaderMap,
    body: Body,
    head: usize,
    share: &mut Share,
) -> Result<Bytes> {
    let limit = settings.max_body;
    let body = tokio::time::timeout(settings.read_limit, read(headers, body, limit, head, share));
    let body = body.await.map_err(|_| slow(settings.read_limit))??;
    match Encoding::of_content(headers)? {
        Some(encoding) => busy(body.len(), || decompressed(&body, encoding, limit, share)),
        None => Ok(body),
    }
}

/// What is said of a body that does not come.
pub(super) fn slow(limit: Duration) -> Failure {
    Failure::invalid(format!("the body came too slowly: expected it within {limit:?}"))
}

/// Does work that takes long for long bodies.
pub(super) fn busy<T>(length: usize, work: impl FnOnce() -> T) -> T {
    if length < LONG { work() } else { tokio::task::block_in_place(work) }
}

/// Where elements lie for a session to take them where they are: as the widest of them asks.
const ALIGNMENT: usize = 8;

/// Reads a body of at most `limit` bytes; what it holds is counted in `share`. One piece is not copied.
async fn read(headers: &HeaderMap, mut body: Body, limit: usize, head: usize, share: &mut Share) -> Result<Bytes> {
    let too_large = || Failure::new(Code::TooLarge, format!("the body is too long: expected at most {limit} bytes"));
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| usize::try_from(stated).map_or(true, |stated| stated > limit)) {
        return Err(too_large());
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    // In front of the body, so that its tensors begin at a multiple; an allocator aligns large pieces by themselves.
    let shift = head.wrapping_neg() % ALIGNMENT;
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::invalid(format!("the body ended early: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > limit {
            return Err(too_large());
        }
        share.grow(data.len())?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&[0; ALIGNMENT][..shift]);
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze().slice(shift..) })
}

/// Decompresses a body to at most `limit` bytes.
fn decompressed(body: &Bytes, encoding: Encoding, limit: usize, share: &mut Share) -> Result<Bytes> {
    let mut reader: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(MultiGzDecoder::new(&**body)),
        Encoding::Deflate => Box::new(ZlibDecoder::new(&**body)),
    };
    let mut all = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let malformed = |e| Failure::invalid(format!("the body is no {}: {e}", encoding.name()));
        match reader.read(&mut piece).map_err(malformed)? {
            0 => return Ok(all.into()),
            count if all.len() + count > limit => {
                let message = format!("the body is too long once decompressed: expected at most {limit} bytes");
                return Err(Failure::new(Code::TooLarge, message));
            }
            count => {
                share.grow(count)?;
                all.extend_from_slice(&piece[..count]);
            }
        }
    }
}

/// Compresses a response, where that is worth it.
pub(super) fn compressed(parts: &[Bytes], encoding: Encoding) -> Option<Bytes> {
    let length: usize = parts.iter().map(Bytes::len).sum();
    if length < WORTH_COMPRESSING {
        return None;
    }
    let written = match encoding {
        Encoding::Gzip => {
            let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
            parts.iter().try_for_each(|part| writer.write_all(part)).and_then(|()| writer.finish())
        }
        Encoding::Deflate => {
            let mut writer = ZlibEncoder::new(Vec::new(), Compression::fast());
            parts.iter().try_for_each(|part| writer.write_all(part)).and_then(|()| writer.finish())
        }
    };
    written.ok().map(Bytes::from)
}

/// A body of several parts, sent as they are.
pub(super) struct Parts(pub(super) VecDeque<Bytes>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Option<Encoding> {
        Encoding::accepted(&[(ACCEPT_ENCODING, value.parse().expect("it is a header"))].into_iter().collect())
    }

    #[test]
    fn a_client_says_what_it_takes() {
        assert_eq!(accepted("deflate, gzip;q=0.5"), Some(Encoding::Gzip));
        assert_eq!(accepted("gzip;q=0, deflate"), Some(Encoding::Deflate));
        assert_eq!(accepted("br, identity, *"), None);
        assert_eq!(accepted("gzip;q=abc"), None);
    }
}
