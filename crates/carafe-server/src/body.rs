//! The reading of bodies.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use futures_util::StreamExt;

use crate::error::ApiError;
use crate::extract::body_error;

/// The most bytes of a JSON or text body.
pub(crate) const MAX_TEXT: usize = 4 << 20;

/// The most bytes of an image, its multipart frame included; the guest's own limit.
pub(crate) const MAX_IMAGE: usize = 20 << 20;

/// What is read and thrown away of a body that is too large: a client that is still sending would not see the answer otherwise.
const MAX_DISCARDED: usize = 64 << 20;

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { limit };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = announced.unwrap_or_default();
    // Who asks before sending, or announces more than would be thrown away, is told at once.
    if length > limit && (request.headers().contains_key(EXPECT) || length > MAX_DISCARDED) {
        return Err(too_large);
    }
    read_all(request.into_body(), limit).await?.ok_or(too_large)
}

/// A whole body, or nothing if it is larger than `limit`.
async fn read_all(body: Body, limit: usize) -> Result<Option<Bytes>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| body_error(&format!("the body cannot be read: {error}")))?;
        length = length.saturating_add(piece.len());
        if length <= limit {
            bytes.extend_from_slice(&piece);
        } else if length > MAX_DISCARDED {
            break;
        }
    }
    Ok((length <= limit).then(|| bytes.into()))
}
