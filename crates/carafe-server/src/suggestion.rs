//! What a client that asks at a wrong path was looking for.
//!
//! Clients join a base URL and a route, and the base URL is where people err: it lacks `/v1` or has
//! it twice, or names another API's way to a model (`/openai/deployments/tales/completions`).

/// Most segments of a path's end that are looked at; no route has more.
const MAX_SEGMENTS: usize = 3;

/// What to do about a path that is no route; `routes` are those there are, with parameters as
/// `{id}`.
pub(crate) fn advice(path: &str, routes: &[String]) -> String {
    match nearest(path, routes) {
        Some(route) => format!("`{route}` is near it: a client's base URL ends in `/v1`, and a route follows"),
        None => "`/openapi.json` lists what there is".to_owned(),
    }
}

/// The route that the end of the path names, the longest such end first.
fn nearest<'a>(path: &str, routes: &'a [String]) -> Option<&'a String> {
    let mut segments: Vec<&str> = path.rsplit('/').filter(|segment| !segment.is_empty()).take(MAX_SEGMENTS).collect();
    segments.reverse();
    let ends = (0..segments.len()).map(|start| segments[start..].join("/").to_ascii_lowercase());
    let mut candidates = ends.flat_map(|end| [format!("/v1/{end}"), format!("/{end}")]);
    candidates.find_map(|candidate| routes.iter().find(|route| matches(route, &candidate)))
}

/// Whether a route with parameters is this path.
fn matches(route: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    let are_alike = |(wanted, given): (&str, &str)| wanted.starts_with('{') || wanted == given;
    wanted.clone().count() == given.clone().count() && wanted.by_ref().zip(given.by_ref()).all(are_alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_base_url_is_answered_with_the_route_that_was_meant() {
        let routes = ["/v1/completions", "/v1/chat/completions", "/v1/models", "/v1/models/{id}", "/infer"];
        let routes = routes.map(str::to_owned);
        for (path, meant) in [
            ("/completions", Some("/v1/completions")),
            ("/models", Some("/v1/models")),
            ("/models/tales", Some("/v1/models/{id}")),
            ("/v1/v1/models", Some("/v1/models")),
            ("/V1/Completions", Some("/v1/completions")),
            ("/v1//completions", Some("/v1/completions")),
            ("/chat/completions", Some("/v1/chat/completions")),
            ("/openai/deployments/tales/completions", Some("/v1/completions")),
            ("/v1/infer", Some("/infer")),
            ("/v1/embeddings", None),
            ("/v1", None),
            ("/", None),
        ] {
            assert_eq!(nearest(path, &routes).map(String::as_str), meant, "{path}");
        }
        assert!(advice("/models", &routes).contains("`/v1/models`"));
        assert!(advice("/v1/embeddings", &routes).contains("/openapi.json"));
    }
}
