//! Brings one file onto the disk, going on where an earlier attempt broke off.
//!
//! What came lies in `FILE.part`, which one process at a time may write. A server that ignores
//! `Range`, or answers another range than the one asked for, makes the file start anew: bytes are
//! only ever put where the answer says that they belong.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ureq::http::StatusCode;

use super::client::{Answer, Client};
use super::failure::{Attempts, Failure};
use super::progress::Progress;

/// The least that must come in a second, averaged over the patience: less is as good as nothing.
const LOWEST_RATE: u64 = 1024;
/// New bytes after which an attempt counts as one that brought something.
const WORTHWHILE: u64 = 1 << 20;
/// The longest file whose length the hub need not announce.
const LONGEST_UNANNOUNCED: u64 = 64 << 20;
const PIECE: usize = 64 << 10;

/// A file to fetch.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    /// Its length, where the hub announced it.
    pub(super) size: Option<u64>,
    /// How long nothing worth mentioning may come.
    pub(super) patience: Duration,
}

impl Download<'_> {
    /// Fetches what is missing of `part`, and moves it to `out` when it is whole.
    pub(super) fn run(&self, part: &Path, out: &Path, progress: &mut Progress) -> Result<(), Failure> {
        let mut part = Part::open(part)?;
        let mut attempts = Attempts::new(self.patience);
        let mut best = part.length()?;
        while Some(part.length()?) != self.size {
            match self.attempt(&mut part, progress) {
                Ok(()) => break,
                Err(failure) => {
                    let length = part.length()?;
                    if length >= best + WORTHWHILE {
                        attempts.renew();
                    }
                    best = best.max(length);
                    attempts.wait_after(failure)?;
                }
            }
        }
        part.finish(out)
    }

    fn attempt(&self, part: &mut Part, progress: &mut Progress) -> Result<(), Failure> {
        if self.size.is_some_and(|size| part.length().is_ok_and(|length| length > size)) {
            part.restart()?;
        }
        let have = part.length()?;
        let range = (have > 0).then(|| format!("bytes={have}-"));
        let answer = self.client.get(self.url, range.as_deref())?;
        if answer.start() != Some(have) {
            part.restart()?;
        }
        let fits = answer.total().is_none() || self.size.is_none() || answer.total() == self.size;
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if !fits => {
                part.restart()?;
                Err(Failure::Interrupted("came with another length than the hub had announced".to_owned()))
            }
            StatusCode::OK => self.copy(answer, part, progress),
            StatusCode::PARTIAL_CONTENT if answer.start() == Some(have) => self.copy(answer, part, progress),
            _ => {
                part.restart()?;
                Err(Failure::Interrupted("came from another position than the one asked for".to_owned()))
            }
        }
    }

    /// Appends what comes, no more than was announced and not too slowly.
    fn copy(&self, answer: Answer, part: &mut Part, progress: &mut Progress) -> Result<(), Failure> {
        let limit = self.size.unwrap_or(LONGEST_UNANNOUNCED);
        let mut length = part.length()?;
        let came = each_piece(answer, self.patience, |piece| {
            length += piece.len() as u64;
            if length > limit {
                part.restart()?;
                return Err(too_long(limit));
            }
            part.append(piece)?;
            progress.show(length, self.size);
            Ok(())
        });
        came?;
        match self.size {
            Some(size) if length < size => {
                Err(Failure::Interrupted(format!("broke off after {length} of {size} bytes")))
            }
            _ => Ok(()),
        }
    }
}

/// An answer in memory, at most `limit` bytes of it and not too slowly.
pub(super) fn read(answer: Answer, limit: u64, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    each_piece(answer, patience, |piece| {
        bytes.extend_from_slice(piece);
        if bytes.len() as u64 > limit { Err(too_long(limit)) } else { Ok(()) }
    })?;
    Ok(bytes)
}

/// Hands over what comes, piece by piece, for as long as enough comes.
fn each_piece(
    answer: Answer,
    patience: Duration,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut contents = answer.into_reader();
    let mut rate = Rate::new(patience);
    let mut piece = vec![0; PIECE];
    loop {
        let count = contents.read(&mut piece).map_err(|error| broken(&error))?;
        if count == 0 {
            return Ok(());
        }
        take(&piece[..count])?;
        rate.check(count as u64)?;
    }
}

fn too_long(limit: u64) -> Failure {
    Failure::Unusable(format!("goes on after {limit} bytes, the most that there should be"))
}

fn broken(error: &io::Error) -> Failure {
    Failure::Interrupted(format!("broke off: {error}"))
}

/// Checks that enough bytes come in each window of time.
struct Rate {
    patience: Duration,
    since: Instant,
    bytes: u64,
}

impl Rate {
    fn new(patience: Duration) -> Self {
        Self { patience, since: Instant::now(), bytes: 0 }
    }

    fn check(&mut self, count: u64) -> Result<(), Failure> {
        self.bytes += count;
        if self.since.elapsed() < self.patience {
            return Ok(());
        }
        let (bytes, seconds) = (self.bytes, self.patience.as_secs());
        if bytes < LOWEST_RATE * seconds {
            return Err(Failure::Interrupted(format!("came with {bytes} bytes in {seconds} s, which is too slow")));
        }
        *self = Self::new(self.patience);
        Ok(())
    }
}

/// What came of a file so far. The lock on it ends with the process.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(Failure::Disk)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_owned() }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::Unusable("is being fetched by another process; wait for that one".to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(Failure::Disk(error)),
        }
    }

    fn length(&self) -> Result<u64, Failure> {
        Ok(self.file.metadata().map_err(Failure::Disk)?.len())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(Failure::Disk)
    }

    /// Forgets what came; what is appended next is the file's beginning.
    fn restart(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).map_err(Failure::Disk)
    }

    fn finish(self, out: &Path) -> Result<(), Failure> {
        fs::rename(&self.path, out).map_err(Failure::Disk)
    }
}
