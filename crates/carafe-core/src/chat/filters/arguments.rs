//! A filter's arguments, each by its position or by its name, as in Python.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Error, ErrorKind, Value};

use crate::chat::methods::split_arguments;

/// The arguments behind a filter's value.
pub(super) struct Arguments {
    positional: Vec<Value>,
    named: Kwargs,
}

impl Arguments {
    /// Parts those by position from those by name.
    pub(super) fn read(args: Rest<ValueOrKwargs>) -> Result<Self, Error> {
        let args = args.into_values();
        let (positional, named) = split_arguments(&args)?;
        Ok(Self { positional: positional.to_vec(), named })
    }

    /// The argument of a position or a name.
    pub(super) fn get(&mut self, position: usize, name: &str) -> Result<Option<Value>, Error> {
        match self.positional.get(position) {
            Some(value) => Ok(Some(value.clone())),
            None => self.named.get(name),
        }
    }

    /// A boolean.
    pub(super) fn flag(&mut self, position: usize, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.get(position, name)?.map_or(default, |value| value.is_true()))
    }

    /// A length.
    pub(super) fn length(&mut self, position: usize, name: &str, default: usize) -> Result<usize, Error> {
        self.get(position, name)?.map_or(Ok(default), usize::try_from)
    }

    /// Refuses arguments that nobody has asked for; at most this many are taken by position.
    pub(super) fn finish(self, positions: usize) -> Result<(), Error> {
        if self.positional.len() > positions {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        self.named.assert_all_used()
    }
}
