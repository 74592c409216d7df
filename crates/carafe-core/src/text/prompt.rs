//! What a model is to go on from.

/// A text, tokens, or a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A text, of which the tokenizer makes tokens.
    Text(TextPrompt),
    /// Tokens, special ones included.
    Tokens(Vec<u32>),
    /// A conversation, of which a [`Preparer`](super::Preparer) makes tokens.
    Chat(Chat),
}

impl Prompt {
    /// A text as a client types it: see [`TextPrompt::new`].
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPrompt::new(text))
    }
}

/// A text, and what the tokenizer is to make of special tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPrompt {
    /// The text.
    pub text: String,
    /// Whether to add what the tokenizer's post-processor adds to a text, such as a BOS token.
    pub add_special_tokens: bool,
    /// Whether special tokens that the text spells out become control tokens; otherwise they are
    /// ordinary text.
    pub parse_special: bool,
}

impl TextPrompt {
    /// A text to which the tokenizer adds what it adds, and in which special tokens are text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), add_special_tokens: true, parse_special: false }
    }
}

/// A conversation, for the model's chat template. No text in it becomes a control token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// A JSON array of messages as OpenAI's API has them.
    pub messages: String,
    /// A JSON array of tools as OpenAI's API has them.
    pub tools: Option<String>,
    /// A JSON object of further variables of the template (`chat_template_kwargs`).
    pub template_arguments: Option<String>,
    /// Whether to end with what begins the assistant's next message.
    pub add_generation_prompt: bool,
    /// Whether to end within the last message, for the model to go on with it; not together with
    /// `add_generation_prompt`.
    pub continue_final_message: bool,
    /// Seconds since 1970, for templates that write the date.
    pub now: u64,
}
