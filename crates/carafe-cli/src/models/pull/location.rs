//! Where a redirect leads: the `Location` of an answer, resolved against the address that was asked
//! for (RFC 3986, section 5).
//!
//! Only `http` and `https` addresses without user names come out, and never `http` where `https`
//! was asked for.

use ureq::http::Uri;

/// The address that `location` names, seen from `base`; an error is the reason in words.
pub(super) fn resolve(base: &Uri, location: &str) -> Result<Uri, String> {
    let text = absolute(base, location)?;
    let unusable = |why: &str| format!("redirects to {location:?}, {why}");
    let uri: Uri = text.parse().map_err(|_| unusable("which is no address"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(unusable("which names no host"));
    };
    match (base.scheme_str(), scheme) {
        (Some("https"), "http") => {
            return Err(unusable("from `https` to `http`, where anyone on the way could change the file"));
        }
        (_, "http" | "https") => {}
        _ => return Err(unusable("which is neither `http` nor `https`")),
    }
    if authority.as_str().contains('@') {
        return Err(unusable("which holds a user's name"));
    }
    Ok(uri)
}

/// Whether both are served by the same host under the same scheme and port, so that one may see
/// what is meant for the other.
pub(super) fn is_same_origin(left: &Uri, right: &Uri) -> bool {
    origin(left) == origin(right)
}

fn origin(uri: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
    let default = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().or(default))
}

fn absolute(base: &Uri, location: &str) -> Result<String, String> {
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() {
        return Err("redirects with an empty `Location`".to_owned());
    }
    if has_scheme(location) {
        return Ok(location.to_owned());
    }
    let scheme = base.scheme_str().ok_or("was asked for by an address without a scheme")?;
    if location.starts_with("//") {
        return Ok(format!("{scheme}:{location}"));
    }
    let authority = base.authority().map_or("", |authority| authority.as_str());
    Ok(format!("{scheme}://{authority}{}", absolute_path(base.path(), location)))
}

fn absolute_path(base: &str, location: &str) -> String {
    if location.starts_with('?') {
        return format!("{base}{location}");
    }
    if location.starts_with('/') {
        return without_dots(location);
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    without_dots(&format!("{folder}/{location}"))
}

fn has_scheme(location: &str) -> bool {
    let (scheme, rest) = location.split_once(':').unwrap_or_default();
    !rest.is_empty()
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A path whose `.` and `..` are taken out; the query stays as it is.
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = path_and_query.split_at(path_and_query.find('?').unwrap_or(path_and_query.len()));
    let mut kept = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            ".." => drop(kept.pop()),
            "." => {}
            part => kept.push(part),
        }
        if is_last && matches!(part, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_base(location: &str) -> Result<String, String> {
        let base = "https://hub.example/a/b/c?d=e".parse().map_err(|error| format!("{error}"))?;
        resolve(&base, location).map(|uri| uri.to_string())
    }

    #[test]
    fn a_location_of_every_form_is_resolved_as_rfc_3986_says() {
        let cases = [
            ("https://other.example/x", "https://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x/../y", "https://hub.example/y"),
            ("x", "https://hub.example/a/b/x"),
            ("./x?y=z#part", "https://hub.example/a/b/x?y=z"),
            ("../x", "https://hub.example/a/x"),
            ("../../../../x", "https://hub.example/x"),
            ("..", "https://hub.example/a/"),
            ("?y=z", "https://hub.example/a/b/c?y=z"),
        ];
        for (location, expected) in &cases {
            assert_eq!(from_base(location).as_deref(), Ok(*expected), "{location}");
        }
    }

    #[test]
    fn a_location_that_leads_nowhere_safe_is_refused_in_words() {
        for (location, why) in [
            ("", "empty"),
            ("http://hub.example/a", "from `https` to `http`"),
            ("ftp://hub.example/a", "neither `http` nor `https`"),
            ("file:///etc/passwd", ""),
            ("https://user:secret@hub.example/", "user's name"),
            ("/with a space", "no address"),
        ] {
            let error = from_base(location).expect_err(location);
            assert!(error.contains(why), "{location}: {error}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() -> Result<(), Box<dyn std::error::Error>> {
        let uri = |text: &str| text.parse::<Uri>();
        assert!(is_same_origin(&uri("https://Hub.example/a")?, &uri("https://hub.example:443/b")?));
        for other in ["http://hub.example/a", "https://hub.example:444/a", "https://cdn.hub.example/a"] {
            assert!(!is_same_origin(&uri("https://hub.example/a")?, &uri(other)?), "{other}");
        }
        Ok(())
    }
}
