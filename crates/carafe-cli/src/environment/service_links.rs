//! Variables that Kubernetes and docker set for a service, not for Carafe.
//!
//! For every service of a namespace Kubernetes sets variables that begin with the service's name in
//! capitals ("service links"), and docker sets much the same for a container that is linked. Next
//! to a service named `carafe`, or `carafe-models`, they look like ours, and one collides:
//! `CARAFE_PORT`, whose value is an address there. This module knows their names and reads no
//! environment.

/// Ends of the names that docker gives to an endpoint, `PREFIX_PORT_3000_TCP` itself first.
const ENDPOINT_ENDS: [&str; 8] = ["", "_PROTO", "_PORT", "_ADDR", "_START", "_END", "_PORT_START", "_PORT_END"];

/// Transport protocols, as a value begins with them; in capitals they are part of names.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// The names, sorted, of those variables that were set for a service; all of them begin with
/// `CARAFE_`.
pub(super) fn service_links(variables: &[(String, String)]) -> Vec<String> {
    let links = variables.iter().filter(|(name, value)| {
        let is_port = name.ends_with("_PORT") && is_address(value);
        is_service(name) || is_endpoint(name) || is_port || is_link(name, value) || is_of_linked(name, variables)
    });
    let mut names: Vec<String> = links.map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}

/// Kubernetes' own: `CARAFE_SERVICE_HOST`, `CARAFE_SERVICE_PORT`, and `CARAFE_SERVICE_PORT_HTTP`
/// for a port that has a name.
fn is_service(name: &str) -> bool {
    let port = name.split_once("_SERVICE_PORT").is_some_and(|(_, end)| end.is_empty() || end.starts_with('_'));
    port || name.ends_with("_SERVICE_HOST")
}

/// Docker's, which Kubernetes sets as well: `CARAFE_PORT_3000_TCP` and what follows it.
fn is_endpoint(name: &str) -> bool {
    // A service's name may itself hold `PORT`: `CARAFE_PORT_API_PORT_3000_TCP`.
    name.match_indices("_PORT_").any(|(at, before)| {
        let number = name[at + before.len()..].trim_start_matches(|digit: char| digit.is_ascii_digit());
        let has_number = number.len() < name.len() - at - before.len();
        has_number && PROTOCOLS.iter().any(|protocol| is_end_after(number, protocol))
    })
}

/// Whether a text is `_TCP`, with one of the ends.
fn is_end_after(text: &str, protocol: &str) -> bool {
    let end = text.strip_prefix('_').and_then(|text| text.strip_prefix(&*protocol.to_ascii_uppercase()));
    end.is_some_and(|end| ENDPOINT_ENDS.contains(&end))
}

/// The value of `CARAFE_PORT` for a service: `tcp://10.0.0.11:3000`.
fn is_address(value: &str) -> bool {
    value.split_once("://").is_some_and(|(protocol, _)| PROTOCOLS.contains(&protocol))
}

/// The name of a linked container, `CARAFE_NAME=/client/carafe`.
fn is_link(name: &str, value: &str) -> bool {
    name == "CARAFE_NAME" || (name.ends_with("_NAME") && value.starts_with('/'))
}

/// A variable of a linked container itself, `CARAFE_ENV_PATH`. Behind a longer name there must be a
/// link of that name.
fn is_of_linked(name: &str, variables: &[(String, String)]) -> bool {
    let Some((service, _)) = name.split_once("_ENV_") else { return false };
    let link = format!("{service}_NAME");
    service == "CARAFE" || variables.iter().any(|(name, value)| *name == link && is_link(name, value))
}

#[cfg(test)]
mod tests {
    use super::service_links;

    fn is_service_link(name: &str, value: &str) -> bool {
        let (own, link) =
            ((name.to_owned(), value.to_owned()), ("CARAFE_LOGS_NAME".to_owned(), "/client/logs".to_owned()));
        service_links(&[link, own]).contains(&name.to_owned())
    }

    #[test]
    fn what_kubernetes_and_docker_set_is_known_by_name_or_value() {
        for (name, value) in [
            ("CARAFE_PORT", "tcp://10.0.0.11:3000"),
            ("CARAFE_PORT", "udp://10.0.0.11:53"),
            ("CARAFE_SERVICE_HOST", "10.0.0.11"),
            ("CARAFE_SERVICE_PORT", "3000"),
            ("CARAFE_SERVICE_PORT_HTTP", "3000"),
            ("CARAFE_PORT_3000_TCP", "tcp://10.0.0.11:3000"),
            ("CARAFE_PORT_3000_TCP_PROTO", "tcp"),
            ("CARAFE_PORT_3000_TCP_PORT", "3000"),
            ("CARAFE_PORT_3000_TCP_ADDR", "10.0.0.11"),
            ("CARAFE_PORT_3000_TCP_PORT_START", "3000"),
            ("CARAFE_NAME", "/client/carafe"),
            ("CARAFE_ENV_PATH", "/usr/bin"),
            ("CARAFE_LOGS_ENV_PATH", "/usr/bin"),
            ("CARAFE_MODELS_SERVICE_HOST", "10.0.0.12"),
            ("CARAFE_MODELS_PORT", "tcp://10.0.0.12:80"),
            ("CARAFE_PORT_API_PORT_80_SCTP_ADDR", "10.0.0.12"),
            ("CARAFE_MODELS_NAME", "/client/carafe-models"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_means_carafe_or_is_mistyped_is_no_service_link() {
        for (name, value) in [
            ("CARAFE_PORT", "8080"),
            ("CARAFE_PORT", "http://127.0.0.1"),
            ("CARAFE_PORTS", "tcp://10.0.0.11:3000"),
            ("CARAFE_PORT_3000", "tcp://10.0.0.11:3000"),
            ("CARAFE_PORT__TCP", "tcp://10.0.0.11:3000"),
            ("CARAFE_PORT_3000_TCP_COLOUR", "red"),
            ("CARAFE_SERVICE_PORTS", "3000"),
            ("CARAFE_SERVICE", "3000"),
            ("CARAFE_MODEL_NAME", "tales"),
            ("CARAFE_MODEL_ENV_PATH", "/usr/bin"),
            ("CARAFE_QEUE", "8"),
            ("CARAFE_HOST", "10.0.0.11"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
