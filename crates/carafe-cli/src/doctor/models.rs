//! Which models there are, whether their files are the certified ones, and which of them would be
//! served.
//!
//! A model that would be served and is not what its manifest says is an error; one that would be
//! passed over is not.

use std::path::Path;

use anyhow::Result;
use carafe_models::catalogue::Hidden;
use carafe_models::{Catalogue, Error, ModelFolder};
use serde_json::json;

use super::openvino::short;
use super::{Finding, Status, Topic};
use crate::arguments::Doctor;
use crate::models::licence_words;
use crate::output::{self, mebibytes};

/// Looks, and returns the models that would be served as well.
pub(super) fn look(options: &Doctor, openvino: Option<&str>) -> (Topic, Vec<ModelFolder>) {
    let (findings, served) = match Catalogue::open(&options.running.directories.all()) {
        Ok(catalogue) => of_catalogue(options, &catalogue, openvino),
        Err(error) => (vec![Finding::of_error(Status::Error, error).or_remedy(NAME_ANOTHER)], Vec::new()),
    };
    (Topic::new("models", "Models", findings), served)
}

const NAME_ANOTHER: &str = "make the folder, or name another one";
const PASSED_OVER: &str = "remove it or make it anew; it is passed over until then";
const MAKE_ANEW: &str =
    "make it anew, with `--again` of `carafe models add` or `pull`, or remove it with `carafe models remove`";

fn of_catalogue(options: &Doctor, catalogue: &Catalogue, openvino: Option<&str>) -> (Vec<Finding>, Vec<ModelFolder>) {
    let (mut findings, mut served) = (Vec::new(), Vec::new());
    for (path, folder) in catalogue.list() {
        let is_served = options.model.is_empty() || is_named(options, &path);
        match folder {
            Ok(folder) => {
                findings.push(of_model(&folder, is_served, options.quick, openvino));
                served.extend(is_served.then_some(folder));
            }
            // Without names it is passed over, as the server does.
            Err(error) => findings.push(of_broken(error, is_served && !options.model.is_empty())),
        }
    }
    findings.extend(missing(options, catalogue));
    findings.extend(catalogue.hidden().iter().map(of_hidden));
    findings.extend(catalogue.warnings().iter().map(|warning| Finding::new(Status::Warning, warning.as_str())));
    findings.extend(lacking(options, catalogue, &served));
    (findings, served)
}

fn is_named(options: &Doctor, path: &Path) -> bool {
    path.file_name().is_some_and(|name| options.model.iter().any(|wanted| name == wanted.as_str()))
}

/// A model whose manifest can be read, with its files and its certificate.
fn of_model(folder: &ModelFolder, is_served: bool, quick: bool, openvino: Option<&str>) -> Finding {
    let manifest = folder.manifest();
    let name = &manifest.name;
    let chat = if manifest.can_chat() { ", holds conversations" } else { "" };
    let size = mebibytes(manifest.files.all().map(|file| file.size).sum());
    let about = format!("{name}: {}{chat}, {size}, {}", manifest.task.name(), licence_words(&manifest.licence.spdx));
    let facts = json!({ "model": name, "path": folder.path(), "served": is_served });
    match state(folder, quick, openvino) {
        Ok((status, certificate)) => Finding::new(status, format!("{about}; {certificate}")),
        Err(error) => {
            let status = if is_served { Status::Error } else { Status::Warning };
            Finding::of_error(status, error.context(format!("{name} is not what its manifest says")))
                .or_remedy(MAKE_ANEW)
        }
    }
    .with_facts(facts)
}

/// What the certificate of a model says, if its files are those of the manifest.
fn state(folder: &ModelFolder, quick: bool, openvino: Option<&str>) -> Result<(Status, String)> {
    if quick {
        folder.check_sizes()?;
    } else {
        output::passing_note(&format!("checking the files of {} …", folder.manifest().name));
        let verified = folder.verify();
        output::passing_note("");
        verified?;
    }
    let certificate = folder.certificate()?;
    let of = short(&certificate.openvino);
    Ok(match (certificate.passed, openvino) {
        (false, _) => (Status::Warning, "its certificate was NOT passed".to_owned()),
        (true, Some(running)) if short(running) != of => {
            let name = &folder.manifest().name;
            (
                Status::Note,
                format!("certified with OpenVINO {of}; `carafe models verify {name} --run` compares with this one"),
            )
        }
        (true, _) => (Status::Good, format!("certified with OpenVINO {of}")),
    })
}

fn of_broken(error: Error, is_named: bool) -> Finding {
    let (status, remedy) = if is_named { (Status::Error, MAKE_ANEW) } else { (Status::Warning, PASSED_OVER) };
    Finding::of_error(status, error).or_remedy(remedy)
}

fn of_hidden(hidden: &Hidden) -> Finding {
    let Hidden { path, by } = hidden;
    let text = format!("`{}` is not used: `{}` has its name and comes before it", path.display(), by.display());
    Finding::new(Status::Note, text)
}

/// Models that were named and are not there.
fn missing(options: &Doctor, catalogue: &Catalogue) -> Vec<Finding> {
    let find = |name: &String| match catalogue.find(name) {
        Err(error @ Error::UnknownModel { .. }) => Some(Finding::of_error(Status::Error, error)),
        _ => None,
    };
    let remedy = "name one of those that there are, or get it with `carafe models add` or `pull`";
    options.model.iter().filter_map(find).map(|finding| finding.with_remedy(remedy)).collect()
}

/// That there is nothing to serve, or nothing to talk to.
fn lacking(options: &Doctor, catalogue: &Catalogue, served: &[ModelFolder]) -> Option<Finding> {
    let fetch = "`carafe serve --yes` fetches the default model, SmolLM2-135M-Instruct, before it serves, and `carafe models pull \
                 smollm2` without serving; `carafe models add FILE` makes a model of a file or folder of yours";
    if served.is_empty() && options.model.is_empty() {
        let folders: Vec<_> = catalogue.search_path().iter().map(|folder| format!("`{}`", folder.display())).collect();
        let text = format!("there is no model to serve; these folders were searched: {}", folders.join(", "));
        return Some(Finding::new(Status::Error, text).with_remedy(fetch));
    }
    let lacks_chat = options.model.is_empty() && !served.iter().any(|folder| folder.manifest().can_chat());
    lacks_chat.then(|| Finding::new(Status::Note, "none of these models holds conversations").with_remedy(fetch))
}
