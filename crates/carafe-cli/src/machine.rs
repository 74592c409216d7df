//! Finding models and OpenVINO on this machine, and loading them; what the process has used of it.

use std::env;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use carafe_host::{DecoderLimits, KvCacheSize, Limits, LoadedGraph};
use carafe_models::{Catalogue, ModelDirectory, ModelFolder, Task};
use carafe_openvino::{Options, Runtime, Search};
use serde_json::{Value, json};

use crate::arguments::{ModelDirectories, Running};
use crate::bytes::Bytes;
use crate::environment;
use crate::pinning::Pinning;
use crate::resources::{Resources, status_line};

/// The source tree that this binary was built from; its models and `.venv` serve a binary that is
/// not installed.
const SOURCE_TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What an installation has, from the folder that its `bin` lies in; `cargo xtask install` puts it
/// there.
const INSTALLED_MODELS: &str = "share/carafe/models";
const INSTALLED_LIBRARIES: &str = "lib/carafe";
/// Where the native layer is that is built with the source tree.
const BUILT_LAYER: &str = "crates/carafe-openvino/native/built";
/// Where models are in the user's data folder, and in the user's cache.
const MODELS_OF_A_USER: &str = "carafe/models";
const INSTALLED_PYTHON: &str = "lib/carafe/tools/bin/python";

/// Directories of models that are not named by the user: the user's own, then the bundled ones.
pub(crate) fn installed_model_directories() -> Vec<PathBuf> {
    let bundled = installed_or_built(INSTALLED_MODELS, "models");
    let mut directories: Vec<PathBuf> = user_model_directories().into_iter().chain([bundled]).collect();
    // One directory where the installation is the user's own.
    directories.dedup();
    directories
}

/// Where `models add` and `models pull` put models.
pub(crate) fn user_model_directory() -> Option<PathBuf> {
    environment::data_folder().map(|folder| folder.join(MODELS_OF_A_USER))
}

/// Where models of this user are: those that were added, then those that `cargo xtask serve` keeps
/// in the cache, from which they can be made again.
pub(crate) fn user_model_directories() -> Vec<PathBuf> {
    let cached = environment::cache_folder().map(|folder| folder.join(MODELS_OF_A_USER));
    user_model_directory().into_iter().chain(cached).collect()
}

/// Pythons that may have the conversion tools.
pub(crate) fn installed_pythons() -> Vec<PathBuf> {
    vec![installed_or_built(INSTALLED_PYTHON, ".venv/bin/python"), PathBuf::from("python3")]
}

/// Loads the native library from where it is.
pub(crate) fn runtime() -> Result<Runtime> {
    let folders = vec![installed_or_built(INSTALLED_LIBRARIES, ".venv")];
    let layers = vec![installed_or_built(INSTALLED_LIBRARIES, BUILT_LAYER)];
    Ok(Runtime::load(&Search { explicit: environment::openvino(), folders, layers })?)
}

/// The catalogue of all directories; what cannot be used as it was meant goes to the log.
pub(crate) fn catalogue(directories: &ModelDirectories) -> Result<Catalogue> {
    let catalogue = Catalogue::open(&directories.all())?;
    catalogue.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(catalogue)
}

/// A model's folder, if the model does this task.
pub(crate) fn find(directories: &ModelDirectories, name: &str, task: Task) -> Result<ModelFolder> {
    let folder = catalogue(directories)?.find(name)?;
    folder.expect_task(task)?;
    Ok(folder)
}

/// Puts models with a chat template before the others, which stay in the order of their names:
/// where nobody names a model, these are what most people want.
pub(crate) fn chat_models_first(folders: &mut [ModelFolder]) {
    folders.sort_by_key(|folder| !folder.manifest().can_chat());
}

/// A model, compiled and warm, and the OpenVINO that runs it.
pub(crate) struct Loaded {
    pub(crate) runtime: Runtime,
    pub(crate) model: LoadedGraph,
}

/// Loads a model as the flags say.
pub(crate) fn load(running: &Running, name: &str, task: Task) -> Result<Loaded> {
    let folder = find(&running.directories, name, task)?;
    let runtime = runtime()?;
    let limits = running.decoder_limits(&folder, running.guest_memory << 20);
    let model = load_folder(&runtime, folder, &running.options(), &limits)?;
    Ok(Loaded { runtime, model })
}

/// Compiles a model's graph and lets it compute once.
pub(crate) fn load_folder(
    runtime: &Runtime,
    folder: ModelFolder,
    options: &Options,
    limits: &DecoderLimits,
) -> Result<LoadedGraph> {
    let name = folder.manifest().name.clone();
    LoadedGraph::load(runtime, folder, options, limits)
        .and_then(|model| model.warm_up().map(|()| model))
        .with_context(|| format!("failed to load model `{name}`"))
}

impl ModelDirectories {
    /// All directories, first to last.
    pub(crate) fn all(&self) -> Vec<ModelDirectory> {
        let flag = self.models.iter().map(|path| ModelDirectory::named(path.clone(), "`--models`"));
        let variable = environment::model_directories().into_iter();
        let variable = variable.map(|path| ModelDirectory::named(path, "`CARAFE_MODELS`"));
        let usual = installed_model_directories().into_iter().map(ModelDirectory::usual);
        flag.chain(variable).chain(usual).collect()
    }
}

impl Running {
    /// How graphs are compiled, as the flags say.
    pub(crate) fn options(&self) -> Options {
        Options {
            profile: self.profile,
            activations: self.activations,
            kv_cache_precision: self.kv_cache_precision,
            threads: self.threads.or_else(|| Resources::of_this_process().quota_threads()),
            pins_threads: Pinning::decide(self.cpu_pinning).pins_threads,
            ..Options::default()
        }
    }

    /// What a decoder may use, as the flags say; without one about memory, half of what the process
    /// may still take when the model's weights and the guests have theirs.
    pub(crate) fn decoder_limits(&self, folder: &ModelFolder, guests: u64) -> DecoderLimits {
        let usual = DecoderLimits::default();
        let kv_cache = match self.kv_cache {
            Some(Bytes(size)) => KvCacheSize::Exactly(size),
            None => Resources::of_this_process().available_memory().map_or(usual.kv_cache, |available| {
                // They are mapped, and repacked for the processor.
                let weights = folder.manifest().files.weights.size.saturating_mul(3) / 2;
                KvCacheSize::AtMost(available.saturating_sub(weights).saturating_sub(guests) / 2)
            }),
        };
        DecoderLimits {
            kv_cache,
            prefill_chunk: self.prefill_chunk,
            context_length: self.context_length.map(NonZeroU32::get),
            ..usual
        }
    }

    /// The guest's limits as the flags say.
    pub(crate) fn limits(&self) -> Limits {
        Limits { guest_memory: self.guest_memory << 20, ..Limits::default() }
    }
}

/// Processors that this process may use.
pub(crate) fn processors() -> NonZeroU32 {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(processors).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

/// The most memory that this process has had, in bytes; nothing where the system does not tell.
pub(crate) fn peak_memory() -> Option<u64> {
    memory_line("VmHWM:")
}

/// The memory of this process now, in bytes; an entry is null where the system does not tell.
pub(crate) fn memory() -> Value {
    json!({
        "rss_bytes": memory_line("VmRSS:"),
        "anonymous_bytes": memory_line("RssAnon:"),
        "peak_rss_bytes": memory_line("VmHWM:"),
    })
}

fn memory_line(key: &str) -> Option<u64> {
    let kibibytes: u64 = status_line(key)?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

/// What belongs to this binary: at the first path in its installation, or at the second in the
/// source tree if it is not installed. An installed binary looks into no source tree, where anybody
/// may have put something since.
fn installed_or_built(installed: &str, built: &str) -> PathBuf {
    installation().map_or_else(|| source_tree().join(built), |folder| folder.join(installed))
}

fn installation() -> Option<PathBuf> {
    let binary = env::current_exe().ok()?.canonicalize().ok()?;
    let folder = binary.ancestors().nth(2)?;
    folder.join(INSTALLED_MODELS).is_dir().then(|| folder.to_owned())
}

/// Without `..`, where it is there.
fn source_tree() -> PathBuf {
    let path = Path::new(SOURCE_TREE);
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Loaded {
    /// The profile and what it means on this processor.
    pub(crate) fn profile_words(&self) -> String {
        profile_words(&self.model)
    }
}

/// The profile of a loaded model and what it means on this processor.
pub(crate) fn profile_words(model: &LoadedGraph) -> String {
    let graph = model.graph();
    let property = |name: &str| graph.properties().get(name).map_or("unknown", String::as_str);
    let quantisation = match property("DYNAMIC_QUANTIZATION_GROUP_SIZE") {
        "0" => "no dynamic quantisation".to_owned(),
        size => format!("dynamic quantisation groups of {size}"),
    };
    let pinning = if graph.options().pins_threads { "pinned" } else { "not pinned" };
    let cache = graph.cache().map(|layout| format!(", {} KV cache", layout.value_precision)).unwrap_or_default();
    let (options, profile) = (graph.options(), graph.options().profile);
    let chosen = |reason| format!(": {}, since {reason}", options.resolved_profile());
    let chosen = options.profile_reason().map(chosen).unwrap_or_default();
    format!(
        "profile {profile}{chosen} ({} activations, {quantisation}{cache}, {} threads, {pinning})",
        property("INFERENCE_PRECISION_HINT"),
        property("INFERENCE_NUM_THREADS"),
    )
}
