//! `carafe doctor`: a machine on which all is well, and one thing broken at a time, each named with
//! what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use carafe_e2e::server::Server;
use carafe_e2e::{Ran, carafe, root, run};
use serde_json::Value;
use tempfile::TempDir;

/// What the doctor says with these flags and variables, and with what exit code.
fn examine(flags: &[&str], variables: &[(&str, &str)]) -> Result<(Value, Option<i32>)> {
    let port = free_port()?.to_string();
    let arguments = [&["doctor", "--json"], flags].concat();
    let mut command = carafe(&arguments)?;
    let ran = Ran::new(&command.env("CARAFE_PORT", port).envs(variables.iter().copied()).output()?);
    Ok((serde_json::from_str(&ran.out).with_context(|| ran.err.clone())?, ran.code))
}

/// A port that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The findings of one topic that are as grave as that.
fn findings<'a>(report: &'a Value, topic: &str, status: &str) -> Vec<&'a Value> {
    let topics = report["topics"].as_array().into_iter().flatten();
    let all = topics.filter(|entry| entry["topic"] == topic).flat_map(|entry| entry["findings"].as_array());
    all.flatten().filter(|finding| finding["status"] == status).collect()
}

/// The one thing that is that grave, in all of a report: its topic, what it says, and what to do.
fn only<'a>(report: &'a Value, status: &str) -> Result<(&'a str, &'a str, &'a str)> {
    let topics = report["topics"].as_array().context("topics")?;
    let names = topics.iter().filter_map(|entry| entry["topic"].as_str());
    let all: Vec<_> =
        names.flat_map(|name| findings(report, name, status).into_iter().map(move |finding| (name, finding))).collect();
    let [(name, finding)] = all[..] else { anyhow::bail!("expected one {status}, got {all:?}") };
    let text = |key: &str| finding[key].as_str().with_context(|| format!("no {key} in {finding}"));
    Ok((name, text("text")?, text("remedy")?))
}

#[test]
fn where_all_is_well_everything_is_said_and_nothing_is_wrong() -> Result<()> {
    let (report, code) = examine(&[], &[])?;
    assert_eq!((code, &report["serves"]), (Some(0), &Value::Bool(true)), "{report:#}");
    let facts = |topic: &str, key: &str| -> Vec<Value> {
        let all = ["good", "note"].into_iter().flat_map(|status| findings(&report, topic, status));
        all.map(|finding| finding[key].clone()).filter(|fact| !fact.is_null()).collect()
    };
    assert!(facts("openvino", "version")[0].as_str().is_some_and(|version| version.starts_with("20")), "{report:#}");
    assert_eq!(facts("openvino", "layer").len(), 1);
    assert!(!facts("processor", "name").is_empty() && !facts("processor", "profile").is_empty());
    assert!(facts("memory", "available_bytes")[0].as_u64() > Some(0));
    assert_eq!(facts("models", "model"), ["mobilenet-v2", "tales", "tiny"]);
    assert_eq!(facts("memory", "model"), ["tales", "tiny"], "models with a KV cache");
    assert!(facts("environment", "name").contains(&"CARAFE_MODELS".into()));
    assert_eq!(facts("address", "address").len(), 1);
    Ok(())
}

#[test]
fn people_read_it_line_by_line_with_the_result_last() -> Result<()> {
    let said = Ran::new(&carafe(&["doctor", "--quick"])?.env("CARAFE_PORT", free_port()?.to_string()).output()?);
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert!(said.out.starts_with(&format!("Carafe {}, built in `", env!("CARGO_PKG_VERSION"))), "{}", said.out);
    for title in ["OpenVINO", "Processor", "Memory", "Models", "Address", "Adding models", "Environment", "On the disk"]
    {
        assert!(said.out.lines().any(|line| line == title), "{title}: {}", said.out);
    }
    assert!(said.out.contains("\n  ✓ OpenVINO 20") && !said.out.contains('\x1b'), "{}", said.out);
    assert!(said.out.lines().last().is_some_and(|line| line.contains("`carafe serve` can serve")), "{}", said.out);
    Ok(())
}

#[test]
fn a_library_path_that_leads_nowhere_is_named() -> Result<()> {
    let (report, code) = examine(&["--quick"], &[("CARAFE_OPENVINO", "/nonexistent/libopenvino.so")])?;
    assert_eq!(code, Some(1));
    let (topic, text, remedy) = only(&report, "error")?;
    assert_eq!(topic, "openvino");
    assert!(text.contains("`/nonexistent/libopenvino.so`: does not exist"), "{text}");
    assert!(remedy.contains("set `CARAFE_OPENVINO`"), "{remedy}");
    Ok(())
}

/// A folder of models with a copy of the tiny one, and how to name it.
fn copy() -> Result<(TempDir, String)> {
    let place = TempDir::new()?;
    let (from, to) = (root().join("fixtures/models/tiny"), place.path().join("tiny"));
    fs::create_dir(&to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    let path = place.path().display().to_string();
    Ok((place, path))
}

#[test]
fn a_model_with_a_changed_byte_is_named_and_a_quick_look_passes_it_over() -> Result<()> {
    let (place, models) = copy()?;
    let weights = place.path().join("tiny/model.bin");
    let mut bytes = fs::read(&weights)?;
    bytes[1000] ^= 1;
    fs::write(weights, bytes)?;
    let (report, code) = examine(&["--models", &models], &[])?;
    assert_eq!(code, Some(1));
    let (topic, text, remedy) = only(&report, "error")?;
    assert!(topic == "models" && text.contains("tiny/model.bin` has SHA-256"), "{topic}: {text}");
    assert!(remedy.contains("`--again`") && remedy.contains("carafe models remove"), "{remedy}");
    assert_eq!(examine(&["--models", &models, "--quick"], &[])?.1, Some(0));
    assert_eq!(examine(&["--models", &models, "--model", "tales"], &[])?.1, Some(0), "it would not be served");
    Ok(())
}

#[test]
fn a_model_without_a_manifest_that_can_be_read_stops_a_server_only_if_it_is_named() -> Result<()> {
    let (place, models) = copy()?;
    fs::write(place.path().join("tiny/model.toml"), "format = 2")?;
    let (report, code) = examine(&["--quick", "--models", &models], &[])?;
    assert_eq!(code, Some(0));
    let (_, text, remedy) = only(&report, "warning")?;
    assert!(text.contains("tiny/model.toml` is not a valid manifest") && remedy.contains("passed over"), "{text}");
    let (report, code) = examine(&["--quick", "--models", &models], &[("CARAFE_MODEL", "tiny")])?;
    assert_eq!((code, only(&report, "error")?.0), (Some(1), "models"));
    Ok(())
}

#[test]
fn models_that_are_named_and_not_there_are_named() -> Result<()> {
    let (report, code) = examine(&["--quick"], &[("CARAFE_MODEL", "missing")])?;
    let (topic, text, remedy) = only(&report, "error")?;
    assert!(code == Some(1) && topic == "models" && text.contains("no model `missing`"), "{text}");
    assert!(remedy.contains("carafe models add"), "{remedy}");
    let (report, code) = examine(&["--quick"], &[("CARAFE_MODELS", "/nonexistent")])?;
    let (topic, text, _) = only(&report, "error")?;
    assert!(code == Some(1) && topic == "models", "{text}");
    assert!(text.contains("`CARAFE_MODELS` names `/nonexistent`, which does not exist"), "{text}");
    Ok(())
}

#[test]
fn a_port_in_use_is_named_unless_a_server_of_carafe_has_it() -> Result<()> {
    let other = TcpListener::bind("127.0.0.1:0")?;
    let port = other.local_addr()?.port().to_string();
    let (report, code) = examine(&["--quick", "--port", &port], &[])?;
    assert_eq!(code, Some(1));
    let (topic, text, remedy) = only(&report, "error")?;
    assert!(topic == "address" && text.ends_with(&format!(":{port} is in use by another program")), "{text}");
    assert!(remedy.contains("--port"), "{remedy}");

    let server = Server::start(&["--model", "tiny"])?;
    let port = server.url().rsplit(':').next().context("an address ends in its port")?;
    let (report, code) = examine(&["--quick", "--port", port], &[])?;
    assert_eq!(code, Some(0));
    assert!(findings(&report, "address", "note")[0]["text"].as_str().is_some_and(|text| text.contains("is ready")));
    Ok(())
}

#[test]
fn a_python_without_the_tools_is_named_and_stops_no_server() -> Result<()> {
    let (report, code) = examine(&["--quick"], &[("CARAFE_PYTHON", "/bin/false")])?;
    assert_eq!(code, Some(0));
    let (topic, text, remedy) = only(&report, "warning")?;
    assert!(topic == "adding" && text.contains("CARAFE_PYTHON is `/bin/false`"), "{text}");
    assert!(remedy.contains("serving needs no Python"), "{remedy}");
    Ok(())
}

#[test]
fn variables_that_are_mistyped_or_lead_nowhere_are_named() -> Result<()> {
    for (name, value, words) in [
        ("CARAFE_QEUE", "8", "`CARAFE_QEUE` is not known"),
        ("CARAFE_API_KEY_FILE", "/nonexistent", "failed to read `/nonexistent`"),
    ] {
        let (report, code) = examine(&["--quick"], &[(name, value)])?;
        let (topic, text, remedy) = only(&report, "error")?;
        assert!(code == Some(1) && topic == "environment" && text.contains(words), "{text}");
        assert!(remedy.contains("unset it"), "{remedy}");
    }
    let (report, code) = examine(&["--quick"], &[("CARAFE_SERVICE_HOST", "10.0.0.1"), ("HF_TOKEN", "hf_secret")])?;
    assert_eq!(code, Some(0));
    assert!(!report.to_string().contains("hf_secret"));
    Ok(())
}

/// An installation whose program finds no model, no tools, and what of OpenVINO it is given.
fn installation(with_openvino: bool, with_layer: bool) -> Result<TempDir> {
    let prefix = TempDir::new()?;
    for folder in ["bin", "lib/carafe", "share/carafe/models"] {
        fs::create_dir_all(prefix.path().join(folder))?;
    }
    fs::copy(carafe(&["doctor"])?.get_program(), prefix.path().join("bin/carafe"))?;
    let layer = "libcarafe_openvino.so";
    let library = carafe_e2e::runtime()?.library_path().to_owned();
    if with_openvino {
        symlink(library.parent().context("a file in a folder")?, prefix.path().join("lib/carafe/libs"))?;
    }
    if with_layer {
        let built = root().join("crates/carafe-openvino/native/built").join(layer);
        symlink(built, prefix.path().join("lib/carafe").join(layer))?;
    }
    Ok(prefix)
}

/// What the doctor of an installation says, with nothing else in its environment.
fn examine_installed(prefix: &Path) -> Result<(Value, Option<i32>)> {
    let mut doctor = std::process::Command::new(prefix.join("bin/carafe"));
    let port = free_port()?.to_string();
    let ran = Ran::new(&doctor.args(["doctor", "--json", "--port", &port]).env_clear().env("HOME", prefix).output()?);
    Ok((serde_json::from_str(&ran.out).with_context(|| ran.err.clone())?, ran.code))
}

#[test]
fn an_installation_without_a_model_is_told_how_to_get_one() -> Result<()> {
    let (report, code) = examine_installed(installation(true, true)?.path())?;
    assert_eq!(code, Some(1));
    let (topic, text, remedy) = only(&report, "error")?;
    assert!(topic == "models" && text.starts_with("there is no model to serve"), "{text}");
    assert!(remedy.contains("`carafe serve --yes`") && remedy.contains("`carafe models pull smollm2`"), "{remedy}");
    let (topic, text, _) = only(&report, "warning")?;
    assert!(topic == "adding" && text.starts_with("no Python with carafe_tools"), "{text}");
    Ok(())
}

#[test]
fn an_installation_without_the_native_layer_or_without_openvino_is_told_which() -> Result<()> {
    for (with_openvino, with_layer, words) in
        [(true, false, "the native layer of Carafe was not found"), (false, true, "no OpenVINO library found")]
    {
        let (report, code) = examine_installed(installation(with_openvino, with_layer)?.path())?;
        let errors = findings(&report, "openvino", "error");
        assert!(code == Some(1) && errors.len() == 1, "{report:#}");
        assert!(errors[0]["text"].as_str().is_some_and(|text| text.contains(words)), "{report:#}");
        assert!(errors[0]["remedy"].is_string(), "{report:#}");
    }
    Ok(())
}

#[test]
fn its_help_says_what_the_exit_code_tells() -> Result<()> {
    let help = run(&["doctor", "--help"])?;
    assert!(help.out.contains("The exit code is 1 if something is wrong"), "{}", help.out);
    Ok(())
}
