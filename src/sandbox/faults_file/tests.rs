//! Every key, every effect and every mistake of a fault file; nothing of what the rules do.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let read = read(&Arc::from("f.yaml"), text);
    read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_and_every_effect_is_read() {
    let text = "
media: {https://a.example/x.mp4: 1m30s, https://a.example/gone.mp4: unreachable, https://a.example/cam.mp4: {dies: 30s, heals: 2m}}
faults:
  - { action: start, room: lobby, robot: r, after: 1, every: 2, times: 3, error: InternalError.InternalError, done: true }
  - { action: stop, status: 429, retry_after: 3s }
  - { action: describe, body: \"[]\" }
  - { probability: 0.25, seed: 7, hang: true }
  - { cut: before }
  - { cut: after, room: \"42\" }
  - { delay: 2s }
  - { cold_delay: 150ms }
  - { vanish: 20s }
  - { action: stop, accept: true }
  - { event: started, late: 20s }
  - { event: failed, repeat: 2 }
  - { event: again, room: lobby, swap: true }
  - { event: stopped, times: 1, drop: true }
  - { action: start, stream: 'https://a.example/x.mp4', error: InvalidParameter.StreamUrl }
";
    let read = read(&Arc::from("f.yaml"), text).expect("no problem");
    assert_eq!(read.media.by_url["https://a.example/x.mp4"], Duration::from_secs(90));
    assert!(read.media.by_url.len() == 1 && read.media.unreachable.contains("https://a.example/gone.mp4"));
    let outage = MediaOutage { dies: Duration::from_secs(30), heals: Some(Duration::from_mins(2)) };
    assert_eq!(read.media.outages.into_iter().collect::<Vec<_>>(), [("https://a.example/cam.mp4".to_owned(), outage)]);
    let disturb = |disturbance| FaultRule::new(FaultEffect::Disturb(disturbance));
    let replace = |with, done| FaultEffect::Replace { with, done };
    let error = replace(Replacement::Error("InternalError.InternalError".to_owned()), true);
    let expected = [
        FaultRule::new(error).action(Action::Start).room("lobby").robot("r").after(1).every(2).times(3),
        FaultRule::new(replace(Replacement::Status { status: 429, retry_after: Some(Duration::from_secs(3)) }, false))
            .action(Action::Stop),
        FaultRule::new(replace(Replacement::Body("[]".to_owned()), false)).action(Action::Describe),
        FaultRule::new(replace(Replacement::Hang, false)).probability(0.25, 7),
        FaultRule::new(replace(Replacement::Cut, false)),
        FaultRule::new(replace(Replacement::Cut, true)).room("42"),
        FaultRule::new(FaultEffect::Delay(Duration::from_secs(2))),
        FaultRule::new(FaultEffect::ColdDelay(Duration::from_millis(150))),
        FaultRule::new(FaultEffect::Vanish(Duration::from_secs(20))),
        FaultRule::new(FaultEffect::Accept).action(Action::Stop),
        disturb(Disturbance::Late(Duration::from_secs(20))).event(TaskNews::Started),
        disturb(Disturbance::Repeat(2)).event(TaskNews::StartFailed),
        disturb(Disturbance::Swap).event(TaskNews::StartAgain).room("lobby"),
        disturb(Disturbance::Drop).event(TaskNews::Stopped).times(1),
        FaultRule::error("InvalidParameter.StreamUrl").action(Action::Start).stream("https://a.example/x.mp4"),
    ];
    assert_eq!(format!("{:?}", read.faults), format!("{:?}", FaultPlan::new(expected.to_vec())));
}

#[test]
fn what_is_wrong_is_said_with_its_place_all_at_once() {
    for (text, expected) in [
        (
            "media: {u: {dies: 2m, heals: 1m}}\n",
            "f.yaml:1:12: expected `heals` after `dies` (both are counted from when the sandbox began)",
        ),
        ("media: {u: {heals: 1m}}\n", "f.yaml:1:12: a `dies` is needed beside `heals`"),
        ("media: {u: {dyes: 1m}}\n", "f.yaml:1:13: unknown key `dyes` (did you mean `dies`?)"),
        ("rules: []\n", "f.yaml:1:1: unknown key `rules` (the keys here are media, faults)"),
        ("fault: []\n", "f.yaml:1:1: unknown key `fault` (did you mean `faults`?)"),
        ("- delay: 2s\n", "f.yaml:1:1: the file must be a mapping, not a list"),
        ("faults: {delay: 2s}\n", "f.yaml:1:9: `faults` must be a list of rules, not a mapping"),
        ("faults:\n  - delay\n", "f.yaml:2:5: a rule must be a mapping, not a value"),
        ("faults:\n  - {action: start}\n", "f.yaml:2:5: this rule has no effect (give it one of error, "),
        ("faults:\n  - {delay: 2s, hang: true}\n", "f.yaml:2:17: this rule has `delay` already"),
        ("faults:\n  - {user: r, delay: 2s}\n", "f.yaml:2:6: unknown key `user` (did you mean `robot`?)"),
        ("faults:\n  - {acton: start, delay: 2s}\n", "f.yaml:2:6: unknown key `acton` (did you mean `action`?)"),
        (
            "faults:\n  - {action: Start, delay: 2s}\n",
            "f.yaml:2:14: `action`: expected `start`, `stop` or `describe`, found `Start`",
        ),
        ("faults:\n  - {delay: 2}\n", "f.yaml:2:13: `delay`: expected a duration such as `90s`, found `2`"),
        ("faults:\n  - {delay: 0s}\n", "f.yaml:2:13: `delay`: expected a duration from 1ms to 10m, found `0s`"),
        ("faults:\n  - {cold_delay: 11m}\n", "f.yaml:2:18: `cold_delay`: expected a duration from 1ms to 10m, found `11m`"),
        ("faults:\n  - {delay: 2s, done: true}\n", "f.yaml:2:17: `done` only goes with `error`, `status`, `body` or `hang`"),
        ("faults:\n  - {cut: after, done: true}\n", "f.yaml:2:18: `done` only goes with"),
        ("faults:\n  - {hang: true, done: maybe}\n", "f.yaml:2:24: `done`: expected `true` or `false`"),
        ("faults:\n  - {hang: true, retry_after: 1s}\n", "f.yaml:2:18: `retry_after` only goes with `status`"),
        ("faults:\n  - {status: 429, retry_after: 1500ms}\n", "f.yaml:2:32: `retry_after`: expected whole seconds, found 1s500ms"),
        ("faults:\n  - {status: 200}\n", "f.yaml:2:14: `status`: expected a whole number from 300 to 599, found `200`"),
        ("faults:\n  - {cut: true}\n", "f.yaml:2:11: `cut`: expected `before` or `after`, found `true`"),
        ("faults:\n  - {hang: false}\n", "f.yaml:2:12: `hang`: expected `true`, found `false`"),
        (
            "faults:\n  - {error: \"no such\"}\n",
            "f.yaml:2:13: `error`: expected a code such as `InternalError.InternalError`, found `no such`",
        ),
        ("faults:\n  - {hang: true, probability: 0.5}\n", "f.yaml:2:31: `probability`: a `seed` is needed (write `seed: 1`"),
        (
            "faults:\n  - {hang: true, probability: 2, seed: 1}\n",
            "f.yaml:2:31: `probability`: expected a number from 0 to 1, found `2`",
        ),
        ("faults:\n  - {hang: true, seed: 1}\n", "f.yaml:2:18: `seed` only goes with `probability`"),
        ("faults:\n  - {vanish: 2s, action: stop}\n", "f.yaml:2:18: `action` only goes with an effect other than `vanish`"),
        ("faults:\n  - {drop: true, action: stop}\n", "f.yaml:2:18: `action` only goes with an effect on requests"),
        ("faults:\n  - {hang: true, event: stopped}\n", "f.yaml:2:18: `event` only goes with `late`, `repeat`, `swap` or `drop`"),
        (
            "faults:\n  - {drop: true, event: ended}\n",
            "f.yaml:2:25: `event`: expected `started`, `failed`, `again` or `stopped`, found `ended`",
        ),
        ("faults:\n  - {repeat: 0}\n", "f.yaml:2:14: `repeat`: expected a whole number from 1 to 100, found `0`"),
        ("faults:\n  - {late: 11m}\n", "f.yaml:2:12: `late`: expected a duration from 1ms to 10m, found `11m`"),
        ("faults:\n  - {hang: true, times: 0}\n", "f.yaml:2:25: `times`: expected a whole number from 1 to"),
        ("media: {https://a.example/x: soon}\n", "f.yaml:1:30: `media`: expected a duration such as `90s`, found `soon`"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].starts_with(expected), "{text:?}: {found:?}");
    }
    assert_eq!(problems("faults:\n  - {delay: x}\n  - {status: 1}\nmore: 1\n").len(), 3);
    assert_eq!(problems(""), [""; 0]);
    assert_eq!(problems("faults: []\n"), [""; 0]);
}
