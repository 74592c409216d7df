//! The second turn of a conversation, and the same without the first: what a cache of prompts is
//! good for.
//!
//! Three requests, one after the other, each of words that no other run sends:
//!
//! - *cold*: a prompt as long as the second turn's, of which the server knows nothing
//! - *first*: the first turn, of which it knows nothing either
//! - *second*: the first turn's prompt, its answer, and new words
//!
//! An answer is text, and text need not be cut into the tokens that it was made of. So the first
//! turn's answer is made known: a bias, which every server of this API takes, has it consist of one
//! word. It is computed token by token like any other answer, and a cache of tokens takes it like
//! any other.

use std::iter;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::completion::{Client, Server};
use crate::words::{Prompt, Words};

/// The largest bias that the API knows: nothing else is chosen.
const CERTAIN: i32 = 100;

/// Lengths of a conversation, in tokens.
pub(crate) struct Conversation {
    pub(crate) prompt_tokens: u64,
    /// Of each answer.
    pub(crate) new_tokens: u64,
    /// What the second turn adds to the first turn's prompt and answer.
    pub(crate) added_tokens: u64,
}

/// The prompts of a conversation.
struct Prompts<'a> {
    cold: Prompt<'a>,
    first: Prompt<'a>,
    second: Prompt<'a>,
    /// The token that the first turn's answer consists of.
    answer: u32,
}

/// Sends the three requests; the times of each by its name.
pub(crate) fn run(server: &Server<'_>, words: &Words, lengths: &Conversation, seed: u64) -> Result<Value> {
    let (client, began) = (Client::new(server, None), Instant::now());
    let prompts = prompts(words, lengths, seed);
    let mut first = server.body(&prompts.first, lengths.new_tokens);
    first.fields["logit_bias"] = json!({ prompts.answer.to_string(): CERTAIN });
    let bodies = [
        ("cold", server.body(&prompts.cold, lengths.new_tokens)),
        ("first", first),
        ("second", server.body(&prompts.second, lengths.new_tokens)),
    ];
    let mut turns = json!({});
    for (name, body) in &bodies {
        turns[name] = client.complete(body, began)?.to_json();
    }
    Ok(json!({ "turns": turns, "wall_seconds": began.elapsed().as_secs_f64() }))
}

/// `bench/carafe_bench/arrivals.py` makes the same ones, but for the answer.
fn prompts<'a>(words: &'a Words, lengths: &Conversation, seed: u64) -> Prompts<'a> {
    let first = words.prompt(lengths.prompt_tokens, seed);
    let answer = words.prompt(1, seed)[0];
    let answers = iter::repeat_n(answer, lengths.new_tokens as usize);
    let added = words.prompt(lengths.added_tokens, seed);
    let second: Prompt<'_> = first.iter().copied().chain(answers).chain(added).collect();
    Prompts { cold: words.prompt(second.len() as u64, seed), first, second, answer: answer.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Received, serve};
    use crate::words::tests::few;

    const LENGTHS: Conversation = Conversation { prompt_tokens: 40, new_tokens: 2, added_tokens: 3 };

    #[test]
    fn the_second_turn_continues_the_first_and_the_cold_one_begins_otherwise() {
        let words = few();
        let prompts = prompts(&words, &LENGTHS, 5);
        assert_eq!(prompts.second[..40], prompts.first);
        assert!(prompts.second[40..42].iter().all(|word| word.0 == prompts.answer));
        assert_eq!(prompts.second.len(), 45);
        assert_eq!(prompts.cold.len(), 45);
        assert_ne!(prompts.cold[..32], prompts.first[..32]);
    }

    #[test]
    fn the_answer_that_is_sent_back_is_the_one_that_the_server_was_made_to_give() {
        let usage = r#"{"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":32}}"#;
        let two = format!(r#"data: {{"choices":[{{"text":" a","finish_reason":"length"}}],"usage":{usage}}}"#);
        let (url, received) = serve(move |_| vec![two.clone()]);
        let server = Server { url: &url, model: "m", text: false };
        let report = run(&server, &few(), &LENGTHS, 5).expect("three answers");
        let bodies: Vec<Value> = received.try_iter().map(|Received { body, .. }| body).collect();
        let answer = bodies[2]["prompt"][40].to_string();
        assert_eq!(bodies[1]["logit_bias"], json!({ answer: 100 }));
        assert_eq!(bodies[0].get("logit_bias"), None);
        assert_eq!(bodies[2].get("logit_bias"), None);
        assert_eq!(report["turns"]["second"]["cached_tokens"], 32);
        assert_eq!(report["turns"]["cold"]["prompt_tokens"], 45);
    }
}
