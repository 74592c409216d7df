//! What text a token stands for: `tokenizer.json`'s `decoder`, token by token.
//!
//! The library decodes all tokens at once, through lists of strings. But of what its decoders do,
//! little depends on other tokens: whether a token is the first, which bytes stand side by side,
//! and what is cut off at the start of the whole. So a token has a [`TokenText`] of its own here,
//! and [`TextStream`](super::TextStream) knows the rest.

use serde::Deserialize;
use serde_json::Value;

use super::{TokenizerError, byte_level::ByteTable};

/// What a token adds to a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenText {
    /// Bytes, often no whole characters; what is ill-formed in the whole text becomes U+FFFD piece
    /// by piece.
    Bytes(Vec<u8>),
    /// Whole characters.
    Text(String),
    /// One byte. Such bytes side by side are characters if all of them are, and otherwise U+FFFD,
    /// each of them.
    Byte(u8),
}

/// A tokenizer's decoder.
#[derive(Debug)]
pub(super) enum Decoder {
    /// Characters stand for bytes.
    ByteLevel(ByteTable),
    /// Tokens are text.
    Text(TextDecoder),
}

/// A decoder of tokens that are text.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    /// What is done to each token, in this order.
    steps: Vec<Step>,
    /// Whether `<0x0A>` is a byte.
    byte_fallback: bool,
    /// The character that is cut off at the start of the whole text, and how often at most.
    strip: Option<(char, usize)>,
}

#[derive(Debug)]
enum Step {
    Replace {
        pattern: String,
        content: String,
    },
    Metaspace {
        replacement: char,
        drops_first: bool,
    },
    WordPiece {
        prefix: String,
        cleanup: bool,
    },
    /// A space before every token but the first: what the library does without a decoder.
    Spaced,
}

/// A decoder in the words of `tokenizer.json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Part {
    ByteLevel {},
    ByteFallback {},
    Fuse {},
    Replace { pattern: Pattern, content: String },
    Strip { content: char, start: usize, stop: usize },
    Metaspace { replacement: char, add_prefix_space: Option<bool>, prepend_scheme: Option<PrependScheme> },
    WordPiece { prefix: String, cleanup: bool },
    Sequence { decoders: Vec<Part> },
}

#[derive(Debug, Deserialize)]
enum Pattern {
    String(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PrependScheme {
    Always,
    First,
    Never,
}

const SUPPORTED: &str = "`ByteLevel`, or a sequence of `Replace` of a string, `Metaspace` or `WordPiece`, then \
                         `ByteFallback`, then `Fuse`, then `Strip` at the start";

impl Decoder {
    /// The decoder that `tokenizer.json` describes.
    pub(super) fn new(json: Option<&Value>) -> Result<Self, TokenizerError> {
        let Some(json) = json else {
            return Ok(Self::Text(TextDecoder { steps: vec![Step::Spaced], ..TextDecoder::default() }));
        };
        let part = Part::deserialize(json)
            .map_err(|error| TokenizerError::unsupported("decoder", format!("{SUPPORTED}; {error}")))?;
        let mut parts = Vec::new();
        part.flatten_into(&mut parts);
        if matches!(parts[..], [Part::ByteLevel {}]) {
            return Ok(Self::ByteLevel(ByteTable::new()));
        }
        TextDecoder::new(parts).map(Self::Text)
    }

    /// What a token adds to a text. An added token stands for itself, whatever bytes its characters
    /// would be.
    pub(super) fn token_text(&self, token: &str, is_added: bool, is_first: bool) -> TokenText {
        match self {
            Self::ByteLevel(_) if is_added => TokenText::Bytes(token.as_bytes().to_vec()),
            Self::ByteLevel(table) => TokenText::Bytes(table.bytes(token)),
            Self::Text(decoder) => decoder.token_text(token, is_first),
        }
    }

    /// Whether the characters of tokens stand for bytes.
    pub(super) fn is_byte_level(&self) -> bool {
        matches!(self, Self::ByteLevel(_))
    }

    /// What is cut off at the start of the whole text: the character, and how often at most.
    pub(super) fn strip(&self) -> Option<(char, usize)> {
        match self {
            Self::ByteLevel(_) => None,
            Self::Text(decoder) => decoder.strip,
        }
    }
}

impl Part {
    fn flatten_into(self, parts: &mut Vec<Part>) {
        match self {
            Self::Sequence { decoders } => decoders.into_iter().for_each(|part| part.flatten_into(parts)),
            part => parts.push(part),
        }
    }
}

impl TextDecoder {
    /// Takes the parts in the order in which they come one token at a time.
    fn new(parts: Vec<Part>) -> Result<Self, TokenizerError> {
        let mut decoder = Self::default();
        let mut is_fused = false;
        for part in parts {
            match part {
                Part::ByteFallback {} if !is_fused && !decoder.byte_fallback => decoder.byte_fallback = true,
                Part::Fuse {} => is_fused = true,
                Part::Strip { content, start, stop: 0 } if is_fused && decoder.strip.is_none() => {
                    decoder.strip = Some((content, start));
                }
                part if !is_fused && !decoder.byte_fallback => decoder.steps.push(Step::new(part)?),
                _ => return Err(TokenizerError::unsupported("decoder", SUPPORTED)),
            }
        }
        Ok(decoder)
    }

    fn token_text(&self, token: &str, is_first: bool) -> TokenText {
        let text = self.steps.iter().fold(token.to_owned(), |text, step| step.apply(text, is_first));
        match byte_of(&text).filter(|_| self.byte_fallback) {
            Some(byte) => TokenText::Byte(byte),
            None => TokenText::Text(text),
        }
    }
}

impl Step {
    fn new(part: Part) -> Result<Self, TokenizerError> {
        match part {
            Part::Replace { pattern: Pattern::String(pattern), content } => Ok(Self::Replace { pattern, content }),
            Part::Metaspace { replacement, add_prefix_space, prepend_scheme } => {
                let scheme = prepend_scheme.unwrap_or(PrependScheme::Always);
                let drops_first = scheme != PrependScheme::Never && add_prefix_space != Some(false);
                Ok(Self::Metaspace { replacement, drops_first })
            }
            Part::WordPiece { prefix, cleanup } => Ok(Self::WordPiece { prefix, cleanup }),
            _ => Err(TokenizerError::unsupported("decoder", SUPPORTED)),
        }
    }

    fn apply(&self, text: String, is_first: bool) -> String {
        match self {
            Self::Replace { pattern, content } if !pattern.is_empty() => text.replace(pattern, content),
            Self::Replace { .. } => text,
            Self::Metaspace { replacement, drops_first } => {
                text.replace(*replacement, if is_first && *drops_first { "" } else { " " })
            }
            Self::WordPiece { prefix, cleanup } => {
                let text = if is_first { text } else { joined(&text, prefix) };
                if *cleanup { clean_up(&text) } else { text }
            }
            Self::Spaced => {
                if is_first {
                    text
                } else {
                    format!(" {text}")
                }
            }
        }
    }
}

/// A token after another: with a space before it, unless it goes on with a word.
fn joined(token: &str, prefix: &str) -> String {
    token.strip_prefix(prefix).map_or_else(|| format!(" {token}"), str::to_owned)
}

/// Takes out the spaces that BERT's tokenizer puts before punctuation and English contractions; the
/// list is the library's.
fn clean_up(text: &str) -> String {
    const CHANGES: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    CHANGES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The byte that `<0x0A>` stands for.
fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}
