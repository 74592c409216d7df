//! `carafe health`: whether a server on this machine is ready, for whoever watches it and has no other client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::arguments::Health;
use crate::output;

const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Runs the command.
pub(crate) fn run(options: &Health) -> Result<ExitCode> {
    let url = format!("http://{}/readyz", SocketAddr::new(reachable(options.host), options.port));
    // No proxy: the environment may name one that cannot reach this machine.
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(ANSWERS_WITHIN)).proxy(None).build().into();
    match agent.get(&url).call() {
        Ok(_) => {
            output::line("ready")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ureq::Error::StatusCode(503)) => {
            output::line("not ready: models are being loaded")?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            output::note(&format!("carafe: {url} does not answer as a server of Carafe: {error}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What listens on every interface listens on the loopback one.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    }
}
