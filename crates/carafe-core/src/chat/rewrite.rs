//! A template's source as the engine takes it, line by line the same.
//!
//! The engine compares and looks up by itself, where marks are other characters. So both become
//! calls of ours: `a == b` the test `((a) is compared('==', (b)))`, chains and `in` likewise, and
//! `a[b]` the method call `a.item(b)` unless `b` is a constant. And `{% generation %}`, which marks
//! a model's own text for training, becomes a plain scope.

use super::lexer::{Kind, Token};
use super::source::Source;

/// The test that stands for comparisons; no name that a template would use.
pub(super) const COMPARED: &str = "carafe_compared";
/// The method that stands for subscripts.
pub(super) const ITEM: &str = "carafe_item";

/// The source, rewritten.
pub(super) fn rewritten(source: &Source<'_>) -> String {
    let mut rewriter = Rewriter { source, frames: Vec::new(), edits: Vec::new(), loops: false };
    for at in 0..source.tokens.len() {
        rewriter.token(at);
    }
    let mut edits = rewriter.edits;
    edits.sort_by_key(|edit| edit.start);
    let mut out = String::new();
    let mut copied = 0;
    for edit in edits {
        out.push_str(&source.text[copied..edit.start]);
        out.push_str(&edit.text);
        copied = edit.end;
    }
    out + &source.text[copied..]
}

struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// What is between two brackets, or in a tag outside of brackets.
struct Frame {
    /// The first token after the opening one.
    begin: usize,
    /// The first token of the operand or comparison that is read.
    start: usize,
    /// The operators of the comparison, by the tokens that they begin and end at.
    operators: Vec<(usize, usize)>,
    /// Whether it is a subscript without `,` or `:`.
    is_lookup: bool,
}

struct Rewriter<'a> {
    source: &'a Source<'a>,
    frames: Vec<Frame>,
    edits: Vec<Edit>,
    /// Whether the tag is a `for` whose `in` is still to come.
    loops: bool,
}

impl<'a> Rewriter<'a> {
    fn kind(&self, at: usize) -> Option<&Kind<'a>> {
        self.source.tokens.get(at).map(|token| &token.kind)
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.kind(at), Some(Kind::Word(found)) if *found == word)
    }

    fn edit(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push(Edit { start, end, text: text.into() });
    }

    fn replace(&mut self, at: usize, text: &str) {
        let Token { start, end, .. } = self.source.tokens[at];
        self.edit(start, end, text);
    }

    fn token(&mut self, at: usize) {
        let source = self.source;
        match &source.tokens[at].kind {
            Kind::Open => self.open(at, false),
            Kind::Close => self.close(at),
            Kind::Sign("(" | "{") => self.open(at, false),
            Kind::Sign("[") => self.open(at, self.is_operand_end(at)),
            Kind::Sign(")" | "]" | "}") => self.close(at),
            Kind::Sign("==" | "!=" | "<" | "<=" | ">" | ">=") => self.operator(at, at + 1),
            Kind::Sign("," | ":") => {
                self.separate(at);
                if let Some(frame) = self.frames.last_mut() {
                    frame.is_lookup = false;
                }
            }
            Kind::Sign("=") => self.separate(at),
            Kind::Word(word) => self.word(at, word),
            Kind::Sign(_) | Kind::Data(_) | Kind::Constant(_) => {}
        }
    }

    fn open(&mut self, at: usize, is_lookup: bool) {
        if self.kind(at) == Some(&Kind::Open) {
            self.frames.clear();
            self.loops = self.opens_block(at) && self.is_word(at + 1, "for");
        }
        self.frames.push(Frame { begin: at + 1, start: at + 1, operators: Vec::new(), is_lookup });
    }

    fn opens_block(&self, at: usize) -> bool {
        self.kind(at) == Some(&Kind::Open) && self.source.text[self.source.tokens[at].start..].starts_with("{%")
    }

    fn close(&mut self, at: usize) {
        self.separate(at);
        let Some(frame) = self.frames.pop() else { return };
        if frame.is_lookup && !self.is_constant(frame.begin, at) {
            self.replace(frame.begin - 1, &format!(".{ITEM}("));
            self.replace(at, ")");
        }
    }

    /// Whether the tokens are a string or an integer, by which the engine finds what we would.
    fn is_constant(&self, begin: usize, end: usize) -> bool {
        let begin = begin + usize::from(self.kind(begin) == Some(&Kind::Sign("-")));
        let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        match self.kind(begin) {
            Some(Kind::Constant(_)) => begin + 1 == end,
            Some(Kind::Word(word)) => begin + 1 == end && number(word),
            // An empty subscript is an error that the engine names.
            _ => begin >= end,
        }
    }

    fn word(&mut self, at: usize, word: &str) {
        let before = at.checked_sub(1);
        if before.is_some_and(|before| self.opens_block(before)) {
            match word {
                "generation" => self.replace(at, "with"),
                "endgeneration" => self.replace(at, "endwith"),
                _ => {}
            }
            return self.separate(at);
        }
        if before.is_some_and(|before| self.kind(before) == Some(&Kind::Sign("."))) || self.is_test_word(at) {
            return;
        }
        match word {
            "in" if self.loops && self.frames.len() == 1 => {
                self.loops = false;
                self.separate(at);
            }
            "not" if self.is_word(at + 1, "in") => self.operator(at, at + 2),
            "in" if before.is_some_and(|before| self.is_word(before, "not") && !self.is_test_word(before)) => {}
            "in" => self.operator(at, at + 1),
            "and" | "or" | "not" | "if" | "else" => self.separate(at),
            "recursive" if self.kind(at + 1) == Some(&Kind::Close) => self.separate(at),
            _ => {}
        }
    }

    /// Whether a word is the name of a test, or the `not` before it: `is in`, `is not in`.
    fn is_test_word(&self, at: usize) -> bool {
        let is = |at: Option<usize>| at.is_some_and(|at| self.is_word(at, "is"));
        let before = at.checked_sub(1);
        is(before) || (before.is_some_and(|before| self.is_word(before, "not")) && is(at.checked_sub(2)))
    }

    /// Whether a bracket at a token is a subscript and not a list.
    fn is_operand_end(&self, bracket: usize) -> bool {
        let Some(before) = bracket.checked_sub(1) else { return false };
        match self.kind(before) {
            Some(Kind::Constant(_) | Kind::Sign(")" | "]" | "}")) => true,
            Some(Kind::Word(word)) => {
                let attribute = before.checked_sub(1).is_some_and(|dot| self.kind(dot) == Some(&Kind::Sign(".")));
                let keyword = matches!(*word, "in" | "not" | "and" | "or" | "if" | "elif" | "else" | "is");
                let statement = before.checked_sub(1).is_some_and(|tag| self.opens_block(tag));
                attribute || !(keyword || statement || self.is_test_word(before))
            }
            _ => false,
        }
    }

    fn operator(&mut self, at: usize, end: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.operators.push((at, end));
        }
    }

    /// Ends the comparison before a token, if there is one, and begins the next operand behind it.
    fn separate(&mut self, at: usize) {
        let Some(frame) = self.frames.last_mut() else { return };
        let start = std::mem::replace(&mut frame.start, at + 1);
        let operators = std::mem::take(&mut frame.operators);
        let ends = operators.iter().map(|&(operator, _)| operator).chain([at]);
        let starts = [start].into_iter().chain(operators.iter().map(|&(_, end)| end));
        let operands: Vec<(usize, usize)> = starts.zip(ends).collect();
        // Without operators there is nothing to do; an operand without tokens is the engine's
        // error.
        if operators.is_empty() || operands.iter().any(|(start, end)| start >= end) {
            return;
        }
        let tokens = &self.source.tokens;
        self.edit(tokens[start].start, tokens[start].start, "((");
        for (number, &(_, end)) in operands.iter().enumerate() {
            let end = tokens[end - 1].end;
            self.edit(end, end, if number + 1 < operands.len() { ")" } else { ")))" });
        }
        for (number, &(at, end)) in operators.iter().enumerate() {
            let words: Vec<&str> =
                tokens[at..end].iter().map(|token| &self.source.text[token.start..token.end]).collect();
            let before = if number == 0 { format!(" is {COMPARED}(") } else { ", ".to_owned() };
            self.replace(at, &format!("{before}'{}', (", words.join(" ")));
            for word in at + 1..end {
                self.replace(word, "");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> String {
        super::rewritten(&Source::read(source)).replace(COMPARED, "C").replace(ITEM, "I")
    }

    #[test]
    fn comparisons_become_tests() {
        for (source, expected) in [
            ("{{ a == b }}", "{{ ((a)  is C('==',  (b))) }}"),
            ("{{ a < b <= c }}", "{{ ((a)  is C('<', ( b) , '<=', ( c))) }}"),
        ] {
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&rewritten(source)), squeezed(expected));
        }
    }

    #[test]
    fn operands_are_what_the_engine_takes_for_them() {
        for (source, expected) in [
            ("{% if not a in b and c not in d -%}", "{%ifnot((a)isC('in',(b)))and((c)isC('notin',(d)))-%}"),
            ("{% for x in y if x.in == 1 recursive %}", "{%forxinyif((x.in)isC('==',(1)))recursive%}"),
            ("{{ a is not in b == c is in d }}", "{{((aisnotinb)isC('==',(cisind)))}}"),
            ("{{ f(a == b, k=c == d) | g }}", "{{f(((a)isC('==',(b))),k=((c)isC('==',(d))))|g}}"),
            (
                "{{ x if (a + b)[0] == 'in' else {'k': a != b} }}",
                "{{xif(((a+b)[0])isC('==',('in')))else{'k':((a)isC('!=',(b)))}}}",
            ),
            ("{% set x = a > b %}", "{%setx=((a)isC('>',(b)))%}"),
            ("{{ ' a == b ' }} a == b {% raw %}{{ a == b }}{% endraw %}", "{{'a==b'}}a==b{%raw%}{{a==b}}{%endraw%}"),
        ] {
            assert_eq!(rewritten(source).replace(' ', ""), expected);
        }
    }

    #[test]
    fn subscripts_become_calls_unless_they_are_constants() {
        for (source, expected) in [
            ("{{ a['k'][0][-1][1:b][b, c] }}", "{{ a['k'][0][-1][1:b][b, c] }}"),
            ("{{ a[b].c[d[e] == f] }}", "{{a.I(b).c.I(((d.I(e))isC('==',(f))))}}"),
            (
                "{% for x in [a] %}{{ x is eq [a] }}{{ [a] + [b] }}{% endfor %}",
                "{%forxin[a]%}{{xiseq[a]}}{{[a]+[b]}}{%endfor%}",
            ),
        ] {
            assert_eq!(rewritten(source).replace(' ', ""), expected.replace(' ', ""));
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        let source = "{{ a\n ==\n b[\nc]\n not\n in d }}\n";
        assert_eq!(rewritten(source).matches('\n').count(), source.matches('\n').count());
    }
}
