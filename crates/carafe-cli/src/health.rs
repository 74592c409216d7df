//! `carafe health`: whether a server on this machine is ready, for a supervisor that has no
//! other client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use ureq::Body;
use ureq::http::Response;

use crate::{arguments, output};

const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What answers at an address.
pub(crate) enum Health {
    /// A server of Carafe that is ready.
    Ready,
    /// One that is not, and why.
    NotReady(String),
    /// Something else, or nothing, in words.
    Other(String),
}

/// Runs the command.
pub(crate) fn run(options: &arguments::Health) -> Result<ExitCode> {
    match ask(options.host, options.port) {
        Health::Ready => {
            output::line("ready")?;
            return Ok(ExitCode::SUCCESS);
        }
        Health::NotReady(reason) => output::line(&format!("not ready: {reason}"))?,
        Health::Other(reason) => output::note(&format!("carafe: {reason}")),
    }
    Ok(ExitCode::FAILURE)
}

/// Asks whoever listens there.
pub(crate) fn ask(host: IpAddr, port: u16) -> Health {
    let url = format!("http://{}/readyz", SocketAddr::new(reachable(host), port));
    // No proxy: the environment may name one that cannot reach this machine.
    let agent = ureq::Agent::config_builder().timeout_global(Some(ANSWERS_WITHIN)).proxy(None);
    let agent: ureq::Agent = agent.http_status_as_error(false).build().into();
    let other = |what: String| Health::Other(format!("{url} does not answer as a server of Carafe: {what}"));
    match agent.get(&url).call() {
        Ok(response) if response.status() == 503 => Health::NotReady(reason(response)),
        Ok(response) if response.status() == 200 => Health::Ready,
        Ok(response) => other(format!("it says {}", response.status())),
        Err(error) => other(error.to_string()),
    }
}

/// Why a server is not ready, in its own words.
fn reason(response: Response<Body>) -> String {
    let body = response.into_body().read_to_string().unwrap_or_default();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    body["error"]["message"].as_str().unwrap_or("it does not say why").to_owned()
}

/// What listens on every interface listens on the loopback one.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    }
}
