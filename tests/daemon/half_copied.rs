//! A schedule file that is copied in place with a pause, as scp does it, while shows are on air and others are due. Real time: the pause
//! of the one who copies is a part of each case.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use ingestd::occurrence::{MissedReason, Occurrence, Outcome, State};
use jiff::{SignedDuration, Timestamp};

use super::rig::{Process, Rig, looping, soon, wait_for, wait_until};

/// Shows that are cut when their job leaves the schedule.
fn job(id: &str, start: Timestamp, window: &str) -> String {
    looping(id, start, window).replace("repeat: forever", "repeat: forever, on_remove: stop")
}

/// A daemon with a schedule of which one part is copied late.
struct Copied {
    rig: Rig,
    daemon: Process,
    first: String,
    second: String,
    begin: Timestamp,
}

/// Seconds from the begin of the copy to the starts of the shows that are due meanwhile: one in the pause of 20 s while its job is not
/// believed to be gone yet, one after that, and one that is over when the rest comes.
const DUE: [(&str, i64, &str); 3] = [("early", 6, "1h"), ("late", 14, "1h"), ("brief", 13, "4s")];

impl Copied {
    /// With shows on air in both halves of the file.
    fn new() -> Copied {
        let rig = Rig::new(Vec::new());
        rig.listen("127.0.0.1:0");
        rig.watched();
        let (on_air, begin) = (soon(1), soon(5));
        let first = format!("timezone: UTC\njobs:\n{}", job("head", on_air, "1h"));
        let due = DUE.map(|(id, after, window)| job(id, begin + SignedDuration::from_secs(after), window));
        let second = format!("{}{}", job("tail", on_air, "1h"), due.concat());
        rig.schedule(&format!("{first}{second}"));
        let daemon = rig.started();
        rig.wait_on_air("head");
        rig.wait_on_air("tail");
        wait_for(begin);
        Copied { rig, daemon, first, second, begin }
    }

    /// Copies the file in place, with a pause after its first half, or after nothing.
    fn copy(&self, pause: Duration, is_empty: bool) {
        let (first, second) =
            if is_empty { ("", format!("{}{}", self.first, self.second)) } else { (self.first.as_str(), self.second.clone()) };
        let mut file = File::create(self.rig.path("schedules/rig.yaml")).expect("writable");
        file.write_all(first.as_bytes()).expect("writable");
        file.sync_all().expect("it is on the disk");
        wait_for(Timestamp::now() + pause);
        file.write_all(second.as_bytes()).expect("writable");
        file.sync_all().expect("it is on the disk");
    }

    /// Waits until every show that was due has a row that says what became of it.
    fn rows(&self) -> Vec<Occurrence> {
        wait_until("each show that was due has a row", || {
            let rows = self.rig.rows();
            let is_there =
                |id: &str| rows.iter().any(|row| row.key.job.as_str() == id && (row.state == State::OnAir || row.is_done()));
            let ids = ["head", "tail"].into_iter().chain(DUE.map(|(id, ..)| id));
            ids.into_iter().all(is_there).then_some(rows)
        })
    }

    fn row(&self, id: &str) -> Occurrence {
        self.rig.row(id).unwrap_or_else(|| panic!("{id} has a row"))
    }

    /// Nothing on air was touched, and what was due went on air on time.
    fn assert_untouched(self) {
        let last = DUE.map(|(_, after, _)| after).into_iter().max().expect("some");
        wait_for(self.begin + SignedDuration::from_secs(last + 1));
        let rows = self.rows();
        assert_eq!(rows.len(), 5, "{rows:#?}");
        for id in ["head", "tail", "early", "late"] {
            let row = self.row(id);
            assert_eq!((row.state.name(), row.attempts, row.restarts), ("on_air", 1, 0), "{row:#?}");
            assert!(
                row.first_sent_at.is_some_and(|sent| sent.duration_since(row.key.start) < SignedDuration::from_secs(1)),
                "{row:#?}"
            );
        }
        let brief = self.rig.wait_done("brief");
        assert_eq!(brief.state, State::Done { outcome: Outcome::EndedPlanned });
        let stops: Vec<_> =
            self.rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StopStreamIngest").collect();
        assert_eq!(stops.len(), 1, "only what ended was stopped: {stops:#?}");
        assert!(!self.daemon.log().contains("generation 2 is in force"), "{}", self.daemon.log());
        self.daemon.stop();
    }
}

#[test]
fn a_pause_of_one_second_touches_nothing() {
    let copied = Copied::new();
    copied.copy(Duration::from_secs(1), false);
    copied.assert_untouched();
}

#[test]
fn a_pause_of_four_seconds_touches_nothing() {
    let copied = Copied::new();
    copied.copy(Duration::from_secs(4), false);
    copied.assert_untouched();
}

#[test]
fn a_file_that_is_empty_for_twenty_seconds_touches_nothing() {
    let copied = Copied::new();
    copied.copy(Duration::from_secs(20), true);
    assert!(copied.daemon.log().contains("had 5 jobs and has none now: held"), "{}", copied.daemon.log());
    copied.assert_untouched();
}

#[test]
fn after_a_pause_of_twenty_seconds_what_was_cut_is_back_on_air_in_progress() {
    let copied = Copied::new();
    copied.copy(Duration::from_secs(20), false);
    let whole = Instant::now();
    let tail = copied.rig.wait_row("tail", "on air again", |row| row.state == State::OnAir && row.restarts == 1);
    copied.rig.wait_row("early", "on air again", |row| row.state == State::OnAir && row.restarts == 1);
    let late = copied.rig.wait_on_air("late");
    println!("on air again {:.1} s after the file was whole", whole.elapsed().as_secs_f64());
    assert!(whole.elapsed() < Duration::from_secs(4));
    let rows = copied.rows();
    assert_eq!(rows.len(), 5, "{rows:#?}");
    assert_eq!((copied.row("head").attempts, copied.row("early").restarts), (1, 1), "{rows:#?}");
    assert_eq!(copied.row("brief").state, State::Done { outcome: Outcome::Missed(MissedReason::Down) });
    assert_eq!(late.attempts, 1);
    // In progress: a loop of a minute goes on where it would be by now.
    let task = copied.rig.tasks("tail").pop().expect("it was started again");
    let position = i64::try_from(task.params.seek_second.unwrap_or(0)).expect("a second");
    let elapsed = task.started_at.duration_since(tail.key.start).as_secs() % 60;
    assert!((position - elapsed).abs() <= 1, "{task:?}: {elapsed} s after its start");
    let log = copied.daemon.log();
    for told in ["which is on air: it is stopped", "`late` any more, which was due at", "the schedule has it again: it goes on"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    copied.daemon.stop();
}
