//! The web page: every file of `web/` and the sample pictures, built into the binary.
//!
//! The page's rules for its browser are strict: nothing but these files runs, is shown or is
//! connected to.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// What the page may do. Pictures that a person chooses are shown from memory (`blob:`).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// One file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// A file of `web/` under its own name.
macro_rules! web {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../../web/", $name)),
        }
    };
}

/// A sample picture.
macro_rules! picture {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/images/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../../images/", $name)),
        }
    };
}

const INDEX: &[u8] = include_bytes!("../../../web/index.html");

const FILES: [File; 28] = [
    File { path: "/", content_type: HTML, bytes: INDEX },
    web!("index.html", HTML),
    web!("style.css", CSS),
    web!("logo.svg", SVG),
    web!("main.js", JAVASCRIPT),
    web!("api.js", JAVASCRIPT),
    web!("certificate.js", JAVASCRIPT),
    web!("chat-view.js", JAVASCRIPT),
    web!("conversation.js", JAVASCRIPT),
    web!("dom.js", JAVASCRIPT),
    web!("errors.js", JAVASCRIPT),
    web!("hood-view.js", JAVASCRIPT),
    web!("link.js", JAVASCRIPT),
    web!("markdown.js", JAVASCRIPT),
    web!("markdown-inline.js", JAVASCRIPT),
    web!("markdown-view.js", JAVASCRIPT),
    web!("memory-chart.js", JAVASCRIPT),
    web!("message-view.js", JAVASCRIPT),
    web!("picture-view.js", JAVASCRIPT),
    web!("store.js", JAVASCRIPT),
    web!("stream.js", JAVASCRIPT),
    web!("text-view.js", JAVASCRIPT),
    web!("timing.js", JAVASCRIPT),
    web!("token-view.js", JAVASCRIPT),
    picture!("cat_720p.jpg", "image/jpeg"),
    picture!("grace_hopper.bmp", "image/bmp"),
    picture!("hot_dog.jpg", "image/jpeg"),
    picture!("parrot.jpg", "image/jpeg"),
];

/// The routes of all files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        let etag = etag(file.bytes);
        router.route(file.path, get(move |headers: HeaderMap| async move { file.answer(&headers, &etag) }))
    })
}

impl File {
    /// The file, or word that the browser's copy is still right.
    fn answer(&self, headers: &HeaderMap, etag: &HeaderValue) -> Response {
        let common = [
            (header::ETAG, etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        if headers.get(header::IF_NONE_MATCH) == Some(etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(header::CONTENT_TYPE, self.content_type)], self.bytes).into_response()
    }
}

/// Names a file's content.
fn etag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_served() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        for entry in fs::read_dir(web).expect("the folder web") {
            let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
            assert!(FILES.iter().any(|file| file.path == format!("/{name}")), "`{name}` is not in the table");
        }
    }
}
