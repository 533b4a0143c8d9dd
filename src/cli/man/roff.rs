//! A page as roff with the macros of man(7), for `man`, groff and mandoc. What stands in a page is not known here.

use std::fmt::Write as _;

use super::page::{Block, Page, Span, spans, wrap};

/// Longest line of the source that is made here, for those who read it.
const WIDTH: usize = 100;

/// Returns the source of a page. The date is `YYYY-MM-DD`.
pub(super) fn render(page: &Page, date: &str, version: &str) -> String {
    let mut out = String::new();
    let title = argument(&page.name.to_uppercase());
    push(&mut out, &format!(".TH {title} {} {date} {}", page.section, argument(version)));
    push(&mut out, ".SH NAME");
    push(&mut out, &format!("{} \\- {}", escape(page.name), escape(page.summary)));
    for section in &page.sections {
        push(&mut out, &format!(".SH {}", argument(&section.title)));
        blocks(&mut out, &section.blocks);
    }
    out
}

fn blocks(out: &mut String, blocks: &[Block]) {
    for (at, block) in blocks.iter().enumerate() {
        match block {
            Block::Text(text) => {
                // The first paragraph stands below its title or term as it is.
                if at > 0 {
                    push(out, ".PP");
                }
                self::text(out, text);
            }
            Block::Literal(text) => {
                push(out, if at > 0 { ".PP\n.RS 4\n.nf" } else { ".RS 4\n.nf" });
                for line in text.lines() {
                    push(out, &guard(&escape(line)));
                }
                push(out, ".fi\n.RE");
            }
            Block::Terms(terms) => {
                for (term, meaning) in terms {
                    push(out, ".TP");
                    push(out, &guard(&inline(term)));
                    let (first, rest) = meaning.split_at(meaning.len().min(1));
                    self::blocks(out, first);
                    if !rest.is_empty() {
                        // What follows the first paragraph is indented below the term.
                        push(out, ".RS");
                        for block in rest {
                            if let Block::Text(_) = block {
                                push(out, ".PP");
                            }
                            self::blocks(out, std::slice::from_ref(block));
                        }
                        push(out, ".RE");
                    }
                }
            }
        }
    }
}

fn text(out: &mut String, text: &str) {
    for line in wrap(&inline(text), WIDTH) {
        push(out, &guard(&line));
    }
}

fn push(out: &mut String, line: &str) {
    let _ = writeln!(out, "{line}");
}

/// A text with its code in bold.
fn inline(text: &str) -> String {
    let drawn = spans(text).into_iter().map(|span| match span {
        Span::Plain(text) => escape(text),
        Span::Code(code) => format!("\\fB{}\\fR", escape(code)),
    });
    drawn.collect()
}

/// A text in which nothing is a command of roff. A line of it may still begin like one: see [`guard`].
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            other if other.is_ascii() => out.push(other),
            other => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(other));
            }
        }
    }
    out
}

/// A line that is text, whatever its first character is.
fn guard(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// An argument of a macro.
fn argument(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::super::page::{Section, term};
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        for (text, expected) in [
            (".so /etc/passwd", "\\&.so /etc/passwd"),
            ("'br", "\\(aqbr"),
            ("a\\fBb", "a\\efBb"),
            ("--from `x-y`", "\\-\\-from \\fBx\\-y\\fR"),
            ("`.yaml`", "\\fB.yaml\\fR"),
            ("caf\u{e9} ~ ^", "caf\\[u00E9] \\(ti \\(ha"),
        ] {
            assert_eq!(guard(&inline(text)), expected, "{text}");
        }
        assert_eq!(argument("a \"b\""), "\"a \\(dqb\\(dq\"");
    }

    #[test]
    fn a_line_that_is_wrapped_before_a_dot_is_still_text() {
        let mut out = String::new();
        text(&mut out, &format!("{} .yaml", "x".repeat(WIDTH)));
        assert!(out.ends_with("\n\\&.yaml\n"), "{out}");
    }

    #[test]
    fn a_page_has_its_name_its_sections_and_its_terms() {
        let terms = vec![("`at`".to_owned(), vec![Block::Text("One.".into()), Block::Text("Two.".into())]), term("b", "Three.")];
        let sections = vec![Section::new("KEYS", vec![Block::Terms(terms), Block::Literal("a: 1\n.b".into())])];
        let page = Page { name: "x-y", section: 5, summary: "a thing", sections };
        let expected = ".TH \"X\\-Y\" 5 2026-01-02 \"x 1\"\n.SH NAME\nx\\-y \\- a thing\n.SH \"KEYS\"\n.TP\n\\fBat\\fR\nOne.\n.RS\n.PP\nTwo.\n\
                        .RE\n.TP\nb\nThree.\n.PP\n.RS 4\n.nf\na: 1\n\\&.b\n.fi\n.RE\n";
        assert_eq!(render(&page, "2026-01-02", "x 1"), expected);
    }
}
