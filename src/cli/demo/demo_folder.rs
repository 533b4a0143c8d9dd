//! The folder of a demo: settings, example secrets, a schedule that begins now, and the faults that go with it. Removed when
//! dropped. Does not run the demo.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::sandbox::{FaultEffect, FaultPlan, FaultRule, MediaLengths, Replacement, SandboxConfig};
use crate::sandbox::{WELL_KNOWN_APP_KEY, WELL_KNOWN_SDK_APP_ID, WELL_KNOWN_SECRET_ID, WELL_KNOWN_SECRET_KEY};
use crate::trtc::Action;

/// The jobs, with `<...>` where instants belong.
const SCHEDULE: &str = include_str!("schedule.yaml");
/// When the burst leaves, and how many starts it has: more than leave in one second.
const BURST: (i64, u32) = (24, 30);
/// The demo's token, so that one in the caller's environment is not taken.
const TOKEN: &str = "demo-token-0000";
/// Nothing starts so shortly before the end: its outcome would not be known by then.
const QUIET: SignedDuration = SignedDuration::from_secs(12);
/// What repeats does so until then, however short the demo: a schedule without a start is refused.
const REPEATS_AT_LEAST: SignedDuration = SignedDuration::from_secs(20);
/// Folders of that name that a demo with the same process id left behind, at most.
const TRIES_MAX: u32 = 100;

/// The folder.
pub(super) struct DemoFolder {
    folder: PathBuf,
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // It is in the system's temporary folder, which is cleared in time.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl DemoFolder {
    /// Makes a folder that is readable by its owner only, and was not there before.
    pub(super) fn make() -> io::Result<DemoFolder> {
        let named = |attempt| std::env::temp_dir().join(format!("ingestd-demo-{}-{attempt}", std::process::id()));
        let mut attempt = 0;
        loop {
            let folder = named(attempt);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(DemoFolder { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < TRIES_MAX => attempt += 1,
                Err(error) => return Err(io::Error::new(error.kind(), format!("`{}`: {error}", folder.display()))),
            }
        }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings.
    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join("ingestd.yaml")
    }

    /// The folder of the ledger.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The folder of the schedule.
    pub(super) fn schedules(&self) -> PathBuf {
        self.folder.join("schedules")
    }

    /// Writes everything that a daemon reads. The demo begins at `now` and lasts for `length`.
    pub(super) fn set(&self, sandbox: SocketAddr, page: SocketAddr, now: Timestamp, length: Duration) -> io::Result<()> {
        let secrets = [
            ("secret-id", WELL_KNOWN_SECRET_ID),
            ("secret-key", WELL_KNOWN_SECRET_KEY),
            ("token", TOKEN),
            ("app-key", WELL_KNOWN_APP_KEY),
        ];
        for (name, secret) in secrets {
            self.write(name, secret)?;
        }
        let settings = format!(
            "account:\n  secret_id: {{ file: secret-id }}\n  secret_key: {{ file: secret-key }}\n  token: {{ file: token }}\n  \
             region: ap-singapore\n  endpoint: http://{sandbox}\n\
             apps:\n  main: {{ sdk_app_id: {WELL_KNOWN_SDK_APP_ID}, secret_key: {{ file: app-key }} }}\n\
             schedules: schedules\nstate: state\ncontrol: control.sock\nlisten: {page}\n"
        );
        self.write("ingestd.yaml", &settings)?;
        DirBuilder::new().mode(0o700).create(self.schedules())?;
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let (begin, end) = (begin(now), now.saturating_add(length - QUIET).unwrap_or(Timestamp::MAX));
        self.write("schedules/show.yaml", &filled(SCHEDULE, begin, end.max(begin + REPEATS_AT_LEAST)))?;
        self.write("schedules/burst.yaml", &burst(begin))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    }
}

/// The sandbox for this schedule, with everything that goes wrong in it.
pub(super) fn sandbox() -> SandboxConfig {
    let start = |rule: FaultRule, robot| rule.action(Action::Start).robot(robot);
    let replace = |with, done| FaultRule::new(FaultEffect::Replace { with, done });
    let faults = FaultPlan::new(vec![
        start(FaultRule::error("InvalidParameter.StreamUrl"), "bad-url"),
        start(FaultRule::error("InternalError"), "stubborn").times(2),
        start(FaultRule::new(FaultEffect::Delay(Duration::from_secs(3))), "stubborn").times(1),
        start(FaultRule::new(FaultEffect::Vanish(Duration::from_secs(3))), "comeback").times(1),
        FaultRule::error("InvalidParameter.StreamUrl").stream("https://cdn.example.com/gone.mp4"),
        FaultRule::error("InternalError").action(Action::Stop).robot("clinging").times(4),
        start(replace(Replacement::Status { status: 502, retry_after: None }, false), "gateway").times(1),
        start(replace(Replacement::Cut, true), "cut-off").times(1),
    ]);
    let mut media = MediaLengths::default();
    media.by_url.insert("https://cdn.example.com/trailer.mp4".to_owned(), Duration::from_secs(10));
    SandboxConfig { token: Some(TOKEN.to_owned()), faults, media, ..SandboxConfig::well_known() }
}

/// The second that `<+0>` stands for: soon, and whole, as starts are.
fn begin(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second() + 1).unwrap_or(now)
}

/// The schedule with instants in place of `<+5>`, `<time -20>` and `<end>`.
fn filled(text: &str, begin: Timestamp, end: Timestamp) -> String {
    let mut parts = text.split('<');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('>').unwrap_or((part, ""));
        match instant(name, begin, end) {
            Some(instant) => out.push_str(&instant),
            None => out.extend(["<", name, ">"]),
        }
        out.push_str(rest);
    }
    out
}

fn instant(name: &str, begin: Timestamp, end: Timestamp) -> Option<String> {
    let (name, form) = name.strip_prefix("time ").map_or((name, "%Y-%m-%d %H:%M:%S"), |name| (name, "\"%H:%M:%S\""));
    let at = match name {
        "end" => end,
        _ => begin.checked_add(SignedDuration::from_secs(name.parse().ok()?)).ok()?,
    };
    Some(at.strftime(form).to_string())
}

/// Many starts at one instant, each in a room of its own.
fn burst(begin: Timestamp) -> String {
    let (after, count) = BURST;
    let mut text = "# More starts at one instant than the API takes in a second.\n\ntimezone: UTC\n\ndefaults:\n  once: <+N>\n  \
        stream: https://cdn.example.com/loop.mp4\n  length: 30s\n  repeat: forever\n  for: 8s\n\njobs:\n"
        .replace("<+N>", &format!("<+{after}>"));
    for number in 1..=count {
        writeln!(text, "  burst-{number:02}: {{ room: wing-{number:02} }}").expect("a string takes everything");
    }
    filled(&text, begin, begin)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use jiff::tz::TimeZoneDatabase;

    use super::*;
    use crate::schedule::{self, Source};

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let (one, other) = (DemoFolder::make().expect("a folder"), DemoFolder::make().expect("another"));
        assert_ne!(one.folder(), other.folder());
        one.set(address("127.0.0.1:1"), address("127.0.0.1:2"), crate::clock::now(), Duration::from_mins(1)).expect("written");
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(one.folder()), mode(&one.folder().join("secret-key"))), (0o700, 0o600));
        let folder = one.folder().to_owned();
        drop(one);
        assert!(!folder.exists() && other.folder().exists());
    }

    #[test]
    fn settings_and_schedule_are_without_a_fault_at_whatever_hour_and_length() {
        for now in ["2026-11-22T12:00:00.5Z", "2026-11-22T23:59:59.999Z", "2026-12-31T23:59:10Z", "2026-02-28T00:00:05Z"] {
            let now: Timestamp = now.parse().expect("an instant");
            for seconds in [1, 30, 60, 86_400] {
                let schedule = schedule_of(now, seconds);
                assert_eq!(schedule.len(), 19 + BURST.1 as usize);
                let length = SignedDuration::from_secs(seconds.cast_signed());
                let planned: Vec<_> =
                    crate::plan::Upcoming::new(&schedule, now).take_while(|planned| planned.start.at <= now + length).collect();
                let in_time = |planned: &crate::plan::Planned| planned.start.at <= now + length - QUIET;
                assert!(seconds < 60 || planned.iter().all(in_time), "{now} {seconds}");
                let jingles = planned.iter().filter(|planned| planned.job.id.as_str() == "jingle").count();
                assert!(seconds < 60 || jingles >= 3, "{now} {seconds}");
            }
        }
    }

    /// The schedule as a daemon reads it.
    fn schedule_of(now: Timestamp, seconds: u64) -> Arc<schedule::Schedule> {
        let folder = DemoFolder::make().expect("a folder");
        folder.set(address("127.0.0.1:1"), address("127.0.0.1:2"), now, Duration::from_secs(seconds)).expect("written");
        let source = |name: &str| {
            let text = std::fs::read_to_string(folder.folder().join(name)).expect("it was written");
            Source { name: Arc::from(name), text }
        };
        let settings = crate::config::read(&source("ingestd.yaml"), folder.folder());
        assert_eq!(settings.diagnostics, []);
        let settings = settings.settings.expect("settings").for_schedule();
        let sources = [source("schedules/show.yaml"), source("schedules/burst.yaml")];
        let reading = schedule::read(&sources, &settings, &TimeZoneDatabase::bundled(), now);
        assert_eq!(reading.diagnostics, [], "{now} {seconds}");
        Arc::new(reading.schedule.expect("a schedule"))
    }
}
