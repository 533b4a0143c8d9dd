//! What is answered: exactly the promised objects, and an error for every parameter that is not valid.

use ingestd::diagnostic::{Diagnostic, Place};
use ingestd::engine::Generation;
use ingestd::occurrence::{MissedReason, Occurrence, Outcome, State, WaitReason};
use ingestd::trtc::Action;
use jiff::SignedDuration;

use super::filling::write;
use super::rows::{armed, ended, fault, missed, on_air};
use super::served::{Served, now, schedule};

const HISTORY_KEYS: &str = "job start end kind state outcome reason late_ms first_sent_at on_air_at ended_at attempts restarts in_doubt \
    task_id confirmed_at evidence app region room room_type robot stream error_code error_message request_id task_fault generation count by note streams fallback";

const PLAN_KEYS: &str = "job start end local_start timezone app sdk_app_id room room_type robot stream region dst pauses \
    cut_at cut_by content_end after held fallback";

/// The keys of the object that `text` begins with, in their order. A parsed object may have lost it.
fn keys(text: &str) -> String {
    let (mut keys, mut depth, mut rest) = (Vec::new(), 0, text);
    while let Some(at) = rest.find(['{', '[', '}', ']', '"']) {
        let (character, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = after;
        match character {
            b'{' | b'[' => depth += 1,
            b'"' => {
                let end = after.match_indices('"').map(|(at, _)| at).find(|at| !after[..*at].ends_with('\\')).expect("an end");
                rest = &after[end + 1..];
                if depth == 1 && rest.starts_with(':') {
                    keys.push(&after[..end]);
                }
            }
            _ => depth -= 1,
        }
        if depth == 0 {
            break;
        }
    }
    keys.join(" ")
}

/// The text of the value of a key, to its end and beyond.
fn value_of<'a>(text: &'a str, key: &str) -> &'a str {
    let name = format!("\"{key}\":");
    &text[text.find(&name).unwrap_or_else(|| panic!("no {key} in {text}")) + name.len()..]
}

#[tokio::test]
async fn history_has_exactly_the_promised_objects() {
    let served = Served::new().await;
    let start = "2026-11-22T10:00:00Z".parse().expect("an instant");
    let mut ledger = served.ledger();
    write(
        &mut ledger,
        &Occurrence { was_in_doubt: true, attempts: 2, fault: Some(fault(Some("InternalError"), "x")), ..ended("promo", start) },
    );
    let stopping = State::Stopping { outcome: Outcome::EndedPlanned };
    write(&mut ledger, &Occurrence { state: stopping, ..on_air("film", start - SignedDuration::from_hours(1)) });
    let answer = served.get("/api/v1/history").await;
    assert_eq!(keys(&answer.body), "items");
    assert_eq!(keys(answer.body.trim_start_matches("{\"items\":[")), HISTORY_KEYS);
    let items = answer.items();
    assert_eq!(
        items[0],
        serde_json::json!({
            "job": "promo", "start": "2026-11-22T10:00:00.000Z", "end": "2026-11-22T12:00:00.000Z", "kind": "planned",
            "state": "done", "outcome": "ended", "reason": "planned", "late_ms": 5,
            "first_sent_at": "2026-11-22T10:00:00.005Z", "on_air_at": "2026-11-22T10:00:00.040Z",
            "ended_at": "2026-11-22T12:00:00.000Z", "attempts": 2, "restarts": 0, "in_doubt": true, "task_id": "-task+of.promo",
            "confirmed_at": null, "evidence": null, "app": "main", "region": "ap-singapore", "room": "lobby", "room_type": "string",
            "robot": "promo", "stream": "https://cdn.example.com/promo.mp4", "error_code": "InternalError", "error_message": "x",
            "request_id": "6b8b4567-0000", "task_fault": null, "generation": 7, "count": 1, "by": null, "note": null,
            "streams": [{"stream": "https://cdn.example.com/promo.mp4", "from": "2026-11-22T10:00:00.040Z", "to": "2026-11-22T12:00:00.000Z"}],
            "fallback": null,
        })
    );
    assert_eq!((&items[1]["state"], &items[1]["outcome"], &items[1]["reason"]), (&"stopping".into(), &().into(), &().into()));
}

#[tokio::test]
async fn history_has_the_options_of_the_command_line() {
    let served = Served::new().await;
    let start = now() - SignedDuration::from_hours(30);
    let mut ledger = served.ledger();
    for hour in 0..30 {
        let start = start + SignedDuration::from_hours(hour);
        write(
            &mut ledger,
            &if hour % 2 == 0 { ended("even", start) } else { missed("odd", start, Outcome::Missed(MissedReason::Down)) },
        );
    }
    for (query, count, first) in [
        ("", 30, "odd"),
        ("?limit=1", 1, "odd"),
        ("?job=even", 15, "even"),
        ("?job=nobody", 0, ""),
        ("?outcome=missed&limit=4", 4, "odd"),
        ("?outcome=failed", 0, ""),
        ("?since=now-2h", 1, "odd"),
        ("?since=now-3h&job=even", 1, "even"),
        ("?since=now", 0, ""),
        ("?until=now-1710m", 2, "odd"),
        ("?since=now-3h&until=now-2h", 1, "even"),
        ("?room=lobby&limit=2", 2, "odd"),
        ("?room=main/lobby&outcome=missed", 15, "odd"),
        ("?room=%2242%22", 0, ""),
        ("?since=2020-01-01+00:00", 30, "odd"),
    ] {
        let items = served.get(&format!("/api/v1/history{query}")).await.items();
        assert_eq!(items.len(), count, "{query}");
        assert_eq!(items.first().map_or("", |item| item["job"].as_str().expect("a job")), first, "{query}");
    }
}

#[tokio::test]
async fn plan_has_exactly_the_promised_objects_and_options() {
    let served = Served::new().await;
    let answer = served.get("/api/v1/plan?from=2026-11-22T09:59:00Z&to=2026-11-22T14:00:00Z").await;
    assert_eq!(keys(&answer.body), "items");
    assert_eq!(keys(answer.body.trim_start_matches("{\"items\":[")), PLAN_KEYS);
    let items = answer.items();
    assert_eq!(
        items[0],
        serde_json::json!({
            "job": "evening", "start": "2026-11-22T10:00:00.000Z", "end": "2026-11-22T12:00:00.000Z",
            "local_start": "2026-11-22T18:00:00+08:00", "timezone": "Asia/Shanghai", "app": "main", "sdk_app_id": 1_400_000_001,
            "room": "lobby", "room_type": "string", "robot": "evening", "stream": "https://cdn.example.com/promo.mp4",
            "region": "ap-singapore", "dst": null, "pauses": null, "cut_at": null, "cut_by": null, "content_end": null, "after": null, "held": null, "fallback": null,
        })
    );
    assert_eq!(
        (items.len(), &items[1]["job"], &items[1]["room"], &items[1]["room_type"]),
        (2, &"film".into(), &"42".into(), &"integer".into())
    );
    for (query, count) in [
        ("?count=7", 7),
        ("?count=3&job=film", 3),
        ("?from=2026-11-22T00:00:00Z&job=evening", 1),
        ("?from=2026-11-22T00:00:00Z&to=2026-12-02T00:00:00Z&job=evening", 10),
        ("?from=2026-11-22T00:00:00Z&to=2026-11-22T00:00:00Z", 0),
        ("?job=off&count=5", 0),
        ("?count=10000&from=2026-11-22T00:00:00Z", 10_000),
    ] {
        assert_eq!(served.get(&format!("/api/v1/plan{query}")).await.items().len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_filler_is_listed_with_its_pauses_in_the_plan_and_in_the_status() {
    // Whatever the hour, a show begins within the next one.
    let jobs = "timezone: UTC\ndefaults: {room: foyer, app: main, stream: 'https://cdn.example.com/a.mp4'}\njobs:\n  \
        filler: {every: 1h, for: 1h, conflict: yield}\n  show: {cron: '30 * * * *', for: 10m}\n";
    let served = Served::with(
        |first| first.generation.schedule = std::sync::Arc::new(schedule(jobs, &ingestd::zones::Zones::newest())),
        true,
    )
    .await;
    let plan = served.get("/api/v1/plan?from=2026-11-22T10:00:00Z&count=2").await;
    let pause = serde_json::json!([{ "job": "show", "start": "2026-11-22T10:30:00.000Z", "end": "2026-11-22T10:40:00.000Z" }]);
    let items = plan.items();
    assert_eq!((&items[0]["job"], &items[0]["pauses"]), (&"filler".into(), &pause));
    assert_eq!((&items[1]["job"], &items[1]["pauses"]), (&"show".into(), &().into()));
    let status = served.get("/api/v1/status").await.json();
    let next = status["next"].as_array().expect("a list");
    let fillers: Vec<_> = next.iter().filter(|next| next["job"] == "filler").collect();
    assert_eq!((next.len(), fillers.len()), (10, 5));
    assert!(fillers.iter().all(|filler| filler["pauses"].as_array().is_some_and(|pauses| pauses.len() == 1)), "{status}");
    let dense = jobs.replace("every: 1h, for: 1h", "every: 1h, for: 1000h");
    let served = Served::with(
        |first| first.generation.schedule = std::sync::Arc::new(schedule(&dense, &ingestd::zones::Zones::newest())),
        true,
    )
    .await;
    let answer = served.get("/api/v1/plan?count=1000").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("more than 100000 occurrences and pauses"), "{}", answer.body);
}

#[tokio::test]
async fn a_parameter_that_is_not_valid_is_named() {
    let served = Served::new().await;
    for (path, words) in [
        ("history?limit=0", "`limit`: expected a number from 1 to 10000, found `0`"),
        ("history?limit=10001", "`limit`: expected a number from 1 to 10000"),
        ("history?limit=-1", "found `-1`"),
        ("history?limit=", "found ``"),
        ("history?limit=1&limit=2", "`limit` is there twice"),
        ("history?outcome=lost", "`outcome`: expected one of `ended`, `cut`, `failed`, `missed`, `skipped`, found `lost`"),
        ("history?since=yesterday", "`yesterday` is not a time"),
        ("history?until=yesterday", "`yesterday` is not a time"),
        ("history?since=now&until=now-1d", "expected `until` after `since`, found no time between them"),
        ("history?room=", "`room`: expected a room, such as `42`, `lobby` or `main/lobby`, found ``: a room needs a name"),
        ("history?job=No%20Job", "`No Job` is not a job id"),
        ("history?job=%0a%1b[31m", "`..[31m` is not a job id"),
        (
            "history?format=csv",
            "there is no parameter `format`: the parameters are `job`, `room`, `since`, `until`, `outcome`, `limit`, `timezone`",
        ),
        (
            "history?timezone=Asia/Beijing",
            "`timezone`: unknown time zone `Asia/Beijing`: the zone of that place is `Asia/Shanghai`",
        ),
        ("plan?reveal=true", "there is no parameter `reveal`"),
        ("plan?count=0", "`count`: expected a number from 1 to 10000"),
        ("plan?count=10001", "`count`: expected a number from 1 to 10000"),
        ("plan?job=nobody", "there is no job `nobody`"),
        ("plan?from=now&to=now-1h", "before"),
        ("plan?to=now%2B2h&count=3", "exclude each other"),
        ("plan?from=now&to=now%2B9601h", "more than 400 days apart"),
        ("plan?from=2026-01-01&to=2026-12-31", "more than 10000 occurrences"),
        ("plan?from=18:00", "`18:00` is not a time"),
        ("status?format=csv", "`format`: expected one of `json`, `table`, found `csv`"),
        ("status?verbose", "there is no parameter `verbose`: the parameters are `format`, `timezone`, `width`"),
        ("status?timezone=utc%0a", "`timezone`: unknown time zone `utc.`"),
        ("status?format=table&width=0", "`width`: expected a number from 1 to 10000, found `0`"),
        ("plan?timezone=local", "`timezone`: unknown time zone `local`"),
    ] {
        let answer = served.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert_eq!(keys(&answer.body), "error", "{path}");
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(words), "{path}: {error}");
    }
}

#[tokio::test]
async fn status_is_exactly_the_promised_object() {
    let served = Served::new().await;
    let start = now() - SignedDuration::from_mins(10);
    let mut ledger = served.ledger();
    write(&mut ledger, &on_air("evening", start));
    write(&mut ledger, &missed("film", start - SignedDuration::from_hours(20), Outcome::Missed(MissedReason::Down)));
    let answer = served.get("/api/v1/status").await;
    assert_eq!(answer.status, 200);
    let top = "health reasons warnings generation schedule clock on_air next pauses orphans recent_trouble findings watch_period_s queue rate";
    assert_eq!(keys(&answer.body), top);
    for (key, expected) in
        [("schedule", "jobs accepted_at rejected"), ("clock", "synchronised offset_ms held"), ("queue", "start stop describe")]
    {
        assert_eq!(keys(value_of(&answer.body, key)), expected);
    }
    let on_air_keys = format!("{HISTORY_KEYS} stop unseen_since unpulled_since");
    for (key, expected) in [("on_air", on_air_keys.as_str()), ("next", PLAN_KEYS), ("recent_trouble", HISTORY_KEYS)] {
        assert_eq!(keys(value_of(&answer.body, key).trim_start_matches('[')), expected, "{key}");
    }
    let status = answer.json();
    assert_eq!(status["health"], "ok");
    assert_eq!(status["reasons"], serde_json::json!([]));
    assert_eq!(status["warnings"], serde_json::json!([]));
    assert_eq!(status["generation"], 12);
    assert_eq!(status["schedule"], serde_json::json!({"jobs": 4, "accepted_at": "2026-11-22T08:00:00.000Z", "rejected": null}));
    assert_eq!(status["clock"], serde_json::json!({"synchronised": null, "offset_ms": null, "held": null}));
    assert_eq!(status["on_air"][0]["job"], "evening");
    assert_eq!(status["next"].as_array().map(Vec::len), Some(10));
    assert_eq!(status["orphans"], serde_json::json!([]));
    assert_eq!(status["recent_trouble"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["watch_period_s"], 30);
    assert_eq!(status["queue"], serde_json::json!({"start": 5, "stop": 4, "describe": 8}));
    served.status.send_modify(|status| *status.queue.of_mut(Action::Describe) = 7);
    assert_eq!(served.get("/api/v1/status").await.json()["queue"]["describe"], 7);
}

#[tokio::test]
async fn what_happens_is_seen_at_once() {
    let served = Served::new().await;
    let start = now() - SignedDuration::from_mins(1);
    let mut ledger = served.ledger();
    assert_eq!(served.get("/api/v1/status").await.json()["health"], "ok");
    let waiting = State::Waiting { until: now() + SignedDuration::from_secs(9), why: WaitReason::Retry };
    let fault = Some(fault(Some("InternalError.InternalError"), "try again"));
    write(&mut ledger, &Occurrence { state: waiting, attempts: 4, fault, ..armed("evening", start) });
    let status = served.get("/api/v1/status").await.json();
    assert_eq!(status["health"], "failing");
    let reason = "`evening` is off the air after 4 attempts: InternalError.InternalError (try again)";
    assert_eq!(status["reasons"], serde_json::json!([reason]));
    assert_eq!(status["recent_trouble"][0]["state"], "waiting");
}

#[tokio::test]
async fn a_schedule_that_was_rejected_is_shown_as_check_shows_it() {
    let problem =
        Diagnostic::error("unknown-key", "unknown key `reapet`").at(Place::file("live.yaml")).hint("did you mean `repeat`?");
    let served = Served::with(|in_force| in_force.rejected = [problem.clone()].into(), true).await;
    let status = served.get("/api/v1/status").await.json();
    assert_eq!(status["health"], "degraded");
    assert_eq!(status["schedule"]["rejected"], serde_json::json!([problem.json()]));
}

#[tokio::test]
async fn a_schedule_that_comes_into_force_is_seen_at_once() {
    let served = Served::new().await;
    let text = "timezone: UTC\njobs: {late: {app: main, at: '23:00', room: 9, stream: 'https://cdn.example.com/a.mp4', for: 1h}}\n";
    let schedule = std::sync::Arc::new(super::served::schedule(text, &ingestd::zones::Zones::newest()));
    served.in_force.send_modify(|in_force| in_force.generation = Generation { number: 13, schedule });
    let status = served.get("/api/v1/status").await.json();
    assert_eq!((&status["generation"], &status["schedule"]["jobs"]), (&13.into(), &1.into()));
    assert_eq!(served.get("/api/v1/plan?count=1").await.items()[0]["job"], "late");
    assert_eq!(served.get("/api/v1/plan?job=evening").await.status, 400);
}

#[tokio::test]
async fn without_a_readable_ledger_the_status_says_so_and_the_rest_is_unavailable() {
    let served = Served::with(|_| {}, false).await;
    let status = served.get("/api/v1/status").await;
    assert_eq!(status.status, 200);
    let object = status.json();
    assert_eq!(object["health"], "failing");
    assert!(
        object["reasons"][0].as_str().is_some_and(|reason| reason.starts_with("the ledger cannot be read: there is no ledger at"))
    );
    assert_eq!((&object["on_air"], &object["recent_trouble"]), (&().into(), &().into()));
    assert_eq!(object["next"].as_array().map(Vec::len), Some(10));
    let history = served.get("/api/v1/history").await;
    assert_eq!(history.status, 503);
    assert!(history.json()["error"].as_str().is_some_and(|error| error.contains("there is no ledger at")), "{}", history.body);
    assert_eq!(served.get("/api/v1/plan").await.status, 200);
}

#[tokio::test]
async fn the_text_for_people_comes_from_the_same_place() {
    let served = Served::new().await;
    write(&mut served.ledger(), &on_air("evening", now() - SignedDuration::from_mins(10)));
    let answer = served.get("/api/v1/status?format=table").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    for words in [
        "ok\n",
        "generation 12, accepted at 2026-11-22 16:00:00 +08:00: 4 jobs",
        "evening  main/lobby",
        "the cloud ends it at",
        ", zone data ",
    ] {
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
}

#[tokio::test]
async fn times_are_those_of_most_jobs_or_of_the_zone_that_is_named() {
    let served = Served::new().await;
    // Midnight of Shanghai, whatever the zone of this host is.
    let first = async |query: &str| {
        let items = served.get(&format!("/api/v1/plan?from=2026-11-22&count=1&job=jingle{query}")).await.items();
        items[0]["start"].as_str().expect("a start").to_owned()
    };
    assert_eq!(first("").await, "2026-11-22T01:00:00.000Z");
    assert_eq!(first("&timezone=America/New_York").await, "2026-11-22T05:00:00.000Z");
    write(&mut served.ledger(), &ended("evening", "2026-11-21T17:00:00Z".parse().expect("an instant")));
    for (query, count) in [("2026-11-22", 1), ("2026-11-22&timezone=UTC", 0)] {
        assert_eq!(served.get(&format!("/api/v1/history?since={query}")).await.items().len(), count, "{query}");
    }
    let text = served.get("/api/v1/status?format=table&timezone=America/New_York&width=40").await.body;
    assert!(text.contains("accepted at 2026-11-22\n      03:00:00 -05:00: 4 jobs\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let served = Served::new().await;
    let start = now() - SignedDuration::from_mins(10);
    let quoted = format!("cannot fetch {}", super::rows::STREAM);
    let state = State::Done { outcome: Outcome::Failed(ingestd::occurrence::Failure::Unreachable) };
    let mut ledger = served.ledger();
    write(&mut ledger, &Occurrence { state, fault: Some(fault(None, &quoted)), ..armed("evening", start) });
    for path in ["status", "status?format=table", "history", "plan?count=1&job=evening", "plan?count=1&job=film"] {
        let answer = served.get(&format!("/api/v1/{path}")).await;
        assert!(!answer.body.contains("hush"), "{path}: {}", answer.body);
        let shown = if path.contains("film") { "rtmp://live.example.com/app/" } else { "https://cdn.example.com/promo.mp4" };
        assert!(answer.body.contains(shown), "{path}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_are_all_answered() {
    let served = std::sync::Arc::new(Served::new().await);
    let mut ledger = served.ledger();
    for minute in 0..200 {
        write(&mut ledger, &ended("promo", now() - SignedDuration::from_mins(minute)));
    }
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..100 {
        let served = std::sync::Arc::clone(&served);
        let path = ["/api/v1/status", "/api/v1/history?limit=200", "/api/v1/plan?count=100"][number % 3];
        asking.spawn(async move { served.get(path).await.status });
    }
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.expect("no panic"), 200);
    }
}
