//! Which of many texts a text begins with: a tree of bytes in flat tables.
//!
//! Every node stands for the beginning of some text, the root for the empty one. Nodes are numbered
//! level by level, so that the children of a node have consecutive numbers, ordered by their bytes,
//! and two tables say all.

use std::{collections::VecDeque, ops::Range};

use super::{
    TokenizerError,
    compact::{Reader, Writer},
};

/// A set of texts, each with a value.
pub(super) struct PrefixTree {
    /// For each node, the byte that leads to it from its parent; that of the root says nothing.
    bytes: Vec<u8>,
    /// Where the children of each node begin; they end where those of the next node begin.
    children: Vec<u32>,
    /// For each node that is a whole text, one more than its value; for others 0.
    values: Vec<u32>,
}

impl PrefixTree {
    /// The tree of texts with their values. Of equal texts the first counts, and empty ones do not.
    pub(super) fn new<'a>(texts: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut sorted: Vec<(&[u8], u32)> = texts.filter(|(text, _)| !text.is_empty()).collect();
        sorted.sort_by_key(|(text, _)| *text);
        sorted.dedup_by_key(|(text, _)| *text);
        let mut tree = Self { bytes: vec![0], children: Vec::new(), values: vec![0] };
        let mut queue = VecDeque::from([(0..sorted.len(), 0)]);
        while let Some((range, depth)) = queue.pop_front() {
            tree.children.push(tree.bytes.len() as u32);
            tree.add_children(&sorted, range, depth, &mut queue);
        }
        tree.children.push(tree.bytes.len() as u32);
        tree
    }

    /// Adds the children of a node: its texts, which are in `range` and share `depth` bytes, by
    /// their next byte.
    fn add_children(
        &mut self,
        sorted: &[(&[u8], u32)],
        range: Range<usize>,
        depth: usize,
        queue: &mut VecDeque<(Range<usize>, usize)>,
    ) {
        let mut start = range.start;
        for group in sorted[range].chunk_by(|(first, _), (second, _)| first[depth] == second[depth]) {
            let (text, value) = group[0];
            let is_whole = text.len() == depth + 1;
            self.bytes.push(text[depth]);
            self.values.push(if is_whole { value + 1 } else { 0 });
            queue.push_back((start + usize::from(is_whole)..start + group.len(), depth + 1));
            start += group.len();
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(&self.bytes);
        writer.table(&self.children);
        writer.table(&self.values);
    }

    /// Reads a tree whose values are below `limit`.
    pub(super) fn read(reader: &mut Reader<'_>, limit: u32) -> Result<Self, TokenizerError> {
        let tree = Self { bytes: reader.table()?, children: reader.table()?, values: reader.table()? };
        let nodes = tree.bytes.len();
        // A child comes after its parent, so every search ends.
        let rises =
            tree.children.is_sorted() && (0..nodes).zip(&tree.children).all(|(node, &child)| child as usize > node);
        let holds = nodes > 0
            && rises
            && tree.children.len() == nodes + 1
            && tree.children[nodes] as usize == nodes
            && tree.values.len() == nodes
            && tree.values.iter().all(|&value| value <= limit);
        if holds { Ok(tree) } else { Err(TokenizerError::Compact("a tree does not fit together")) }
    }

    /// The texts that `text` begins with, shorter ones first: their lengths and values.
    pub(super) fn prefixes(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let mut node = Some(0);
        let nodes = text.iter().map_while(move |&byte| {
            node = self.child(node?, byte);
            node
        });
        nodes.enumerate().filter_map(|(index, node)| Some((index + 1, self.values[node].checked_sub(1)?)))
    }

    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let first = self.children[node] as usize;
        let children = &self.bytes[first..self.children[node + 1] as usize];
        children.binary_search(&byte).ok().map(|index| first + index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(texts: &[String]) -> PrefixTree {
        PrefixTree::new(texts.iter().map(String::as_bytes).zip(0..))
    }

    proptest! {
        #[test]
        fn the_prefixes_are_those_that_comparing_finds(
            texts in prop::collection::vec("[abé]{0,4}", 0..12),
            text in "[abé]{0,6}",
        ) {
            let mut expected: Vec<(usize, u32)> = texts
                .iter()
                .zip(0..)
                .filter(|(prefix, _)| !prefix.is_empty() && text.starts_with(prefix.as_str()))
                .filter(|(prefix, number)| texts.iter().position(|other| other == *prefix) == Some(*number as usize))
                .map(|(prefix, number)| (prefix.len(), number))
                .collect();
            expected.sort_unstable();
            let tree = tree(&texts);
            prop_assert_eq!(tree.prefixes(text.as_bytes()).collect::<Vec<_>>(), expected);
            let mut writer = Writer::new();
            tree.write(&mut writer);
            let form = writer.finish();
            let again = PrefixTree::read(&mut Reader::new(&form).unwrap(), texts.len() as u32).unwrap();
            prop_assert_eq!((again.bytes, again.children, again.values), (tree.bytes, tree.children, tree.values));
        }
    }
}
