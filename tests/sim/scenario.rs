//! What a seed plans: jobs of every kind, in few or many rooms, with or without conflicts, and how they are edited later. Does
//! not know what goes wrong.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use crate::media::FALLBACK;
use crate::random::Random;

/// Every short scenario begins here.
pub(crate) const BEGIN: &str = "2026-11-22T10:00:00Z";

pub(crate) fn begin() -> Timestamp {
    BEGIN.parse().expect("an instant")
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Play {
    Loop {
        minutes: i64,
        seconds: i64,
    },
    Single {
        length: i64,
        really: i64,
        repeat: i64,
        seek: i64,
    },
    /// Its length is not written.
    Open {
        really: i64,
    },
    Live {
        minutes: Option<i64>,
    },
    Never,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SimJob {
    pub(crate) id: String,
    pub(crate) trigger: String,
    pub(crate) play: Play,
    pub(crate) room: String,
    pub(crate) shares_robot: bool,
    pub(crate) bad: bool,
    /// Of media that repeats without end: its length, where it begins, and how fast it plays, in percent.
    pub(crate) length: Option<i64>,
    pub(crate) seek: i64,
    pub(crate) tempo: i64,
    pub(crate) fields: Vec<String>,
    pub(crate) conflict: &'static str,
    pub(crate) version: u32,
    /// Whether it has a fallback.
    pub(crate) fallback: bool,
}

/// What kind of scenario is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScenarioOptions {
    pub(crate) conflicts: bool,
    pub(crate) crowd: bool,
    pub(crate) minutes: i64,
    /// Whether edits are frequent, and more than the first worlds had.
    pub(crate) varied: bool,
}

fn clock_time(seconds: i64) -> String {
    let at = begin() + SignedDuration::from_secs(seconds);
    at.strftime("%H:%M:%S").to_string()
}

fn trigger(random: &mut Random, minutes: i64, options: ScenarioOptions) -> String {
    // A grid makes starts equal and windows touch.
    let at = |random: &mut Random| {
        let minute = if options.crowd { random.within(1, 3) * 5 } else { random.within(1, minutes - 2) };
        minute * 60 + if random.percent(10) { random.within(-2, 2) } else { 0 }
    };
    match random.below(5) {
        0 => {
            let mut times: Vec<i64> = (0..random.within(1, 3)).map(|_| at(random)).collect();
            times.sort_unstable();
            times.dedup();
            let times: Vec<_> = times.iter().map(|at| format!("\"2026-11-22 {}\"", clock_time(*at))).collect();
            format!("once: [{}]", times.join(", "))
        }
        1 => format!("at: \"{}\"", clock_time(at(random))),
        2 => format!("cron: \"*/{} * * * *\"", random.within(4, 15)),
        3 => format!("every: {}m", random.within(4, 15)),
        _ => format!("cron: \"{} {} * * * *\"", random.pick(&[0, 0, 0, 30]), at(random) / 60 % 60),
    }
}

/// The period of a trigger that repeats, in minutes.
fn period(trigger: &str) -> Option<i64> {
    let rest = trigger.strip_prefix("every: ").or_else(|| trigger.strip_prefix("cron: \"*/"))?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

fn play(random: &mut Random, trigger: &str) -> Play {
    let longest = match period(trigger) {
        // Now and then windows of one job touch, or run into each other.
        Some(period) if random.percent(80) => (period - 1).max(1),
        Some(period) if random.percent(70) => period,
        _ => 12,
    };
    let minutes = random.within(1, longest);
    match random.below(100) {
        0..55 => Play::Loop { minutes, seconds: if random.percent(10) { random.within(-1, 30) } else { 0 } },
        55..80 => {
            let repeat = if random.percent(30) { random.within(2, 3) } else { 1 };
            let length = (minutes * 60 / repeat).max(20);
            let really = if random.percent(25) { length + random.within(-15, 60) } else { length };
            Play::Single { length, really, repeat, seek: if random.percent(15) { random.within(1, 15) } else { 0 } }
        }
        80..86 => Play::Open { really: minutes * 60 },
        86..96 => Play::Live { minutes: random.percent(75).then_some(minutes) },
        _ => Play::Never,
    }
}

fn job(random: &mut Random, id: String, rooms: &[String], options: ScenarioOptions) -> SimJob {
    let trigger = trigger(random, options.minutes, options);
    let play = play(random, &trigger);
    let mut fields = Vec::new();
    let mut maybe = |random: &mut Random, percent: u64, fields_of: &dyn Fn(&mut Random) -> String| {
        if random.percent(percent) {
            let field = fields_of(random);
            fields.push(field);
        }
    };
    maybe(random, 35, &|random| format!("late: {}", random.pick(&["restart", "skip", "skip"])));
    maybe(random, 25, &|random| format!("retry: {{attempts: {}}}", random.within(1, 4)));
    maybe(random, 15, &|_| "heal: false".into());
    maybe(random, 30, &|_| "on_remove: stop".into());
    maybe(random, 20, &|random| format!("priority: {}", random.below(10)));
    maybe(random, 12, &|random| format!("start_within: {}s", random.within(20, 120)));
    let conflict = if options.conflicts { *random.pick(&["reject", "preempt", "yield", "yield", "allow"]) } else { "reject" };
    SimJob {
        id,
        trigger,
        play,
        room: random.pick(rooms).clone(),
        shares_robot: conflict != "allow" && random.percent(25),
        bad: random.percent(3),
        fields,
        ..SimJob::new(conflict)
    }
}

/// The jobs of a seed.
pub(crate) fn jobs(random: &mut Random, options: ScenarioOptions) -> Vec<SimJob> {
    let count = if options.crowd { random.within(15, 30) } else { random.within(3, 11) };
    let rooms: Vec<String> =
        if options.conflicts { (0..random.within(1, 3)).map(|room| format!("room-{room}")).collect() } else { Vec::new() };
    let mut jobs: Vec<_> = (0..count)
        .map(|index| {
            let own = [format!("own-{index}")];
            let shares = !rooms.is_empty() && random.percent(75);
            job(random, format!("job-{index}"), if shares { &rooms } else { &own }, options)
        })
        .collect();
    // The 24/7 filler that everybody else interrupts.
    if options.conflicts && random.percent(50) {
        let minutes = options.minutes - 2;
        let filler = SimJob {
            id: "filler".into(),
            trigger: format!("at: \"{}\"", clock_time(60)),
            play: Play::Loop { minutes, seconds: 0 },
            room: rooms[0].clone(),
            shares_robot: random.percent(20),
            ..SimJob::new("yield")
        };
        jobs.push(filler);
    }
    jobs
}

/// Lets some jobs follow others.
pub(crate) fn chain(random: &mut Random, jobs: &mut [SimJob]) {
    for index in 1..jobs.len() {
        let before = usize::try_from(random.below(index as u64)).expect("an index");
        if random.percent(40) && ends(&jobs[before]) {
            jobs[index].trigger = format!("{AFTER}{}", jobs[before].id);
        }
    }
}

const AFTER: &str = "after: ";

/// Whether it is known beforehand when it ends.
fn ends(job: &SimJob) -> bool {
    !matches!(job.play, Play::Open { .. } | Play::Live { minutes: None } | Play::Never)
}

impl SimJob {
    /// One that does nothing special, to be given a name, a time and a place.
    pub(crate) fn new(conflict: &'static str) -> SimJob {
        SimJob {
            id: String::new(),
            trigger: String::new(),
            play: Play::Never,
            room: String::new(),
            shares_robot: false,
            bad: false,
            length: None,
            seek: 0,
            tempo: 100,
            fields: Vec::new(),
            conflict,
            version: 1,
            fallback: false,
        }
    }

    pub(crate) fn url(&self) -> String {
        let Self { id, version, .. } = self;
        let really = match self.play {
            Play::Single { really, .. } | Play::Open { really } => really,
            Play::Loop { .. } => 0,
            Play::Never if self.length.is_some() => 0,
            Play::Live { .. } | Play::Never => return format!("rtmp://live.example.com/{id}/key{version}"),
        };
        let word = if self.bad { "forbidden" } else { "media" };
        format!("https://cdn.example.com/{id}/{word}-{version}-{really}.mp4")
    }

    pub(crate) fn fallback_url(&self) -> String {
        format!("https://cdn.example.com/{}/{FALLBACK}-0.mp4", self.id)
    }

    fn write(&self, out: &mut String) {
        let mut field = |text: String| writeln!(out, "    {text}").expect("a string takes everything");
        field(self.trigger.clone());
        field(format!("room: {}", self.room));
        field(format!("stream: {}", self.url()));
        if self.fallback {
            field(format!("fallback: {}", self.fallback_url()));
        }
        if self.shares_robot {
            field("robot: bot-{room}".into());
        }
        if let Some(length) = self.length {
            field(format!("length: {length}s"));
        }
        if self.seek > 0 {
            field(format!("seek: {}s", self.seek));
        }
        if self.tempo != 100 {
            field(format!("tempo: {}.{:02}", self.tempo / 100, self.tempo % 100));
        }
        match self.play {
            Play::Loop { minutes, seconds } => {
                field("repeat: forever".into());
                field(format!("for: {}s", minutes * 60 + seconds));
            }
            Play::Single { length, repeat, seek, .. } => {
                field(format!("length: {length}s"));
                field(format!("repeat: {repeat}"));
                if seek > 0 {
                    field(format!("seek: {seek}s"));
                }
            }
            Play::Open { .. } | Play::Live { minutes: None } => {}
            Play::Live { minutes: Some(minutes) } => field(format!("for: {minutes}m")),
            // Media that repeats, or a live source.
            Play::Never if self.length.is_some() => {
                field("repeat: forever".into());
                field("to: never".into());
            }
            Play::Never => field("to: never".into()),
        }
        field(format!("conflict: {}", self.conflict));
        for other in &self.fields {
            field(other.clone());
        }
    }
}

/// The schedule's text.
pub(crate) fn text(jobs: &[SimJob]) -> String {
    let mut out = String::from("timezone: UTC\njobs:\n");
    for job in jobs {
        writeln!(out, "  {}:", job.id).expect("a string takes everything");
        job.write(&mut out);
    }
    out
}

/// Somebody edits the schedule.
pub(crate) fn edited(random: &mut Random, jobs: &[SimJob], number: u32, options: ScenarioOptions) -> Vec<SimJob> {
    let mut jobs = jobs.to_vec();
    for _ in 0..random.within(1, 3) {
        let index = usize::try_from(random.below(jobs.len() as u64)).expect("an index");
        match random.below(6) {
            0 if jobs.len() > 1 => {
                jobs.remove(index);
            }
            1 => jobs[index].version = number,
            2 => jobs[index].trigger = trigger(random, options.minutes, options),
            3 => {
                let id = format!("new-{number}-{}", random.below(1000));
                let mut new = job(random, id, &[format!("new-{number}")], options);
                new.id.truncate(20);
                if !jobs.iter().any(|job| job.id == new.id) {
                    jobs.push(new);
                }
            }
            _ => {
                if let Play::Loop { minutes, .. } = &mut jobs[index].play {
                    *minutes = (*minutes + random.within(-4, 6)).max(1);
                }
            }
        }
    }
    // A job that followed a removed job starts by itself.
    let left: Vec<String> = jobs.iter().filter(|job| ends(job)).map(|job| job.id.clone()).collect();
    for job in &mut jobs {
        if job.trigger.strip_prefix(AFTER).is_some_and(|before| !left.iter().any(|id| id == before)) {
            job.trigger = format!("at: \"{}\"", clock_time(600));
        }
    }
    jobs
}
