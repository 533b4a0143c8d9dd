//! The scene of the pictures in the README: an evening with something of everything, written into a ledger by hand and served by the real
//! listener. The tests look at a real daemon instead.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use ingestd::config::PageSettings;
use ingestd::diagnostic::Diagnostic;
use ingestd::engine::{Generation, Write, Writes};
use ingestd::ledger::Ledger;
use ingestd::occurrence::{
    End, Failure, FallbackReason, FallbackRecord, MissedReason, Occurrence, Outcome, Played, Playout, State, StreamTrouble, Task,
    TaskPhase,
};
use ingestd::plan::holds::{Hold, Holds, JobSkip, OrderSource};
use ingestd::schedule::{Conflict, JobId};
use ingestd::trtc::{Room, StreamUrl};
use ingestd::web::{Access, AppState, InForce};
use ingestd::zones::Zones;
use jiff::{SignedDuration, Timestamp};

use super::filling::write;
use super::rig::get;
use super::rows::{armed, ended, fault, missed, on_air, task};
use super::served::{Served, schedule};

const DRAWN: &str = "error[expected]: expected a duration such as `90s`, found `90`
  --> arena.yaml:14:13
   |
14 |     length: 90
   |             ^^
   |
   = help: write `90s` for ninety seconds";

/// Each job: its room, when it starts, how long it is, what else its rules say. In minutes after the moment.
const JOBS: [(&str, &str, &[i64], i64, &str); 14] = [
    ("evening-promo", "lobby", &[-5], 112, "note: the sponsor's first evening"),
    ("late-spot", "lobby", &[140], 45, ""),
    ("foyer-filler", "1001", &[-100], 335, "conflict: yield"),
    ("foyer-talk", "1001", &[-50], 30, ""),
    ("foyer-news", "1001", &[50], 30, ""),
    ("warm-up", "arena", &[-90], 210, ""),
    ("kick-off", "arena", &[20], 114, "conflict: preempt"),
    ("analysis", "arena", &[134], 60, ""),
    ("studio-relay", "studio-2", &[-35], 200, ""),
    ("courtside-feed", "courtside", &[-4], 94, ""),
    ("night-league", "courtside", &[110], 85, ""),
    ("sponsor-reel", "booth", &[-40], 100, "fallback: 'https://cdn.example.com/spare.mp4'"),
    ("sponsor-spot", "booth", &[85], 65, ""),
    ("bell", "market-hall", &[15, 45, 75, 105], 10, ""),
];

struct Scene {
    moment: Timestamp,
    ledger: Ledger,
}

impl Scene {
    fn at(&self, minutes: i64) -> Timestamp {
        self.moment + SignedDuration::from_mins(minutes)
    }

    fn on(&self, row: Occurrence, room: Room, to: i64) -> Occurrence {
        let end = End::Planned(self.at(to));
        let is_over = row.is_done() && row.on_air_at.is_some();
        Occurrence { playout: Playout { room, ..row.playout }, ended_at: is_over.then(|| self.at(to)), end, ..row }
    }

    fn put(&mut self, row: Occurrence, room: Room, to: i64) {
        let row = self.on(row, room, to);
        write(&mut self.ledger, &row);
    }

    fn room(name: &str) -> Room {
        Room::Text(name.to_owned())
    }

    /// A row with several tasks, the last of which runs.
    fn write_tasks(&mut self, row: &Occurrence, tasks: &[(i64, Option<i64>)]) {
        let numbers = self.ledger.recover(Timestamp::MAX).expect("readable").numbers;
        let mut writes = Writes::default();
        writes.push(Write::Record(Box::new(Occurrence { state: State::Armed, attempts: 1, tries: 1, ..row.clone() })));
        writes.push(Write::Attempt { key: row.key.clone(), call: numbers.call + 1, attempt: 1 });
        writes.push(Write::Update(Box::new(row.clone())));
        for (number, (from, to)) in (1..).zip(tasks) {
            let added = Task { row: numbers.task + number, started_at: self.at(*from), seen_at: self.at(*from), ..task(row) };
            let added = Task { task_id: format!("{}{number}", added.task_id), ..added };
            writes.push(Write::AddTask(Box::new(added.clone())));
            if let Some(to) = to {
                let phase = TaskPhase::Gone { at: self.at(*to), verified: true };
                writes.push(Write::UpdateTask(Box::new(Task { phase, ..added })));
            }
        }
        self.ledger.commit(writes, row.key.start).expect("committed");
    }

    fn past(&mut self) {
        let matinee = ended("matinee", self.at(-100));
        let (lobby, foyer, market) = (Scene::room("lobby"), Room::integer(1001).expect("a room"), Scene::room("market-hall"));
        self.put(matinee, lobby, -25);
        let market_loop = ended("market-loop", self.at(-95));
        self.put(market_loop, market, -8);
        let code = "InvalidParameter.StreamUrl".to_owned();
        let refused = Some(fault(Some(&code), "the stream URL cannot be used"));
        let state = State::Done { outcome: Outcome::Failed(Failure::Code(code)) };
        let talk = Occurrence { state, fault: refused, ..armed("foyer-talk", self.at(-50)) };
        let request_id = Some("5f3a9c10-77d2-4e0b-9a55-2d1c".to_owned());
        self.put(Occurrence { request_id, ..talk }, foyer, -20);
        let late = missed("press-room", self.at(-80), Outcome::Missed(MissedReason::Down));
        self.put(late, Scene::room("studio-2"), -40);
        let cut = State::Done { outcome: Outcome::CutOperator };
        let by = Some("uid 1000 (anna)".to_owned());
        let training = Occurrence {
            state: cut,
            ordered_by: by,
            order_note: Some("the hall is dark".to_owned()),
            ..on_air("training", self.at(-90))
        };
        self.put(training, Scene::room("courtside"), -10);
        for number in 0..36 {
            let start = self.at(-540 + number * 15);
            let late = SignedDuration::from_millis((number * 7 + number * number) % 4);
            let row = Occurrence { first_sent_at: Some(start + late), ..ended("jingle", start) };
            let from = -540 + number * 15;
            self.put(row, Scene::room("tower"), from + 4);
        }
    }

    fn present(&mut self) {
        let promo = on_air("evening-promo", self.at(-5));
        self.put(promo, Scene::room("lobby"), 107);
        let warm_up = on_air("warm-up", self.at(-90));
        self.put(warm_up, Scene::room("arena"), 120);
        let filler = Occurrence { restarts: 1, attempts: 2, ..on_air("foyer-filler", self.at(-100)) };
        let mut filler = self.on(filler, Room::integer(1001).expect("a room"), 235);
        filler.policy.conflict = Conflict::Yield;
        self.write_tasks(&filler, &[(-100, Some(-50)), (-20, None)]);
        let relay = Occurrence { restarts: 2, attempts: 3, ..on_air("studio-relay", self.at(-35)) };
        let relay = self.on(relay, Scene::room("studio-2"), 165);
        self.write_tasks(&relay, &[(-35, Some(-26)), (-25, Some(-14)), (-13, None)]);
        let sent = self.at(-4) + SignedDuration::from_secs(95);
        let feed = Occurrence { first_sent_at: Some(sent), on_air_at: Some(sent), ..on_air("courtside-feed", self.at(-4)) };
        self.put(feed, Scene::room("courtside"), 90);
        let reel = on_air("sponsor-reel", self.at(-40));
        let spare = StreamUrl::new("https://cdn.example.com/spare.mp4");
        let scheduled = Playout { fallback: Some(spare.clone()), room: Scene::room("booth"), ..reel.playout.clone() };
        let playout = Playout { stream: spare.clone(), instead_of: Some(Box::new(scheduled.clone())), ..scheduled };
        let since = self.at(-38);
        let trouble = Some(StreamTrouble { since, why: FallbackReason::Unpulled });
        let fallback =
            FallbackRecord { trouble, played: vec![Played { url: spare, from: since, to: None }], ..FallbackRecord::default() };
        let reel = Occurrence { playout, fallback, ..reel };
        self.put(reel, Scene::room("booth"), 60);
    }
}

/// Serves the scene.
pub(crate) async fn served() -> Served {
    let now = ingestd::clock::now();
    let moment = Timestamp::from_second(now.as_second().div_euclid(300) * 300).expect("an instant of this age");
    let text = text(moment);
    let day = "05:00".parse().expect("a time");
    let zones = Zones::newest();
    let shanghai = zones.database.get("Asia/Shanghai").expect("a zone");
    let change = |(app, in_force): &mut (AppState, InForce)| {
        app.page = PageSettings { day, zone: Some(shanghai) };
        let generation = Generation { number: 41, schedule: Arc::new(schedule(&text, &zones)) };
        *in_force = InForce::good(generation, Some(moment - SignedDuration::from_hours(5)));
        in_force.rejected = [Diagnostic::error("expected", "expected a duration such as `90s`, found `90`")].into();
        in_force.drawn = Arc::from(DRAWN);
    };
    let served = Served::at("127.0.0.1:0", Access::default(), change, true).await;
    let mut scene = Scene { moment, ledger: served.ledger() };
    scene.past();
    scene.present();
    let source = OrderSource { who: "uid 1000 (anna)".to_owned(), note: Some("rain".to_owned()) };
    let job = JobId::parse("night-league").expect("an id");
    let skip = Hold::Skip(JobSkip { job, start: scene.at(110), source });
    served.status.send_modify(|status| {
        status.holds = Arc::new(Holds::new([skip]));
        status.written_rate = 20;
    });
    served
}

fn text(moment: Timestamp) -> String {
    let mut text = String::from(
        "timezone: UTC\ndefaults: {app: main, region: ap-singapore, length: 10m, repeat: forever, stream: 'https://cdn.example.com/a.mp4'}\n\
         jobs:\n",
    );
    for (job, room, starts, minutes, rules) in JOBS {
        let at = |minutes: &i64| (moment + SignedDuration::from_mins(*minutes)).strftime("%Y-%m-%d %H:%M").to_string();
        let starts: Vec<String> = starts.iter().map(at).collect();
        let rules = if rules.is_empty() { String::new() } else { format!(", {rules}") };
        writeln!(text, "  {job}: {{once: [{}], for: {minutes}m, room: {room}{rules}}}", starts.join(", "))
            .expect("a string takes it");
    }
    text
}

#[test]
fn the_scene_of_the_pictures_has_something_of_everything() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let scene = runtime.block_on(served());
    let value: serde_json::Value = serde_json::from_str(&get(scene.address, "/api/v1/rundown")).expect("JSON");
    let bars = value["rooms"].as_array().expect("rooms").iter().flat_map(|room| room["bars"].as_array().expect("bars"));
    let looks: BTreeSet<&str> = bars.map(|bar| bar["look"].as_str().expect("a look")).collect();
    let expected = ["cut", "ended", "failed", "fallback", "missed", "on_air", "planned", "returns", "skipped"];
    assert_eq!(looks, expected.into());
}
