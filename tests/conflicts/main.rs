//! Conflicts of a schedule: the rules, one by one, on small schedules, and random ones against an oracle that looks at
//! every pair of windows. And what interrupts an occurrence.

mod interruptions;
mod oracle;
mod properties;
mod rules;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use ingestd::schedule::{Schedule, Settings, Source, read};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

/// The instant at which every schedule here is read and checked: a Sunday, 20:00 in Shanghai and 07:00 in New York.
const NOW: &str = "2026-11-22T12:00:00Z";

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A schedule of a whole file. `main` and `alias` are names of one application, `other` is another.
fn schedule(text: &str) -> Schedule {
    let source = Source { name: Arc::from("test.yaml"), text: text.to_owned() };
    let apps = [("main", 1), ("alias", 1), ("other", 2)].map(|(name, id)| (Arc::from(name), id));
    let settings = Settings { apps: Some(BTreeMap::from(apps)), region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    let reading = read(&[source], &settings, &TimeZoneDatabase::bundled(), instant(NOW));
    reading.schedule.unwrap_or_else(|| panic!("{:?}\n{text}", reading.diagnostics))
}

/// The same of jobs, each given by its fields; those that are not written come from here.
fn jobs(zone: &str, jobs: &[(&str, &str)]) -> Schedule {
    let job = |(id, fields): &(&str, &str)| format!("  {id}: {{{fields}}}\n");
    let defaults = "defaults: {room: lobby, app: main, stream: \"https://cdn.example.com/a.mp4\"}";
    schedule(&format!("timezone: {zone}\n{defaults}\njobs:\n{}", jobs.iter().map(job).collect::<String>()))
}
