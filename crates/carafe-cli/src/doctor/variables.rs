//! Which environment variables are set that Carafe reads, and which look as if it did.

use std::env;
use std::path::Path;

use serde_json::json;

use super::{Finding, Status, Topic};
use crate::{environment, serve};

/// Looks at all that begin with `CARAFE_`, and at those that decide where things are fetched from.
pub(super) fn look() -> Topic {
    let service_links = environment::service_links();
    let own = environment::own_variables();
    let own = own.iter().map(|(name, value)| of_own(name, value, service_links.contains(name)));
    let others = environment::OTHERS.iter().filter(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let mut findings: Vec<_> = own.chain(others.map(|name| of_other(name))).collect();
    if findings.is_empty() {
        findings.push(Finding::new(Status::Good, "no variable of Carafe's is set"));
    }
    Topic::new("environment", "Environment", findings)
}

fn of_own(name: &str, value: &str, is_service_link: bool) -> Finding {
    let facts = json!({ "name": name, "value": value });
    if is_service_link {
        let text = format!("{name} was set by Kubernetes or docker for a service, and means nothing here");
        return Finding::new(Status::Note, text).with_facts(facts);
    }
    if !environment::is_known(name) {
        let finding = Finding::new(Status::Error, environment::unknown(name)).with_facts(facts);
        return finding.with_remedy("unset it, or correct its name; every command but this one refuses it");
    }
    let finding = Finding::new(Status::Note, format!("{name}={value}"));
    let keys = (name == environment::API_KEY_FILE).then(|| serve::api_keys(Path::new(value)));
    match keys {
        Some(Err(error)) => Finding::of_error(Status::Error, error.context(format!("{name}={value}")))
            .or_remedy("let it name a file with one API key a line, or unset it"),
        _ => finding,
    }
    .with_facts(facts)
}

/// Not with its value, which may be a secret.
fn of_other(name: &str) -> Finding {
    Finding::new(Status::Note, format!("{name} is set")).with_facts(json!({ "name": name }))
}
