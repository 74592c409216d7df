//! `carafe chat`: a conversation on the terminal, with a model in the sandbox.
//!
//! `input` brings lines, `command` says which of them are commands, `conversation` is what was said
//! so far, `answer` lets the model speak and `screen` shows it. Each answer is a request of its
//! own over the whole conversation; the prefix cache makes all but its end cheap.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use carafe_host::Sandbox;
use carafe_host::text::{Chat as Prompted, FinishReason, Prompt, Reasoning, Request, Sampling, TextModel, TextOptions};
use carafe_models::Task;

use crate::arguments::{Chat, ModelDirectories};
use crate::{generate, machine, offer, output};
use answer::{Answer, Speaker};
use command::Command;
use conversation::Conversation;
use input::{Entered, Input};

mod answer;
mod command;
mod conversation;
mod input;
mod screen;

/// Runs the command.
pub(crate) fn run(options: &Chat) -> Result<ExitCode> {
    let name = chosen(options)?;
    let input = Input::open()?;
    let loaded = machine::load(&options.running, &name, Task::TextGeneration)?;
    let text = TextOptions { draft_tokens: options.draft_tokens, ..TextOptions::default() };
    let model = TextModel::start(&Sandbox::new()?, &loaded.model, text, options.running.limits())?;
    let context_length = loaded.model.context_length();
    if input.is_terminal() {
        output::note(&format!("{name}: context of {context_length} tokens. /help shows the commands, Ctrl-D ends"));
    }
    let mut session = Session {
        options,
        context_length,
        sampling: generate::sampling(&options.sampling, &loaded.model.text()?.generation),
        conversation: Conversation::new(options.system.clone()),
        speaker: Speaker::new(model)?,
    };
    session.talk(input)?;
    Ok(ExitCode::SUCCESS)
}

/// The name of the model to talk to.
fn chosen(options: &Chat) -> Result<String> {
    let directories = &options.running.directories;
    let Some(name) = &options.model else {
        return match first(directories)? {
            Some(name) => Ok(name),
            None => offer::default_model(&options.fetching, "chat", "no model with a chat template was found"),
        };
    };
    let folder = machine::find(directories, name, Task::TextGeneration)?;
    if !folder.manifest().can_chat() {
        bail!(
            "`{name}` has no chat template, so it holds no conversation; `carafe generate --model {name}` lets it continue a text"
        );
    }
    Ok(name.clone())
}

/// The model that holds conversations, of those that can be found, that the server would take.
fn first(directories: &ModelDirectories) -> Result<Option<String>> {
    let folders = machine::usable_models(&machine::catalogue(directories)?);
    let first = folders.into_iter().next().filter(|folder| folder.manifest().can_chat());
    Ok(first.map(|folder| folder.manifest().name.clone()))
}

/// A conversation and whom it is held with.
struct Session<'a> {
    options: &'a Chat,
    context_length: u32,
    /// Its seed is the next answer's.
    sampling: Sampling,
    conversation: Conversation,
    speaker: Speaker,
}

impl Session<'_> {
    /// Answers until there is nothing more to answer.
    fn talk(&mut self, mut input: Input) -> Result<()> {
        let mut interrupts = 0;
        loop {
            let line = match input.next()? {
                Entered::End => return Ok(()),
                Entered::Interrupt if interrupts > 0 => return Ok(()),
                Entered::Interrupt => {
                    interrupts += 1;
                    output::note("Ctrl-C once more ends, and so does Ctrl-D");
                    continue;
                }
                Entered::Line(line) => line,
            };
            interrupts = 0;
            match self.obey(Command::of(&line)) {
                Ok(Next::Continue) => {}
                Ok(Next::End) => return Ok(()),
                // At a terminal the person decides what now; a script must not go on without.
                Err(error) if input.is_terminal() => output::error(&error),
                Err(error) => return Err(error),
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<Next> {
        match command {
            Command::Nothing => {}
            Command::Say(text) => {
                self.conversation.ask(text);
                self.answer()?;
            }
            Command::Regenerate => {
                self.conversation.take_back_answer()?;
                self.answer()?;
            }
            Command::System(text) => {
                self.conversation = Conversation::new(text);
                output::note("the conversation begins anew");
            }
            Command::Clear => {
                self.conversation.clear();
                output::note("the conversation begins anew");
            }
            Command::Help => output::note(command::HELP),
            Command::Unknown(line) => {
                bail!("there is no command `{line}`; `/help` shows those there are, and `//` begins a message with `/`")
            }
            Command::Exit => return Ok(Next::End),
        }
        Ok(Next::Continue)
    }

    /// Lets the model answer the last message. What was not answered was never said.
    fn answer(&mut self) -> Result<()> {
        let answer = self.request().and_then(|request| self.speaker.answer(request));
        self.sampling.seed = self.sampling.seed.wrapping_add(1);
        let answer = answer.inspect_err(|_| self.conversation.take_back_question())?;
        if let Some(remark) = self.remark(&answer) {
            output::note(&remark);
        }
        if answer.text.is_empty() && answer.reasoning.is_empty() {
            self.conversation.take_back_question();
        } else {
            self.conversation.answer(answer.text, answer.reasoning);
        }
        Ok(())
    }

    /// Why an answer ended, where it did not end by itself.
    fn remark(&self, answer: &Answer) -> Option<String> {
        match (answer.finish_reason, self.options.max_tokens) {
            (None, _) => Some("(ended by Ctrl-C)".to_owned()),
            (Some(FinishReason::Length), Some(most)) => Some(format!("(cut after {most} tokens, `--max-tokens`)")),
            (Some(FinishReason::Length), None) => {
                Some(format!("(cut: the context of {} tokens is full; /clear begins anew)", self.context_length))
            }
            (Some(FinishReason::Eos | FinishReason::Stop), _) => None,
        }
    }

    fn request(&self) -> Result<Request> {
        let prompt = Prompted {
            messages: self.conversation.as_json()?,
            tools: None,
            template_arguments: self.options.template_arguments.clone(),
            add_generation_prompt: true,
            continue_final_message: false,
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        };
        Ok(Request {
            prompt: Prompt::Chat(prompt),
            max_tokens: self.options.max_tokens.unwrap_or(self.context_length),
            max_tokens_is_default: self.options.max_tokens.is_none(),
            sampling: self.sampling.clone(),
            stop: Vec::new(),
            ignore_eos: false,
            min_tokens: 0,
            logprobs: None,
            echo: false,
            reasoning: Reasoning::Apart,
            skip_special_tokens: true,
            tenant: 0,
            prefix_cache: true,
            resume: Vec::new(),
        })
    }
}

/// What comes after a command.
enum Next {
    Continue,
    End,
}
