//! Reads the bodies of requests: bounded in bytes, in time and, over all connections together, in
//! memory.
//!
//! - `memory`: what all bodies in flight may take together
//! - `encoding`: bodies that come compressed
//!
//! A body that is refused is not read to its end here. The connection reads on and discards the
//! rest, see `run/socket`.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::media_type::content_type;
use encoding::Decoder;
pub(crate) use memory::BodyMemory;
use memory::Reservation;

mod encoding;
mod memory;

/// The most bytes of a JSON or text body, compressed or not.
pub(crate) const MAX_TEXT: usize = 4 << 20;

/// The most bytes of an image, its multipart frame included; the guest's own limit.
pub(crate) const MAX_IMAGE: usize = 20 << 20;

/// What is said of a body that cannot be read; the reader's own words are of its code.
const BROKEN_BODY: &str = "the body breaks off, or is not in chunks as `Transfer-Encoding` says";

/// How often the rate of a body is checked.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The fewest bytes in each window that a body takes: 4 KiB/s. A sender that is slower holds memory
/// and a connection for too long.
const MIN_BYTES_IN_WINDOW: usize = 40 << 10;

/// Reads a text of at most [`MAX_TEXT`] bytes. It counts against `--body-memory` until it is
/// dropped.
///
/// Its `charset`, where there is one, must be UTF-8.
pub(crate) async fn read_text(memory: &BodyMemory, request: Request) -> Result<Bytes, ApiError> {
    check_charset(request.headers())?;
    read(memory, request, MAX_TEXT).await
}

/// Reads an image of at most [`MAX_IMAGE`] bytes. It counts against `--body-memory` until it is
/// dropped.
pub(crate) async fn read_image(memory: &BodyMemory, request: Request) -> Result<Bytes, ApiError> {
    read(memory, request, MAX_IMAGE).await
}

/// Takes what was copied out of a body for a body of its own.
pub(crate) fn keep_part(memory: &BodyMemory, part: Bytes) -> Result<Bytes, ApiError> {
    let mut reservation = memory.reserve();
    reservation.grow_to(part.len())?;
    Ok(Bytes::from_owner(HeldBytes { bytes: part, _reservation: reservation }))
}

async fn read(memory: &BodyMemory, request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { limit };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let buffer = Buffer { bytes: Vec::new(), limit, reservation: memory.reserve() };
    let mut decoder = Decoder::new(request.headers(), buffer)?;
    let mut stream = request.into_body().into_data_stream();
    let (mut rate, mut received) = (Rate::new(RATE_WINDOW), 0_usize);
    while let Some(piece) = rate.next(&mut stream).await? {
        received = received.saturating_add(piece.len());
        if received > limit {
            return Err(too_large);
        }
        decoder.write(&piece)?;
    }
    let Buffer { bytes, reservation, .. } = decoder.finish()?;
    Ok(Bytes::from_owner(HeldBytes { bytes: bytes.into(), _reservation: reservation }))
}

/// Bytes with their part of the budget.
struct HeldBytes {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a body so far, decoded.
struct Buffer {
    bytes: Vec<u8>,
    limit: usize,
    reservation: Reservation,
}

impl Buffer {
    fn extend(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let length = self.bytes.len().saturating_add(piece.len());
        if length > self.limit {
            return Err(ApiError::BodyTooLarge { limit: self.limit });
        }
        self.reservation.grow_to(length)?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

/// The rate at which a body arrives.
struct Rate {
    window: Duration,
    ends: Instant,
    received: usize,
}

impl Rate {
    fn new(window: Duration) -> Self {
        Self { window, ends: Instant::now() + window, received: 0 }
    }

    /// The next piece of a body; an error if it comes slower than the lowest rate.
    async fn next(&mut self, stream: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
        loop {
            match timeout_at(self.ends, stream.next()).await {
                Ok(piece) => {
                    let piece = piece.transpose();
                    let piece = piece.map_err(|_| ApiError::malformed(BROKEN_BODY))?;
                    self.received += piece.as_ref().map_or(0, Bytes::len);
                    return Ok(piece);
                }
                Err(_) if self.received < MIN_BYTES_IN_WINDOW => return Err(self.too_slow()),
                Err(_) => *self = Self::new(self.window),
            }
        }
    }

    fn too_slow(&self) -> ApiError {
        ApiError::BodyTooSlow { received: self.received, least: MIN_BYTES_IN_WINDOW, window: self.window }
    }
}

/// Refuses a text in another encoding than UTF-8: its bytes would be read as other characters than
/// were meant.
fn check_charset(headers: &HeaderMap) -> Result<(), ApiError> {
    let (_, parameters) = content_type(headers);
    let charsets = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let charsets = charsets.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    for (_, charset) in charsets {
        let charset = charset.trim().trim_matches('"');
        if !["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known)) {
            let message = "the `charset` of `Content-Type` must be `utf-8`; send the text as UTF-8".to_owned();
            return Err(ApiError::UnsupportedMediaType { message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::HeaderValue;
    use axum::http::header::CONTENT_TYPE;
    use futures_util::stream;

    /// What reading a body ends in whose pieces come at once, and then nothing more.
    fn rate_of(pieces: Vec<Bytes>) -> Result<usize, ApiError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::convert::Infallible>));
            let mut stream = Body::from_stream(pieces.chain(stream::pending())).into_data_stream();
            let (mut rate, mut count) = (Rate::new(Duration::from_millis(5)), 0);
            while rate.next(&mut stream).await?.is_some() {
                count += 1;
            }
            Ok(count)
        })
    }

    #[test]
    fn a_sender_that_falls_silent_is_cut_off_in_words() {
        let error = rate_of(Vec::new()).expect_err("nothing comes");
        assert_eq!(error.status(), 408);
        let enough = Bytes::from(vec![0; MIN_BYTES_IN_WINDOW]);
        let error = rate_of(vec![enough]).expect_err("nothing comes in the second window");
        assert!(matches!(error, ApiError::BodyTooSlow { received: 0, .. }), "{error}");
    }

    #[test]
    fn a_text_is_utf_8_whatever_its_charset_is_called() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            check_charset(&headers).map_err(|error| error.status().as_u16())
        };
        for kind in ["text/plain", "text/plain; charset=UTF-8", "application/json;charset=\"utf-8\"; x=y"] {
            assert_eq!(check(kind), Ok(()), "{kind}");
        }
        for kind in ["text/plain; charset=latin1", "application/json; Charset=UTF-16", "text/plain; a=b; charset=x"] {
            assert_eq!(check(kind), Err(415), "{kind}");
        }
    }
}
