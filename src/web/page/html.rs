//! HTML as it is written: what we write ourselves is known when this program is compiled, and everything else is escaped. There is no way to
//! write a text of others as it is. It does not know what the page says.

use std::fmt::{Display, Write as _};

use crate::diagnostic::needs_escape;

/// HTML that is being written.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Html {
        Html::default()
    }

    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// A text, or the value of an attribute in double quotes. What is not seen, or changes the direction of what follows, is shown by its
    /// number.
    pub(super) fn text(&mut self, text: &str) -> &mut Html {
        self.escaped(text, false)
    }

    /// A text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> &mut Html {
        self.escaped(text, true)
    }

    /// A text in which names stand in backticks: each becomes code.
    pub(super) fn ticked(&mut self, text: &str) -> &mut Html {
        let mut parts = text.split('`');
        // One backtick alone is one.
        if parts.clone().count().is_multiple_of(2) {
            return self.text(text);
        }
        self.text(parts.next().unwrap_or_default());
        while let (Some(name), Some(rest)) = (parts.next(), parts.next()) {
            self.raw("<code>").text(name).raw("</code>").text(rest);
        }
        self
    }

    /// A number, or another value whose text has none of HTML's own characters.
    pub(super) fn number(&mut self, number: impl Into<f64> + Copy) -> &mut Html {
        let number: f64 = number.into();
        let _ = write!(self.0, "{}", (number * 1_000.0).round() / 1_000.0);
        self
    }

    /// A value that is escaped as a text.
    pub(super) fn value(&mut self, value: impl Display) -> &mut Html {
        let text = value.to_string();
        self.text(&text)
    }

    /// What is written so far; nothing is left.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.0)
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn escaped(&mut self, text: &str, keeps_lines: bool) -> &mut Html {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' if keeps_lines => self.0.push('\n'),
                character if needs_escape(character) => {
                    let _ = write!(self.0, "{}", character.escape_unicode());
                }
                character => self.0.push(character),
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_is_inert() {
        let mut html = Html::new();
        html.raw("<b title=\"").text("\" onload='x' <script>&").raw("\">").text("a\u{202e}b\u{0}c\nd 直播").raw("</b>");
        let expected = "<b title=\"&quot; onload=&#39;x&#39; &lt;script&gt;&amp;\">a\\u{202e}b\\u{0}c\\u{a}d 直播</b>";
        assert_eq!(html.into_string(), expected);
    }

    #[test]
    fn names_in_backticks_are_code_and_inert_too() {
        let ticked = |text: &str| {
            let mut html = Html::new();
            html.ticked(text);
            html.into_string()
        };
        assert_eq!(ticked("`a<b` is off: see `why`"), "<code>a&lt;b</code> is off: see <code>why</code>");
        assert_eq!(ticked("no name"), "no name");
        assert_eq!(ticked("one ` alone"), "one ` alone");
    }

    #[test]
    fn numbers_have_no_more_digits_than_are_seen() {
        let mut html = Html::new();
        html.number(12.0).raw(" ").number(100.0 / 3.0);
        assert_eq!(html.into_string(), "12 33.333");
    }
}
