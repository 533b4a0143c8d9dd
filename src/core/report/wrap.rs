//! Sentences on a terminal: a long line becomes several, broken between words. Does not know how wide a terminal is.

use unicode_width::UnicodeWidthStr as _;

/// A line as lines of at most `width` characters, the further ones indented by `hang`. Only a space is broken at, so that an id or a
/// URL stays whole, also where it is longer. Without a width the line stays as it is.
pub(super) fn wrapped(line: &str, hang: usize, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.filter(|width| line.width() > *width) else { return vec![line.to_owned()] };
    let text = line.trim_start_matches(' ');
    let mut lines = vec![" ".repeat(line.len() - text.len())];
    let mut is_begun = false;
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if is_begun && last.width() + 1 + word.width() > width {
            lines.push(format!("{}{word}", " ".repeat(hang)));
        } else {
            last.push_str(if is_begun { " " } else { "" });
            last.push_str(word);
        }
        is_begun = true;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_and_no_word_is() {
        let line = "  ledger: 晚会 at https://cdn.example.com/a-long-name.mp4 is over";
        assert_eq!(wrapped(line, 4, None), [line]);
        assert_eq!(wrapped(line, 4, Some(80)), [line]);
        let expected = ["  ledger: 晚会 at", "    https://cdn.example.com/a-long-name.mp4", "    is over"];
        assert_eq!(wrapped(line, 4, Some(20)), expected);
        assert_eq!(wrapped("", 4, Some(0)), [""]);
    }
}
