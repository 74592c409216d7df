//! The names of a model's scores: one label a line, UTF-8.

use super::Error;

/// The labels of one model.
#[derive(Clone, Debug)]
pub struct Labels {
    lines: Vec<String>,
    offset: usize,
}

impl Labels {
    /// Reads the lines; score `i` belongs to line `i + offset`, lines counted from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the bytes are not UTF-8 or a line is blank.
    pub fn parse(bytes: &[u8], offset: u32) -> Result<Self, Error> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| Error::model(format!("the labels are not UTF-8: {error}")))?;
        let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        match lines.iter().position(String::is_empty) {
            Some(line) => Err(Error::model(format!("line {} of the labels is blank", line + 1))),
            None => Ok(Self { lines, offset: offset as usize }),
        }
    }

    /// Checks that every one of `scores` scores has a label.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if lines are missing.
    pub fn check(&self, scores: usize) -> Result<(), Error> {
        let (lines, offset) = (self.lines.len(), self.offset);
        if lines < scores.saturating_add(offset) {
            let reason =
                format!("the model has {scores} scores and a label offset of {offset}, but {lines} lines of labels");
            return Err(Error::model(reason));
        }
        Ok(())
    }

    /// The label of score `index`; `None` past the last line.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.lines.get(index.checked_add(self.offset)?).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_moves_scores_along_the_lines() {
        let labels = Labels::parse(b"background\ntench\r\ngoldfish\n", 1).unwrap();
        assert_eq!((labels.text(0), labels.text(1), labels.text(2)), (Some("tench"), Some("goldfish"), None));
    }

    #[test]
    fn fewer_lines_than_scores_are_refused_with_both_counts() {
        let labels = Labels::parse(b"tench\ngoldfish", 0).unwrap();
        assert!(labels.check(2).is_ok());
        let refusal = labels.check(3).unwrap_err().to_string();
        assert_eq!(refusal, "the model has 3 scores and a label offset of 0, but 2 lines of labels");
    }

    #[test]
    fn a_blank_line_and_broken_utf8_are_refused() {
        assert_eq!(Labels::parse(b"tench\n \nhen", 0).unwrap_err().to_string(), "line 2 of the labels is blank");
        assert!(Labels::parse(b"tench\n\xff", 0).unwrap_err().to_string().starts_with("the labels are not UTF-8"));
    }
}
