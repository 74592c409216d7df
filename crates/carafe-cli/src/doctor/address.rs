//! Whether the server could listen where it is told to.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

use serde_json::json;

use super::{Finding, Status, Topic};
use crate::health::{self, Health};

/// Looks whether anybody listens there, and if so, who.
pub(super) fn look(host: IpAddr, port: u16) -> Topic {
    let address = SocketAddr::new(host, port);
    let finding = match TcpListener::bind(address) {
        Ok(_) => Finding::new(Status::Good, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => in_use(address),
        Err(error) => of_refusal(address, &error),
    };
    Topic::new("address", "Address", vec![finding.with_facts(json!({ "address": address }))])
}

/// A server of Carafe that runs there already is what most people want.
fn in_use(address: SocketAddr) -> Finding {
    let another = format!("a second `carafe serve` wants another port: `--port {}`", next(address.port()));
    match health::ask(address.ip(), address.port()) {
        Health::Ready => {
            Finding::new(Status::Note, format!("a server of Carafe runs at http://{address} and is ready"))
                .with_remedy(another)
        }
        Health::NotReady(reason) => {
            let text = format!("a server of Carafe runs at http://{address} and is not ready: {reason}");
            Finding::new(Status::Note, text).with_remedy(another)
        }
        Health::Other(_) => Finding::new(Status::Error, format!("{address} is in use by another program"))
            .with_remedy(format!("choose another port, `--port {}` say, or end that program", next(address.port()))),
    }
}

fn next(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(port - 1)
}

fn of_refusal(address: SocketAddr, error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "ports below 1024 want a permission; choose one above by `--port`",
        ErrorKind::AddrNotAvailable => "this machine has no such address; `--host` names another",
        _ => "`--host` and `--port` choose another address",
    };
    Finding::new(Status::Error, format!("nobody can listen on {address}: {error}")).with_remedy(remedy)
}
