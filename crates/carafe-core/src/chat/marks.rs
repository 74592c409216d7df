//! Invariant 7: what a client wrote never becomes, begins or completes a control token.
//!
//! # How
//!
//! Before a template runs, certain characters of every client string (contents, names, arguments,
//! schemas, keys) are replaced one for one by *marks*: code points of a private use plane that
//! occur nowhere in the request or the template. The rendered text is cut at the control tokens in
//! it; a mark is part of none. Then marks become the characters that they stand for. Lengths,
//! slices and positions are what they would be.
//!
//! Whatever a template asks of a string is answered as for the text that it stands for: operators
//! and subscripts are rewritten into calls of ours (`rewrite`, `compare`), a client's objects find
//! their keys so (`object`), and methods, filters and tests that look at characters are ours
//! (`methods`, `text`, `filters`). Answers are booleans, positions, an order, or values with the
//! marks that they had; a text without its marks never leaves them. So what a template sees through
//! can choose among the template's own texts, which a client may always do, and forges nothing.
//!
//! # Which characters, and why it is enough
//!
//! A control token in the rendered text is *forged* if any of its characters came from a client.
//! The rendered text consists of
//!
//! - what the template writes: texts between tags, string constants, special tokens, a message's
//!   role (one of five words), and the words that we write into messages ourselves; together
//!   [`Source::fragments`], [`ROLES`] and [`OWN_WORDS`],
//! - what the engine makes of a client's numbers and constants: the characters of numbers
//!   ([`made_characters`]) and whole words such as `True` (`MADE_WORDS`); all else that filters
//!   make is marked as if a client had written it,
//! - unmarked characters of clients, in any order: filters and slices may take strings apart.
//!
//! So a forged token is a row of: the end of a fragment, whole fragments, made characters and
//! words, unmarked client characters, the beginning of a fragment. [`Row::can_forge`] tries all
//! such rows for one token and one set of marked characters. [`MarkedCharacters::choose`] marks the
//! first and last character of every token, adds one more while a row remains, and in the end all
//! of the token's. What is then still possible has no client characters but made ones, and the
//! model is refused.
//!
//! The first and last character are always marked, though the template may write whole tokens
//! alone, so that constants that it cuts by itself (`'<|im_start|>'[2:]`) complete nothing. Two
//! rows remain that no template has a reason for: a constant cut on both sides where a client
//! chooses, and one letter at a time. Case mapping makes no token either: a character is
//! marked if its upper or lower case is.
//!
//! Strings that pose as roles (a key `role` anywhere but in a message) are marked wherever any
//! token has one of their characters, since fragments join a role to the text around it.

use std::collections::BTreeSet;

use super::forgery::{Row, made_characters};
use super::json::Json;
use super::messages::{OWN_WORDS, ROLES};
use super::source::Source;

/// The characters that are marked, chosen once for a template and its control tokens.
#[derive(Debug)]
pub(super) struct MarkedCharacters {
    /// Every character of every token, and those that become one by case mapping; sorted.
    all: Vec<char>,
    /// Those of them that are marked in a client's strings.
    usual: BTreeSet<char>,
}

impl MarkedCharacters {
    /// Chooses the characters; the error is a token for which no choice is enough.
    pub(super) fn choose(source: &Source<'_>, special_tokens: &[&str], tokens: &[&str]) -> Result<Self, String> {
        let mut fragments = source.fragments();
        fragments.extend(special_tokens.iter().chain(&ROLES).chain(&OWN_WORDS).map(|&text| text.to_owned()));
        let made = made_characters(source.has_sign("~") || source.has_word("format"));
        let mut usual: BTreeSet<char> = tokens.iter().flat_map(|token| ends(token)).collect();
        for token in tokens {
            let token: Vec<char> = token.chars().collect();
            let row = Row::new(&token, &fragments, &made);
            row.widen(&mut usual)?;
        }
        let every: BTreeSet<char> = tokens.iter().flat_map(|token| token.chars()).collect();
        Ok(Self { all: with_cases(every).into_iter().collect(), usual: with_cases(usual) })
    }

    /// The characters that are marked in a client's strings.
    #[cfg(test)]
    pub(super) fn usual(&self) -> String {
        self.usual.iter().collect()
    }

    /// Marks for one request: code points that none of its strings has.
    pub(super) fn marks_beside(&self, request: &[&Json], template: &str) -> Option<Marks> {
        let mut taken = BTreeSet::new();
        let mut take = |text: &str| taken.extend(text.chars().filter(|&c| c >= FIRST_PRIVATE).map(u32::from));
        take(template);
        for value in request {
            value.for_each_string(&mut take);
        }
        // One mark more than there are characters: the sentinel.
        let length = u32::try_from(self.all.len()).ok()? + 1;
        let mut first = u32::from(FIRST_PRIVATE);
        for code in taken {
            if code >= first + length {
                break;
            }
            first = code + 1;
        }
        let last = first.checked_add(length)?;
        let (all, usual) = (self.all.clone(), self.usual.clone());
        (last <= u32::from(char::MAX)).then_some(Marks { first, all, usual })
    }
}

/// Planes 15 and 16 are for private use: 131,072 code points.
const FIRST_PRIVATE: char = '\u{f0000}';

fn ends(token: &str) -> impl Iterator<Item = char> {
    token.chars().next().into_iter().chain(token.chars().last())
}

/// Where characters with another case are. Most of Unicode has none, and a look at all of it takes
/// as long as opening the rest of a model's chat.
const CASED: [std::ops::RangeInclusive<char>; 7] = [
    '\0'..='\u{2fff}',
    '\u{a640}'..='\u{abff}',
    '\u{fb00}'..='\u{ffff}',
    '\u{10400}'..='\u{10fff}',
    '\u{11800}'..='\u{11fff}',
    '\u{16e00}'..='\u{16fff}',
    '\u{1e900}'..='\u{1e9ff}',
];

/// The characters, and those that upper or lower case turns into one of them.
fn with_cases(characters: BTreeSet<char>) -> BTreeSet<char> {
    if characters.iter().all(|c| !c.is_alphabetic()) {
        return characters;
    }
    let becomes = |c: &char| c.to_uppercase().chain(c.to_lowercase()).any(|mapped| characters.contains(&mapped));
    let cases: BTreeSet<char> = CASED.into_iter().flatten().filter(becomes).collect();
    cases.into_iter().chain(characters.iter().copied()).collect()
}

/// Marks for one request.
#[derive(Debug)]
pub(super) struct Marks {
    first: u32,
    all: Vec<char>,
    usual: BTreeSet<char>,
}

impl Marks {
    /// The mark of a character; itself where it has none.
    pub(super) fn mark(&self, c: char) -> char {
        let number = self.all.binary_search(&c).ok().and_then(|number| u32::try_from(number).ok());
        number.and_then(|number| char::from_u32(self.first + number)).unwrap_or(c)
    }

    /// A client's character as the template sees it.
    pub(super) fn usual(&self, c: char) -> char {
        if self.usual.contains(&c) { self.mark(c) } else { c }
    }

    /// A client's string as the template sees it.
    pub(super) fn usual_text(&self, text: &str) -> String {
        text.chars().map(|c| self.usual(c)).collect()
    }

    /// A string that poses as the template's own, or that the engine writes between those of a
    /// client.
    pub(super) fn strict_text(&self, text: &str) -> String {
        text.chars().map(|c| self.mark(c)).collect()
    }

    /// Whether a character is a mark.
    pub(super) fn is_mark(&self, c: char) -> bool {
        self.plain(c) != c
    }

    /// The character that a mark stands for; others stand for themselves.
    pub(super) fn plain(&self, c: char) -> char {
        let number = u32::from(c).checked_sub(self.first).and_then(|number| usize::try_from(number).ok());
        number.and_then(|number| self.all.get(number)).copied().unwrap_or(c)
    }

    /// The text that a marked one stands for.
    pub(super) fn plain_text(&self, text: &str) -> String {
        self.plain_characters(text).collect()
    }

    /// The characters that a marked text stands for.
    pub(super) fn plain_characters<'a>(&'a self, text: &'a str) -> impl Iterator<Item = char> + 'a {
        text.chars().map(|c| self.plain(c))
    }

    /// A code point beside the marks that stands for nothing.
    pub(super) fn sentinel(&self) -> char {
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        char::from_u32(self.first.saturating_add(number)).unwrap_or(char::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(source: &str, tokens: &[&str]) -> Result<String, String> {
        MarkedCharacters::choose(&Source::read(source), &[], tokens).map(|marked| marked.usual())
    }

    #[test]
    fn a_template_that_writes_whole_tokens_has_their_first_and_last_characters_marked() {
        let source = "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}";
        assert_eq!(usual(source, &["<|im_start|>", "<|im_end|>", "[INST]"]), Ok("<>[]".to_owned()));
    }

    #[test]
    fn a_token_around_a_role_is_the_templates_own() {
        for source in [
            "<|{{ message['role'] }}|>{{ message['content'] }}",
            "{{ '<|' + message['role'] + '|>' + '\\n' + message.content }}",
            "{{- '<|' ~ message.role ~ '|>' -}}",
        ] {
            assert_eq!(usual(source, &["<|user|>", "<|end|>"]), Ok("<>".to_owned()), "{source}");
        }
    }

    #[test]
    fn a_token_around_a_clients_text_has_a_character_of_its_middle_marked() {
        for source in [
            "<|{{ message.name }}|>",
            "{{ '<|' + message.name + '|>' }}",
            "{{ '<|%s|>' | format(message.name) }}",
            "{{ '<|%(name)-3s|>' | format(name=message.name) }}",
            "{{ '<|{}|>'.format(message.name) }}",
            "{{ '<|X|>' | replace('X', message.name) }}",
            "<|  {%- if x %}{{ message.name }}{% endif -%}  |>",
            "{% set role = message.name %}{{ '<|' + role + '|>' }}",
            "{{ '<|' + message.role | replace('user', message.name) + '|>' }}",
        ] {
            assert_eq!(usual(source, &["<|im_x|>"]), Ok("<>_".to_owned()), "{source}");
        }
        let marked = usual("{{ '<|' + name + '|>' }}", &["<|xy|>"]).expect("letters can be marked");
        assert_eq!(marked, "<>Xx");
    }

    #[test]
    fn a_token_that_a_number_could_make_refuses_the_model() {
        assert_eq!(usual("{{ '<|' ~ loop.index ~ '|>' }}", &["<|7|>"]), Err("<|7|>".to_owned()));
        assert!(usual("{{ messages | length }}", &["<|7|>"]).is_ok());
    }

    #[test]
    fn no_character_elsewhere_has_another_case() {
        let cased = |c: &char| c.to_uppercase().ne([*c]) || c.to_lowercase().ne([*c]);
        let elsewhere = |c: &char| CASED.iter().all(|range| !range.contains(c));
        assert_eq!(('\0'..=char::MAX).filter(elsewhere).find(cased), None);
    }

    #[test]
    fn marks_avoid_what_the_request_has() {
        let marked = MarkedCharacters::choose(&Source::read(""), &[], &["<s>"]).expect("enough");
        let request = Json::String("\u{f0000}\u{f0002}\u{f0008}".to_owned());
        let marks = marked.marks_beside(&[&request], "").expect("room");
        assert_eq!(marks.first, 0xf0003);
        let text = marks.usual_text("a<s>\u{f0000}");
        assert!(!text.contains('<'));
        assert_eq!(marks.plain_text(&text), "a<s>\u{f0000}");
        let full = Json::String(('\u{f0000}'..=char::MAX).collect());
        assert!(marked.marks_beside(&[&full], "").is_none());
    }
}
