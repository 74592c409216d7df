//! One line on a terminal that says how much of a file has come.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::output;

const INTERVAL: Duration = Duration::from_millis(250);

/// The line; without a terminal there is none.
pub(super) struct Progress {
    file: String,
    is_shown: bool,
    next: Instant,
}

impl Progress {
    /// For the file of this name.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), is_shown: io::stderr().is_terminal(), next: Instant::now() }
    }

    /// Shows how many bytes have come.
    pub(super) fn show(&mut self, length: u64, size: Option<u64>) {
        if !self.is_shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + INTERVAL;
        let of = size.map(|size| format!(" of {}", output::mebibytes(size))).unwrap_or_default();
        output::passing(&format!("{}: {}{of}", self.file, output::mebibytes(length)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            output::passing("");
        }
    }
}
