//! The page ingestd-schedule(5): every field of a job, from the table that the reader goes by, and the rules between fields and jobs
//! in words. How a page looks is not known here.

use std::fmt::Write as _;

use super::page::{Block, Page, Section, paragraphs, term};
use crate::schedule::reference::{KeyReference, fields, retry_keys, top_level};

/// The fields in four parts; each begins with this field.
const PARTS: [(&str, &str, &str); 4] = [
    ("at", "WHEN IT STARTS", "A job has exactly one trigger: `at`, `once`, `cron`, `every` or `after`."),
    ("app", "WHAT PLAYS AND WHERE", "Every job needs `room` and `stream`."),
    ("for", "WHEN IT ENDS", END),
    ("late", "RULES", "These fields say what happens when something does not go as planned."),
];

/// A schedule that `check` accepts without a warning.
pub(super) const EXAMPLE: &str = "\
timezone: Asia/Shanghai

calendars:
  holidays: [2027-01-01..2027-01-03, 2027-02-05..2027-02-11]

defaults:
  length: 1m30s

jobs:
  # A loop in the lobby on weekday evenings.
  evening-promo:
    at: \"18:00\"
    to: \"20:00\"
    days: mon..fri
    except: holidays
    room: lobby
    stream: https://cdn.example.com/promo.mp4
    repeat: forever

  # One film on Saturdays, once through.
  film:
    at: \"20:00\"
    days: sat
    room: lobby
    stream: https://cdn.example.com/film.mp4
    length: 1h40m

  # What follows the film, whenever that ends.
  credits:
    after: film
    room: lobby
    stream: https://cdn.example.com/credits.mp4
";

/// Returns the page.
pub(super) fn page() -> Page {
    let mut sections = vec![
        Section::new("SYNOPSIS", paragraphs("/etc/ingestd/schedules/*.yaml")),
        Section::new("DESCRIPTION", paragraphs(DESCRIPTION)),
        Section::new("KEYS OF A FILE", vec![Block::Terms(top_level().map(|(name, doc)| term(format!("`{name}`"), doc)).collect())]),
    ];
    let mut parts = PARTS.iter().peekable();
    for field in fields() {
        if let Some((_, title, text)) = parts.next_if(|(first, ..)| *first == field.name) {
            sections.push(Section::new(*title, [paragraphs(text), vec![Block::Terms(Vec::new())]].concat()));
        }
        if let Some(Block::Terms(terms)) = sections.last_mut().and_then(|section| section.blocks.last_mut()) {
            terms.push(entry(&field));
        }
    }
    sections
        .push(Section::new("RETRY", [paragraphs(RETRY), vec![Block::Terms(retry_keys().iter().map(entry).collect())]].concat()));
    for (title, text) in TEXTS {
        sections.push(Section::new(title, paragraphs(text)));
    }
    sections.push(Section::new("EXAMPLE", vec![Block::Literal(EXAMPLE.to_owned())]));
    sections.push(Section::new("SEE ALSO", paragraphs("ingestd(8), ingestd.yaml(5), crontab(5)")));
    Page { name: "ingestd-schedule", section: 5, summary: "schedule files of ingestd", sections }
}

fn entry(key: &KeyReference) -> (String, Vec<Block>) {
    let mut text = format!("{} Values: {}.", key.doc, key.values);
    if let Some(default) = key.default {
        let quote = if key.default_is_value { "`" } else { "" };
        let _ = write!(text, " Default: {quote}{default}{quote}.");
    }
    term(format!("`{}`", key.name), &text)
}

const DESCRIPTION: &str = "\
A schedule is every file of the folder whose name ends in `.yaml` or `.yml`. Hidden files and folders below are not read; `check` warns of a schedule file in a folder below that is not hidden. The files are \
YAML 1.2. An unknown key, a key that is written twice, and a job or a calendar that two files name are errors.

`ingestd check` shows every problem with its file, line and column, and how to fix it. `ingestd plan` shows the starts and ends that a \
schedule comes to. `ingestd schema schedule` prints a JSON Schema, with which an editor completes keys and marks errors.

A job has a name of up to 32 of a-z, 0-9, _ and -, which begins with a letter or a digit. Job names are unique over all files. A job \
that gets another name is another job.

Every field of a job can stand under `defaults`. It then holds for each job of the file that does not write it. A job that writes a \
trigger, `days` or `between` gets no trigger, `days` or `between` from the defaults. A job that writes `for` or `to` gets neither of \
them from the defaults.";

const END: &str = "\
A job has at most one of `for` and `to`. Without them the end follows from `length`, `repeat`, `seek` and `tempo`. When `length` is \
not known either, the end is open: the show ends when the media does.

The vendor's cloud ends a loop even if this host is gone: the request says how long it plays. A live source has no such end in the \
cloud.";

const RETRY: &str = "\
A start that fails for a passing reason is tried again, with a delay that is random and doubles up to a limit. One that \
somebody must fix, such as a wrong key, is tried once a minute, or after a quarter of what is left of its window. These keys stand \
under `retry`.";

const TEXTS: [(&str, &str); 6] = [
    (
        "DURATIONS",
        "A duration is a number and a unit: `200ms`, `90s`, `5m`, `2h`, `1d`. Several of them stand together without spaces, the largest \
         unit first: `1h30m`. A number without a unit is an error. The longest duration is 3660 days.",
    ),
    (
        "DATES AND TIMES",
        "A date is `2026-10-01`. A time is `18:00` or `18:00:30`, in 24 hours. A date and a time is `2026-10-01 18:00`, with a space. \
         Quotes may stand around them or not. All of them are local to `timezone`. Years go from 1970 to 2200.",
    ),
    (
        "CALENDARS",
        "A calendar is a name with a date, a range of dates such as `2026-10-01..2026-10-07`, or a list of these. A range includes both \
         of its dates. All files share the calendars. `except` names them. The name of a calendar begins with a letter.",
    ),
    (
        "CHAINS",
        "`after` makes a chain: the job starts at each planned end of another job. When the first job moves, all jobs of the chain move \
         with it. Each end must be known before: by `for`, `to` or `length`. The first job decides on which dates the chain plays: \
         `days`, `from`, `until` and `except` beside `after` are errors, and those of `defaults` do not apply.

         What fails, or is stopped by hand, moves nothing: the next job starts when the plan says so. A job with `enabled: false` \
         switches off all jobs that follow it. A chain has at most 1000 jobs. At most ten of them end by `to`.",
    ),
    (
        "CONFLICTS",
        "Two shows that meet in one room are an error of the schedule, and so is a job that meets itself. `check` looks 400 days ahead. \
         `conflict` says what is meant.

         With `conflict: preempt` a job takes the room from a show that began earlier. That show ends there, and `plan` shows it. With `conflict: yield` a job \
         leaves the room to every other show, and returns after it where it would be by then. `plan` shows these pauses. With \
         `conflict: allow` on both jobs, both play; they need robots of different names.

         When two shows begin at the same instant, exactly one of them needs `conflict: yield`, or both need `conflict: allow`. A \
         show that ends less than 2 s after another begins is not in conflict with it: the later show follows the earlier one. Two shows that meet only because clocks \
         change are a warning.",
    ),
    (
        "CLOCK CHANGES",
        "When clocks go forward, a time of `at`, `once` or `to` that does not exist moves forward by the length of the gap. When clocks \
         go back, the first of two equal times counts. A `cron` expression of a fixed time starts once, right after the gap, and once in \
         a repeated hour. Other `cron` expressions and `every` follow the time that passes. `plan` marks what a clock change moves, and \
         `check -v` notes it.",
    ),
];
