//! Tells the reasoning of a model's output from its answer, while both arrive piece by piece.
//!
//! A reasoning model writes `<think>`, its reasoning, `</think>`, then its answer; many chat
//! templates write the first tag themselves, at the end of the prompt. Only the beginning of an
//! output is looked at: tags that come later are text. White space next to the tags belongs to
//! neither part and is left out.

/// What to do with the parts of the output that a model puts between reasoning tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// They stay in the text, tags and all.
    #[default]
    InText,
    /// They come apart from the text if the model's chat template knows such parts, which a
    /// [`Preparer`](super::Preparer) finds out.
    Apart,
    /// What lies between these tags comes apart.
    Tagged(ReasoningTags),
}

/// The tags around a reasoning part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasoningTags {
    /// What begins it, `<think>`; not empty.
    pub start: String,
    /// What ends it, `</think>`; not empty.
    pub end: String,
    /// Whether the prompt has begun one already.
    pub is_open: bool,
}

/// Text that can be delivered, by what it is; the reasoning comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) reasoning: String,
    pub(super) text: String,
}

/// Splits an output.
#[derive(Debug, Default)]
pub(super) struct ReasoningSplitter {
    /// None where all is text.
    tags: Option<ReasoningTags>,
    stage: Stage,
    /// What cannot be told apart yet.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The output has not begun: a start mark may come.
    #[default]
    Beginning,
    /// Reasoning, of which nothing was delivered.
    Opened,
    /// Reasoning.
    Inside,
    /// The answer, of which nothing was delivered.
    Ended,
    /// The answer, to the end.
    Answer,
}

impl ReasoningSplitter {
    pub(super) fn new(reasoning: Reasoning) -> Self {
        let tags = match reasoning {
            Reasoning::InText | Reasoning::Apart => None,
            Reasoning::Tagged(tags) => Some(tags),
        };
        let stage = if tags.as_ref().is_some_and(|tags| tags.is_open) { Stage::Opened } else { Stage::Beginning };
        Self { tags, stage, held: String::new() }
    }

    /// Whether a token with these bytes is one of the tags, and so has text even if it is special.
    pub(super) fn is_mark(&self, bytes: &[u8]) -> bool {
        let tags = self.tags.iter().flat_map(|tags| [&tags.start, &tags.end]);
        self.stage != Stage::Answer && tags.into_iter().any(|tag| tag.as_bytes() == bytes)
    }

    /// Takes the next text of the output, and returns what can be delivered now.
    pub(super) fn push(&mut self, text: String) -> Delta {
        let Some(tags) = self.tags.take() else {
            return Delta { reasoning: String::new(), text };
        };
        let mut delta = Delta::default();
        self.held.push_str(&text);
        while self.advance(&tags, &mut delta) {}
        self.tags = Some(tags);
        delta
    }

    /// Lets go of what was held back.
    pub(super) fn finish(&mut self) -> Delta {
        let held = std::mem::take(&mut self.held);
        match self.stage {
            Stage::Opened | Stage::Inside => Delta { reasoning: held, text: String::new() },
            Stage::Beginning | Stage::Ended | Stage::Answer => Delta { reasoning: String::new(), text: held },
        }
    }

    /// Delivers what can be delivered in this stage; true if another stage was entered.
    fn advance(&mut self, tags: &ReasoningTags, delta: &mut Delta) -> bool {
        let before = self.stage;
        match self.stage {
            Stage::Beginning => self.begin(&tags.start),
            Stage::Opened => self.skip_space(Stage::Inside),
            Stage::Inside => self.inside(&tags.end, delta),
            Stage::Ended => self.skip_space(Stage::Answer),
            Stage::Answer => delta.text.push_str(&std::mem::take(&mut self.held)),
        }
        self.stage != before
    }

    /// Waits until it is clear whether the output begins with the mark.
    fn begin(&mut self, start: &str) {
        let text = self.held.trim_start();
        if let Some(rest) = text.strip_prefix(start) {
            (self.held, self.stage) = (rest.to_owned(), Stage::Opened);
        } else if !start.starts_with(text) {
            self.stage = Stage::Answer;
        }
    }

    fn skip_space(&mut self, next: Stage) {
        self.held = self.held.trim_start().to_owned();
        if !self.held.is_empty() {
            self.stage = next;
        }
    }

    /// Delivers reasoning up to what may be the mark, with the white space before it.
    fn inside(&mut self, end: &str, delta: &mut Delta) {
        if let Some((reasoning, rest)) = self.held.split_once(end) {
            delta.reasoning.push_str(reasoning.trim_end());
            (self.held, self.stage) = (rest.to_owned(), Stage::Ended);
            return;
        }
        let certain = self.held[..self.held.len() - longest_beginning(&self.held, end)].trim_end().len();
        delta.reasoning.extend(self.held.drain(..certain));
    }
}

/// The length of the longest end of `text` with which `mark` begins.
fn longest_beginning(text: &str, mark: &str) -> usize {
    let beginnings = mark.char_indices().map(|(length, _)| &mark[..length]).rev();
    beginnings.into_iter().find(|beginning| text.ends_with(beginning)).map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags(is_open: bool) -> Reasoning {
        Reasoning::Tagged(ReasoningTags { start: "<think>".to_owned(), end: "</think>".to_owned(), is_open })
    }

    /// Reasoning and text of an output that comes in these pieces.
    fn split(reasoning: Reasoning, pieces: &[&str]) -> (String, String) {
        let mut splitter = ReasoningSplitter::new(reasoning);
        let mut deltas: Vec<Delta> = pieces.iter().map(|piece| splitter.push((*piece).to_owned())).collect();
        deltas.push(splitter.finish());
        let joined = |part: fn(&Delta) -> &str| deltas.iter().map(part).collect::<String>();
        (joined(|delta| &delta.reasoning), joined(|delta| &delta.text))
    }

    fn parts(reasoning: &str, text: &str) -> (String, String) {
        (reasoning.to_owned(), text.to_owned())
    }

    #[test]
    fn reasoning_and_answer_come_apart_without_the_space_around_the_marks() {
        let whole = "<think>\nFirst, a < b.\n</think>\n\nIt is <think>so</think>.\n";
        assert_eq!(split(tags(false), &[whole]), parts("First, a < b.", "It is <think>so</think>.\n"));
        assert_eq!(split(tags(true), &["\nwhy </think> yes"]), parts("why", "yes"));
        assert_eq!(split(Reasoning::InText, &[whole]), parts("", whole));
    }

    #[test]
    fn an_output_without_marks_is_all_answer_and_one_that_is_cut_off_all_reasoning() {
        assert_eq!(split(tags(false), &["  <th", "at is it"]), parts("", "  <that is it"));
        assert_eq!(split(tags(false), &[" \n"]), parts("", " \n"));
        assert_eq!(split(tags(false), &["<think>a b </thi"]), parts("a b </thi", ""));
        assert_eq!(split(tags(true), &[]), parts("", ""));
    }

    #[test]
    fn what_is_certain_is_delivered_at_once() {
        let mut splitter = ReasoningSplitter::new(tags(true));
        assert_eq!(splitter.push("I see </".to_owned()).reasoning, "I see");
        assert_eq!(splitter.push("b>".to_owned()).reasoning, " </b>");
        assert_eq!(splitter.push("</think>Yes".to_owned()).text, "Yes");
    }

    proptest! {
        #[test]
        fn any_cut_of_an_output_gives_the_same_parts(
            output in "(<think>)?[ <>/a-c]{0,6}(</think>)?[ <>/a-c]{0,6}",
            cuts in prop::collection::vec(0..30_usize, 0..6),
            is_open: bool,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(output.len())).collect();
            cuts.extend([0, output.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &output[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(tags(is_open), &pieces), split(tags(is_open), &[&output]));
        }
    }
}
