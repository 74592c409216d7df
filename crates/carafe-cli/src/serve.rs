//! `carafe serve`: listens at once, loads the models behind it, and serves until it is asked to
//! stop.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use carafe_host::{LoadedGraph, Sandbox};
use carafe_models::{ModelFolder, Task};
use carafe_openvino::Runtime;
use carafe_server::{Models, Server};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::arguments::Serve;
use crate::output::mebibytes;
use crate::{machine, offer, output};
use configuration::{PrefixCache, ServeConfiguration};

mod configuration;

pub(crate) use configuration::api_keys;

/// Runs the command.
pub(crate) fn run(options: &Serve) -> Result<ExitCode> {
    let mut configuration = ServeConfiguration::of(options)?;
    if options.print_config {
        output::json(&configuration)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(lacking) = lacking(&configuration, options.fetching.yes) {
        // Nobody shall wait for a model that cannot be served then.
        std::net::TcpListener::bind(configuration.address()).with_context(|| not_free(configuration.address()))?;
        offer::default_model(&options.fetching, "serve", &lacking)?;
        configuration = ServeConfiguration::of(options)?;
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().context("failed to start threads")?;
    let result = runtime.block_on(serve(configuration));
    // Whatever still runs has been cut off; a model that is being loaded is not waited for.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// What is lacking among the models that were found, if the default one is to be offered: without a
/// model there is nothing to serve, and whoever says `--yes` wants one that can chat.
fn lacking(configuration: &ServeConfiguration, is_wanted: bool) -> Option<String> {
    if !configuration.models.is_empty() {
        return None;
    }
    let found = configuration.catalogue.list();
    let mut usable = found.iter().filter_map(|(_, folder)| folder.as_ref().ok()).peekable();
    if usable.peek().is_none() {
        return Some(nothing_to_serve(configuration));
    }
    let lacks_chat = !usable.any(|folder| folder.manifest().can_chat());
    (is_wanted && lacks_chat).then(|| "no model that can hold a conversation was found".to_owned())
}

fn nothing_to_serve(configuration: &ServeConfiguration) -> String {
    // What is broken is said first.
    machine::usable_models(&configuration.catalogue);
    let directories = configuration.catalogue.search_path().iter();
    let directories: Vec<String> = directories.map(|directory| format!("`{}`", directory.display())).collect();
    format!("there is no model to serve; these folders were searched: {}", directories.join(", "))
}

async fn serve(configuration: ServeConfiguration) -> Result<()> {
    raise_descriptor_limit();
    let mut signals = Signals::new()?;
    let listener = listen(configuration.address()).await?;
    output::line(&format!("listening on http://{}", listener.local_addr()?))?;
    let server = Server::new(configuration.server.clone());
    let mut failed = load_behind(&server, configuration)?;
    let mut failure = None;
    let stop = async {
        tokio::select! {
            () = signals.next() => {}
            Ok(error) = &mut failed => failure = Some(error),
        }
    };
    // The second signal is for those who do not want to wait.
    let mut impatient = Signals::new()?;
    let twice = async {
        impatient.next().await;
        impatient.next().await;
    };
    tokio::select! {
        () = server.run(listener, stop) => {}
        () = twice => tracing::warn!("told to stop twice; running requests are given up"),
    }
    failure.map_or(Ok(()), Err)
}

/// File descriptors for every connection and for the models; shells and systemd allow 1024 unless
/// they are asked.
fn raise_descriptor_limit() {
    const ENOUGH: u64 = 4096;
    match rlimit::increase_nofile_limit(ENOUGH) {
        Ok(ENOUGH..) => {}
        Ok(limit) => tracing::warn!("only {limit} file descriptors may be open (`ulimit -n`); {ENOUGH} are enough"),
        Err(error) => tracing::warn!("the limit of open file descriptors is unknown: {error}"),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| not_free(address))
}

fn not_free(address: SocketAddr) -> String {
    format!("failed to listen on {address}; `--port` and `--host` choose another address")
}

/// Loads the models on a thread of its own and hands them to the server. What is returned resolves
/// if that fails.
fn load_behind(server: &Server, configuration: ServeConfiguration) -> Result<oneshot::Receiver<anyhow::Error>> {
    let (failed, failure) = oneshot::channel();
    let server = server.clone();
    let load = move || match load(&configuration) {
        Ok(models) => {
            server.ready(models);
            tracing::info!("ready");
        }
        // Nobody waits for it if the server has stopped by now.
        Err(error) => drop(failed.send(error)),
    };
    thread::Builder::new().name("carafe-load".to_owned()).spawn(load).context("failed to start a thread")?;
    Ok(failure)
}

fn load(configuration: &ServeConfiguration) -> Result<Models> {
    let folders = folders(configuration)?;
    let runtime = machine::runtime()?;
    tracing::info!("{}", configuration.cpu_pinning.reason);
    if configuration.prefix_cache == PrefixCache::Shared && configuration.server.api_keys.count() > 1 {
        tracing::warn!(
            "prefixes of prompts are shared between keys (`--share-prefixes`): the time of a first token can tell one key's \
             user what another key's has sent"
        );
    }
    let mut graphs: Vec<LoadedGraph> = Vec::new();
    for folder in folders {
        let limits = configuration.decoder_limits(&folder);
        let loaded = machine::load_folder(&runtime, folder, &configuration.options(), &limits)?;
        tracing::info!(model = loaded.name(), "loaded: {}", machine::profile_words(&loaded));
        tracing::info!(model = loaded.name(), "memory: {}", memory_words(&loaded, configuration));
        warn_of_a_shorter_context(&loaded);
        graphs.push(for_workers(loaded, &runtime, configuration)?);
    }
    let (sandbox, limits, server) = (Sandbox::new()?, configuration.limits(), &configuration.server);
    let text = configuration.text_options();
    Ok(Models::start(&sandbox, &graphs, text, limits, runtime.version(), server, configuration.image_workers)?)
}

/// What a client of a model with a long context would else find out by a refusal.
fn warn_of_a_shorter_context(loaded: &LoadedGraph) {
    let own = loaded.folder().manifest().text.as_ref().map_or(0, |text| text.context_length);
    let served = loaded.context_length();
    if served < own {
        tracing::warn!(
            model = loaded.name(),
            "context: {served} of the model's {own} tokens are served; a larger `--kv-cache` holds more"
        );
    }
}

/// The memory that a model takes: weights, KV cache, guests.
fn memory_words(loaded: &LoadedGraph, configuration: &ServeConfiguration) -> String {
    let weights = mebibytes(loaded.folder().manifest().files.weights.size);
    let guest = mebibytes(configuration.limits().guest_memory);
    let Some(layout) = loaded.graph().cache() else {
        return format!("{weights} of weights, up to {guest} for each guest");
    };
    let num_blocks = loaded.graph().num_blocks();
    let cache = mebibytes(layout.block_bytes * u64::from(num_blocks));
    format!(
        "{weights} of weights, {cache} of KV cache ({num_blocks} blocks of {} tokens, keys {} and values {}), up to {guest} for \
         each of 2 guests",
        layout.block_size, layout.key_precision, layout.value_precision
    )
}

/// An image model as several workers need it. Their memory is bounded one by one, so what they may
/// take together is said.
fn for_workers(loaded: LoadedGraph, runtime: &Runtime, configuration: &ServeConfiguration) -> Result<LoadedGraph> {
    if loaded.folder().manifest().task != Task::ImageClassification {
        return Ok(loaded);
    }
    let workers = configuration.image_workers;
    let memory = mebibytes(configuration.limits().guest_memory);
    let together = mebibytes(configuration.limits().guest_memory.saturating_mul(workers.get().into()));
    tracing::info!(
        model = loaded.name(),
        "workers: {workers}, each with up to {memory} of guest memory, {together} together"
    );
    if workers == NonZeroU32::MIN {
        return Ok(loaded);
    }
    let name = loaded.name().to_owned();
    // Workers beyond the processors only wait for one another.
    let computes = workers.min(machine::processors());
    loaded
        .with_side_by_side(runtime, computes)
        .with_context(|| format!("failed to load model `{name}` for {workers} workers"))
}

/// The folders of the models to serve. One that was named must be there and in order; one that was
/// only found may be passed over.
fn folders(configuration: &ServeConfiguration) -> Result<Vec<ModelFolder>> {
    let catalogue = &configuration.catalogue;
    if !configuration.models.is_empty() {
        return configuration.models.iter().map(|name| Ok(catalogue.find(name)?)).collect();
    }
    let folders = machine::usable_models(catalogue);
    if folders.is_empty() {
        bail!(nothing_to_serve(configuration));
    }
    if !folders.iter().any(|folder| folder.manifest().can_chat()) {
        tracing::info!(
            "none of these models can hold a conversation; `carafe serve --yes` or `carafe models pull smollm2` gets one"
        );
    }
    Ok(folders)
}

/// The signals that end a server: a person's Ctrl-C, and what a service manager sends.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen to signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
