//! Why a template cannot be used, and why a chat cannot be rendered.

/// Why a chat template was refused when its model was opened.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The source is no Jinja2 template, or uses a statement that is not supported.
    #[error("failed to read the chat template, line {line}: {reason}")]
    Syntax {
        /// The line in the template, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The source is longer than any real template.
    #[error("the chat template has {bytes} bytes; at most {limit} are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It cannot render even the plainest conversation.
    #[error("the chat template cannot render a conversation of one message")]
    Unusable(#[source] ChatError),
    /// A control token that could be made of numbers, which cannot be told from a client's.
    #[error(
        "the control token `{token}` can be made of a number and text that the chat template writes, \
         so a client's number could become one; take the token or the template out of the model"
    )]
    Forgeable {
        /// The token's text.
        token: String,
    },
}

/// Why a chat was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// A field of the request is not what it must be. The request is at fault.
    #[error("`{field}` {reason}")]
    Field {
        /// Where, in the words of the API: `messages[2].role`.
        field: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The template refuses the conversation, by `raise_exception`. The request is at fault.
    #[error("the model's chat template refuses the conversation (line {line}): {reason}")]
    Refused {
        /// The line in the template, from 1.
        line: usize,
        /// The template's own words.
        reason: String,
    },
    /// The template cannot render this conversation, such as one without content where it needs
    /// some. The request is at fault.
    #[error("the model's chat template cannot render the conversation (line {line}): {reason}")]
    Unrenderable {
        /// The line in the template, from 1.
        line: usize,
        /// What failed there.
        reason: String,
    },
    /// Rendering took more than its limit. The request is at fault: the same template renders
    /// shorter conversations.
    #[error("rendering the conversation takes more than {limit} (template line {line}); send a shorter one")]
    TooMuch {
        /// The line in the template at which it stopped, from 1.
        line: usize,
        /// The limit, with its unit.
        limit: String,
    },
    /// The template uses something that does not exist here, whatever the conversation. The model
    /// is at fault.
    #[error("the model's chat template cannot be run (line {line}): {reason}")]
    Template {
        /// The line in the template, from 1.
        line: usize,
        /// What is missing.
        reason: String,
    },
}

impl ChatError {
    /// A fault of a field of the request.
    pub(super) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }

    /// Whether another request could succeed, so that this one is to be answered with 400 and not
    /// 500.
    pub fn is_request_fault(&self) -> bool {
        !matches!(self, Self::Template { .. })
    }

    /// The field of the request that is at fault, such as `messages[2].role`. A conversation that
    /// the template does not render has no better name than `messages`.
    pub fn request_field(&self) -> Option<&str> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::Template { .. } => None,
            Self::Refused { .. } | Self::Unrenderable { .. } | Self::TooMuch { .. } => Some("messages"),
        }
    }
}
