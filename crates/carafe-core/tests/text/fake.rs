//! What the tests generate with: a small tokenizer, and a model whose logits are a pure function of
//! what it has read.
//!
//! The fake model is also the judge of every step: it keeps to the contract of `ModelRunner` and
//! panics where the generator breaks it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    rc::Rc,
};

use carafe_core::text::{DECODER_INPUTS, Role};
use carafe_core::text::{
    Event, EventKind, FinishReason, Generator, Logits as Answer, ModelInput, ModelRunner, PrefixSharing, Prompt,
    PromptToken, Request, RunError, Sampling, TextModel, TokenLogprobs, rng,
};
use carafe_core::tokenizer::{Tokenizer, TokenizerError, compact_form};
use serde_json::{Value, json};

/// The EOS token of [`tokenizer`].
pub(crate) const EOS: u32 = 0;

/// Tokens of more than one byte, made by merging two others. The last one is never made of a text,
/// as the pre-tokenizer parts words before a space.
const MERGES: [(&str, &str); 6] = [("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("l", "l"), ("he", "ll"), ("a", "Ġ")];

/// How many tokens [`tokenizer`] has: EOS, the bytes, the merges.
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
    vocabulary.insert("<|endoftext|>".to_owned(), json!(EOS));
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
            "id": EOS, "content": "<|endoftext|>", "single_word": false,
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

/// Opens a tokenizer as a host and a guest do together.
pub(crate) fn open(json: &Value) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::open(&compact_form(json.to_string().as_bytes())?)
}

/// A small byte-level BPE: token 0 is EOS, token 1 + b the byte b.
pub(crate) fn tokenizer() -> Tokenizer {
    open(&tokenizer_json()).unwrap()
}

/// The model that goes with [`tokenizer`]: short context and short chunks, so that prompts are cut;
/// few sequences and few blocks, so that requests wait.
pub(crate) fn model() -> TextModel {
    TextModel {
        context_length: 64,
        vocabulary_size: VOCABULARY_SIZE,
        eos_token_ids: vec![EOS],
        block_size: 4,
        num_blocks: 40,
        max_num_seqs: 4,
        max_num_batched_tokens: 16,
        max_num_logits: 6,
        prefill_chunk: 8,
        draft_tokens: 3,
        prefix_sharing: PrefixSharing::Tenant,
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

/// Logits that write `tokens` after a prompt of `prompt` tokens, and then EOS.
pub(crate) fn script(prompt: usize, tokens: Vec<u32>) -> Logits {
    Rc::new(move |read| {
        let wanted = tokens.get(read.len() - prompt).copied().unwrap_or(EOS);
        (0..VOCABULARY_SIZE).map(|token| if token == wanted { 10.0 } else { 0.0 }).collect()
    })
}

/// What the fake model was asked for.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Inferences, failed ones included.
    pub(crate) forwards: usize,
    /// Of each inference, the new tokens of each of its sequences.
    pub(crate) steps: Vec<Vec<usize>>,
    /// How often the cache was made anew.
    pub(crate) resets: usize,
}

/// A model without weights.
pub(crate) struct Fake {
    pub(crate) logits: Logits,
    /// What steps are held against.
    pub(crate) model: TextModel,
    /// The inferences that fail, counted from 0.
    pub(crate) failures: BTreeSet<usize>,
    /// A token whose presence makes every inference fail.
    pub(crate) poison: Option<u32>,
    pub(crate) log: Rc<RefCell<Log>>,
    /// Of each block, the token and the position of each of its computed tokens; none while the
    /// cache must be reset.
    pub(crate) cache: Option<Vec<Vec<(u32, i32)>>>,
}

impl Fake {
    pub(crate) fn new(logits: Logits) -> Self {
        Self { logits, model: model(), failures: BTreeSet::new(), poison: None, log: Rc::default(), cache: None }
    }
}

impl ModelRunner for Fake {
    fn reset(&mut self) -> Result<(), RunError> {
        assert!(self.cache.is_none(), "a cache that is in order was reset");
        self.cache = Some(vec![Vec::new(); self.model.num_blocks as usize]);
        self.log.borrow_mut().resets += 1;
        Ok(())
    }

    fn run(&mut self, inputs: &[ModelInput], logits: &mut Answer) -> Result<(), RunError> {
        let mut cache = self.cache.take().expect("the cache was reset after a failure");
        let step = Step::checked(inputs, &self.model);
        let mut log = self.log.borrow_mut();
        log.forwards += 1;
        log.steps.push(step.sequences.iter().map(|sequence| sequence.tokens.len()).collect());
        let ids = step.sequences.iter().flat_map(|sequence| &sequence.tokens).map(|(id, _)| *id);
        let is_poisoned = self.poison.is_some_and(|poison| ids.into_iter().any(|id| id == poison));
        if is_poisoned || self.failures.contains(&(log.forwards - 1)) {
            return Err(RunError::new("the fake model was told to fail"));
        }
        let seen: Vec<Vec<u32>> =
            step.sequences.iter().flat_map(|sequence| sequence.compute(&mut cache, self.model.block_size)).collect();
        logits.refill(|values| step.logit_idx.iter().for_each(|&index| values.extend((self.logits)(&seen[index]))));
        self.cache = Some(cache);
        Ok(())
    }
}

/// The inputs of an inference, taken apart.
struct Step {
    sequences: Vec<Sequence>,
    logit_idx: Vec<usize>,
}

/// A sequence of an inference.
struct Sequence {
    tokens: Vec<(u32, i32)>,
    past: usize,
    blocks: Vec<usize>,
}

impl Step {
    /// Holds the inputs against the model's sizes and against one another.
    fn checked(inputs: &[ModelInput], model: &TextModel) -> Self {
        assert!(inputs.iter().map(|input| input.role).eq(DECODER_INPUTS.iter().map(|port| port.role)));
        for (input, port) in inputs.iter().zip(&DECODER_INPUTS) {
            let size: usize = input.dims.iter().map(|dim| *dim as usize).product();
            assert_eq!((input.dims.len(), size), (port.dims.len(), input.values.len()), "{}", input.role);
        }
        let [ids, positions, pasts, begins, blocks, block_begins, longest, logit_idx] =
            [Role::InputIds, Role::PositionIds, Role::PastLens, Role::SubsequenceBegins, Role::BlockIndices]
                .into_iter()
                .chain([Role::BlockIndicesBegins, Role::MaxContextLen, Role::LogitIdx])
                .map(|role| values(inputs, role, model))
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
        assert!((1..=model.max_num_batched_tokens as usize).contains(&ids.len()));
        assert!((1..=model.max_num_seqs as usize).contains(&pasts.len()));
        assert!((1..=model.max_num_logits as usize).contains(&logit_idx.len()));
        assert!(logit_idx.is_sorted() && logit_idx.iter().all(|&index| index < ids.len()));
        let (tokens, blocks_of) = (ranges(&begins, ids.len()), ranges(&block_begins, blocks.len()));
        assert_eq!([tokens.len(), blocks_of.len()], [pasts.len(); 2]);
        let sequence = |((past, tokens), of): ((&usize, Range<usize>), Range<usize>)| Sequence {
            tokens: tokens.map(|index| (ids[index] as u32, positions[index] as i32)).collect(),
            past: *past,
            blocks: blocks[of].to_vec(),
        };
        let sequences: Vec<Sequence> = pasts.iter().zip(tokens).zip(blocks_of).map(sequence).collect();
        assert_eq!(longest, [sequences.iter().map(Sequence::len).max().unwrap()]);
        let step = Self { sequences, logit_idx };
        step.check_blocks(model);
        step
    }

    /// A sequence has the blocks that it needs, and one that is written is nobody else's.
    fn check_blocks(&self, model: &TextModel) {
        let size = model.block_size as usize;
        let mut named = BTreeMap::new();
        for sequence in &self.sequences {
            assert!(sequence.len() <= model.context_length as usize);
            assert_eq!(sequence.blocks.len(), sequence.len().div_ceil(size));
            for (index, &block) in sequence.blocks.iter().enumerate() {
                assert!(block < model.num_blocks as usize);
                let is_written = (index + 1) * size > sequence.past;
                let (count, written) = named.entry(block).or_insert((0, false));
                (*count, *written) = (*count + 1, *written || is_written);
            }
        }
        assert!(named.values().all(|&(count, written)| count == 1 || !written), "a block is written and named twice");
    }
}

impl Sequence {
    /// Past and new tokens.
    fn len(&self) -> usize {
        self.past + self.tokens.len()
    }

    /// Writes the new tokens; of each, what the model sees then: all tokens up to it.
    fn compute(&self, cache: &mut [Vec<(u32, i32)>], block_size: u32) -> Vec<Vec<u32>> {
        let size = block_size as usize;
        for (place, &token) in (self.past..).zip(&self.tokens) {
            let block = &mut cache[self.blocks[place / size]];
            assert!(block.len() >= place % size, "the past was not computed");
            block.truncate(place % size);
            block.push(token);
        }
        let all: Vec<(u32, i32)> =
            self.blocks.iter().flat_map(|&block| cache[block].clone()).take(self.len()).collect();
        assert!(all.iter().map(|(_, position)| *position).eq(0..self.len() as i32), "positions are consecutive");
        let ids: Vec<u32> = all.into_iter().map(|(id, _)| id).collect();
        (self.past..self.len()).map(|last| ids[..=last].to_vec()).collect()
    }
}

/// The values of an input, none of which is negative, nor an id outside the vocabulary.
fn values(inputs: &[ModelInput], role: Role, model: &TextModel) -> Vec<usize> {
    let values = &inputs.iter().find(|input| input.role == role).unwrap().values;
    let limit = if role == Role::InputIds { model.vocabulary_size.cast_signed() } else { i32::MAX };
    assert!(values.iter().all(|value| (0..limit).contains(value)), "{role}: {values:?}");
    values.iter().map(|&value| value as usize).collect()
}

/// What begins at 0, rises and ends at the total, as ranges.
fn ranges(begins: &[usize], total: usize) -> Vec<Range<usize>> {
    assert_eq!((begins.first(), begins.last()), (Some(&0), Some(&total)));
    begins.windows(2).map(|pair| pair[0]..pair[1]).inspect(|range| assert!(!range.is_empty())).collect()
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
    /// The reasoning that came apart.
    pub(crate) reasoning: String,
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
            EventKind::Token { id, text, reasoning, text_offset, logprobs } => {
                outcome.tokens.push(id);
                outcome.reasoning.push_str(&reasoning);
                outcome.text_offsets.push(text_offset);
                outcome.logprobs.extend(logprobs);
                outcome.texts.push(text);
            }
            EventKind::Finished { reason, text, reasoning, generated_tokens, .. } => {
                outcome.reasoning.push_str(&reasoning);
                outcome.texts.push(text);
                outcome.finished = Some((reason, generated_tokens));
            }
            EventKind::Failed { message, .. } => panic!("{message}"),
        }
    }
    outcome
}

/// A greedy request on the prompt `hi`, which is two tokens.
pub(crate) fn greedy(max_tokens: u32) -> Request {
    let mut request = Request::new(Prompt::text("hi"), max_tokens);
    request.sampling.temperature = 0.0;
    request
}

/// A request that decodes to its `max_tokens`.
pub(crate) fn endless(prompt: &[u32], max_tokens: u32) -> Request {
    let mut request = Request::new(Prompt::Tokens(prompt.to_vec()), max_tokens);
    request.ignore_eos = true;
    request.sampling = Sampling { seed: prompt.len() as u64, ..Sampling::default() };
    request
}

/// The tokens that events give a request.
pub(crate) fn tokens(events: &[Event], request: u64) -> Vec<u32> {
    let own = events.iter().filter(|event| event.request == request);
    own.filter_map(|event| match event.kind {
        EventKind::Token { id, .. } => Some(id),
        _ => None,
    })
    .collect()
}

/// The tokens of a request that is alone in the world.
pub(crate) fn alone(logits: &Logits, request: Request) -> Vec<u32> {
    run(logits.clone(), request).tokens
}

/// A generator over a fake model of these sizes, and what that will be asked for.
pub(crate) fn generator_and_log(logits: Logits, model: TextModel) -> (Generator<Fake>, Rc<RefCell<Log>>) {
    let fake = Fake { model, ..Fake::new(logits) };
    let log = Rc::clone(&fake.log);
    (generator(fake), log)
}

/// How many sequences each step had.
pub(crate) fn rows(log: &RefCell<Log>) -> Vec<usize> {
    log.borrow().steps.iter().map(Vec::len).collect()
}
