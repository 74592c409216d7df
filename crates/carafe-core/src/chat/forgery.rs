//! Whether a control token can be forged: made of a template's fragments with at least one
//! character of a client's choice. The argument is in `marks`.

use std::collections::BTreeSet;

/// Characters that the engine itself writes for numbers.
const MADE_CHARACTERS: &str = "0123456789.-+";
/// Words that the engine itself writes for numbers, booleans and none; filters change their case.
const MADE_WORDS: [&str; 15] = [
    "True", "true", "TRUE", "False", "false", "FALSE", "None", "none", "NONE", "nan", "NaN", "NAN", "inf", "Inf", "INF",
];
/// What the engine also writes where a template joins a list or mapping to a text by `~` or a
/// format.
const MADE_BY_CONTAINERS: &str = "[](){}'\", :\\";

/// The characters that the engine itself writes.
pub(super) fn made_characters(of_containers: bool) -> BTreeSet<char> {
    MADE_CHARACTERS.chars().chain(if of_containers { MADE_BY_CONTAINERS } else { "" }.chars()).collect()
}

/// One token, and the fragments that could be a part of it.
pub(super) struct Row<'a> {
    token: &'a [char],
    /// How many characters of the token's beginning are the end of a fragment, and whether a client
    /// chooses it.
    begins: BTreeSet<(usize, bool)>,
    /// Where in the token the beginning of a fragment fills the rest, likewise.
    completes: BTreeSet<(usize, bool)>,
    /// Whole fragments inside: from where to where, likewise.
    inside: BTreeSet<(usize, usize, bool)>,
    made: &'a BTreeSet<char>,
}

impl<'a> Row<'a> {
    pub(super) fn new(token: &'a [char], fragments: &[String], made: &'a BTreeSet<char>) -> Self {
        let begins = [(0, false)].into();
        let mut row = Self { token, begins, completes: BTreeSet::new(), inside: BTreeSet::new(), made };
        for fragment in fragments.iter().filter(|fragment| !fragment.is_empty()) {
            row.add(fragment, false);
        }
        for word in MADE_WORDS {
            row.add(word, true);
        }
        row
    }

    fn add(&mut self, fragment: &str, chosen: bool) {
        let token = self.token;
        let fragment: Vec<char> = fragment.chars().collect();
        let begins = (1..token.len()).filter(|&length| fragment.ends_with(&token[..length]));
        self.begins.extend(begins.map(|length| (length, chosen)));
        let completes = (1..token.len()).filter(|&from| fragment.starts_with(&token[from..]));
        self.completes.extend(completes.map(|from| (from, chosen)));
        let windows = token.windows(fragment.len()).enumerate().filter(|(_, window)| *window == fragment);
        let ends = windows.map(|(from, _)| (from, from + fragment.len(), chosen));
        // A token that is written whole is the template's own.
        self.inside.extend(ends.filter(|&(from, to, chosen)| chosen || to - from < token.len()));
    }

    /// Adds marked characters until no forged row is left.
    pub(super) fn widen(&self, marked: &mut BTreeSet<char>) -> Result<(), String> {
        if !self.can_forge(marked) {
            return Ok(());
        }
        // Templates compare letters and digits more often than other characters.
        let mut candidates = self.token.to_vec();
        candidates.sort_by_key(|c| (c.is_alphanumeric(), c.is_whitespace()));
        for c in candidates {
            let mut with = marked.clone();
            with.insert(c);
            if !self.can_forge(&with) {
                marked.insert(c);
                return Ok(());
            }
        }
        marked.extend(self.token);
        if self.can_forge(marked) { Err(self.token.iter().collect()) } else { Ok(()) }
    }

    /// Whether some row makes the token of fragments, made characters and at least one character
    /// that a client chooses.
    fn can_forge(&self, marked: &BTreeSet<char>) -> bool {
        let length = self.token.len();
        // reached[at][1]: the token up to `at` can be made with a character of a client's choice.
        let mut reached = vec![[false; 2]; length + 1];
        for &(at, chosen) in &self.begins {
            reached[at][usize::from(chosen)] = true;
        }
        for at in 0..length {
            for chosen in 0..2 {
                if !reached[at][chosen] {
                    continue;
                }
                let c = self.token[at];
                if !marked.contains(&c) || self.made.contains(&c) {
                    reached[at + 1][1] = true;
                }
                for &(_, to, word) in self.inside.range((at, 0, false)..(at + 1, 0, false)) {
                    reached[to][chosen | usize::from(word)] = true;
                }
                if (chosen == 1 && self.completes.contains(&(at, false))) || self.completes.contains(&(at, true)) {
                    return true;
                }
            }
        }
        reached[length][1]
    }
}
