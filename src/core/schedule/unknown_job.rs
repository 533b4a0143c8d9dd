//! A job that the schedule does not have: which one may be meant. Does not know who asks.

use super::Schedule;
use super::problem::did_you_mean;

/// The most jobs that are named.
const NAMED_MAX: usize = 5;

impl Schedule {
    /// Returns a hint for somebody who named a job that is not there: those whose ids begin so, one that resembles it, those that play in a
    /// room of that name, or some that there are.
    pub fn hint_for_unknown_job(&self, id: &str) -> String {
        let list = |ids: Vec<&str>| {
            let more = if ids.len() > NAMED_MAX { ", and more" } else { "" };
            let ids: Vec<String> = ids.iter().take(NAMED_MAX).map(|id| format!("`{id}`")).collect();
            format!("{}{more}", ids.join(", "))
        };
        let ids = |is_meant: &dyn Fn(&super::Job) -> bool| -> Vec<&str> {
            self.jobs().filter(|job| is_meant(job)).map(|job| job.id.as_str()).take(NAMED_MAX + 1).collect()
        };
        let begin_so = ids(&|job| !id.is_empty() && job.id.as_str().starts_with(id));
        if !begin_so.is_empty() {
            return format!("write the whole id; these begin like it: {}", list(begin_so));
        }
        if let Some(meant) = did_you_mean(id, self.jobs().map(|job| job.id.as_str())) {
            return meant;
        }
        let in_room = ids(&|job| job.room.to_string() == id);
        if !in_room.is_empty() {
            return format!("`{id}` is a room: expected the id of a job; in that room plays {}", list(in_room));
        }
        let some = ids(&|_| true);
        if some.is_empty() { "the schedule has no job".to_owned() } else { format!("there are {}", list(some)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::schedule::{Settings, Source, read};

    #[test]
    fn whoever_names_no_job_is_told_which_may_be_meant() {
        let text = "timezone: UTC\ndefaults: {stream: 'https://h/a.mp4', for: 1h, repeat: forever}\njobs:\n  \
                    evening-news: {at: '18:00', room: hall}\n  evening-promo: {at: '20:00', room: lobby}\n";
        let sources = [Source { name: Arc::from("s.yaml"), text: text.to_owned() }];
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        let reading = read(&sources, &Settings::default(), &zones, jiff::Timestamp::UNIX_EPOCH);
        let schedule = reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
        for (id, expected) in [
            ("evening", "write the whole id; these begin like it: `evening-news`, `evening-promo`"),
            ("evening-n", "write the whole id; these begin like it: `evening-news`"),
            ("evening-nows", "did you mean `evening-news`?"),
            ("lobby", "`lobby` is a room: expected the id of a job; in that room plays `evening-promo`"),
            ("xyz", "there are `evening-news`, `evening-promo`"),
            ("", "there are `evening-news`, `evening-promo`"),
        ] {
            assert_eq!(schedule.hint_for_unknown_job(id), expected, "{id}");
        }
    }
}
