//! The template engine, set up as transformers sets up Jinja2: `trim_blocks`, `lstrip_blocks`, loop
//! controls, Python's methods and ways of writing values, `tojson`, `raise_exception`,
//! `strftime_now` and `{% generation %}`. Work and output are bounded.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Object;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::dates::strftime;
use super::error::{ChatError, TemplateError};
use super::marks::Marks;
use super::rewrite::rewritten;
use super::source::Source;
use super::{filters, globals, methods, python};

/// The engine's unit of work: an instruction, or 64 bytes. The longest conversation that can be
/// encoded takes half of it; what templates make of it in between, which is at most 64 bytes a
/// unit, stays below a guest's memory, so that a template that doubles a text runs out of this
/// first.
pub const MAX_FUEL: u64 = 1_500_000;
/// The longest rendered text, in bytes: what a tokenizer encodes at once.
pub const MAX_OUTPUT_BYTES: usize = 500_000;
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
    /// The variables that the template takes from outside.
    variables: BTreeSet<String>,
}

impl Object for Marks {}

/// The marks of the request that is rendered.
pub(super) fn marks(state: &State<'_, '_>) -> Result<Arc<Marks>, Error> {
    let marks = state.lookup(MARKS).and_then(|value| value.downcast_object::<Marks>());
    marks.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there are no marks for this request"))
}

/// Pays for the work over some bytes: the engine takes one unit of fuel for 64 of them.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(bytes / 64 + 1).unwrap_or(u64::MAX))
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
        env.set_unknown_method_callback(methods::call_method);
        env.set_formatter(|out, state, value| {
            if value.is_undefined() {
                return Ok(());
            }
            let text = python::text(state, value)?;
            out.write_str(&text).map_err(|_| Error::from(ErrorKind::WriteFailure))
        });
        filters::add(&mut env);
        globals::add(&mut env);
        env.add_function("raise_exception", |state: &State<'_, '_>, message: &Value| -> Result<Value, Error> {
            let message = marks(state)?.plain_text(&message.to_string());
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
        });
        env.add_template_owned(TEMPLATE, rewritten(source)).map_err(|error| syntax_error(&error))?;
        let variables = env.get_template(TEMPLATE).map(|template| template.undeclared_variables(false));
        let variables = variables.map_err(|error| syntax_error(&error))?.into_iter().collect();
        Ok(Self { env, variables })
    }

    /// Whether the template takes a variable from outside.
    pub(super) fn takes(&self, variable: &str) -> bool {
        self.variables.contains(variable)
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
