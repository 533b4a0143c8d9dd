//! What a program says, without what looks like a secret. What is known to be one is hidden elsewhere. Does not run a program.

/// What stands where something was.
const HIDDEN: &str = "[...]";

/// A word of letters and digits that is so long is a token.
const TOKEN_MIN: usize = 16;

/// Words that stand before a secret.
const NAMES: [&str; 9] = ["token", "key", "secret", "password", "passwd", "sign", "signature", "authorization", "bearer"];

/// Returns the text with the host alone of each URL, without the values of names such as `token`, and without long words of letters and
/// digits.
pub(super) fn mask_said(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut hides_next = false;
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let space = &part[word.len()..];
        if hides_next && !word.is_empty() {
            hides_next = is_name(word);
            masked.push_str(if hides_next { word } else { HIDDEN });
        } else {
            hides_next |= is_name(word) && word.ends_with([':', '=']) || is_bearer(word);
            masked.push_str(&mask_word(word));
        }
        masked.push_str(space);
    }
    masked
}

/// Whether a word ends with one of the names, `API_TOKEN=` for one.
fn is_name(word: &str) -> bool {
    let word = word.trim_end_matches([':', '=', '"', '\'']).to_lowercase();
    NAMES.iter().any(|name| word.ends_with(name))
}

fn is_bearer(word: &str) -> bool {
    word.trim_matches(|character: char| !character.is_alphanumeric()).eq_ignore_ascii_case("bearer")
}

fn mask_word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        let user = if host.len() < place.len() { "[...]@" } else { "" };
        let path = if path.len() > 1 { "/[...]" } else { path };
        return format!("{scheme}://{user}{host}{path}");
    }
    // A query, or a setting.
    if let Some((name, value)) = word.split_once(['?', '='])
        && !value.is_empty()
        && (word[name.len()..].starts_with('?') || is_name(name))
    {
        return format!("{}{}{HIDDEN}", mask_tokens(name), &word[name.len()..=name.len()]);
    }
    mask_tokens(word)
}

/// Parts between slashes and other marks that look like tokens.
fn mask_tokens(word: &str) -> String {
    let is_of_token = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let mut masked = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = if is_of_token(first) { rest.find(|character| !is_of_token(character)) } else { Some(first.len_utf8()) };
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        let has = |wanted: fn(&u8) -> bool| part.as_bytes().iter().any(wanted);
        let is_token = part.len() >= TOKEN_MIN && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        masked.push_str(if is_token { HIDDEN } else { part });
        rest = after;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_shown_without_what_looks_like_a_secret() {
        for (said, expected) in [
            ("no pager", "no pager"),
            ("curl: (22) The requested URL returned error: 404", "curl: (22) The requested URL returned error: 404"),
            ("POST https://hooks.slack.com/services/T0/B0/hush: 404", "POST https://hooks.slack.com/[...] 404"),
            ("cannot reach https://anna:hush@mail.example.com", "cannot reach https://[...]@mail.example.com"),
            (
                "HTTPSConnectionPool(host='a.example'): url: /services/T0/B0/hush0hush1hush2hush",
                "HTTPSConnectionPool(host='a.example'): url: /services/T0/B0/[...]",
            ),
            ("GET /send?access_token=hush failed", "GET /send?[...] failed"),
            ("Authorization: Bearer hush failed", "Authorization: Bearer [...] failed"),
            ("API_TOKEN=hush is wrong", "API_TOKEN=[...] is wrong"),
            ("token: hush", "token: [...]"),
            ("/usr/local/bin/tell-everybody: line 3: no such file", "/usr/local/bin/tell-everybody: line 3: no such file"),
        ] {
            assert_eq!(mask_said(said), expected, "{said}");
        }
    }
}
