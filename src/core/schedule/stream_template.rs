//! The stream as a job writes it: a URL in which names between braces stand for something of the occurrence. Does not know what may
//! stand in a URL besides, and who fetches the media.

use std::sync::Arc;

use jiff::Zoned;
use jiff::fmt::strtime;

use super::job::JobId;
use super::problem::nearest;
use crate::diagnostic::needs_escape;
use crate::trtc::{Room, StreamUrl, as_url_part};

/// What may stand between braces, as messages list it.
const KNOWN: &str = "`{date}`, `{start:%Y-%m-%d_%H}`, `{job}`, `{room}` and `{secret:NAME}`";

/// How `{date}` is written.
const DATE: &str = "%Y-%m-%d";

/// A stream URL whose braces were checked when the job was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTemplate(StreamUrl);

/// A piece of a template.
enum Piece<'t> {
    Literal(&'t str),
    Job,
    Room,
    /// The start, as this format of strftime says.
    Start(&'t str),
    /// The secret of that name; it stays a name until the request is sent.
    Secret(&'t str),
}

impl StreamTemplate {
    /// Reads the braces of a URL. Errors: what is wrong with one of them, and how to fix it. Neither repeats the URL.
    pub(super) fn parse(text: &Arc<str>) -> Result<StreamTemplate, (String, String)> {
        pieces(text, |piece| match piece {
            Piece::Start(format) => check_format(format),
            Piece::Secret(name) if !is_name(name) => {
                let hint =
                    "write a name that the settings have under `secrets`; it is of `a-z`, `0-9`, `_` and `-`: `{secret:cam-1}`";
                Err(("expected a name in `{secret:NAME}`".to_owned(), hint.to_owned()))
            }
            Piece::Literal(_) | Piece::Job | Piece::Room | Piece::Secret(_) => Ok(()),
        })?;
        Ok(StreamTemplate(StreamUrl::shared(text)))
    }

    /// Whether white space stands between two braces.
    pub(super) fn has_space_in_braces(text: &str) -> bool {
        let within = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
        within.into_iter().any(|(name, _)| name.contains(char::is_whitespace))
    }

    /// Returns the text as it is written, for what holds for every occurrence: its scheme, its length, what is secret in it.
    pub fn written(&self) -> &StreamUrl {
        &self.0
    }

    /// Returns a URL as an occurrence may have it, to see whether it is one.
    pub(super) fn example(&self) -> StreamUrl {
        let job = JobId::parse("job").expect("a good name");
        let start = || Zoned::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC);
        let url = self.expand(&job, &Room::Text("room".to_owned()), start);
        url.filled(|_| Some("secret".into())).unwrap_or(url)
    }

    /// What JSON Schema says of the text behind the host's first character.
    pub(super) fn schema_pattern() -> &'static str {
        r"([^\s{}]|\{(date|job|room|start:[^\s{}]*%[^\s{}]*|secret:[a-z0-9][a-z0-9_-]*)\})*"
    }

    /// Returns the URL of every occurrence; `None`: the start is part of it.
    pub fn of_every_start(&self, job: &JobId, room: &Room) -> Option<StreamUrl> {
        let mut names_start = false;
        let start = || {
            names_start = true;
            Zoned::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC)
        };
        Some(self.expand(job, room, start)).filter(|_| !names_start)
    }

    /// Returns the URL of the occurrence that starts at `start`, a time on the wall clock of the job's zone.
    pub fn expand(&self, job: &JobId, room: &Room, start: impl FnOnce() -> Zoned) -> StreamUrl {
        let text = self.0.reveal();
        // Most streams have no brace: they are passed on without a copy.
        if !text.contains('{') {
            return self.0.clone();
        }
        let start = std::cell::LazyCell::new(start);
        let mut url = String::with_capacity(text.len() + 16);
        let filled = pieces(text, |piece| {
            match piece {
                Piece::Literal(text) => url.push_str(text),
                Piece::Job => url.push_str(job.as_str()),
                Piece::Secret(name) => url.push_str(&StreamUrl::secret_reference(name)),
                Piece::Room => url.push_str(&as_url_part(&room.to_string())),
                // Its slashes are the operator's own: `{start:%Y/%m/%d}` names folders.
                Piece::Start(format) => url.push_str(&strtime::format(format, &*start).unwrap_or_default().replace(' ', "%20")),
            }
            Ok(())
        });
        debug_assert!(filled.is_ok(), "the template was checked when it was read");
        StreamUrl::new(&url)
    }
}

/// Goes through the pieces of a template, and stops at the first that is wrong.
fn pieces<'t>(text: &'t str, mut take: impl FnMut(Piece<'t>) -> Result<(), (String, String)>) -> Result<(), (String, String)> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        take(Piece::Literal(&rest[..at]))?;
        let Some((name, after)) = rest[at..].strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Err(("expected braces in pairs, found one without its partner".to_owned(), hint()));
        };
        take(match name {
            "job" => Piece::Job,
            "room" => Piece::Room,
            "date" => Piece::Start(DATE),
            _ => match name.split_once(':') {
                Some(("start", format)) => Piece::Start(format),
                Some(("secret", name)) => Piece::Secret(name),
                // What stands there may be a key that somebody forgot to fill in: it is not repeated.
                _ => return Err((format!("expected one of {KNOWN} between braces, found another name"), hint_at(name))),
            },
        })?;
        rest = after;
    }
    take(Piece::Literal(rest))
}

/// Whether it can be the name of a secret in the settings.
fn is_name(name: &str) -> bool {
    JobId::parse(name).is_some()
}

fn hint() -> String {
    format!("{KNOWN} are filled in for each occurrence; write a brace that is part of the URL as `%7B` or `%7D`")
}

/// What was meant with a name between braces that is none of ours, if it looks like one of them.
fn hint_at(name: &str) -> String {
    let (word, rest) = name.split_once(':').map_or((name, None), |(word, rest)| (word, Some(rest)));
    if name.starts_with('{') {
        return "write one brace on each side: `{date}`".to_owned();
    }
    if word == "date" && rest.is_some() {
        return "`{date}` is always as in 2026-11-28; for another form write `{start:...}`, as in `{start:%Y-%m-%d_%H}`".to_owned();
    }
    if word.len() > 1 && word.bytes().all(|letter| b"YyMmDdHhSs-_".contains(&letter)) {
        return "for a part of the date write a format of strftime: `{start:%Y-%m-%d_%H}`".to_owned();
    }
    match nearest(word, ["date", "start", "job", "room", "secret"]) {
        Some("start") => "did you mean `{start:%Y-%m-%d_%H}`, with a format of strftime?".to_owned(),
        Some("secret") => "did you mean `{secret:NAME}`, with a name that the settings have under `secrets`?".to_owned(),
        Some(known) => format!("did you mean `{{{known}}}`?"),
        None => hint(),
    }
}

/// Whether a format can be filled in for any start, and gives something that can stand in a URL.
fn check_format(format: &str) -> Result<(), (String, String)> {
    let example = jiff::civil::date(2026, 11, 28).at(18, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok();
    let filled = example.map(|example| strtime::format(format, &example));
    let hint = || "write a format of strftime: `{start:%Y-%m-%d_%H}`".to_owned();
    match filled {
        // A space is written as `%20`; nothing else that is not seen can stand in a URL.
        Some(Ok(text)) if text.contains(|letter| letter != ' ' && (char::is_whitespace(letter) || needs_escape(letter))) => {
            let message = "expected a format of strftime in `{start:...}`, found one that writes a tab or the end of a line";
            Err((message.to_owned(), "leave out `%n` and `%t`".to_owned()))
        }
        Some(Ok(text)) if format.contains('%') && !text.is_empty() => Ok(()),
        Some(Err(error)) => Err((format!("expected a format of strftime in `{{start:...}}`: {error}"), hint())),
        Some(Ok(_)) | None => Err(("expected a format of strftime in `{start:...}`, found no `%` in it".to_owned(), hint())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str, room: &Room) -> String {
        let template = StreamTemplate::parse(&Arc::from(template)).expect(template);
        let job = JobId::parse("news").expect("an id");
        let start = || "2026-11-28T18:30:00+08:00[Asia/Shanghai]".parse::<Zoned>().expect("a time");
        template.expand(&job, room, start).reveal().to_owned()
    }

    #[test]
    fn names_between_braces_stand_for_something_of_the_occurrence() {
        let lobby = Room::Text("lobby".into());
        for (template, expected) in [
            ("https://h/a.mp4", "https://h/a.mp4"),
            ("https://h/{date}.mp4", "https://h/2026-11-28.mp4"),
            ("https://h/{job}/{start:%Y-%m-%d_%H}.mp4?r={room}", "https://h/news/2026-11-28_18.mp4?r=lobby"),
            ("https://h/{start:%Y/%m/%d}.mp4", "https://h/2026/11/28.mp4"),
            ("https://h/{start:%A}{start:%H%M}.mp4", "https://h/Saturday1830.mp4"),
            ("rtmp://h/app/{secret:cam-1}", "rtmp://h/app/{secret:cam-1}"),
            ("https://h/{start:%c}", "https://h/2026%20M11%2028,%20Sat%2018:30:00"),
        ] {
            assert_eq!(expanded(template, &lobby), expected);
        }
        assert_eq!(expanded("https://h/{room}.mp4", &Room::Text("studio a/b?".into())), "https://h/studio%20a%2Fb%3F.mp4");
    }

    #[test]
    fn any_other_brace_is_refused_without_repeating_it() {
        for (template, message) in [
            (
                "https://h/{hush}.mp4",
                "expected one of `{date}`, `{start:%Y-%m-%d_%H}`, `{job}`, `{room}` and `{secret:NAME}` between braces, found another name",
            ),
            (
                "https://h/${hush}",
                "expected one of `{date}`, `{start:%Y-%m-%d_%H}`, `{job}`, `{room}` and `{secret:NAME}` between braces, found another name",
            ),
            ("https://h/{", "expected braces in pairs, found one without its partner"),
            ("https://h/}hush{", "expected braces in pairs, found one without its partner"),
            (
                "https://h/{start}",
                "expected one of `{date}`, `{start:%Y-%m-%d_%H}`, `{job}`, `{room}` and `{secret:NAME}` between braces, found another name",
            ),
            ("https://h/{secret:}", "expected a name in `{secret:NAME}`"),
            ("https://h/{secret:HUSH HUSH}", "expected a name in `{secret:NAME}`"),
            ("https://h/{start:hush}", "expected a format of strftime in `{start:...}`, found no `%` in it"),
        ] {
            let (found, _) = StreamTemplate::parse(&Arc::from(template)).expect_err(template);
            assert_eq!(found, message, "{template}");
        }
        let (found, _) = StreamTemplate::parse(&Arc::from("https://h/{start:%!}")).expect_err("no such directive");
        assert!(found.starts_with("expected a format of strftime in `{start:...}`: "), "{found}");
    }
}
