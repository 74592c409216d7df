//! `carafe models`: what models there are, what they are, whether their files and computations are
//! the certified ones, and how new ones come.

use std::path::{MAIN_SEPARATOR, Path};
use std::process::ExitCode;

use anyhow::Result;
use carafe_models::catalogue::Hidden;
use carafe_models::{Manifest, ModelFolder};
use serde_json::{Value, json};

use crate::arguments::{ModelDirectories, Models, ModelsCommand};
use crate::machine;
use crate::output::{self, mebibytes};

mod add;
mod added;
mod inspect;
mod leftovers;
mod licence;
mod name;
mod pull;
mod remove;
mod rerun;
mod show;
mod tools;
mod verify;

pub(crate) use licence::words as licence_words;
pub(crate) use pull::{Known, default_model, packages, place_of_default_model};
pub(crate) use tools::find_python;

/// Runs the command.
pub(crate) fn run(options: &Models) -> Result<ExitCode> {
    match &options.command {
        ModelsCommand::List { json, strict, directories } => list(directories, *json, *strict),
        ModelsCommand::Show { name, json, directories } => {
            show::run(&machine::catalogue(directories)?.find(name)?, *json)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Inspect { file, json } => {
            inspect::run(file, *json)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Add(options) => {
            add::run(options)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Pull(options) => {
            pull::run(options)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Remove { name, models, json } => {
            remove::run(name, models.as_deref(), *json)?;
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Verify(options) => {
            verify::run(&folder(&options.directories, &options.name)?, options)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The folder of a model, by its name or by its own path, which has a separator.
fn folder(directories: &ModelDirectories, name: &str) -> Result<ModelFolder> {
    if name.contains(MAIN_SEPARATOR) {
        return Ok(ModelFolder::open(Path::new(name))?);
    }
    Ok(machine::catalogue(directories)?.find(name)?)
}

/// Every model that can be found; one that cannot be read is shown with its error. The exit code
/// tells of no model at all or, if that is asked for, of any that cannot be read.
fn list(directories: &ModelDirectories, json: bool, strict: bool) -> Result<ExitCode> {
    let own = directories.models.clone().map_or_else(machine::user_model_directories, |directory| vec![directory]);
    own.iter().for_each(|directory| leftovers::clear(directory));
    let catalogue = machine::catalogue(directories)?;
    let (mut models, mut broken) = (Vec::new(), Vec::new());
    for (path, folder) in catalogue.list() {
        match folder {
            Ok(folder) => models.push(folder),
            Err(error) => broken.push((path, reason(error))),
        }
    }
    if json {
        let broken = broken.iter().map(|(path, error)| json!({ "path": path, "error": error }));
        output::json(&models.iter().map(list_entry).chain(broken).collect::<Vec<_>>())?;
    } else {
        models.iter().try_for_each(|folder| output::line(&list_line(folder)))?;
        broken.iter().for_each(|(_, error)| output::note(&format!("carafe: {error}")));
        for Hidden { path, by } in catalogue.hidden() {
            output::note(&format!(
                "`{}` is not used: `{}` has its name and comes before it",
                path.display(),
                by.display()
            ));
        }
        let directories: Vec<_> =
            catalogue.search_path().iter().map(|directory| directory.display().to_string()).collect();
        output::note(&format!("looked in {}", directories.join(", ")));
    }
    let fails = models.is_empty() || (strict && !broken.is_empty());
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// An error with its causes.
fn reason(error: carafe_models::Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn list_line(folder: &ModelFolder) -> String {
    let Manifest { name, task, description, .. } = folder.manifest();
    let (task, size, facts) = (task.name(), mebibytes(size(folder)), facts(folder.manifest()));
    format!("{name:<24} {task:<21} {size:>11}  {facts:<34} {description}")
}

/// What decides whether a model is the one to take: context, chat, licence.
fn facts(manifest: &Manifest) -> String {
    let context = manifest.text.as_ref().map(|text| format!("{} tokens", text.context_length));
    let chat = manifest.can_chat().then(|| "chat".to_owned());
    let licence = licence::words(&manifest.licence.spdx).to_owned();
    context.into_iter().chain(chat).chain([licence]).collect::<Vec<_>>().join(", ")
}

fn list_entry(folder: &ModelFolder) -> Value {
    let manifest = folder.manifest();
    json!({
        "name": manifest.name,
        "task": manifest.task.name(),
        "description": manifest.description,
        "size": size(folder),
        "context_length": manifest.text.as_ref().map(|text| text.context_length),
        "chat_template": manifest.can_chat(),
        "licence": manifest.licence.spdx,
        "path": folder.path(),
    })
}

/// Bytes of all files of a model.
fn size(folder: &ModelFolder) -> u64 {
    folder.manifest().files.all().map(|file| file.size).sum()
}
