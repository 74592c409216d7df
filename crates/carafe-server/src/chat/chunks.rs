//! The chunks of a streamed answer, as OpenAI's API has them: of each choice first the role, then
//! what it says, then why it ends.
//!
//! Every chunk has one choice, as in completions; only the one that brings `usage` has none.

use std::collections::BTreeSet;

use super::logprobs::ChatLogprobs;
use super::response::{ChatChunk, ChunkChoice, Delta, ROLE, some_text};
use crate::openai::Head;
use crate::openai::stream::Chunks;
use crate::service::{Piece, RunReport, Usage, finish_name};

/// Makes chunks of pieces.
pub(super) struct ChatChunks {
    head: Head,
    include_usage: bool,
    logprobs: bool,
    /// Choices whose role was sent.
    begun: BTreeSet<usize>,
}

impl ChatChunks {
    pub(super) fn new(head: Head, include_usage: bool, logprobs: bool) -> Self {
        Self { head, include_usage, logprobs, begun: BTreeSet::new() }
    }

    fn chunk(&self, choice: ChunkChoice) -> ChatChunk {
        let usage = self.include_usage.then_some(None);
        ChatChunk { head: self.head.clone(), choices: vec![choice], usage, carafe: None }
    }

    /// The role, if it has not been sent.
    fn role(&mut self, index: usize) -> Option<ChunkChoice> {
        let delta = Delta { role: Some(ROLE), content: Some(String::new()), ..Delta::default() };
        self.begun.insert(index).then(|| ChunkChoice { index, delta, ..ChunkChoice::default() })
    }

    /// What a piece says, if it says anything.
    fn words(&self, index: usize, piece: Piece) -> Option<ChunkChoice> {
        let is_silent = piece.is_silent();
        let Piece { text, reasoning, tokens, .. } = piece;
        let delta = Delta { role: None, content: some_text(text), reasoning_content: some_text(reasoning) };
        let logprobs = (self.logprobs && !tokens.is_empty()).then(|| ChatLogprobs::of(&tokens));
        (!is_silent).then_some(ChunkChoice { index, delta, logprobs, finish_reason: None })
    }
}

impl Chunks for ChatChunks {
    type Chunk = ChatChunk;

    fn of_piece(&mut self, index: usize, piece: Piece, report: Option<RunReport>) -> Vec<ChatChunk> {
        let finish = piece.finish.map(|reason| ChunkChoice {
            index,
            finish_reason: Some(finish_name(reason)),
            ..ChunkChoice::default()
        });
        let choices = [self.role(index), self.words(index, piece), finish];
        let mut chunks: Vec<ChatChunk> = choices.into_iter().flatten().map(|choice| self.chunk(choice)).collect();
        if let Some(last) = chunks.last_mut() {
            last.carafe = report;
        }
        chunks
    }

    fn of_usage(&mut self, usage: Usage) -> Option<ChatChunk> {
        let chunk = ChatChunk { choices: Vec::new(), ..self.chunk(ChunkChoice::default()) };
        self.include_usage.then(|| ChatChunk { usage: Some(Some(usage.into())), ..chunk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Token;
    use carafe_host::text::{FinishReason, TokenLogprob, TokenLogprobs};
    use serde_json::{Value, json};

    fn piece(reasoning: &str, text: &str, finish: Option<FinishReason>) -> Piece {
        Piece { reasoning: reasoning.to_owned(), text: text.to_owned(), finish, ..Piece::default() }
    }

    /// The choices of the chunks that these pieces of choice 1 make.
    fn choices(chunks: &mut ChatChunks, pieces: Vec<Piece>) -> Vec<Value> {
        let chunks = pieces.into_iter().flat_map(|piece| chunks.of_piece(1, piece, None));
        chunks.map(|chunk| serde_json::to_value(&chunk.choices[0]).expect("JSON")).collect()
    }

    fn choice(delta: Value, finish_reason: Value) -> Value {
        json!({ "index": 1, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
    }

    #[test]
    fn the_role_comes_first_then_reasoning_and_content_then_the_end_alone() {
        let mut chunks = ChatChunks::new(Head::for_tests(), false, false);
        let pieces = vec![piece("hm", "", None), piece("", "yes", None), piece("", "!", Some(FinishReason::Eos))];
        let expected = [
            choice(json!({ "role": "assistant", "content": "" }), Value::Null),
            choice(json!({ "reasoning_content": "hm" }), Value::Null),
            choice(json!({ "content": "yes" }), Value::Null),
            choice(json!({ "content": "!" }), Value::Null),
            choice(json!({}), json!("stop")),
        ];
        assert_eq!(choices(&mut chunks, pieces), expected);
    }

    #[test]
    fn a_choice_that_says_nothing_has_a_role_and_an_end() {
        let mut chunks = ChatChunks::new(Head::for_tests(), true, false);
        let ends = choices(&mut chunks, vec![piece("", "", Some(FinishReason::Length))]);
        let role = choice(json!({ "role": "assistant", "content": "" }), Value::Null);
        assert_eq!(ends, [role, choice(json!({}), json!("length"))]);
        let usage = Usage { prompt_tokens: 3, cached_tokens: 0, completion_tokens: 2 };
        let last = serde_json::to_value(chunks.of_usage(usage)).expect("JSON");
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(5)));
    }

    #[test]
    fn a_token_without_text_brings_its_log_probability() {
        let mut chunks = ChatChunks::new(Head::for_tests(), false, true);
        let top = vec![TokenLogprob { id: 2, bytes: b"a".to_vec(), logprob: -0.5 }];
        let logprobs = Some(TokenLogprobs { chosen: -1.0, top });
        let token = Token { id: 1, bytes: vec![0xF0, 0x9F], text_offset: 0, logprobs };
        let told = choices(&mut chunks, vec![Piece { tokens: vec![token], ..Piece::default() }]);
        let token = json!({
            "token": "bytes:\\xf0\\x9f", "logprob": -1.0, "bytes": [240, 159],
            "top_logprobs": [{ "token": "a", "logprob": -0.5, "bytes": [97] }]
        });
        assert_eq!(told[1]["logprobs"], json!({ "content": [token], "refusal": null }));
    }
}
