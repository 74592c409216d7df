//! Lets a model answer, and shows what it says while it says it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use carafe_host::text::{EventKind, FinishReason, Request, TextModel};
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use super::screen::Screen;

/// What a model has said.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) text: String,
    /// What it thought before.
    pub(super) reasoning: String,
    /// None where a person ended it.
    pub(super) finish_reason: Option<FinishReason>,
}

/// A model that answers one request after the other.
pub(super) struct Speaker {
    model: TextModel,
    runtime: Runtime,
    /// None before the first answer, when Ctrl-C ends the program as everywhere.
    interrupts: Option<Interrupts>,
}

impl Speaker {
    /// A model that has not said anything.
    pub(super) fn new(model: TextModel) -> Result<Self> {
        let runtime =
            runtime::Builder::new_current_thread().enable_time().build().context("failed to wait for events")?;
        Ok(Self { model, runtime, interrupts: None })
    }

    /// Answers a request, to its end or until Ctrl-C.
    pub(super) fn answer(&mut self, request: Request) -> Result<Answer> {
        let interrupts = match &mut self.interrupts {
            Some(interrupts) => interrupts,
            None => self.interrupts.insert(Interrupts::new()?),
        };
        let mut answer = Answer::default();
        let mut screen = Screen::new();
        interrupts.begin();
        let ended = self.runtime.block_on(speak(&self.model, request, interrupts, &mut answer, &mut screen));
        interrupts.end();
        screen.end()?;
        ended.map(|()| answer)
    }
}

/// How often Ctrl-C is looked for while nothing comes, as while a long prompt is computed.
const WATCH: Duration = Duration::from_millis(50);

async fn speak(
    model: &TextModel,
    request: Request,
    interrupts: &Interrupts,
    answer: &mut Answer,
    screen: &mut Screen,
) -> Result<()> {
    let mut generation = model.submit(request).await?;
    while !interrupts.happened() {
        let Ok(event) = timeout(WATCH, generation.next()).await else { continue };
        let (reasoning, text) = match event {
            None => break,
            Some(EventKind::Started(_) | EventKind::Prompt(_)) => continue,
            Some(EventKind::Token(token)) => (token.reasoning, token.text),
            Some(EventKind::Finished(finished)) => {
                answer.finish_reason = Some(finished.reason);
                (finished.reasoning, finished.text)
            }
            Some(EventKind::Failed(failure)) => bail!("the answer failed: {}", failure.message),
        };
        screen.reasoning(&reasoning)?;
        screen.text(&text)?;
        answer.reasoning.push_str(&reasoning);
        answer.text.push_str(&text);
    }
    Ok(())
}

/// Ctrl-C: ends an answer while one is given, and else the program.
struct Interrupts {
    happened: Arc<AtomicBool>,
    is_idle: Arc<AtomicBool>,
}

impl Interrupts {
    fn new() -> Result<Self> {
        let (happened, is_idle) = (Arc::default(), Arc::default());
        // In this order: what happens between the two is not lost.
        flag::register(SIGINT, Arc::clone(&happened))
            .and_then(|_| flag::register_conditional_default(SIGINT, Arc::clone(&is_idle)))
            .context("failed to watch for Ctrl-C")?;
        Ok(Self { happened, is_idle })
    }

    fn begin(&self) {
        self.is_idle.store(false, Ordering::Relaxed);
    }

    fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.is_idle.store(true, Ordering::Relaxed);
        self.happened.store(false, Ordering::Relaxed);
    }
}
