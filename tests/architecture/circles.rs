//! Circles of imports between files, by the `use` lines and paths in them.
//!
//! A file is a node; an import is an edge to the file whose item it names. A module and
//! what lies below it are one thing seen from outside, so that imports between a file and
//! one above it do not count, in either direction.
//!
//! `architecture/circles` lists the imports that close the circles there still are, with a
//! reason each. Without them there is no circle, and every one of them is needed for that:
//! the list can only shrink. `CIRCLES=write cargo test -p portcullis --test architecture`
//! writes it anew and keeps the reasons; a new line in it is to be argued for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::{Source, sources};

const NO_REASON: &str = "to be opened";
const HINT: &str = "\nCIRCLES=write cargo test -p portcullis --test architecture writes the list";

/// What each file imports; `auth/ports` stands for `auth/ports.rs`.
type Graph = BTreeMap<String, BTreeSet<String>>;
type Import = (String, String);

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/architecture/circles")
}

/// `auth/secret -> auth/ports: reason`
fn read_list(text: &str) -> BTreeMap<Import, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let (import, reason) = line.split_once(": ")?;
        let (from, to) = import.split_once(" -> ")?;
        Some(((from.to_owned(), to.to_owned()), reason.to_owned()))
    };
    lines.map(|line| read(line).unwrap_or_else(|| panic!("circles: {line}"))).collect()
}

#[test]
fn no_new_circle_of_imports_is_closed() {
    let graph = graph(&sources());
    let text = std::fs::read_to_string(list()).expect("the list is there");
    let listed = read_list(&text);
    let needed = closing(&graph, listed.keys());
    if std::env::var_os("CIRCLES").is_some_and(|asked| asked == "write") {
        let heading = text.lines().take_while(|line| line.starts_with('#'));
        let mut lines: Vec<String> = heading.map(str::to_owned).collect();
        lines.extend(needed.iter().map(|import| {
            let reason = listed.get(import).map_or(NO_REASON, String::as_str);
            format!("{} -> {}: {reason}", import.0, import.1)
        }));
        std::fs::write(list(), lines.join("\n") + "\n").expect("the list can be written");
        return;
    }
    let show = |(from, to): &Import| {
        let back = way(&graph, to, from).unwrap_or_default();
        format!("{from} -> {}", back.join(" -> "))
    };
    let new: Vec<String> =
        needed.iter().filter(|import| !listed.contains_key(*import)).map(show).collect();
    let gone: Vec<&Import> = listed.keys().filter(|import| !needed.contains(*import)).collect();
    assert!(new.is_empty(), "new circles, which the first import of each closes: {new:#?}{HINT}");
    assert!(gone.is_empty(), "these close no circle; take them from the list: {gone:#?}{HINT}");
}

/// Imports without which there is no circle: of those that are known as few as can be, and
/// whichever others it takes.
fn closing<'a>(graph: &Graph, known: impl Iterator<Item = &'a Import>) -> BTreeSet<Import> {
    let mut open = graph.clone();
    let mut cut: BTreeSet<Import> = known
        .filter(|(from, to)| open.get_mut(from).is_some_and(|imports| imports.remove(to)))
        .cloned()
        .collect();
    // What many import should import little: where it does, the circle is best opened.
    let mut importers: BTreeMap<&str, usize> = BTreeMap::new();
    for to in graph.values().flatten() {
        *importers.entry(to).or_default() += 1;
    }
    let weight = |(from, to): &Import| {
        let of = |file: &str| importers.get(file).copied().unwrap_or_default();
        (of(from).saturating_sub(of(to)), from.clone(), to.clone())
    };
    while let Some(circle) = shortest_circle(&open) {
        let import = circle.into_iter().max_by_key(weight).expect("a circle has imports");
        open.entry(import.0.clone()).or_default().remove(&import.1);
        cut.insert(import);
    }
    cut.clone()
        .into_iter()
        .filter(|import| {
            let imports = open.entry(import.0.clone()).or_default();
            imports.insert(import.1.clone());
            // A circle that it closes goes over it.
            let closes = way(&open, &import.1, &import.0).is_some();
            if closes {
                open.entry(import.0.clone()).or_default().remove(&import.1);
            }
            closes
        })
        .collect()
}

fn shortest_circle(graph: &Graph) -> Option<Vec<Import>> {
    let closed = graph.iter().flat_map(|(from, imports)| imports.iter().map(move |to| (from, to)));
    let circles = closed.filter_map(|(from, to)| {
        let mut circle = vec![from.clone()];
        circle.extend(way(graph, to, from)?);
        Some(circle)
    });
    let circle = circles.min_by_key(Vec::len)?;
    Some(circle.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// The shortest way along imports, both ends included.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        if at == to {
            let mut way = vec![at];
            while let Some(file) = way.last().filter(|file| **file != from) {
                way.push(before[file]);
            }
            return Some(way.into_iter().rev().map(str::to_owned).collect());
        }
        for import in graph.get(at).into_iter().flatten() {
            if import != from && !before.contains_key(import.as_str()) {
                before.insert(import, at);
                next.push_back(import);
            }
        }
    }
    None
}

fn graph(sources: &[Source]) -> Graph {
    let sources = sources.iter().filter(|source| !source.is_test());
    let sources: Vec<&Source> = sources.collect();
    let files: BTreeSet<String> = sources
        .iter()
        .map(|source| source.name.trim_end_matches(".rs").to_owned())
        .filter(|file| !["lib", "main"].contains(&file.as_str()))
        .collect();
    let mut graph = Graph::new();
    for source in sources {
        let file = source.name.trim_end_matches(".rs");
        if files.contains(file) {
            let mut imports = imports(file, source, &files);
            imports.retain(|other| !is_below(file, other) && !is_below(other, file));
            graph.insert(file.to_owned(), imports);
        }
    }
    graph
}

/// Whether it is the file itself or a module in it.
fn is_below(file: &str, above: &str) -> bool {
    file.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The files whose items a file names.
fn imports(file: &str, source: &Source, files: &BTreeSet<String>) -> BTreeSet<String> {
    let mut used = Vec::new();
    let mut rest = String::new();
    let mut statement = String::new();
    for line in source.code() {
        let begins = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
        let tree = begins.iter().find_map(|begin| line.strip_prefix(begin));
        if let Some(line) = tree.or_else(|| (!statement.is_empty()).then_some(line)) {
            statement += line;
            if let Some(tree) = statement.strip_suffix(';') {
                expand("", tree, &mut used);
                statement.clear();
            }
        } else {
            rest += line;
            rest.push('\n');
        }
    }
    let mut names = BTreeMap::new();
    let mut found = BTreeSet::new();
    for path in &used {
        let segments: Vec<&str> = path.split("::").collect();
        if let Some(target) = resolve(file, &segments, &BTreeMap::new(), files) {
            if let Some(name) = segments.last().filter(|name| target.ends_with(**name)) {
                names.insert((*name).to_owned(), target.clone());
            }
            found.insert(target);
        }
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for path in rest.split(|c| !is_path(c)).filter(|path| path.contains("::")) {
        let segments: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
        found.extend(resolve(file, &segments, &names, files));
    }
    found
}

/// The paths of a `use` tree; `self` at the end of one is left out, and the other name of
/// `as`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((before, inner)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let path = format!("{prefix}{name}");
        paths.push(path.strip_suffix("::self").map_or(path.clone(), str::to_owned));
        return;
    };
    let prefix = format!("{prefix}{before}");
    let inner = inner.trim_end().strip_suffix('}').expect("braces of a use tree match");
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&prefix, &inner[start..at], paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The file that a path in `file` leads to; none where it leads out of the crate.
fn resolve(
    file: &str,
    path: &[&str],
    names: &BTreeMap<String, String>,
    files: &BTreeSet<String>,
) -> Option<String> {
    let below = |at: &str, name: &str| {
        if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") }
    };
    let (mut at, rest) = match path {
        ["crate", rest @ ..] => (String::new(), rest),
        ["self", rest @ ..] => (file.to_owned(), rest),
        ["super", ..] => {
            let up = path.iter().take_while(|part| **part == "super").count();
            let parts: Vec<&str> = file.split('/').collect();
            (parts[..parts.len().saturating_sub(up)].join("/"), &path[up..])
        }
        [first, rest @ ..] if names.contains_key(*first) => (names[*first].clone(), rest),
        [first, rest @ ..] if files.contains(&below(file, first)) => (below(file, first), rest),
        _ => return None,
    };
    for part in rest {
        let next = below(&at, part);
        if !files.contains(&next) {
            break;
        }
        at = next;
    }
    files.contains(&at).then_some(at)
}

fn files_of(texts: &[(&str, &str)]) -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source {
        name: format!("{name}.rs"),
        text: (*text).to_owned(),
    };
    texts.iter().map(source).collect()
}

#[test]
fn imports_are_read_in_whatever_form_they_are_written() {
    let sources = files_of(&[
        (
            "a",
            "pub mod one;\npub use one::{\n    self,\n    Thing as Other,\n};\nuse crate::b::{C, d::{E, self}};\n",
        ),
        ("a/one", "use super::Above;\nuse super::super::b;\nfn f() { b::d::g(); crate::c::x() }\n"),
        ("b", "mod d;\n// use crate::c::X;\n#[cfg(test)]\nmod tests { use crate::c::X; }\n"),
        ("b/d", "use std::fmt;\nuse hyper::{self, c};\nuse crate::Root;\n"),
        ("c", ""),
    ]);
    let graph = graph(&sources);
    let of = |file: &str| graph[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("a"), ["b", "b/d"]);
    assert_eq!(of("a/one"), ["b", "b/d", "c"]);
    assert_eq!(of("b"), <[&str; 0]>::default());
    assert_eq!(of("b/d"), <[&str; 0]>::default());
}

#[test]
fn a_circle_is_found_and_each_import_that_closes_one_is_needed() {
    let sources = files_of(&[
        ("a", "mod x;\nuse x::X;\nuse crate::b::B;\n"),
        ("a/x", "use super::A;\n"),
        ("b", "use crate::c::C;\n"),
        ("c", "use crate::a::x::X;\nuse crate::b::B;\n"),
        ("d", "use crate::c::C;\n"),
    ]);
    let graph = graph(&sources);
    let import = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    // Two files below one another are no circle, nor is what leads into one.
    let known = [import("c", "b"), import("d", "c"), import("b", "a")];
    assert_eq!(closing(&graph, known.iter()), BTreeSet::from([import("c", "b")]));
    let none = closing(&graph, [].iter());
    assert_eq!(none.len(), 1, "{none:?}");
}
