//! What the tests generate with: a small tokenizer, and a model whose logits are a pure function of what it has read.
//!
//! The fake model is also the judge of every step: it keeps to the contract of `Forward` and panics where the generator breaks it.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use carafe_core::text::{
    Event, EventKind, FinishReason, Forward, ForwardError, Generator, Prompt, PromptToken, Request, Step, TextModel,
    TokenLogprobs, Tokenizer, rng,
};
use serde_json::{Value, json};

/// The end-of-text token of [`tokenizer`].
pub(crate) const END_OF_TEXT: u32 = 0;

/// Tokens of more than one byte, made by merging two others. The last one is never made of a text, as the pre-tokenizer parts
/// words before a space.
const MERGES: [(&str, &str); 6] = [("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("l", "l"), ("he", "ll"), ("a", "Ġ")];

/// How many tokens [`tokenizer`] has: end-of-text, the bytes, the merges.
pub(crate) const VOCABULARY_SIZE: u32 = 1 + 256 + MERGES.len() as u32;

/// GPT-2's character for each byte, written down independently of the crate.
fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(byte) {
        return char::from(byte);
    }
    let rank = (0..=255).filter(|&other| !printable(other)).position(|other| other == byte);
    char::from_u32(256 + rank.unwrap() as u32).unwrap()
}

/// The token of a single byte.
pub(crate) fn byte_token(byte: u8) -> u32 {
    1 + u32::from(byte)
}

/// The `tokenizer.json` of a small byte-level BPE.
pub(crate) fn tokenizer_json() -> Value {
    let mut vocabulary = serde_json::Map::new();
    vocabulary.insert("<|endoftext|>".to_owned(), json!(END_OF_TEXT));
    for byte in 0..=255 {
        vocabulary.insert(byte_character(byte).to_string(), json!(byte_token(byte)));
    }
    for (first, second) in MERGES {
        vocabulary.insert(format!("{first}{second}"), json!(vocabulary.len()));
    }
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [{
            "id": END_OF_TEXT, "content": "<|endoftext|>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": true
        }],
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": MERGES.map(|(first, second)| json!([first, second]))
        }
    })
}

/// A small byte-level BPE: token 0 is end-of-text, token 1 + b the byte b.
pub(crate) fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(tokenizer_json().to_string().as_bytes()).unwrap()
}

/// The model that goes with [`tokenizer`]: short context and short steps, so that prompts are cut.
pub(crate) fn model() -> TextModel {
    TextModel {
        context_length: 64,
        vocabulary_size: VOCABULARY_SIZE,
        end_of_text: vec![END_OF_TEXT],
        max_batch: 1,
        max_step: 5,
        max_logits: 3,
    }
}

/// The logits after a sequence of tokens.
pub(crate) type Logits = Rc<dyn Fn(&[u32]) -> Vec<f32>>;

/// Logits that look random and depend on every token of the sequence.
pub(crate) fn noise(seed: u64) -> Logits {
    Rc::new(move |tokens| {
        let hash = tokens.iter().fold(seed, |hash, &token| (hash ^ u64::from(token)).wrapping_mul(0x0100_0000_01B3));
        (0..VOCABULARY_SIZE).map(|token| (rng::draw(hash, token.into()) * 12.0 - 6.0) as f32).collect()
    })
}

/// Logits that write `tokens` after a prompt of `prompt` tokens, and then end-of-text.
pub(crate) fn script(prompt: usize, tokens: Vec<u32>) -> Logits {
    Rc::new(move |read| {
        let wanted = tokens.get(read.len() - prompt).copied().unwrap_or(END_OF_TEXT);
        (0..VOCABULARY_SIZE).map(|token| if token == wanted { 10.0 } else { 0.0 }).collect()
    })
}

/// What the fake model was asked for.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Forwards, failed ones included.
    pub(crate) forwards: usize,
    /// Lengths (S) of all steps.
    pub(crate) lengths: Vec<usize>,
    /// Contexts that are open.
    pub(crate) open: usize,
}

/// A model without weights.
pub(crate) struct Fake {
    pub(crate) logits: Logits,
    /// The forwards that fail, counted from 0.
    pub(crate) failures: BTreeSet<usize>,
    pub(crate) log: Rc<RefCell<Log>>,
}

impl Fake {
    pub(crate) fn new(logits: Logits) -> Self {
        Self { logits, failures: BTreeSet::new(), log: Rc::default() }
    }
}

/// What the fake model has read in one context.
pub(crate) struct FakeContext {
    tokens: Vec<u32>,
    /// P: positions, the dummy included.
    positions: usize,
    failed: bool,
    log: Rc<RefCell<Log>>,
}

impl Drop for FakeContext {
    fn drop(&mut self) {
        self.log.borrow_mut().open -= 1;
    }
}

impl Forward for Fake {
    type Context = FakeContext;

    fn open_context(&mut self) -> Result<FakeContext, ForwardError> {
        self.log.borrow_mut().open += 1;
        Ok(FakeContext { tokens: Vec::new(), positions: 0, failed: false, log: Rc::clone(&self.log) })
    }

    fn forward(
        &mut self,
        context: &mut FakeContext,
        step: &Step<'_>,
        logits: &mut Vec<f32>,
    ) -> Result<(), ForwardError> {
        assert!(!context.failed, "a context was used after it failed");
        check_shapes(context, step);
        let mut log = self.log.borrow_mut();
        log.lengths.push(step.length);
        log.forwards += 1;
        if self.failures.contains(&(log.forwards - 1)) {
            context.failed = true;
            return Err(ForwardError::new("the fake model was told to fail"));
        }
        logits.clear();
        if context.positions == 0 {
            check_dummy(step);
            logits.resize(VOCABULARY_SIZE as usize, f32::NAN);
        } else {
            check_tokens(context, step);
            context.tokens.extend(step.input_ids.iter().map(|id| id.unsigned_abs()));
            let before = context.tokens.len() - step.length;
            for &index in step.logit_idx {
                logits.extend((self.logits)(&context.tokens[..=before + index as usize]));
            }
        }
        context.positions += step.length;
        Ok(())
    }
}

fn check_shapes(context: &FakeContext, step: &Step<'_>) {
    let (rows, length) = (step.rows, step.length);
    assert_eq!(rows, 1);
    assert!((1..=model().max_step as usize).contains(&length));
    assert_eq!(step.input_ids.len(), rows * length);
    assert_eq!(step.position_ids.len(), rows * length);
    assert_eq!(step.attention_mask.len(), rows * (context.positions + length));
    assert_eq!(step.beam_idx, [0]);
    assert!((1..=model().max_logits as usize).contains(&step.logit_idx.len()));
    assert!(step.logit_idx.iter().all(|&index| (0..(rows * length) as i32).contains(&index)));
}

fn check_dummy(step: &Step<'_>) {
    assert_eq!(step.length, 1);
    assert_eq!((step.input_ids, step.position_ids, step.attention_mask), (&[0][..], &[0][..], &[0][..]));
}

fn check_tokens(context: &FakeContext, step: &Step<'_>) {
    let first = context.tokens.len() as i32;
    let consecutive: Vec<i32> = (first..first + step.length as i32).collect();
    assert_eq!(step.position_ids, consecutive);
    assert_eq!(step.attention_mask[0], 0, "the dummy must stay hidden");
    assert!(step.attention_mask[1..].iter().all(|&mask| mask == 1));
    assert!(step.input_ids.iter().all(|id| (0..VOCABULARY_SIZE as i32).contains(id)));
}

/// A generator over the fake model.
pub(crate) fn generator(fake: Fake) -> Generator<Fake> {
    Generator::new(fake, tokenizer(), model()).unwrap()
}

/// Steps until nothing is left to do.
pub(crate) fn drain(generator: &mut Generator<Fake>) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..100_000 {
        if generator.is_idle() {
            return events;
        }
        events.extend(generator.step());
    }
    panic!("the generator does not come to an end");
}

/// What became of one request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The echoed prompt.
    pub(crate) prompt: Option<(String, Vec<PromptToken>)>,
    pub(crate) tokens: Vec<u32>,
    /// What the model thought of each, where it was asked.
    pub(crate) logprobs: Vec<TokenLogprobs>,
    /// The text of each token's event, then that of the end.
    pub(crate) texts: Vec<String>,
    /// The reason and the generated tokens, as told at the end.
    pub(crate) finished: Option<(FinishReason, u32)>,
}

/// Runs one request on a new generator.
pub(crate) fn run(logits: Logits, request: Request) -> Outcome {
    let mut generator = generator(Fake::new(logits));
    generator.submit(request).unwrap();
    let mut outcome = Outcome::default();
    for event in drain(&mut generator) {
        match event.kind {
            EventKind::Started { .. } => {}
            EventKind::Prompt { text, tokens } => outcome.prompt = Some((text, tokens)),
            EventKind::Token { id, text, logprobs } => {
                outcome.tokens.push(id);
                outcome.logprobs.extend(logprobs);
                outcome.texts.push(text);
            }
            EventKind::Finished { reason, text, generated_tokens, .. } => {
                outcome.texts.push(text);
                outcome.finished = Some((reason, generated_tokens));
            }
            EventKind::Failed { message } => panic!("{message}"),
        }
    }
    outcome
}

/// A greedy request on the prompt `hi`, which is two tokens.
pub(crate) fn greedy(max_tokens: u32) -> Request {
    let mut request = Request::new(Prompt::Text("hi".to_owned()), max_tokens);
    request.sampling.temperature = 0.0;
    request
}
