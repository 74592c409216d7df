//! What the tests generate with: a small tokenizer, and a model whose logits are a pure function of what it has read.
//!
//! The fake model is also the judge of every step: it keeps to the contract of `Forward` and panics where the generator breaks it.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use carafe_core::text::{
    Event, EventKind, FinishReason, Forward, ForwardError, Generator, Logits as Answer, Prompt, PromptToken, Request,
    Step, TextModel, TokenLogprobs, Tokenizer, rng,
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

/// The model that goes with [`tokenizer`]: short context and short steps, so that prompts are cut; few rows and little room, so that
/// requests wait.
pub(crate) fn model() -> TextModel {
    TextModel {
        context_length: 64,
        vocabulary_size: VOCABULARY_SIZE,
        end_of_text: vec![END_OF_TEXT],
        max_batch: 4,
        max_step: 5,
        max_logits: 6,
        max_positions: 200,
        draft_tokens: 3,
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
    /// Rows (B) of all steps.
    pub(crate) rows: Vec<usize>,
    /// Contexts that are open.
    pub(crate) open: usize,
    /// Positions that all of them cache, rows times positions.
    pub(crate) cached: usize,
}

/// A model without weights.
pub(crate) struct Fake {
    pub(crate) logits: Logits,
    /// What steps are held against.
    pub(crate) model: TextModel,
    /// The forwards that fail, counted from 0.
    pub(crate) failures: BTreeSet<usize>,
    pub(crate) log: Rc<RefCell<Log>>,
}

impl Fake {
    pub(crate) fn new(logits: Logits) -> Self {
        Self { logits, model: model(), failures: BTreeSet::new(), log: Rc::default() }
    }
}

/// What the fake model has read in one context.
pub(crate) struct FakeContext {
    /// Of each row, the token and the place of each of its P positions.
    rows: Vec<Vec<(u32, i32)>>,
    failed: bool,
    model: TextModel,
    log: Rc<RefCell<Log>>,
}

impl FakeContext {
    /// P: positions of each row, the dummy included.
    fn positions(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    fn cached(&self) -> usize {
        self.rows.len() * self.positions()
    }
}

impl Drop for FakeContext {
    fn drop(&mut self) {
        let mut log = self.log.borrow_mut();
        log.open -= 1;
        log.cached -= self.cached();
    }
}

impl Forward for Fake {
    type Context = FakeContext;

    fn open_context(&mut self) -> Result<FakeContext, ForwardError> {
        self.log.borrow_mut().open += 1;
        Ok(FakeContext { rows: Vec::new(), failed: false, model: self.model.clone(), log: Rc::clone(&self.log) })
    }

    fn forward(&mut self, context: &mut FakeContext, step: &Step<'_>, logits: &mut Answer) -> Result<(), ForwardError> {
        assert!(!context.failed, "a context was used after it failed");
        check_shapes(context, step);
        let mut log = self.log.borrow_mut();
        log.lengths.push(step.length);
        log.rows.push(step.rows);
        log.forwards += 1;
        if self.failures.contains(&(log.forwards - 1)) {
            context.failed = true;
            return Err(ForwardError::new("the fake model was told to fail"));
        }
        if context.rows.is_empty() {
            check_dummy(step);
        }
        log.cached -= context.cached();
        context.rows = (0..step.rows).map(|row| extended(context, step, row)).collect();
        log.cached += context.cached();
        assert!(log.cached <= self.model.max_positions as usize, "{} positions are cached", log.cached);
        let row_of = |index: i32| {
            let (row, place) = (index as usize / step.length, index as usize % step.length);
            let tokens = visible(context, step, row, context.positions() - step.length + place);
            tokens.map_or_else(|| vec![f32::NAN; VOCABULARY_SIZE as usize], |tokens| (self.logits)(&tokens))
        };
        logits.refill(|values| step.logit_idx.iter().for_each(|&index| values.extend(row_of(index))));
        Ok(())
    }
}

/// What a row of the step before has become in this step.
fn extended(context: &FakeContext, step: &Step<'_>, row: usize) -> Vec<(u32, i32)> {
    let mut cells = context.rows.get(step.beam_idx[row] as usize).cloned().unwrap_or_default();
    let new = row * step.length..(row + 1) * step.length;
    cells.extend(new.map(|index| (step.input_ids[index].unsigned_abs(), step.position_ids[index])));
    cells
}

/// The tokens that a position may see, itself the last; none if it is hidden itself. They must stand one after the other.
fn visible(context: &FakeContext, step: &Step<'_>, row: usize, last: usize) -> Option<Vec<u32>> {
    let total = context.positions();
    let mask = &step.attention_mask[row * total..(row + 1) * total];
    assert_eq!(mask[0], 0, "the dummy must stay hidden");
    let seen = context.rows[row].iter().zip(mask).take(last + 1).filter(|(_, mask)| **mask == 1);
    let seen: Vec<(u32, i32)> = seen.map(|(cell, _)| *cell).collect();
    let places: Vec<i32> = seen.iter().map(|(_, place)| *place).collect();
    assert_eq!(places, Vec::from_iter(0..seen.len() as i32), "the positions of a sequence are consecutive");
    (mask[last] == 1).then(|| seen.into_iter().map(|(token, _)| token).collect())
}

fn check_shapes(context: &FakeContext, step: &Step<'_>) {
    let model = &context.model;
    let (rows, length) = (step.rows, step.length);
    assert!((1..=model.max_batch as usize).contains(&rows));
    assert!((1..=model.max_step as usize).contains(&length));
    assert_eq!(step.input_ids.len(), rows * length);
    assert!(step.input_ids.iter().all(|id| (0..VOCABULARY_SIZE as i32).contains(id)));
    assert_eq!(step.position_ids.len(), rows * length);
    assert!(step.position_ids.iter().all(|place| (0..model.context_length as i32).contains(place)));
    assert_eq!(step.attention_mask.len(), rows * (context.positions() + length));
    assert!(step.attention_mask.iter().all(|mask| (0..=1).contains(mask)));
    assert_eq!(step.beam_idx.len(), rows);
    let sources = if context.rows.is_empty() { rows } else { context.rows.len() };
    assert!(step.beam_idx.iter().all(|row| (0..sources as i32).contains(row)));
    assert!((1..=model.max_logits as usize).contains(&step.logit_idx.len()));
    assert!(step.logit_idx.iter().all(|&index| (0..(rows * length) as i32).contains(&index)));
}

fn check_dummy(step: &Step<'_>) {
    assert_eq!((step.rows, step.length), (1, 1));
    assert_eq!((step.input_ids, step.position_ids, step.attention_mask), (&[0][..], &[0][..], &[0][..]));
}

/// A generator over the fake model.
pub(crate) fn generator(fake: Fake) -> Generator<Fake> {
    let model = fake.model.clone();
    Generator::new(fake, tokenizer(), model).unwrap()
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
    /// Where in the text each of them begins.
    pub(crate) text_offsets: Vec<u32>,
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
            EventKind::Token { id, text, text_offset, logprobs } => {
                outcome.tokens.push(id);
                outcome.text_offsets.push(text_offset);
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
