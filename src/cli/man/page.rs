//! A page of the manual as a value: sections of paragraphs, definition lists and literal text. How it is drawn, on paper or on a
//! terminal, and what stands in it is not known here.
//!
//! In a text, what stands between backticks is written by the reader as it is: a key, a command, a value.

/// A page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Its name: `ingestd-schedule`.
    pub(super) name: &'static str,
    /// Its section of the manual.
    pub(super) section: u8,
    /// What it is about, in one line without a period.
    pub(super) summary: &'static str,
    /// What follows the name.
    pub(super) sections: Vec<Section>,
}

/// A part of a page with a title.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// In capitals.
    pub(super) title: String,
    /// What stands in it.
    pub(super) blocks: Vec<Block>,
}

/// One thing under another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Terms, each with what it means.
    Terms(Vec<(String, Vec<Block>)>),
    /// Lines that are shown as they are.
    Literal(String),
}

impl Page {
    /// The name of its file: `ingestd-schedule.5`.
    pub(super) fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

impl Section {
    /// Of a title and what stands under it.
    pub(super) fn new(title: impl Into<String>, blocks: Vec<Block>) -> Section {
        Section { title: title.into(), blocks }
    }
}

/// Returns the paragraphs of a text: an empty line stands between two.
pub(super) fn paragraphs(text: &str) -> Vec<Block> {
    let all = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    all.filter(|part| !part.is_empty()).map(Block::Text).collect()
}

/// Returns a term whose meaning is a text.
pub(super) fn term(term: impl Into<String>, text: &str) -> (String, Vec<Block>) {
    (term.into(), paragraphs(text))
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span<'t> {
    /// Plain words.
    Plain(&'t str),
    /// What stood between backticks.
    Code(&'t str),
}

/// Returns the pieces of a text. A backtick without a partner is plain.
pub(super) fn spans(text: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else { break };
        found.extend([Span::Plain(before), Span::Code(code)]);
        rest = after;
    }
    found.push(Span::Plain(rest));
    found.retain(|span| !matches!(span, Span::Plain("") | Span::Code("")));
    found
}

/// Returns the words of a text in lines of at most `width` characters. A longer word has a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stands_between_backticks_and_one_alone_is_plain() {
        assert_eq!(spans("write `at`, then"), [Span::Plain("write "), Span::Code("at"), Span::Plain(", then")]);
        assert_eq!(spans("`a``b` `"), [Span::Code("a"), Span::Code("b"), Span::Plain(" `")]);
        assert_eq!(spans(""), []);
    }

    #[test]
    fn lines_are_as_long_as_allowed_and_words_stay_whole() {
        assert_eq!(wrap("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("incomprehensible x", 5), ["incomprehensible", "x"]);
    }
}
