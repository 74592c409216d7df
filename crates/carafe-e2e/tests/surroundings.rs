//! What `carafe` makes of variables and processors that it did not ask for.

use anyhow::{Context, Result};
use carafe_e2e::server::{Server, wait};
use carafe_e2e::{Ran, carafe};
use serde_json::{Value, json};

/// What Kubernetes sets in every pod of a namespace with a service `carafe` and another
/// `carafe-models`.
const SERVICE_LINKS: [(&str, &str); 11] = [
    ("CARAFE_PORT", "tcp://10.96.0.11:3000"),
    ("CARAFE_PORT_3000_TCP", "tcp://10.96.0.11:3000"),
    ("CARAFE_PORT_3000_TCP_ADDR", "10.96.0.11"),
    ("CARAFE_PORT_3000_TCP_PORT", "3000"),
    ("CARAFE_PORT_3000_TCP_PROTO", "tcp"),
    ("CARAFE_SERVICE_HOST", "10.96.0.11"),
    ("CARAFE_SERVICE_PORT", "3000"),
    ("CARAFE_SERVICE_PORT_HTTP", "3000"),
    ("CARAFE_MODELS_PORT", "tcp://10.96.0.12:80"),
    ("CARAFE_MODELS_SERVICE_HOST", "10.96.0.12"),
    ("CARAFE_MODELS_SERVICE_PORT", "80"),
];

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Ran> {
    Ok(Ran::new(&carafe(arguments)?.envs(variables.iter().copied()).output()?))
}

#[test]
fn every_command_passes_over_what_kubernetes_sets_and_names_it_in_one_warning() -> Result<()> {
    let server = Server::start(&["--model", "tiny"])?;
    let port = server.url().rsplit(':').next().context("an address ends in its port")?;
    let tokenize = ["tokenize", "--model", "tiny", "a"];
    let health = ["health", "--port", port];
    for arguments in
        [&["serve", "--print-config"][..], &health, &["models", "list"], &tokenize, &["completions", "bash"]]
    {
        let ran = run(arguments, &SERVICE_LINKS)?;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.err);
        let warnings: Vec<_> = ran.err.lines().filter(|line| line.contains("Kubernetes")).collect();
        assert_eq!(warnings.len(), 1, "{arguments:?}: {}", ran.err);
        for (name, _) in SERVICE_LINKS {
            assert!(warnings[0].contains(name), "{arguments:?}: `{name}` in {}", ran.err);
        }
        let mistyped = run(arguments, &[("CARAFE_QEUE", "8")])?;
        assert!(mistyped.code == Some(1) && mistyped.err.contains("`CARAFE_QEUE` is not known"), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn an_address_is_no_port_and_a_port_is_one() -> Result<()> {
    let port = |value: &str, flags: &[&str]| -> Result<Value> {
        let arguments = [&["serve", "--print-config"], flags].concat();
        Ok(run(&arguments, &[("CARAFE_PORT", value)])?.json()?["port"].clone())
    };
    assert_eq!(port("tcp://10.96.0.11:3000", &[])?, json!(3000), "the default");
    assert_eq!(port("tcp://10.96.0.11:3000", &["--port", "81"])?, json!(81));
    assert_eq!(port("8080", &[])?, json!(8080));
    let refused = run(&["serve", "--print-config"], &[("CARAFE_PORT", "http://127.0.0.1:8080")])?;
    assert!(refused.code == Some(2) && refused.err.contains("--port"), "{}", refused.err);
    Ok(())
}

#[test]
fn threads_are_pinned_as_the_flag_says_and_the_log_says_why() -> Result<()> {
    for (flag, words) in
        [("on", "threads are pinned to processors, as"), ("off", "threads are not pinned to processors")]
    {
        let server = Server::start(&["--model", "tiny", "--cpu-pinning", flag])?;
        let resolved = if flag == "on" { " threads, pinned)" } else { " threads, not pinned)" };
        for words in [words, resolved] {
            wait("the line in the log", || Ok(server.log().iter().any(|line| line.contains(words))))?;
        }
    }
    let on = run(&["serve", "--print-config"], &[("CARAFE_CPU_PINNING", "on")])?;
    assert_eq!(on.json()?["cpu_pinning"], json!(true));
    Ok(())
}

#[test]
fn every_command_refuses_more_threads_than_there_are_by_the_option_s_name() -> Result<()> {
    for threads in ["65536", "4294967295"] {
        let generate = ["generate", "--model", "tiny", "--prompt", "a", "--threads", threads];
        let bench = ["bench", "--model", "tiny", "--threads", threads];
        let serve = ["serve", "--model", "tiny", "--port", "0", "--threads", threads];
        for arguments in [&generate[..], &bench, &serve] {
            let refused = run(arguments, &[])?;
            assert_eq!(refused.code, Some(1), "{arguments:?}: {}", refused.err);
            assert!(refused.err.contains("`--threads` must be 1 to "), "{arguments:?}: {}", refused.err);
            assert!(refused.err.contains(&format!("got {threads}")), "{arguments:?}: {}", refused.err);
        }
    }
    Ok(())
}
