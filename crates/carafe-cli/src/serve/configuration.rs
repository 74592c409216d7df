//! The configuration of a server: every option with what it has come to, checked once.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carafe_host::text::{PrefixSharing, TextOptions};
use carafe_host::{DecoderLimits, Limits};
use carafe_models::{Catalogue, ModelFolder};
use carafe_openvino::Options;
use carafe_server::{ApiKeys, Configuration, KeyLimits};
use serde::{Serialize, Serializer};

use crate::arguments::{LogForm, Running, Serve};
use crate::bytes::Bytes;
use crate::machine;
use crate::pinning::Pinning;

/// What `carafe serve` does, as `--print-config` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServeConfiguration {
    host: IpAddr,
    port: u16,
    /// Names; every model found if there are none.
    pub(super) models: Vec<String>,
    /// Where models are looked for, first to last.
    model_directories: Vec<PathBuf>,
    #[serde(skip)]
    pub(super) catalogue: Catalogue,
    #[serde(flatten, serialize_with = "running_fields")]
    running: Running,
    #[serde(serialize_with = "whether_pinned")]
    pub(super) cpu_pinning: Pinning,
    draft_tokens: u32,
    pub(super) prefix_cache: PrefixCache,
    pub(super) image_workers: NonZeroU32,
    log: LogForm,
    #[serde(flatten, serialize_with = "server_fields")]
    pub(super) server: Configuration,
}

impl ServeConfiguration {
    /// Checks the options and reads the file of keys.
    pub(super) fn of(options: &Serve) -> Result<Self> {
        let running = &options.running;
        let catalogue = machine::catalogue(&running.directories)?;
        Ok(Self {
            host: options.host,
            port: options.port,
            models: options.model.clone(),
            model_directories: catalogue.search_path().to_vec(),
            catalogue,
            running: running.clone(),
            cpu_pinning: Pinning::decide(running.cpu_pinning),
            draft_tokens: options.draft_tokens,
            prefix_cache: PrefixCache::of(options)?,
            image_workers: image_workers(options.image_workers)?,
            log: options.log,
            server: server(options)?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    pub(super) fn options(&self) -> Options {
        self.running.options()
    }

    /// What a model may use if it is a decoder; each text model has two guests.
    pub(super) fn decoder_limits(&self, folder: &ModelFolder) -> DecoderLimits {
        self.running.decoder_limits(folder, 2 * self.limits().guest_memory)
    }

    pub(super) fn limits(&self) -> Limits {
        self.running.limits()
    }

    pub(super) fn text_options(&self) -> TextOptions {
        TextOptions { draft_tokens: self.draft_tokens, prefix_sharing: self.prefix_cache.into() }
    }
}

/// Whose requests may use what was computed of a prompt's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PrefixCache {
    /// Nobody's.
    Off,
    /// Those of the same key; without keys, all.
    PerKey,
    /// All.
    Shared,
}

impl PrefixCache {
    fn of(options: &Serve) -> Result<Self> {
        match (options.share_prefixes, options.no_prefix_cache) {
            (false, false) => Ok(Self::PerKey),
            (true, false) => Ok(Self::Shared),
            (false, true) => Ok(Self::Off),
            // Not left to the parser, for which a variable that says `false` is a flag as well.
            (true, true) => bail!(
                "`--share-prefixes` and `--no-prefix-cache` exclude each other; give one of them, as a flag or by \
                 `CARAFE_SHARE_PREFIXES` or `CARAFE_NO_PREFIX_CACHE`"
            ),
        }
    }
}

impl From<PrefixCache> for PrefixSharing {
    fn from(cache: PrefixCache) -> Self {
        match cache {
            PrefixCache::Off => Self::Off,
            PrefixCache::PerKey => Self::Tenant,
            PrefixCache::Shared => Self::All,
        }
    }
}

/// More guests than this are a mistake on any machine.
const MAX_IMAGE_WORKERS: u32 = 64;
/// On a machine of many processors, more guests than this must be asked for, since each may take
/// its memory.
const USUAL_IMAGE_WORKERS: NonZeroU32 = NonZeroU32::new(8).unwrap();

fn image_workers(asked: Option<NonZeroU32>) -> Result<NonZeroU32> {
    match asked {
        Some(workers) if workers.get() > MAX_IMAGE_WORKERS => {
            bail!("`--image-workers` must be 1 to {MAX_IMAGE_WORKERS}, got {workers}")
        }
        Some(workers) => Ok(workers),
        None => Ok(machine::processors().min(USUAL_IMAGE_WORKERS)),
    }
}

fn server(options: &Serve) -> Result<Configuration> {
    if options.queue.get() > Configuration::MAX_QUEUE {
        bail!("`--queue` must be 1 to {}, got {}", Configuration::MAX_QUEUE, options.queue);
    }
    let mut names = options.model.clone();
    names.sort();
    if let Some([name, _]) = names.array_windows().find(|[left, right]| left == right) {
        bail!("`--model {name}` is given twice");
    }
    Ok(Configuration {
        queue: options.queue,
        body_memory_mib: NonZeroU32::new(options.body_memory).unwrap_or(NonZeroU32::MIN),
        shutdown_delay: Duration::from_secs(options.shutdown_delay.into()),
        drain: Duration::from_secs(options.drain.into()),
        request_timeout: Duration::from_secs(options.request_timeout.get().into()),
        default_max_tokens: options.default_max_tokens,
        api_keys: options.api_key_file.as_deref().map(api_keys).transpose()?.unwrap_or_default(),
        cors_origins: options.cors_origin.clone(),
        allowed_hosts: options.allowed_host.clone(),
        listens_on_loopback: options.host.to_canonical().is_loopback(),
        log_prompts: options.log_prompts,
    })
}

fn api_keys(path: &Path) -> Result<ApiKeys> {
    let read = || format!("failed to read `{}`", path.display());
    let text = fs::read_to_string(path).with_context(read)?;
    ApiKeys::parse(&text).with_context(|| format!("`{}` cannot be used", path.display()))
}

/// What models run with; what nobody asked for is the profile's, the model's or OpenVINO's choice.
fn running_fields<S: Serializer>(running: &Running, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Fields {
        profile: String,
        kv_cache_bytes: Option<Bytes>,
        activations: Option<String>,
        kv_cache_precision: Option<String>,
        prefill_chunk: Option<u32>,
        context_length: Option<NonZeroU32>,
        threads: Option<NonZeroU32>,
        guest_memory_mib: u64,
    }
    let fields = Fields {
        profile: running.profile.to_string(),
        kv_cache_bytes: running.kv_cache,
        activations: running.activations.map(|activations| activations.to_string()),
        kv_cache_precision: running.kv_cache_precision.map(|precision| precision.to_string()),
        prefill_chunk: running.prefill_chunk,
        context_length: running.context_length,
        threads: running.threads,
        guest_memory_mib: running.guest_memory,
    };
    fields.serialize(serializer)
}

/// Keys are not shown.
fn server_fields<S: Serializer>(server: &Configuration, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Fields {
        queue: NonZeroU32,
        body_memory_mib: NonZeroU32,
        shutdown_delay_seconds: u64,
        drain_seconds: u64,
        request_timeout_seconds: u64,
        default_max_tokens: Option<NonZeroU32>,
        /// The limits of each key; keys themselves are not shown.
        api_keys: Vec<KeyLimits>,
        cors_origins: Vec<String>,
        allowed_hosts: Vec<String>,
        log_prompts: bool,
    }
    let fields = Fields {
        queue: server.queue,
        body_memory_mib: server.body_memory_mib,
        shutdown_delay_seconds: server.shutdown_delay.as_secs(),
        drain_seconds: server.drain.as_secs(),
        request_timeout_seconds: server.request_timeout.as_secs(),
        default_max_tokens: server.default_max_tokens,
        api_keys: server.api_keys.limits().collect(),
        cors_origins: server.cors_origins.iter().map(ToString::to_string).collect(),
        allowed_hosts: server.allowed_hosts.iter().map(ToString::to_string).collect(),
        log_prompts: server.log_prompts,
    };
    fields.serialize(serializer)
}

fn whether_pinned<S: Serializer>(pinning: &Pinning, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(pinning.pins_threads)
}
