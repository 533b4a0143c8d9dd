//! A page as plain text, for a terminal. What stands in a page is not known here.

use std::fmt::Write as _;

use super::page::{Block, Page, wrap};

/// The width of a terminal that nobody made wider.
const WIDTH: usize = 80;
/// By how much each level is indented.
const STEP: usize = 4;

/// Returns the text of a page.
pub(super) fn render(page: &Page) -> String {
    let mut out = format!("{}({}): {}\n", page.name, page.section, page.summary);
    for section in &page.sections {
        let _ = write!(out, "\n{}\n", section.title);
        blocks(&mut out, &section.blocks, STEP);
    }
    out
}

fn blocks(out: &mut String, blocks: &[Block], indent: usize) {
    for (at, block) in blocks.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        match block {
            Block::Text(text) => wrap(text, WIDTH - indent).iter().for_each(|line| push(out, indent, line)),
            Block::Literal(text) => text.lines().for_each(|line| push(out, indent + STEP, line)),
            Block::Terms(terms) => {
                for (term, meaning) in terms {
                    push(out, indent, &term.replace('`', ""));
                    self::blocks(out, meaning, indent + STEP);
                }
            }
        }
    }
}

fn push(out: &mut String, indent: usize, line: &str) {
    let line = format!("{:indent$}{line}", "");
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::page::{Section, term};
    use super::*;

    #[test]
    fn a_page_is_indented_text_of_lines_that_fit() {
        let terms = Block::Terms(vec![term("`at`", &"word ".repeat(20)), term("b", "Two.")]);
        let literal = Block::Literal("jobs:\n\n  a: 1\n".into());
        let sections = vec![Section::new("KEYS", vec![Block::Text("Of `x`.".into()), terms, literal])];
        let page = Page { name: "x-y", section: 5, summary: "a thing", sections };
        let words = |count: usize| vec!["word"; count].join(" ");
        let expected = format!(
            "x-y(5): a thing\n\nKEYS\n    Of `x`.\n\n    at\n        {}\n        {}\n    b\n        Two.\n\n        jobs:\n\n          a: 1\n",
            words(14),
            words(6)
        );
        assert_eq!(render(&page), expected);
    }
}
