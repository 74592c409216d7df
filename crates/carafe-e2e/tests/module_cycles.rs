//! No crate has an import cycle among its top-level modules, so that each can be read after those
//! that it uses.
//!
//! A module uses another where it says `crate::other`, or as many `super::` as lead to the crate's
//! root, in a `use` or in any other path. A name that the root imports from a module counts as that
//! module. Tests are held to the same rule: one that needs a module above its own belongs there.
//! What the root itself defines is in no module, and programs in `src/bin` are crates of their own;
//! neither is looked at.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// One use of a module: which, and the file and line that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    module: String,
    file: PathBuf,
    line: usize,
}

/// What each module uses, with the first place that says so.
type Graph = BTreeMap<String, Vec<Use>>;

/// A crate's source files: their paths below `src`, and their words.
type Sources = Vec<(PathBuf, Vec<Word>)>;

/// A word or sign of Rust.
struct Word {
    text: String,
    line: usize,
}

#[test]
fn no_crate_has_an_import_cycle_among_its_modules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let members = ["crates", "guests"].into_iter().flat_map(|folder| entries(&root.join(folder)));
    let crates = members.chain([root.join("xtask")]).filter(|member| member.join("src").is_dir());
    let graphs: Vec<(PathBuf, Graph)> = crates.map(|member| (member.clone(), graph(&sources(&member)))).collect();
    let server = graphs.iter().find(|(member, _)| member.ends_with("carafe-server"));
    assert!(server.is_some_and(|(_, graph)| !graph["app"].is_empty()), "the sources were read");
    let cycles = graphs.iter().filter_map(|(member, graph)| Some((member.file_name()?, cycle(graph)?)));
    let shown: Vec<String> = cycles.map(|(name, cycle)| format!("{}:{}", name.display(), shown(&cycle))).collect();
    assert!(shown.is_empty(), "modules that use one another:\n{}", shown.join("\n"));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn sources(member: &Path) -> Sources {
    let src = member.join("src");
    let (mut sources, mut folders) = (Sources::new(), vec![src.clone()]);
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let below = path.strip_prefix(&src).expect("a path below `src`").to_owned();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((below, words(&fs::read_to_string(&path).expect("UTF-8"))));
            } else if path.is_dir() && below != Path::new("bin") {
                folders.push(path);
            }
        }
    }
    sources
}

/// The way from a module back to itself, a line for each use.
fn shown(cycle: &[Use]) -> String {
    let from = cycle.last().into_iter().chain(cycle);
    let line = |(from, to): (&Use, &Use)| {
        format!("\n    {} -> {}  (src/{}:{})", from.module, to.module, to.file.display(), to.line)
    };
    from.zip(cycle).map(line).collect()
}

/// A shortest cycle, as the uses that lead around it.
fn cycle(graph: &Graph) -> Option<Vec<Use>> {
    graph.keys().filter_map(|start| way_back(graph, start)).min_by_key(Vec::len)
}

/// The shortest way from a module back to it, breadth first.
fn way_back(graph: &Graph, start: &str) -> Option<Vec<Use>> {
    let mut reached_by: BTreeMap<&str, (&str, &Use)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for used in &graph[module] {
            if !reached_by.contains_key(used.module.as_str()) {
                reached_by.insert(&used.module, (module, used));
                queue.push_back(&used.module);
            }
        }
    }
    let (mut way, mut at) = (VecDeque::new(), start);
    loop {
        let (from, used) = reached_by.get(at)?;
        way.push_front((*used).clone());
        if *from == start {
            return Some(way.into());
        }
        at = from;
    }
}

fn graph(sources: &Sources) -> Graph {
    let is_root = |file: &Path| file == Path::new("lib.rs") || file == Path::new("main.rs");
    let roots: Vec<&[Word]> =
        sources.iter().filter(|(file, _)| is_root(file)).map(|(_, words)| words.as_slice()).collect();
    let mut graph: Graph = roots.iter().flat_map(|words| declared(words)).map(|name| (name, Vec::new())).collect();
    let imported: BTreeMap<String, String> = roots.iter().flat_map(|words| imported(words)).collect();
    for (file, words) in sources {
        let module = if is_root(file) { Vec::new() } else { module_of(file) };
        for (owner, name, line) in root_paths(module, words) {
            let used = if graph.contains_key(&name) { Some(&name) } else { imported.get(&name) };
            let Some(used) = used.filter(|used| graph.contains_key(*used) && **used != owner).cloned() else {
                continue;
            };
            let Some(uses) = graph.get_mut(&owner) else { continue };
            if uses.iter().all(|known| known.module != used) {
                uses.push(Use { module: used, file: file.clone(), line });
            }
        }
    }
    graph
}

/// `text/worker.rs` and `text/worker/mod.rs` are both `text`, `worker`.
fn module_of(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    path.iter().map(|name| name.to_string_lossy().into_owned()).filter(|name| name != "mod").collect()
}

/// The modules that stand in a file outside any braces.
fn declared(words: &[Word]) -> Vec<String> {
    let (mut depth, mut names) = (0_usize, Vec::new());
    for pair in words.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "mod" if depth == 0 => names.push(pair[1].text.clone()),
            _ => {}
        }
    }
    names
}

/// The last name of each path that a file imports, and the module that it is imported from.
fn imported(words: &[Word]) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for (index, _) in words.iter().enumerate().filter(|(_, word)| word.text == "use") {
        let path = words[index + 1..].iter().map(|word| word.text.as_str()).take_while(|word| *word != ";");
        let path: Vec<&str> = path.skip_while(|word| ["crate", "self", "::"].contains(word)).chain([";"]).collect();
        let ends = path.windows(2).filter(|pair| [",", "}", ";"].contains(&pair[1]));
        names.extend(ends.map(|pair| (pair[0].to_owned(), path[0].to_owned())));
    }
    names
}

/// Every path from the crate's root in a file that is this module: the top-level module that it
/// stands in, the root's name that it begins with, and its line.
fn root_paths(mut module: Vec<String>, words: &[Word]) -> Vec<(String, String, usize)> {
    let (mut paths, mut depth, mut depths_of_inline_modules) = (Vec::new(), 0_usize, Vec::new());
    for (index, word) in words.iter().enumerate() {
        match (word.text.as_str(), &words[index..]) {
            ("mod", [_, name, brace, ..]) if brace.text == "{" => {
                module.push(name.text.clone());
                depths_of_inline_modules.push(depth);
            }
            ("{", _) => depth += 1,
            ("}", _) => {
                depth -= 1;
                if depths_of_inline_modules.pop_if(|inline| *inline == depth).is_some() {
                    module.pop();
                }
            }
            _ => {}
        }
        if let (Some(owner), Some(rest)) = (module.first(), after_root(&words[index..], module.len())) {
            paths.extend(first_names(rest).into_iter().map(|name| (owner.clone(), name.text.clone(), name.line)));
        }
    }
    paths
}

/// What follows the crate's root in a path that begins here, in a module this deep; none if no path
/// begins here, or if it does not go up to the root.
fn after_root(words: &[Word], depth: usize) -> Option<&[Word]> {
    let is_step = |pair: &&[Word], name: &str| pair.len() == 2 && pair[0].text == name && pair[1].text == "::";
    let up = words.chunks(2).take_while(|pair| is_step(pair, "super")).count();
    let is_from_root = words.chunks(2).next().is_some_and(|pair| is_step(&pair, "crate"));
    match (is_from_root, up) {
        (true, _) => Some(&words[2..]),
        (false, up) => (up > 0 && up == depth).then(|| &words[2 * up..]),
    }
}

/// The names that a path goes on with: one, or in braces one for each of its branches.
fn first_names(words: &[Word]) -> Vec<&Word> {
    if words.first().is_none_or(|word| word.text != "{") {
        return words.first().into_iter().collect();
    }
    let (mut depth, mut names) = (0_usize, Vec::new());
    for pair in words.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        match (depth, pair[0].text.as_str()) {
            (0, _) => break,
            (1, "{" | ",") => names.push(&pair[1]),
            _ => {}
        }
    }
    names
}

/// The words and signs of a text, without comments, string literals and characters.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut rest, mut line) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        let (skipped, word) = (skipped(rest), word(rest));
        if skipped == 0 {
            words.push(Word { text: word.to_owned(), line });
        }
        let (read, after) = rest.split_at(if skipped == 0 { word.len() } else { skipped });
        line += read.matches('\n').count();
        rest = after;
    }
    words
}

/// The word that begins here, or the sign.
fn word(rest: &str) -> &str {
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let sign = if rest.starts_with("::") { 2 } else { rest.chars().next().map_or(0, char::len_utf8) };
    &rest[..if end > 0 { end } else { sign }]
}

/// The length of the space, comment, string literal or character that begins here; 0 if none does.
fn skipped(rest: &str) -> usize {
    let through = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if let Some(raw) = rest.trim_start_matches(['b', 'c']).strip_prefix('r') {
        let text = raw.trim_start_matches('#');
        let hashes = &raw[..raw.len() - text.len()];
        return if text.starts_with('"') { through(&format!("\"{hashes}"), rest.len() - text.len() + 1) } else { 0 };
    }
    let mut letters = rest.chars();
    match (letters.next(), letters.next(), letters.next()) {
        (Some('/'), Some('/'), _) => through("\n", 0),
        (Some('/'), Some('*'), _) => through("*/", 2),
        (Some('"'), ..) => literal(rest, '"'),
        // A lifetime has no second `'`.
        (Some('\''), Some('\\'), _) | (Some('\''), _, Some('\'')) => literal(rest, '\''),
        _ => rest.len() - rest.trim_start().len(),
    }
}

/// The length of a literal up to its end, which no backslash stands before.
fn literal(rest: &str, end: char) -> usize {
    let mut is_escaped = false;
    let is_end = |letter: char| {
        let is_end = letter == end && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        is_end
    };
    rest[1..].find(is_end).map_or(rest.len(), |at| 1 + at + end.len_utf8())
}

fn graph_of(files: &[(&str, &str)]) -> Graph {
    graph(&files.iter().map(|(file, text)| (PathBuf::from(file), words(text))).collect())
}

#[test]
fn every_way_to_name_a_module_is_a_use_of_it() {
    let root = "mod a; mod b; mod c; mod d;\npub use b::{inner::Deep as Shown, Thing};\nfn f() { mod e {} }";
    for (file, text, expected) in [
        ("a.rs", "use crate::b::Thing;", "b:1"),
        ("a.rs", "\nuse crate::{\n    b::{self, c::Thing},\n    d,\n};", "b:3 d:4"),
        ("a.rs", "use {crate::c, std::fmt};", "c:1"),
        ("a.rs", "fn f() -> crate::c::Thing { crate::d::made() }", "c:1 d:1"),
        ("a.rs", "use super::{b::{c, d}, c};", "b:1 c:1"),
        ("a.rs", "use crate::Thing;", "b:1"),
        ("a.rs", "use crate::Shown;", "b:1"),
        ("a.rs", "mod tests { use super::b; use super::super::c; }\nuse super::d;", "c:1 d:2"),
        ("a.rs", "const TEXT: &str = \"\\\"crate::b\"; // crate::c\n/* crate::b */ use crate::d;", "d:2"),
        ("a.rs", "const RAW: &str = r#\"\" crate::b\"#; fn f<'a>(x: &'a u8) -> char { '\"' }\nuse crate::c;", "c:2"),
        ("a.rs", "pub(crate) use crate::a::b; use self::c; use b::d; use crate::Unknown;", ""),
        ("a/part.rs", "use super::b; use super::super::c;", "c:1"),
        ("a/mod.rs", "use super::b;", "b:1"),
    ] {
        let uses = graph_of(&[("lib.rs", root), (file, text)]).remove("a").expect("the module");
        let uses: Vec<String> = uses.iter().map(|used| format!("{}:{}", used.module, used.line)).collect();
        assert_eq!(uses.join(" "), expected, "{file}: {text}");
    }
}

#[test]
fn a_cycle_is_found_and_shown_with_the_place_of_each_use() {
    let cycle_with = |last: &str| {
        let root = ("main.rs", "mod a; mod b; mod c;");
        cycle(&graph_of(&[root, ("a.rs", "use crate::b;"), ("b/part.rs", "\nuse crate::c;"), ("c.rs", last)]))
    };
    assert_eq!(cycle_with("use std::fmt;"), None);
    let places = "\n    a -> b  (src/a.rs:1)\n    b -> c  (src/b/part.rs:2)\n    c -> a  (src/c.rs:1)";
    assert_eq!(cycle_with("use super::a;").map(|cycle| shown(&cycle)).as_deref(), Some(places));
}
