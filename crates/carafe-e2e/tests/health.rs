//! `carafe health`: what it says of a server that is ready, of one that is not yet, and of none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use anyhow::{Context, Result};
use carafe_e2e::server::Server;
use carafe_e2e::{Ran, carafe};

/// Asks whoever is at a port, past a proxy that would not answer.
fn health(port: &str) -> Result<Ran> {
    let mut command = carafe(&["health"])?;
    Ok(Ran::new(&command.env("CARAFE_PORT", port).env("http_proxy", "http://127.0.0.1:9").output()?))
}

#[test]
fn a_server_that_is_ready_is_healthy() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let port = server.url().rsplit(':').next().context("an address ends in its port")?;
    let ran = health(port)?;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ready\n"), "{}", ran.err);
    let every = carafe(&["health", "--host", "0.0.0.0", "--port", port])?.output()?;
    assert!(every.status.success(), "an address that stands for every interface: {every:?}");
    Ok(())
}

#[test]
fn a_server_that_is_not_ready_yet_is_not_healthy() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let loading = thread::spawn(move || -> Result<()> {
        let (mut connection, _) = listener.accept()?;
        let _ = connection.read(&mut [0; 1024])?;
        let body = r#"{"error":{"message":"the models are still being loaded"}}"#;
        let head = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write_all(format!("{head}{body}").as_bytes())?;
        Ok(())
    });
    let ran = health(&port)?;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(1), "not ready: the models are still being loaded\n"),
        "{}",
        ran.err
    );
    loading.join().ok().context("the listener panicked")?
}

#[test]
fn where_nobody_answers_the_address_is_named() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let ran = health(&port.to_string())?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with(&format!("carafe: http://127.0.0.1:{port}/readyz does not answer")), "{}", ran.err);
    Ok(())
}
