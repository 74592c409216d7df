//! The template engine, set up as transformers sets up Jinja2: `trim_blocks`, `lstrip_blocks`, loop
//! controls, Python's methods and ways of writing values, `tojson`, `raise_exception`,
//! `strftime_now` and `{% generation %}`. Work and output are bounded.

use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Object;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::dates::strftime;
use super::error::{ChatError, TemplateError};
use super::marks::Marks;
use super::source::{Kind, Source};
use super::{filters, python, strings};

/// The engine's unit of work: an instruction, or 64 bytes. A conversation of 500 kB in a thousand
/// messages takes less than a tenth of it; using it up takes a fraction of a guest's two seconds.
pub const MAX_FUEL: u64 = 5_000_000;
/// The longest rendered text, in bytes. Longer than any context, and little beside a guest's
/// memory.
pub const MAX_OUTPUT_BYTES: usize = 8 << 20;
/// How deep macros may call each other: far more than templates do, and little of a guest's stack.
const MAX_RECURSION: usize = 60;

/// What the only template is called. No suffix: nothing is escaped.
const TEMPLATE: &str = "chat_template";
/// The global with the marks. No name that a template could write.
const MARKS: &str = "marks of the request";

/// An engine with one template.
#[derive(Debug)]
pub(super) struct Engine {
    env: Environment<'static>,
}

impl Object for Marks {}

/// The marks of the request that is rendered.
pub(super) fn marks(state: &State<'_, '_>) -> Result<Arc<Marks>, Error> {
    let marks = state.lookup(MARKS).and_then(|value| value.downcast_object::<Marks>());
    marks.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there are no marks for this request"))
}

/// What `raise_exception` said.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

impl Engine {
    pub(super) fn open(source: &Source<'_>) -> Result<Self, TemplateError> {
        let mut env = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        env.set_syntax(syntax.map_err(|error| syntax_error(&error))?);
        env.set_fuel(Some(MAX_FUEL));
        env.set_recursion_limit(MAX_RECURSION);
        env.set_unknown_method_callback(strings::call_method);
        env.set_formatter(|out, state, value| {
            if value.is_undefined() {
                return Ok(());
            }
            let text = python::text(value, &*marks(state)?)?;
            out.write_str(&text).map_err(|_| Error::from(ErrorKind::WriteFailure))
        });
        filters::add(&mut env);
        env.remove_global("debug");
        env.add_function("raise_exception", |state: &State<'_, '_>, message: &Value| -> Result<Value, Error> {
            let message = marks(state)?.plain_text(&message.to_string());
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
        });
        env.add_template_owned(TEMPLATE, rewritten(source)).map_err(|error| syntax_error(&error))?;
        Ok(Self { env })
    }

    /// Renders the template with these variables; the text has marks.
    pub(super) fn render(&self, variables: Value, marks: &Arc<Marks>, now: i64) -> Result<String, ChatError> {
        let mut env = self.env.clone();
        env.add_global(MARKS, Value::from_dyn_object(Arc::clone(marks)));
        env.add_function("strftime_now", move |format: &str| {
            strftime(now, format).map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
        });
        let template = env.get_template(TEMPLATE).map_err(|error| chat_error(&error, marks))?;
        let mut out = Bounded(Vec::new());
        template.render_captured_to(variables, &mut out).map_err(|error| chat_error(&error, marks))?;
        // The engine writes whole strings, so this never finds half a character.
        String::from_utf8(out.0).map_err(|error| ChatError::Template { line: 1, reason: error.to_string() })
    }
}

/// Where the text goes, up to a limit.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

fn syntax_error(error: &Error) -> TemplateError {
    TemplateError::Syntax { line: error.line().unwrap_or(1), reason: reason(error) }
}

fn chat_error(error: &Error, marks: &Marks) -> ChatError {
    let line = error.line().unwrap_or(1);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Raised(reason)) = error.downcast_ref() {
            return ChatError::Refused { line, reason: reason.clone() };
        }
        match error.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::OutOfFuel) => {
                return ChatError::TooMuch { line, limit: format!("{MAX_FUEL} steps of the template") };
            }
            Some(ErrorKind::WriteFailure) => {
                return ChatError::TooMuch { line, limit: format!("{MAX_OUTPUT_BYTES} bytes of text") };
            }
            _ => cause = error.source(),
        }
    }
    let reason = marks.plain_text(&reason(error));
    match error.kind() {
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::TemplateNotFound
        | ErrorKind::SyntaxError => ChatError::Template { line, reason },
        _ => ChatError::Unrenderable { line, reason },
    }
}

/// The source as the engine takes it, line by line the same.
///
/// `{% generation %}`, which marks a model's own text for training, becomes a plain scope. And
/// `'text' in value`, which is the engine's own, becomes a test of ours that sees through marks.
fn rewritten(source: &Source<'_>) -> String {
    let mut out = String::new();
    let mut copied = 0;
    let mut replace = |from: usize, to: usize, text: &str| {
        out.push_str(&source.text[copied..from]);
        out.push_str(text);
        copied = to;
    };
    let mut at = 0;
    while at < source.tokens.len() {
        let token = &source.tokens[at];
        at += 1;
        match &token.kind {
            Kind::Word("generation") if opens_block(source, at - 1) => replace(token.start, token.end, "with"),
            Kind::Word("endgeneration") if opens_block(source, at - 1) => replace(token.start, token.end, "endwith"),
            Kind::Constant(_) => {
                if let Some((test, end)) = containment(source, at - 1) {
                    replace(token.start, source.tokens[end - 1].end, &test);
                    at = end;
                }
            }
            _ => {}
        }
    }
    out + &source.text[copied..]
}

fn opens_block(source: &Source<'_>, at: usize) -> bool {
    at > 0 && source.tokens[at - 1].kind == Kind::Open && source.text[source.tokens[at - 1].start..].starts_with("{%")
}

/// `(value is [not] containing(constant))` for `constant [not] in value` at a token, and where it
/// ends; nothing where the operator has other operands.
fn containment(source: &Source<'_>, at: usize) -> Option<(String, usize)> {
    let word = |at: usize| match source.tokens.get(at)?.kind {
        Kind::Word(word) => Some(word),
        _ => None,
    };
    let before = at.checked_sub(1).map(|before| &source.tokens[before].kind)?;
    let alone = matches!(
        before,
        Kind::Open
            | Kind::Sign("(" | "[" | "," | "=" | ":")
            | Kind::Word("if" | "elif" | "and" | "or" | "not" | "else")
    );
    let negated = word(at + 1) == Some("not");
    let operator = at + 1 + usize::from(negated);
    if !alone || word(operator) != Some("in") || matches!(word(operator + 1), Some("not")) {
        return None;
    }
    let start = operator + 1;
    let end = source.chain_end(start)?;
    let ends = match &source.tokens.get(end)?.kind {
        Kind::Close | Kind::Sign(")" | "]" | "}" | ",") => true,
        Kind::Word(word) => matches!(*word, "and" | "or" | "if" | "else"),
        _ => false,
    };
    let text = |from: usize, to: usize| &source.text[source.tokens[from].start..source.tokens[to - 1].end];
    let not = if negated { "not " } else { "" };
    ends.then(|| (format!("({} is {not}{}({}))", text(start, end), filters::CONTAINING, text(at, at + 1)), end))
}
