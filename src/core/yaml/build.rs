//! From the parser's events to the tree, within limits: anchors and aliases, merge keys, duplicate keys, tags. Does not
//! know what any key means.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};

use super::fault::{self, DEPTH_MAX};
use super::{Document, Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, LineIndex, Span, offset, quote};

/// Most nodes one file may hold, aliases expanded: 100,000 jobs of 20 fields are 4.2 million.
const NODES_MAX: usize = 8_000_000;
/// Most nodes that anchors may keep of one file: anchors within anchors keep the same nodes again and again.
const KEPT_NODES_MAX: usize = 8_000_000;
/// Most nodes that aliases may add to one file. A "billion laughs" file stops here.
const ALIASED_NODES_MAX: usize = 1_000_000;
/// Most problems with the YAML of one file. A file with `a: 1` a million times needs no more.
const PROBLEMS_MAX: usize = 1_000;

/// Entries up to which a repeated key is looked for by comparing: nearly every mapping, without a table beside it.
const COMPARED_MAX: usize = 24;

/// Reads `text`, which is called `file` in every problem.
pub(super) fn document<'a>(file: &Arc<str>, text: &'a str, index: &LineIndex<'_>) -> Document<'a> {
    let mut builder =
        Builder { file, index, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, kept: 0, aliased: 0, problems: Vec::new() };
    let root = builder.run(text);
    Document { root, problems: builder.problems }
}

/// A collection that is still open.
struct Open<'a> {
    anchor: usize,
    span: Span,
    items: OpenItems<'a>,
}

enum OpenItems<'a> {
    List(Vec<Node<'a>>),
    Map { entries: Vec<Entry<'a>>, key: Option<(Cow<'a, str>, Span)>, seen: Option<HashMap<Cow<'a, str>, Span>> },
}

struct Builder<'a, 'f> {
    file: &'f Arc<str>,
    index: &'f LineIndex<'f>,
    stack: Vec<Open<'a>>,
    anchors: HashMap<usize, Anchored<'a>>,
    nodes: usize,
    kept: usize,
    aliased: usize,
    problems: Vec<Diagnostic>,
}

/// What an alias stands for.
struct Anchored<'a> {
    node: Node<'a>,
    nodes: usize,
    levels: usize,
}

/// Reading cannot go on; the problem is recorded.
struct Abort;

impl<'a> Builder<'a, '_> {
    fn run(&mut self, text: &'a str) -> Option<Node<'a>> {
        if let Some(at) = text.find('\0') {
            self.fail("yaml", "the file holds a NUL byte", Span { start: offset(at), end: offset(at + 1) });
            self.hint("remove it; or is the file UTF-16? then save it as UTF-8");
            return None;
        }
        let mut options = Options::default();
        // We need no comments, and a long block of them would exceed the parser's buffer.
        options.set_emit_comments(false);
        options.block_nesting_limit = DEPTH_MAX;
        options.flow_nesting_limit = DEPTH_MAX;
        let mut parser: Parser<'a, StrInput<'a>> = Parser::new_from_str_with_options(text, options);
        let mut root = None;
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, at) = match next {
                Ok(pair) => pair,
                Err(error) => {
                    let (problem, span) = fault::describe(&error, text);
                    self.problems.push(problem.at(self.index.place(self.file, span)));
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
                Err(Abort) => return None,
            }
        }
        root
    }

    /// Handles one event. Returns the root when it is complete.
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<Option<Node<'a>>, Abort> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.tag(tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && !forced;
                self.finish(Node { span, kind: Kind::Scalar { text, plain } }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor, span, OpenItems::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor, span, OpenItems::Map { entries: Vec::new(), key: None, seen: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else { return Ok(None) };
                let whole = Span { start: open.span.start, end: span.end.max(open.span.end) };
                // A list that grew has room for more: in a file of very many small mappings that would be most of the memory.
                let kind = match open.items {
                    OpenItems::List(mut nodes) => {
                        nodes.shrink_to_fit();
                        Kind::List(nodes)
                    }
                    OpenItems::Map { entries, .. } => {
                        let mut entries = self.merge(entries);
                        entries.shrink_to_fit();
                        Kind::Map(entries)
                    }
                };
                self.finish(Node { span: whole, kind }, open.anchor)
            }
            Event::Alias(id) => {
                let Some(anchored) = self.anchors.get(&id) else {
                    self.fail("yaml", "this alias refers to a node that contains it", span);
                    self.hint("write out what is meant");
                    return Err(Abort);
                };
                // Counted before anything is copied. The levels too: aliases of aliases nest deeper than the parser sees.
                self.aliased += anchored.nodes;
                let levels = anchored.levels;
                if self.stack.len() + levels > DEPTH_MAX {
                    return Err(self.too_deep(span));
                }
                if self.aliased > ALIASED_NODES_MAX {
                    self.fail(
                        "yaml-too-large",
                        format!("the aliases of this file expand to more than {ALIASED_NODES_MAX} nodes"),
                        span,
                    );
                    self.hint("put what jobs share under `defaults`, which is not copied");
                    return Err(Abort);
                }
                let Some(node) = self.anchors.get(&id).map(|anchored| anchored.node.clone()) else { return Ok(None) };
                self.finish(node, 0)
            }
            _ => Ok(None),
        }
    }

    fn open(&mut self, anchor: usize, span: Span, items: OpenItems<'a>) -> Result<Option<Node<'a>>, Abort> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        self.stack.push(Open { anchor, span, items });
        Ok(None)
    }

    /// Adds a complete node to the open collection, or returns it as the root.
    fn finish(&mut self, node: Node<'a>, anchor: usize) -> Result<Option<Node<'a>>, Abort> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.fail("yaml-too-large", format!("more than {NODES_MAX} nodes in one file"), node.span);
            self.hint("move some of the jobs into a second file");
            return Err(Abort);
        }
        if self.problems.len() > PROBLEMS_MAX {
            self.fail("yaml", format!("the YAML of this file has more than {PROBLEMS_MAX} problems"), node.span);
            self.hint("fix the problems before this place first; the rest of the file was not read");
            return Err(Abort);
        }
        if anchor > 0 {
            self.keep(&node, anchor)?;
        }
        let Some(open) = self.stack.last_mut() else { return Ok(Some(node)) };
        match &mut open.items {
            OpenItems::List(nodes) => nodes.push(node),
            OpenItems::Map { entries, key, seen } => match key.take() {
                None => {
                    let Kind::Scalar { text, .. } = node.kind else {
                        self.fail("yaml", "a key must be a single word or text", node.span);
                        self.hint("put a text that begins with `[` or `{` in quotes");
                        return Err(Abort);
                    };
                    *key = Some((text, node.span));
                }
                Some((name, key_span)) => {
                    if let Some(first) = first_written(entries, seen, &name) {
                        let problem =
                            Diagnostic::error("duplicate-key", format!("{} is written twice in this mapping", quote(&name)))
                                .at(self.index.place(self.file, key_span))
                                .related(self.index.place(self.file, first), "first written here")
                                .hint(if name == "<<" { TWO_MERGES } else { "keep one of the two" });
                        self.problems.push(problem);
                    } else {
                        if let Some(seen) = seen {
                            seen.insert(name.clone(), key_span);
                        }
                        entries.push(Entry { key: name, key_span, value: node });
                    }
                }
            },
        }
        Ok(None)
    }

    /// Keeps what later aliases stand for.
    fn keep(&mut self, node: &Node<'a>, anchor: usize) -> Result<(), Abort> {
        let (nodes, levels) = measure(node);
        self.kept += nodes;
        if self.kept > KEPT_NODES_MAX {
            self.fail("yaml-too-large", format!("the anchors of this file keep more than {KEPT_NODES_MAX} nodes"), node.span);
            self.hint("remove the anchors (`&name`) that no alias (`*name`) uses");
            return Err(Abort);
        }
        self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, levels });
        Ok(())
    }

    fn too_deep(&mut self, span: Span) -> Abort {
        self.problems.push(fault::too_deep().at(self.index.place(self.file, span)));
        Abort
    }

    /// Applies `<<: *defaults` and `<<: [*a, *b]`: an own key wins, then the earlier of several maps.
    fn merge(&mut self, entries: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
        if !entries.iter().any(|entry| entry.key == "<<") {
            return entries;
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
        let mut keys: HashSet<Cow<'a, str>> = own.iter().map(|entry| entry.key.clone()).collect();
        for merge in merges {
            let maps = match merge.value.kind {
                Kind::List(nodes) => nodes,
                _ => vec![merge.value],
            };
            for map in maps {
                let Kind::Map(inherited) = map.kind else {
                    self.fail("yaml", "`<<` takes a mapping, or a list of mappings", merge.key_span);
                    self.hint("for example `<<: *name`, where `&name` stands before a mapping");
                    continue;
                };
                for entry in inherited {
                    if keys.insert(entry.key.clone()) {
                        own.push(entry);
                    }
                }
            }
        }
        own
    }

    /// Returns whether the tag makes a scalar a text. Tags other than YAML's own are a problem.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        match tag.core_suffix() {
            Some(suffix) => suffix == "str",
            None if tag.handle().is_empty() && tag.suffix() == "!" => true,
            None => {
                self.fail("yaml", format!("the tag {} is not allowed here", quote(&tag.original())), span);
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

/// What to do about a second `<<` in one mapping.
const TWO_MERGES: &str = "write one list: `<<: [*a, *b]`; where both have a key, the first one counts";

/// Where a key was written before, if it was. A large mapping gets a table at its first look.
fn first_written<'a>(entries: &[Entry<'a>], seen: &mut Option<HashMap<Cow<'a, str>, Span>>, name: &str) -> Option<Span> {
    if entries.len() <= COMPARED_MAX {
        return entries.iter().find(|entry| entry.key == name).map(|entry| entry.key_span);
    }
    let seen = seen.get_or_insert_with(|| entries.iter().map(|entry| (entry.key.clone(), entry.key_span)).collect());
    seen.get(name).copied()
}

/// How many nodes it has, and how many levels of collections.
fn measure(node: &Node<'_>) -> (usize, usize) {
    let both = |(nodes, levels): (usize, usize), (more, deep): (usize, usize)| (nodes + more, levels.max(deep + 1));
    match &node.kind {
        Kind::Scalar { .. } => (1, 0),
        Kind::List(nodes) => nodes.iter().map(measure).fold((1, 1), both),
        Kind::Map(entries) => entries.iter().map(|entry| measure(&entry.value)).fold((1, 1), both),
    }
}
