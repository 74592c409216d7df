//! GET requests to the hub, each bounded in time and in redirects.
//!
//! Redirects are followed here and not by `ureq`, because the hub names a file in the headers of
//! the first answer, and its contents come with the last. The token goes to the hub's own origin
//! and to no other.

use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
};
use ureq::http::header::{ETAG, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Body, BodyReader};

use super::failure::Failure;
use super::location::{is_same_origin, resolve};

/// The most redirects of one request; the hub itself needs two.
const MAX_REDIRECTS: usize = 10;

/// More than `ureq` reads at once: after a 1xx answer it counts all of that as headers.
const MAX_HEADERS: usize = 256 << 10;

/// Asks one hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
}

impl Client {
    /// A client of the hub at `endpoint` that waits `patience` for every step of an answer.
    pub(super) fn new(endpoint: Uri, token: Option<String>, patience: Duration) -> Self {
        let wait = Some(patience);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("carafe/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(MAX_HEADERS)
            .timeout_resolve(wait)
            .timeout_connect(wait)
            .timeout_send_request(wait)
            .timeout_recv_response(wait)
            .timeout_per_read(wait)
            .build();
        Self { agent: config.into(), endpoint, token }
    }

    /// Asks for the bytes of `range`, as `Range` writes it, or for all of them.
    pub(super) fn get(&self, url: &str, range: Option<&str>) -> Result<Answer, Failure> {
        let mut uri: Uri = url.parse().map_err(|_| Failure::Unusable(format!("`{url}` is no address")))?;
        let mut named = Named::default();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.get_once(&uri, range)?;
            named.learn(&response);
            match response.status().as_u16() {
                200 | 206 => return Answer::of_file(response, named),
                416 if range.is_some() => return Ok(Answer { response, named }),
                301 | 302 | 303 | 307 | 308 => uri = next(&uri, &response)?,
                _ => return Err(failure_of(&response)),
            }
        }
        Err(Failure::Unusable(format!("redirects more than {MAX_REDIRECTS} times, at last to `{uri}`")))
    }

    fn get_once(&self, uri: &Uri, range: Option<&str>) -> Result<Response<Body>, Failure> {
        // Contents that a proxy compresses on the way have another length than the file.
        let mut request = self.agent.get(uri).header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        if let Some(token) = self.token.as_ref().filter(|_| is_same_origin(uri, &self.endpoint)) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call().map_err(Failure::Connection)
    }
}

fn next(uri: &Uri, response: &Response<Body>) -> Result<Uri, Failure> {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).ok_or_else(|| {
        Failure::Unusable(format!("answered {status}, a redirect, without the `Location` that says where to"))
    })?;
    let location = location.to_str().map_err(|_| Failure::Unusable("redirects to what is no text".to_owned()))?;
    resolve(uri, location).map_err(Failure::Unusable)
}

fn failure_of(response: &Response<Body>) -> Failure {
    let retry_after = header(response, RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
    Failure::Status { status: response.status(), retry_after: retry_after.map(Duration::from_secs) }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// How the hub names a file: in the first answer that says it, on the way to the contents.
#[derive(Default)]
pub(super) struct Named {
    /// The commit of the repository.
    pub(super) commit: Option<String>,
    /// Of a large file its SHA-256, of a small one git's name of it.
    pub(super) etag: Option<String>,
    linked_etag: Option<String>,
}

impl Named {
    fn learn(&mut self, response: &Response<Body>) {
        let text = |name: &str| header(response, name).map(str::to_owned);
        self.commit = self.commit.take().or_else(|| text("x-repo-commit"));
        self.linked_etag = self.linked_etag.take().or_else(|| text("x-linked-etag"));
        // Of the last answer: that of a redirect is not the file's.
        let etag = self.linked_etag.clone().or_else(|| text(ETAG.as_str()));
        self.etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
    }
}

/// What came at the end of the redirects: contents, or 416 where the range lies beyond them.
pub(super) struct Answer {
    response: Response<Body>,
    /// How the file is named.
    pub(super) named: Named,
}

impl Answer {
    /// Refuses contents that are not the file's bytes.
    fn of_file(response: Response<Body>, named: Named) -> Result<Self, Failure> {
        if header(&response, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.trim_start().starts_with("text/html")) {
            let why = "answered with a web page instead of the file; does a proxy or a log-in page stand before it?";
            return Err(Failure::Unusable(why.to_owned()));
        }
        match header(&response, CONTENT_ENCODING.as_str()) {
            None | Some("" | "identity") => Ok(Self { response, named }),
            Some(encoding) => Err(Failure::Unusable(format!(
                "answered with contents in the encoding {encoding:?}; the file as it is was asked for"
            ))),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The file's length, where the answer says it.
    pub(super) fn total(&self) -> Option<u64> {
        match self.status() {
            StatusCode::OK => header(&self.response, CONTENT_LENGTH.as_str())?.trim().parse().ok(),
            StatusCode::PARTIAL_CONTENT => self.range()?.total,
            _ => self.content_range()?.strip_prefix("*/")?.parse().ok(),
        }
    }

    /// The position in the file of the first byte that comes, where the answer says one that can
    /// be.
    pub(super) fn start(&self) -> Option<u64> {
        match self.status() {
            StatusCode::OK => Some(0),
            _ => Some(self.range()?.start),
        }
    }

    /// The contents.
    pub(super) fn into_reader(self) -> BodyReader<'static> {
        self.response.into_body().into_reader()
    }

    fn range(&self) -> Option<ContentRange> {
        ContentRange::parse(self.content_range()?)
    }

    /// `0-9/100` of `bytes 0-9/100`.
    fn content_range(&self) -> Option<&str> {
        header(&self.response, CONTENT_RANGE.as_str())?.trim().strip_prefix("bytes ")
    }
}

/// Which bytes of a file come with a 206 (RFC 9110, section 14.4).
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    /// The file's length, where it is said.
    total: Option<u64>,
}

impl ContentRange {
    /// Reads `0-9/100` or `0-9/*`; nothing where the range ends before it starts, or after the
    /// file.
    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        (start <= end && total.is_none_or(|total| end < total)).then_some(Self { start, total })
    }
}

#[cfg(test)]
mod tests {
    use super::ContentRange;

    #[test]
    fn a_range_that_cannot_be_is_none() {
        for text in ["5-1/0", "0-0/0", "0-10/10", "9-8/10", "0-0", "-1/10", "0-/10", "0-9/-", "*/10", "a-b/c"] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
        assert_eq!(ContentRange::parse("0-9/10"), Some(ContentRange { start: 0, total: Some(10) }));
        assert_eq!(ContentRange::parse("7-7/*"), Some(ContentRange { start: 7, total: None }));
    }
}
