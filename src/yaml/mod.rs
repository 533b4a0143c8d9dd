//! YAML text to a tree of nodes with spans, within limits. Knows the language (anchors, merge keys, duplicate keys,
//! scalar styles); refuses to know what any key means, and never guesses a type: a scalar is its text.
//!
//! Why not a serde deserializer: it stops at the first fault of a file, and an operator is owed all of them at once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};

use crate::diagnostic::{Diagnostic, LineIndex, Span, offset};

/// Deepest nesting. Schedules need four levels; the rest is room for mistakes, and what keeps recursion bounded.
const DEPTH_MAX: usize = 32;
/// Most nodes one file may hold, aliases expanded: 100,000 jobs of 20 fields are 4.2 million.
const NODES_MAX: usize = 8_000_000;
/// Most nodes that aliases may add to one file. A "billion laughs" file stops here.
const ALIASED_NODES_MAX: usize = 1_000_000;

/// One node and where it stands.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Its place in the text; of an aliased node, the place where it was written.
    pub span: Span,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// A scalar: its text after escapes, and whether it was written without quotes.
    Scalar {
        /// The text.
        text: Cow<'a, str>,
        /// False when quoted, a block scalar, or tagged `!!str`: then `"42"` is text and not a number.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node<'a>>),
    /// A mapping, in the order written, merge keys applied; no key occurs twice.
    Map(Vec<Entry<'a>>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The key's text.
    pub key: Cow<'a, str>,
    /// The key's place.
    pub key_span: Span,
    /// The value.
    pub value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// True for an empty plain scalar, `~` or `null`: a key without a value.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, in words for a message.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { plain: true, .. } => "a value",
            Kind::Scalar { plain: false, .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry<'a>]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }
}

/// The document of one file. `None` when it is empty or so broken that nothing can be said of its content; `problems`
/// then says why. Duplicate keys and bad merges are problems beside a document.
pub struct Document<'a> {
    /// The root node.
    pub root: Option<Node<'a>>,
    /// What is wrong with the YAML itself.
    pub problems: Vec<Diagnostic>,
}

/// Reads `text`, which is called `file` in every problem.
pub fn parse<'a>(file: &Arc<str>, text: &'a str, index: &LineIndex<'_>) -> Document<'a> {
    let mut builder =
        Builder { file, index, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, aliased: 0, problems: Vec::new() };
    let root = builder.run(text);
    Document { root, problems: builder.problems }
}

/// A collection that is still open.
struct Open<'a> {
    anchor: usize,
    span: Span,
    items: Items<'a>,
}

enum Items<'a> {
    List(Vec<Node<'a>>),
    Map { entries: Vec<Entry<'a>>, key: Option<(Cow<'a, str>, Span)>, seen: HashMap<Cow<'a, str>, Span> },
}

struct Builder<'a, 'f> {
    file: &'f Arc<str>,
    index: &'f LineIndex<'f>,
    stack: Vec<Open<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    nodes: usize,
    aliased: usize,
    problems: Vec<Diagnostic>,
}

/// Reading cannot go on; the problem is recorded.
struct Stop;

impl<'a> Builder<'a, '_> {
    fn run(&mut self, text: &'a str) -> Option<Node<'a>> {
        if let Some(at) = text.find('\0') {
            self.fail("yaml", "the file holds a NUL byte", Span { start: offset(at), end: offset(at + 1) });
            return None;
        }
        let mut options = Options::default();
        options.block_nesting_limit = DEPTH_MAX;
        options.flow_nesting_limit = DEPTH_MAX;
        let mut parser: Parser<'a, StrInput<'a>> = Parser::new_from_str_with_options(text, options);
        let mut root = None;
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, at) = match next {
                Ok(pair) => pair,
                Err(error) => {
                    let start = fault_start(&error.info(), text, error.marker().byte_offset().unwrap_or(0));
                    let span = Span { start, end: start + 1 };
                    self.problems.push(scan_problem(&error.info(), text, start).at(self.index.place(self.file, span)));
                    return None;
                }
            };
            let range = at.byte_range().unwrap_or(0..0);
            let span = Span { start: offset(range.start), end: offset(range.end) };
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    self.fail("yaml", "a second YAML document starts here", span);
                    self.hint("one file is one document: remove the `---`, or move what follows into a file of its own");
                    return root;
                }
            }
            match self.take(event, span) {
                Ok(Some(node)) => root = Some(node),
                Ok(None) => {}
                Err(Stop) => return None,
            }
        }
        root
    }

    /// Handles one event; answers the root once it is whole.
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<Option<Node<'a>>, Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.tag(tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && !forced;
                self.finish(Node { span, kind: Kind::Scalar { text, plain } }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor, span, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor, span, Items::Map { entries: Vec::new(), key: None, seen: HashMap::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else { return Ok(None) };
                let whole = Span { start: open.span.start, end: span.end.max(open.span.end) };
                let kind = match open.items {
                    Items::List(nodes) => Kind::List(nodes),
                    Items::Map { entries, .. } => Kind::Map(self.merge(entries)),
                };
                self.finish(Node { span: whole, kind }, open.anchor)
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    self.fail("yaml", "this alias refers to a node that contains it", span);
                    return Err(Stop);
                };
                self.aliased += count(&node);
                if self.aliased > ALIASED_NODES_MAX {
                    self.fail(
                        "yaml-too-large",
                        format!("the aliases of this file expand to more than {ALIASED_NODES_MAX} nodes"),
                        span,
                    );
                    return Err(Stop);
                }
                self.finish(node, 0)
            }
            _ => Ok(None),
        }
    }

    fn open(&mut self, anchor: usize, span: Span, items: Items<'a>) -> Result<Option<Node<'a>>, Stop> {
        if self.stack.len() >= DEPTH_MAX {
            self.fail("yaml-too-deep", format!("nested deeper than {DEPTH_MAX} levels"), span);
            return Err(Stop);
        }
        self.stack.push(Open { anchor, span, items });
        Ok(None)
    }

    /// Hands a whole node to the collection that is open, or answers it as the root.
    fn finish(&mut self, node: Node<'a>, anchor: usize) -> Result<Option<Node<'a>>, Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.fail("yaml-too-large", format!("more than {NODES_MAX} nodes in one file"), node.span);
            return Err(Stop);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else { return Ok(Some(node)) };
        match &mut open.items {
            Items::List(nodes) => nodes.push(node),
            Items::Map { entries, key, seen } => match key.take() {
                None => match node.kind {
                    Kind::Scalar { text, .. } => *key = Some((text, node.span)),
                    Kind::List(_) | Kind::Map(_) => {
                        let span = node.span;
                        self.fail("yaml", "a key must be a single word or text", span);
                        return Err(Stop);
                    }
                },
                Some((name, key_span)) => {
                    if let Some(first) = seen.insert(name.clone(), key_span) {
                        seen.insert(name.clone(), first);
                        let problem = Diagnostic::error("duplicate-key", format!("`{name}` is written twice in this mapping"))
                            .at(self.index.place(self.file, key_span))
                            .related(self.index.place(self.file, first), "first written here");
                        self.problems.push(problem);
                    } else {
                        entries.push(Entry { key: name, key_span, value: node });
                    }
                }
            },
        }
        Ok(None)
    }

    /// Applies `<<: *defaults` and `<<: [*a, *b]`: an own key wins, then the earlier of several maps.
    fn merge(&mut self, entries: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
        if !entries.iter().any(|entry| entry.key == "<<") {
            return entries;
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
        for merge in merges {
            let maps = match merge.value.kind {
                Kind::List(nodes) => nodes,
                _ => vec![merge.value],
            };
            for map in maps {
                let Kind::Map(inherited) = map.kind else {
                    self.fail("yaml", "`<<` takes a mapping, or a list of mappings", merge.key_span);
                    continue;
                };
                for entry in inherited {
                    if !own.iter().any(|mine| mine.key == entry.key) {
                        own.push(entry);
                    }
                }
            }
        }
        own
    }

    /// Answers whether the tag makes a scalar a text; other tags than YAML's own are a problem.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        match tag.core_suffix() {
            Some(suffix) => suffix == "str",
            None if tag.handle().is_empty() && tag.suffix() == "!" => true,
            None => {
                self.fail("yaml", format!("the tag `{}` means nothing here", tag.original()), span);
                self.hint("remove the tag");
                false
            }
        }
    }

    fn fail(&mut self, code: &'static str, message: impl Into<String>, span: Span) {
        self.problems.push(Diagnostic::error(code, message).at(self.index.place(self.file, span)));
    }

    fn hint(&mut self, hint: &str) {
        if let Some(problem) = self.problems.last_mut() {
            problem.hint = Some(hint.to_owned());
        }
    }
}

/// Where to point: the parser names the start of the token it was reading, which for a tab is the line before it.
fn fault_start(info: &str, text: &str, at: usize) -> u32 {
    let at = text.floor_char_boundary(at.min(text.len()));
    let tab = if info.contains("tab") { text[at..].find('\t') } else { None };
    offset(at + tab.unwrap_or(0))
}

/// The parser's own words, with a hint for the habits that we can name.
fn scan_problem(info: &str, text: &str, at: u32) -> Diagnostic {
    let problem = Diagnostic::error("yaml", format!("not valid YAML: {info}"));
    let at = text.floor_char_boundary((at as usize).min(text.len()));
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    if line.trim_start_matches(' ').starts_with('\t') {
        problem.hint("indent with spaces: YAML does not allow tabs there")
    } else if info.contains("nest") || info.contains("depth") {
        problem.hint(format!("at most {DEPTH_MAX} levels are read"))
    } else {
        problem
    }
}

fn count(node: &Node<'_>) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(nodes) => 1 + nodes.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node<'_>>, Vec<String>) {
        let file: Arc<str> = Arc::from("f.yaml");
        let document = parse(&file, text, &LineIndex::new(text));
        (document.root, document.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn scalars_keep_their_text_and_their_style() {
        let (root, problems) = read("a: 18:00\nb: \"42\"\nc: 0123\n");
        assert!(problems.is_empty(), "{problems:?}");
        let root = root.expect("a document");
        let kinds: Vec<_> =
            root.entries().expect("a map").iter().map(|entry| (entry.key.to_string(), format!("{:?}", entry.value.kind))).collect();
        assert_eq!(kinds[0].1, r#"Scalar { text: "18:00", plain: true }"#);
        assert_eq!(kinds[1].1, r#"Scalar { text: "42", plain: false }"#);
        assert_eq!(kinds[2].1, r#"Scalar { text: "0123", plain: true }"#);
    }

    #[test]
    fn merge_keys_yield_to_own_keys() {
        let (root, problems) = read("x: &d {a: 1, b: 2}\ny: {<<: *d, b: 3}\n");
        assert!(problems.is_empty(), "{problems:?}");
        let root = root.expect("a document");
        let merged: Vec<_> = root.entries().expect("a map")[1]
            .value
            .entries()
            .expect("a map")
            .iter()
            .map(|entry| format!("{}={}", entry.key, entry.value.text().unwrap_or("")))
            .collect();
        assert_eq!(merged, ["b=3", "a=1"]);
    }

    #[test]
    fn faults_of_the_yaml_itself_name_their_line() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "f.yaml:2:1: `a` is written twice in this mapping"),
            (
                "a: 1\n---\nb: 2\n",
                "f.yaml:2:1: a second YAML document starts here (one file is one document: remove the `---`, or move what follows into a file of its own)",
            ),
            ("a: !secret x\n", "f.yaml:1:12: the tag `!secret` means nothing here (remove the tag)"),
            ("a:\n  b: 1\n\tc: 2\n", "f.yaml:3:"),
            ("a: \0\n", "f.yaml:1:4: the file holds a NUL byte"),
        ] {
            let (_, problems) = read(text);
            assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_stops_at_the_limit() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, last) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            text.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{last}"); 10].join(", ")));
        }
        let (root, problems) = read(&text);
        assert!(root.is_none());
        assert!(problems[0].contains("the aliases of this file expand to more than"), "{problems:?}");
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let text = "[".repeat(100_000);
        let (root, problems) = read(&text);
        assert!(root.is_none());
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
