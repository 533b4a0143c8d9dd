//! What holds of any file, from its bytes to the plan. The work is bounded by counts: how many occurrences are looked at, and how far.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use ingestd::diagnostic::{Diagnostic, LineIndex, Place, Severity, any_error, render};
use ingestd::plan::changes::PlanChanges;
use ingestd::plan::conflicts::{Strictness, check_conflicts};
use ingestd::plan::forecast::forecast;
use ingestd::plan::interruptions::Interruptions;
use ingestd::plan::why::{Question, why};
use ingestd::plan::{Planned, Upcoming, find};
use ingestd::report::calendar;
use ingestd::report::plan::{CsvLine, PlanObject, PlanTable};
use ingestd::schedule::difference::Difference;
use ingestd::schedule::{Job, Schedule, Settings, Source, read};
use ingestd::schedule_files::text_of;
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};

/// How far the plan is looked at.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Most occurrences that are looked at.
const OCCURRENCES: usize = 200;
/// Those of them that are asked about one by one.
const ASKED: usize = 5;
/// Longest message or hint, in characters.
const WORDS_MAX: usize = 1_000;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a constant")
}

/// What a terminal would obey, or what hides or turns the text beside it.
fn acts(character: char) -> bool {
    let of_a_terminal = character.is_control() && character != '\n';
    of_a_terminal || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether the file is a schedule, or what does not hold of it.
pub(super) fn judge(bytes: &[u8]) -> Result<bool, String> {
    let source = match text_of(Path::new("fuzz.yaml"), bytes.to_vec()) {
        Ok(source) => source,
        Err(problem) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            ensure!(problem.place.as_ref().is_some_and(|place| place.line as usize <= lines), "{problem}: no such line");
            return told(&[problem], &[]).map(|()| false);
        }
    };
    let settings = Settings {
        apps: Some(BTreeMap::from([(Arc::from("main"), 1_400_000_001)])),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    };
    let sources = [source];
    let reading = read(&sources, &settings, &ZONES, now());
    ensure!(
        reading.schedule.is_none() == any_error(&reading.diagnostics),
        "there is a schedule, and an error: {:?}",
        reading.diagnostics
    );
    told(&reading.diagnostics, &sources)?;
    let Some(schedule) = reading.schedule else { return Ok(false) };
    let again = read(&sources, &settings, &ZONES, now()).schedule.ok_or("the second reading is not a schedule")?;
    ensure!(Difference::between(&schedule, &again) == Difference::default(), "it differs from itself");
    let conflicts = check_conflicts(&schedule, now());
    for strictness in [Strictness::Check, Strictness::Run] {
        told(&conflicts.diagnostics(strictness), &sources)?;
    }
    planned(&schedule)?;
    Ok(true)
}

/// Each problem stands somewhere that is there, is short, and is drawn.
fn told(diagnostics: &[Diagnostic], sources: &[Source]) -> Result<(), String> {
    let texts = sources.iter().map(|source| (Arc::clone(&source.name), source.text.as_str())).collect();
    for diagnostic in diagnostics {
        ensure!(diagnostic.severity == Severity::Warning || diagnostic.place.is_some(), "{diagnostic}: no place");
        let words = [Some(&diagnostic.message), diagnostic.hint.as_ref()];
        for words in words.into_iter().flatten().chain(diagnostic.related.iter().map(|(_, role)| role)) {
            ensure!(!words.contains(acts) && !words.contains('\n'), "{words:?} acts on a terminal");
            ensure!(!words.trim().is_empty() && words.chars().count() <= WORDS_MAX, "{words:?} is empty or long");
        }
        let json = diagnostic.json().to_string();
        ensure!(!json.contains('\n'), "{json}: more than a line");
        for source in sources {
            let index = LineIndex::new(&source.text);
            let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place));
            places.into_iter().try_for_each(|place| stands(place, &source.text, &index, diagnostic))?;
        }
    }
    let plain = render(diagnostics, &texts, false);
    ensure!(!plain.contains(acts), "{plain:?} acts on a terminal");
    ensure!(render(diagnostics, &texts, true).len() >= plain.len(), "colours take letters away");
    Ok(())
}

fn stands(place: &Place, text: &str, index: &LineIndex<'_>, diagnostic: &Diagnostic) -> Result<(), String> {
    let (start, end) = (place.span.start as usize, place.span.end as usize);
    ensure!(start <= end && end <= text.len(), "{diagnostic}: {start}..{end} of {} bytes", text.len());
    if place.line == 0 {
        return Ok(());
    }
    let line = text.split('\n').nth(place.line as usize - 1).ok_or_else(|| format!("{diagnostic}: no such line"))?;
    ensure!(place.column as usize <= line.chars().count() + 1, "{diagnostic}: no such column");
    ensure!(index.locate(place.span.start) == (place.line, place.column), "{diagnostic}: its bytes are elsewhere");
    Ok(())
}

fn ahead(schedule: &Schedule) -> impl Iterator<Item = Planned> {
    let until = now() + AHEAD;
    Upcoming::new(schedule, now()).take_while(move |occurrence| occurrence.start.at < until).take(OCCURRENCES)
}

/// The plan is in order, and everything that is made of it can be made.
fn planned(schedule: &Schedule) -> Result<(), String> {
    let occurrences: Vec<Planned> = ahead(schedule).collect();
    let key = |occurrence: &Planned| (occurrence.start.at, occurrence.job.id.clone());
    ensure!(occurrences.iter().map(key).is_sorted_by(|one, other| one < other), "the plan is not in order");
    for occurrence in &occurrences {
        let end = occurrence.end.at();
        ensure!(occurrence.start.at >= now(), "{occurrence:?} is past");
        ensure!(end.is_none_or(|end| end >= occurrence.start.at), "{occurrence:?} ends before it begins");
    }
    let interruptions = Interruptions::new(schedule);
    for occurrence in occurrences.iter().take(ASKED) {
        let (at, zone) = (occurrence.start.at, &occurrence.job.when.zone);
        let found = find(schedule, occurrence.job.id.as_str(), at);
        ensure!(found.is_some_and(|found| found.end == occurrence.end), "{occurrence:?} is not found");
        let answer = why(schedule, &occurrence.job, Question::At(at), zone).ok_or("no answer")?;
        ensure!(answer.refusals.is_empty() && !answer.starts.is_empty(), "{occurrence:?}: {:?}", answer.refusals);
        let date = occurrence.job.when.zone.to_datetime(at).date();
        ensure!(
            why(schedule, &occurrence.job, Question::Date(date), zone).is_some_and(|answer| answer.count > 0),
            "none on {date}"
        );
        let listed = interruptions.of(occurrence.clone());
        let mut line = CsvLine::default();
        PlanObject::new(Cow::Borrowed(&listed), true).write_csv(&mut line);
        ensure!(!line.as_str().is_empty() && !calendar::event(&listed, now(), true).is_empty(), "nothing is shown");
    }
    for job in schedule.jobs().take(ASKED) {
        why(schedule, job, Question::Now(now()), &job.when.zone).ok_or("no answer about the present")?;
    }
    let jobs: Vec<&Arc<Job>> = schedule.jobs().collect();
    let listed: Vec<_> = occurrences.iter().take(ASKED).map(|occurrence| interruptions.of(occurrence.clone())).collect();
    let zone = schedule.zone();
    for mut table in [PlanTable::new(&listed, &zone, true), PlanTable::in_parts(&jobs, &zone, true)] {
        let table = table.part(&listed);
        for width in [None, Some(80), Some(1)] {
            ensure!(!table.lines(width).concat().contains(acts), "{table:?} acts on a terminal");
        }
    }
    let changes: Vec<_> = PlanChanges::new(ahead(schedule), ahead(schedule)).collect();
    ensure!(changes.is_empty(), "the plan differs from itself: {changes:?}");
    let rate = NonZeroU32::MIN;
    let open = Upcoming::open_at(schedule.jobs(), now()).take(OCCURRENCES);
    forecast(open, &(now()..now() + AHEAD), rate);
    Ok(())
}
