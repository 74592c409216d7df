//! Python's `textwrap.wrap`, as Jinja2's `wordwrap` calls it: lines are parts of the text.

/// How lines are made.
pub(super) struct Wrap {
    /// The longest line, in characters; at least 1.
    pub(super) width: usize,
    /// Whether a word that is longer than a line is cut.
    pub(super) break_long_words: bool,
    /// Whether a line may end behind a hyphen.
    pub(super) break_on_hyphens: bool,
}

impl Wrap {
    /// Where the lines of a text begin and end.
    pub(super) fn lines(&self, text: &[char]) -> Vec<(usize, usize)> {
        let ends = self.chunks(text);
        let is_blank = |from: usize, to: usize| text[from..to].iter().all(|&c| super::is_space(c));
        let mut lines = Vec::new();
        let mut chunk = 0;
        let mut from = 0;
        while chunk < ends.len() {
            if !lines.is_empty() && is_blank(from, ends[chunk]) {
                from = ends[chunk];
                chunk += 1;
            }
            let (mut to, mut last, mut trims) = (from, from, true);
            while chunk < ends.len() && ends[chunk] - from <= self.width {
                (last, to) = (to, ends[chunk]);
                chunk += 1;
            }
            if chunk < ends.len() && ends[chunk] - to > self.width {
                let end = self.cut(text, to, ends[chunk], from);
                // `textwrap` adds even an empty part, and takes that away instead of a blank
                // before.
                trims = end > to || !self.break_long_words;
                if end > to {
                    (last, to) = (to, end);
                }
                chunk += usize::from(to == ends[chunk]);
            }
            let end = if trims && last < to && is_blank(last, to) { last } else { to };
            if end > from {
                lines.push((from, end));
            }
            from = to;
        }
        lines
    }

    /// Where a word from `at` to `end` that no line holds is cut, on a line that begins at `from`.
    fn cut(&self, text: &[char], at: usize, end: usize, from: usize) -> usize {
        if !self.break_long_words {
            return if at == from { end } else { at };
        }
        let room = self.width - (at - from);
        let hyphen = text[at..at + room].iter().rposition(|&c| c == '-').filter(|_| self.break_on_hyphens);
        match hyphen {
            Some(hyphen) if text[at..at + hyphen].iter().any(|&c| c != '-') => at + hyphen + 1,
            _ => at + room,
        }
    }

    /// Where the parts end between which a line may end.
    fn chunks(&self, text: &[char]) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut at = 0;
        while at < text.len() {
            at = if is_blank(text[at]) {
                text[at..].iter().position(|&c| !is_blank(c)).map_or(text.len(), |length| at + length)
            } else if self.break_on_hyphens {
                dash_end(text, at).unwrap_or_else(|| word_end(text, at))
            } else {
                text[at..].iter().position(|&c| is_blank(c)).map_or(text.len(), |length| at + length)
            };
            ends.push(at);
        }
        ends
    }
}

/// What `textwrap` takes for whitespace.
fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ')
}

/// Python's `\w`.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_letter(c: char) -> bool {
    is_word(c) && !c.is_numeric()
}

fn is_word_or_punctuation(c: char) -> bool {
    is_word(c) || "!\"'&.,?".contains(c)
}

/// The end of two or more hyphens between words.
fn dash_end(text: &[char], at: usize) -> Option<usize> {
    let is_behind_word = at.checked_sub(1).is_some_and(|before| is_word_or_punctuation(text[before]));
    let length = text[at..].iter().take_while(|&&c| c == '-').count();
    let before_word = text.get(at + length).is_some_and(|&c| is_word(c));
    (is_behind_word && length >= 2 && before_word).then_some(at + length)
}

/// The end of a word: before whitespace or a dash, or behind a hyphen between letters.
fn word_end(text: &[char], at: usize) -> usize {
    (at + 1..text.len())
        .find_map(|end| {
            if text[end] == '-' && is_hyphen(text, end) {
                return Some(end + 1);
            }
            (is_blank(text[end]) || dash_end(text, end).is_some()).then_some(end)
        })
        .unwrap_or(text.len())
}

/// Whether the hyphen at a position parts a word: `ab-cd`, `a-b-cd`.
fn is_hyphen(text: &[char], at: usize) -> bool {
    let is = |at: Option<usize>, is: fn(char) -> bool| at.and_then(|at| text.get(at)).is_some_and(|&c| is(c));
    let before = |distance: usize| at.checked_sub(distance);
    let behind = |distance: usize| Some(at + distance);
    let hyphen = |c: char| c == '-';
    let two_letters = is(before(2), is_letter) && is(before(1), is_letter);
    let one_letter = is(before(3), is_letter) && is(before(2), hyphen) && is(before(1), is_word_or_punctuation);
    let follows =
        is(behind(1), is_letter) && (is(behind(2), is_letter) || (is(behind(2), hyphen) && is(behind(3), is_letter)));
    (two_letters || one_letter) && follows
}
