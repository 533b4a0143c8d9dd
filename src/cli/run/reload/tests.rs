//! A reload against a stand-in for the daemon: what is handed over, in which order with what is kept, and when nothing is.

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::cli::LogFormat;
use crate::config;
use crate::daemon::Message;
use crate::engine::{Generation, Write, Writes};
use crate::ledger::sources::Sources;
use crate::ledger::{Ledger, Place};
use crate::zones::Zones;

const SETTINGS: &str =
    "account: {region: ap-singapore}\napps: {main: {sdk_app_id: 1400000001, secret_key: {env: K}}}\nstate: state\nlisten: none\n";

fn job(id: &str) -> String {
    format!("  {id}: {{at: '18:00', for: 1h, room: {id}, stream: 'https://cdn.example.com/{id}.mp4'}}\n")
}

fn jobs(ids: &[&str]) -> String {
    format!("timezone: UTC\njobs:\n{}", ids.iter().map(|id| job(id)).collect::<String>())
}

/// What the stand-in received: who, the number, the changes, and whether the sources were kept by then.
type HandedOver = (String, i64, Vec<String>, bool);

struct Rig {
    folder: TempDir,
    reload: Arc<Reload>,
    accepted: Arc<Plain<Vec<HandedOver>>>,
    /// What the next reading of the secrets brings.
    secrets: Arc<Plain<SecretsRead>>,
}

impl Rig {
    /// A daemon on these jobs, as generation 7, that answers every order so.
    fn new(ids: &[&str], reply: Result<(), &'static str>) -> Rig {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("schedules")).expect("a folder");
        std::fs::create_dir(path("state")).expect("a folder");
        std::fs::write(path("ingestd.yaml"), SETTINGS).expect("writable");
        std::fs::write(path("schedules/a.yaml"), jobs(ids)).expect("writable");
        let source = Source { name: Arc::from("ingestd.yaml"), text: SETTINGS.to_owned() };
        let settings = config::read(&source, folder.path()).settings.expect("good settings");
        let zones = Zones::newest().database;
        let loaded = load::read_schedule(std::slice::from_ref(&settings.schedules), Some(&settings), &zones, clock::now());
        let sources: Vec<Source> = loaded.texts.into_iter().map(|(name, text)| Source { name, text }).collect();
        let schedule = Arc::new(loaded.value.expect("a good schedule"));
        Sources::at(Place::Folder(path("state"))).save(7, &sources).expect("kept");
        let (handle, mut inputs) = Handle::new();
        let accepted = Arc::new(Plain::new(Vec::new()));
        let (log, state) = (Arc::clone(&accepted), path("state"));
        tokio::spawn(async move {
            while let Some(Message::Order(Order { who, command, .. }, answer)) = inputs.recv().await {
                let (prepared, changes) = match command {
                    Command::Accept { prepared, changes } => (prepared, changes),
                    Command::TakeSecrets(read) => {
                        let lines = if read == SecretsRead::Same { vec![] } else { vec![format!("{who}: {read:?}")] };
                        answer.send(Ok(lines)).expect("somebody waits");
                        continue;
                    }
                    _ => panic!("another order"),
                };
                let generation = prepared.generation().clone();
                let is_kept =
                    Sources::at(Place::Folder(state.clone())).load(generation.number).is_ok_and(|sources| sources.is_some());
                log.lock().expect("whole").push((who, generation.number, changes, is_kept));
                if reply.is_ok() {
                    let mut ledger = Ledger::open(&state).expect("a ledger");
                    let mut writes = Writes::default();
                    writes.push(Write::Generation { number: generation.number, accepted_at: Timestamp::UNIX_EPOCH });
                    writes.push(Write::CursorGeneration(7));
                    ledger.commit(writes, Timestamp::UNIX_EPOCH).expect("committed");
                }
                answer.send(reply.map(|()| Vec::new()).map_err(str::to_owned)).expect("somebody waits");
            }
        });
        let first = InForce::good(Generation { number: 7, schedule }, Some(Timestamp::UNIX_EPOCH));
        let context = Context { config: Some(path("ingestd.yaml")), log: LogFormat::Text };
        let manager = Arc::new(Manager::from_environment().expect("nobody to tell"));
        let secrets = Arc::new(Plain::new(SecretsRead::Same));
        let brought = Arc::clone(&secrets);
        let reread: Reread = Arc::new(move || {
            let read = std::mem::replace(&mut *brought.lock().expect("whole"), SecretsRead::Same);
            Box::pin(async move { read })
        });
        let reload = Reload::new(
            &context,
            &settings,
            &zones,
            Sources::at(Place::Folder(path("state"))),
            (handle, manager),
            (first, sources),
            reread,
        );
        Rig { reload: Arc::new(reload), accepted, secrets, folder }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("writable");
    }

    async fn reload(&self, force: bool) -> Reply {
        let patience = if force { Patience::Forced } else { Patience::Waits };
        Arc::clone(&self.reload).run("uid 1000".to_owned(), patience).await
    }

    fn accepted(&self) -> Vec<HandedOver> {
        std::mem::take(&mut self.accepted.lock().expect("whole"))
    }

    /// Number, jobs, and what is rejected.
    fn in_force(&self) -> (i64, usize, Vec<String>) {
        let in_force = self.reload.in_force().borrow().clone();
        let rejected = in_force.rejected.iter().map(ToString::to_string).collect();
        (in_force.generation.number, in_force.generation.schedule.len(), rejected)
    }

    /// The numbers of the generations whose sources are kept.
    fn kept(&self) -> Vec<i64> {
        (0..20)
            .filter(|number| {
                Sources::at(Place::Folder(self.folder.path().join("state"))).load(*number).is_ok_and(|kept| kept.is_some())
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn every_reload_reads_the_secrets_again_and_says_what_came_of_that() {
    let rig = Rig::new(&["a"], Ok(()));
    *rig.secrets.lock().expect("whole") = SecretsRead::Changed { which: vec!["account.secret_key".to_owned()] };
    let lines = rig.reload(false).await.expect("nothing is wrong");
    let changed = "uid 1000: Changed { which: [\"account.secret_key\"] }";
    assert_eq!(lines, ["nothing changed: generation 7 stays in force", changed]);
    // Also when the schedule is rejected.
    rig.write("schedules/a.yaml", "jobs: 7\n");
    *rig.secrets.lock().expect("whole") = SecretsRead::Failed { why: "it is empty".to_owned() };
    let why = rig.reload(false).await.expect_err("rejected");
    assert!(why.ends_with("\nuid 1000: Failed { why: \"it is empty\" }"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_kept_then_handed_over_then_in_force() {
    let rig = Rig::new(&["a", "b"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["b", "c"]).replace("b.mp4", "b2.mp4"));
    let lines = rig.reload(false).await.expect("accepted");
    let expected =
        ["generation 8 is in force: 2 jobs; 1 added, 1 changed, 1 removed", "added c", "changed b", "removed a"].map(str::to_owned);
    assert_eq!(lines[..4], expected);
    let changes = expected[1..].to_vec();
    assert_eq!(rig.accepted(), [("uid 1000".to_owned(), 8, changes, true)]);
    assert_eq!(rig.in_force(), (8, 2, Vec::new()));
    assert_eq!(rig.kept(), [7, 8], "the cursor still stands in generation 7");
    rig.write("schedules/a.yaml", &jobs(&["b"]));
    rig.reload(false).await.expect("accepted");
    assert_eq!(rig.in_force().0, 9);
    assert_eq!(rig.kept(), [7, 8, 9], "the one before stays, in case the newest cannot be read");
}

#[tokio::test(start_paused = true)]
async fn the_same_text_is_no_new_generation_and_clears_what_was_rejected() {
    let rig = Rig::new(&["a"], Ok(()));
    assert_eq!(rig.reload(false).await, Ok(vec!["nothing changed: generation 7 stays in force".to_owned()]));
    rig.write("schedules/a.yaml", "timezone: UTC\njobs: {a: {at: noon}}\n");
    rig.reload(false).await.expect_err("rejected");
    assert_eq!(rig.in_force().0, 7);
    rig.write("schedules/a.yaml", &jobs(&["a"]));
    assert!(!rig.in_force().2.is_empty());
    let drawn = || rig.reload.in_force().borrow().drawn.to_string();
    assert!(drawn().contains("a.yaml:2:") && drawn().contains("2 | jobs: {a: {at: noon}}"), "as `check` draws it: {}", drawn());
    rig.reload(false).await.expect("the same");
    assert_eq!(drawn(), "");
    assert_eq!((rig.in_force(), rig.accepted()), ((7, 1, Vec::new()), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn one_bad_file_leaves_everything_as_it_was_and_every_problem_is_named() {
    let rig = Rig::new(&["a"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    rig.write("schedules/z.yaml", "timezone: UTC\njobs:\n  z: {at: noon, colour: red}\n");
    let why = rig.reload(true).await.expect_err("rejected");
    let mut lines = why.lines();
    assert_eq!(lines.next(), Some("the schedule was rejected; the last good one stays in force:"));
    assert!(lines.clone().count() >= 2 && lines.all(|line| line.contains("z.yaml:3:")), "{why}");
    let (number, jobs, rejected) = rig.in_force();
    assert_eq!((number, jobs), (7, 1));
    assert!(rejected.iter().filter(|line| line.contains("z.yaml:3:")).count() >= 2, "{rejected:?}");
    rig.write("schedules/z.yaml", &format!("timezone: UTC\njobs:\n{}", "  z: {at: noon, colour: red}\n".repeat(40)));
    rig.reload(true).await.expect_err("rejected");
    let drawn = rig.reload.in_force().borrow().drawn.to_string();
    assert!(drawn.len() < 10_000 && drawn.matches("error[").count() == 5, "{drawn}");
    assert!(drawn.ends_with("more: `ingestd check` shows them"), "{drawn}");
    assert_eq!((rig.accepted(), rig.kept()), (Vec::new(), vec![7]));
}

#[tokio::test(start_paused = true)]
async fn what_drops_most_of_the_schedule_is_held_until_it_is_forced() {
    let ids: Vec<String> = (0..12).map(|number| format!("j{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let rig = Rig::new(&ids, Ok(()));
    rig.write("schedules/a.yaml", &jobs(&ids[..5]));
    let why = rig.reload(false).await.expect_err("held");
    assert_eq!(why, "this schedule would drop 7 of 12 jobs: held until `ingestd reload --force`");
    let (number, jobs_in_force, rejected) = rig.in_force();
    assert_eq!((number, jobs_in_force, rejected.len()), (7, 12, 1));
    assert!(rejected[0].contains("would drop 7 of 12 jobs (if you want this: `ingestd reload --force`)"), "{rejected:?}");
    assert_eq!((rig.accepted(), rig.kept()), (Vec::new(), vec![7]));
    rig.reload(true).await.expect("forced");
    assert_eq!(rig.in_force(), (8, 5, Vec::new()));
}

/// So many bytes of a text, cut after a line.
fn cut(text: &str, lines: usize) -> String {
    text.split_inclusive('\n').take(lines).collect()
}

#[tokio::test(start_paused = true)]
async fn an_order_waits_until_a_smaller_file_has_rested_and_says_so() {
    let rig = Rig::new(&["a", "b", "c"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    let begin = tokio::time::Instant::now();
    let lines = rig.reload(false).await.expect("accepted");
    assert_eq!(begin.elapsed().as_secs(), 10);
    let waited = "waited 10 s: a file was smaller than what is in force, and is read when it has not changed for 10 s; \
                  `ingestd reload --force` does not wait";
    assert_eq!(lines[..3], [waited, "generation 8 is in force: 2 jobs; 0 added, 0 changed, 1 removed", "removed c"]);
    // It has rested by now, and what grows needs no rest.
    rig.write("schedules/a.yaml", &jobs(&["a", "b", "d"]));
    let begin = tokio::time::Instant::now();
    rig.reload(false).await.expect("accepted");
    assert_eq!(begin.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forced_reload_waits_for_no_file() {
    let rig = Rig::new(&["a", "b", "c"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["a"]));
    let begin = tokio::time::Instant::now();
    let lines = rig.reload(true).await.expect("accepted");
    assert_eq!((begin.elapsed().as_secs(), lines[0].contains("1 jobs; 0 added, 0 changed, 2 removed")), (0, true), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_reads_a_smaller_file_when_it_has_rested_and_not_before() {
    let rig = Rig::new(&["a", "b", "c"], Ok(()));
    let watch = || async { Arc::clone(&rig.reload).run("watch".to_owned(), Patience::Elsewhere).await };
    // Cut within a job: the half of a file is often no schedule. It is not even told before it has rested.
    for (text, why) in
        [(cut(&jobs(&["a", "b", "c"]), 4), "2 jobs"), ("timezone: UTC\njobs:\n  a: {at".to_owned(), "(28 bytes, not")]
    {
        rig.write("schedules/a.yaml", &text);
        let told = watch().await.expect_err("it rests");
        assert!(told.contains("a.yaml` is smaller than what is in force (") && told.contains(why), "{told}");
        assert_eq!(rig.reload.rests_for().map(|left| left.as_secs()), Some(10));
        assert_eq!(rig.in_force(), (7, 3, Vec::new()));
        // Less than what was accepted last, and not only less than what was read last.
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(watch().await.is_err() && rig.in_force().0 == 7);
    }
    rig.write("schedules/a.yaml", &jobs(&["a", "b", "c"]));
    watch().await.expect("whole again");
    assert_eq!((rig.in_force(), rig.reload.rests_for()), ((7, 3, Vec::new()), None));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    let _ = watch().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    watch().await.expect("it has rested");
    assert_eq!(rig.in_force(), (8, 2, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_file_that_changes_again_and_again_is_told_in_the_status() {
    let rig = Rig::new(&["a", "b", "c"], Ok(()));
    for seconds in 0..14 {
        rig.write("schedules/a.yaml", &format!("{}# {seconds}\n", jobs(&["a"])));
        Arc::clone(&rig.reload).run("watch".to_owned(), Patience::Elsewhere).await.expect_err("it rests");
        assert_eq!(rig.in_force().2.len(), usize::from(seconds * 5 >= 60), "after {} s", seconds * 5);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let rejected = rig.in_force().2;
    assert!(
        rejected[0].contains("a.yaml` is smaller than what is in force") && rejected[0].contains("again and again"),
        "{rejected:?}"
    );
    rig.reload(false).await.expect("it rests at last");
    assert_eq!(rig.in_force(), (8, 1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_text_is_held_against_what_was_accepted_and_not_against_what_was_rejected() {
    let rig = Rig::new(&["a"], Ok(()));
    rig.write(
        "schedules/a.yaml",
        &format!("{}  bad: {{at: noon, colour: red, note: a much longer text than before}}\n", jobs(&["a"])),
    );
    rig.reload(false).await.expect_err("rejected");
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    let begin = tokio::time::Instant::now();
    rig.reload(false).await.expect("it is more than what is in force");
    assert_eq!(begin.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_had_jobs_and_has_none_is_held_until_it_is_forced() {
    for empty in ["", "# later\n", "---\n", "timezone: UTC\n", "jobs: {}\n"] {
        let rig = Rig::new(&["a", "b"], Ok(()));
        rig.write("schedules/other.yaml", &jobs(&["c"]));
        rig.reload(false).await.expect("accepted");
        rig.write("schedules/a.yaml", empty);
        let why = rig.reload(false).await.expect_err("held");
        assert!(why.ends_with("schedules/a.yaml` had 2 jobs and has none now: held until `ingestd reload --force`"), "{why}");
        let (number, jobs_in_force, rejected) = rig.in_force();
        assert_eq!((number, jobs_in_force, rejected.len()), (8, 3, 1));
        rig.reload(true).await.expect("forced");
        assert_eq!(rig.in_force(), (9, 1, Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_move_to_another_file_and_a_file_that_is_removed_are_not_held() {
    let rig = Rig::new(&["a", "b"], Ok(()));
    rig.write("schedules/a.yaml", "timezone: UTC\n");
    rig.write("schedules/other.yaml", &jobs(&["a", "b"]));
    rig.reload(false).await.expect("nothing is dropped");
    std::fs::rename(rig.folder.path().join("schedules/other.yaml"), rig.folder.path().join("schedules/new.yaml")).expect("renamed");
    let begin = tokio::time::Instant::now();
    rig.reload(false).await.expect("nothing is dropped");
    assert_eq!(begin.elapsed().as_secs(), 0, "a name is no text");
    rig.write("schedules/a.yaml", &jobs(&["c"]));
    rig.reload(false).await.expect("accepted");
    std::fs::remove_file(rig.folder.path().join("schedules/new.yaml")).expect("removed");
    let begin = tokio::time::Instant::now();
    let lines = rig.reload(false).await.expect("somebody removed it");
    assert!(begin.elapsed().as_secs() >= 9 && rig.in_force().1 == 1, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_refuses_leaves_the_old_one_in_force_and_is_asked_with_the_same_number_again() {
    let rig = Rig::new(&["a"], Err("the daemon is shutting down"));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    for _ in 0..2 {
        assert_eq!(rig.reload(false).await, Err("the daemon is shutting down".to_owned()));
        let (number, jobs_in_force, rejected) = rig.in_force();
        assert_eq!((number, jobs_in_force, rejected.len()), (7, 1, 1));
        // The status says so too: the client may have gone.
        assert!(rejected[0].contains("the daemon is shutting down (fix this, then run `ingestd reload`)"), "{rejected:?}");
    }
    let numbers: Vec<i64> = rig.accepted().iter().map(|(_, number, ..)| *number).collect();
    assert_eq!((numbers, rig.kept()), (vec![8, 8], vec![7, 8]));
}

#[tokio::test(start_paused = true)]
async fn settings_that_differ_are_named_and_not_used() {
    let rig = Rig::new(&["a"], Ok(()));
    rig.write("ingestd.yaml", &SETTINGS.replace("listen: none", "rate: 5"));
    let lines = rig.reload(false).await.expect("nothing else changed");
    assert!(lines[0].contains("ingestd.yaml` differs from what was read at start: restart the daemon"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn sources_that_cannot_be_kept_are_not_played() {
    let rig = Rig::new(&["a"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    // In the place of the draft is a folder.
    std::fs::create_dir(rig.folder.path().join("state/accepted-8.draft")).expect("a folder");
    let why = rig.reload(false).await.expect_err("it cannot be kept");
    assert!(why.starts_with("cannot keep the schedule's sources: "), "{why}");
    assert_eq!((rig.in_force().0, rig.accepted()), (7, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_come_one_after_another_and_a_client_that_hangs_up_ends_none() {
    let rig = Rig::new(&["a"], Ok(()));
    rig.write("schedules/a.yaml", &jobs(&["a", "b"]));
    let reloader = rig.reload.reloader();
    drop(reloader("gone".to_owned(), false));
    let replies = tokio::join!(reloader("one".to_owned(), false), reloader("two".to_owned(), false));
    assert!(replies.0.is_ok() && replies.1.is_ok(), "{replies:?}");
    assert_eq!(rig.in_force().0, 8);
    assert_eq!(rig.accepted().len(), 1);
}
