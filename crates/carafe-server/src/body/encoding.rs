//! Bodies that come compressed: `Content-Encoding: gzip` is unpacked, any other coding is refused.
//!
//! What comes out is bounded like a body that was sent as it is: unpacking stops at the first byte
//! beyond the limit, so that a small body cannot become a large one.

use std::io::{self, Write as _};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;

use super::Buffer;
use crate::error::ApiError;

/// What is taken; the value of `Accept-Encoding` in a refusal.
const ACCEPTED: &str = "gzip";

/// Puts the pieces of a body into a buffer, unpacked.
pub(super) enum Decoder {
    Identity(Buffer),
    Gzip(Box<MultiGzDecoder<Buffer>>),
}

impl Decoder {
    /// The decoder that `Content-Encoding` asks for.
    pub(super) fn new(headers: &HeaderMap, buffer: Buffer) -> Result<Self, ApiError> {
        let codings = codings(headers);
        match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Self::Identity(buffer)),
            // The older name means the same, says RFC 9110.
            ["gzip" | "x-gzip"] => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(buffer)))),
            _ => Err(ApiError::UnsupportedContentEncoding { accepted: ACCEPTED }),
        }
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        match self {
            Self::Identity(buffer) => buffer.extend(piece),
            Self::Gzip(decoder) => decoder.write_all(piece).map_err(refusal),
        }
    }

    /// The whole body; an error if something is missing at its end.
    pub(super) fn finish(self) -> Result<Buffer, ApiError> {
        match self {
            Self::Identity(buffer) => Ok(buffer),
            Self::Gzip(decoder) => decoder.finish().map_err(refusal),
        }
    }
}

/// The codings that were applied, first to last; `identity` is none.
fn codings(headers: &HeaderMap) -> Vec<String> {
    // A value that is no text is a coding that is not known, and must not pass for none.
    let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("unreadable"));
    let codings = values.flat_map(|value| value.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
    codings.filter(|coding| !coding.is_empty() && coding != "identity").collect()
}

/// The buffer's own refusal, or what is wrong with the compressed bytes.
fn refusal(error: io::Error) -> ApiError {
    match error.downcast::<ApiError>() {
        Ok(refusal) => refusal,
        Err(error) => ApiError::malformed(format!("the body is not `gzip`, as `Content-Encoding` says: {error}")),
    }
}

impl io::Write for Buffer {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.extend(piece).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::BodyMemory;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::num::NonZeroU32;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn decode(coding: &'static str, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        let memory = BodyMemory::new(NonZeroU32::MIN.saturating_add(1), Default::default());
        let buffer = Buffer { bytes: Vec::new(), limit: LIMIT, reservation: memory.reserve() };
        let mut decoder = Decoder::new(&headers, buffer)?;
        for piece in body.chunks(7) {
            decoder.write(piece)?;
        }
        Ok(decoder.finish()?.bytes)
    }

    #[test]
    fn gzip_is_unpacked_whatever_its_pieces_and_members_are() {
        let two_members = [gzip(b"Once upon "), gzip(b"a time")].concat();
        for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
            assert_eq!(decode(coding, &two_members).expect("gzip"), b"Once upon a time", "{coding}");
        }
        assert_eq!(decode("identity", b"as it is").expect("nothing to unpack"), b"as it is");
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; LIMIT + 1]);
        assert!(bomb.len() < LIMIT / 100);
        assert!(matches!(decode("gzip", &bomb), Err(ApiError::BodyTooLarge { limit: LIMIT })));
        assert_eq!(decode("gzip", &gzip(&vec![0; LIMIT])).expect("just the limit").len(), LIMIT);
    }

    #[test]
    fn what_is_not_whole_gzip_is_refused() {
        let whole = gzip(b"Once upon a time");
        for end in 1..whole.len() {
            let error = decode("gzip", &whole[..end]).expect_err("the end is missing");
            assert_eq!(error.status(), 400, "{end} of {}", whole.len());
        }
        for body in [&b"{}"[..], &[whole.clone(), b"{}".to_vec()].concat()] {
            assert_eq!(decode("gzip", body).expect_err("no gzip").status(), 400);
        }
    }

    #[test]
    fn other_codings_are_refused_and_never_passed_over() {
        for coding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, br"] {
            let refused = decode(coding, b"x").expect_err("not taken");
            assert!(matches!(refused, ApiError::UnsupportedContentEncoding { .. }), "{coding}");
        }
    }
}
