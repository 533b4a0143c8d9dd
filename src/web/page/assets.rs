//! What the page loads: its style, its script and its icon, from this program. It does not know what they do.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::response::Response;

const STYLE: &str = concat!(include_str!("assets/base.css"), include_str!("assets/rundown.css"));
const SCRIPT: &str = concat!(
    include_str!("assets/clock.js"),
    include_str!("assets/live.js"),
    include_str!("assets/keys.js"),
    include_str!("assets/main.js")
);
const ICON: &str = include_str!("assets/icon.svg");

/// A name for what is served, so that a browser keeps it until another program serves another.
pub(super) static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    (STYLE, SCRIPT, ICON).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

pub(super) async fn style() -> Response {
    super::lasting("text/css; charset=utf-8", STYLE.as_bytes())
}

pub(super) async fn script() -> Response {
    super::lasting("text/javascript; charset=utf-8", SCRIPT.as_bytes())
}

pub(super) async fn icon() -> Response {
    super::lasting("image/svg+xml", ICON.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_is_small() {
        let size = STYLE.len() + SCRIPT.len() + ICON.len();
        assert!(size < 60_000, "{size} bytes: with the page of five rooms it must stay under 150 kB");
    }
}
