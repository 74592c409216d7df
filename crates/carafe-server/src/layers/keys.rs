//! Asks for an API key, where the server is given some, and says whose request it is.
//!
//! Where the key has a limit of tokens, every answer tells how much of it is left, in the headers
//! that OpenAI's API has for that.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;
use crate::record::Record;
use crate::server::Server;
use crate::tenant::{Tenant, TokenBudget};

const LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// Lets a request pass if no key is asked for, or if it has one: `Authorization: Bearer KEY`. Its
/// handler finds the key's [`Tenant`] among the request's extensions.
pub(crate) async fn require(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let tenant = tenant(&server, request.headers()).ok_or(ApiError::InvalidKey)?.clone();
    if let Some(record) = request.extensions().get::<Record>() {
        record.note(|facts| facts.key = Some(tenant.number()).filter(|number| *number > 0));
    }
    request.extensions_mut().insert(tenant.clone());
    let mut response = next.run(request).await;
    if let Some(budget) = tenant.token_budget(Instant::now()) {
        response.headers_mut().extend(token_headers(&budget));
    }
    Ok(response)
}

fn tenant<'a>(server: &'a Server, headers: &HeaderMap) -> Option<&'a Tenant> {
    let keys = &server.configuration().api_keys;
    if keys.count() == 0 {
        return Some(server.tenants().everybody());
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let number = keys.number(key.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    server.tenants().of_key(number)
}

fn token_headers(budget: &TokenBudget) -> [(HeaderName, HeaderValue); 3] {
    // A time is digits and letters.
    let reset = HeaderValue::try_from(time(budget.reset)).unwrap_or(HeaderValue::from_static("0s"));
    [(LIMIT_TOKENS, budget.limit.into()), (REMAINING_TOKENS, budget.remaining.into()), (RESET_TOKENS, reset)]
}

/// A time as OpenAI's API writes it, which is Go's way: `6m0s`, `1.5s`, `120ms`. It is rounded up
/// to a millisecond.
fn time(time: Duration) -> String {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    if (1..1000).contains(&milliseconds) {
        return format!("{milliseconds}ms");
    }
    let (seconds, fraction) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{fraction:03}");
    let seconds = format!("{seconds}{}s", fraction.trim_end_matches('0').trim_end_matches('.'));
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (milliseconds, text) in [
            (0, "0s"),
            (17, "17ms"),
            (999, "999ms"),
            (1000, "1s"),
            (6200, "6.2s"),
            (10_000, "10s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (90_050, "1m30.05s"),
            (3_600_000, "1h0m0s"),
            (93_784_500, "26h3m4.5s"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(time(Duration::from_nanos(1)), "1ms", "what is not over yet is not 0");
        assert_eq!(time(Duration::from_nanos(999_000_001)), "1s");
    }
}
