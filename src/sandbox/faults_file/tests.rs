//! Every key, every effect and every mistake of a fault file; nothing of what the rules do.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let read = read(&Arc::from("f.yaml"), text);
    read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_and_every_effect_is_read() {
    let text = "
media: {https://a.example/x.mp4: 1m30s}
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
";
    let read = read(&Arc::from("f.yaml"), text).unwrap();
    assert_eq!(read.media.by_url["https://a.example/x.mp4"], Duration::from_secs(90));
    let replace = |with, done| Effect::Replace { with, done };
    let error = replace(Instead::Error("InternalError.InternalError".to_owned()), true);
    let expected = [
        Rule::new(error).action(Action::Start).room("lobby").robot("r").after(1).every(2).times(3),
        Rule::new(replace(Instead::Status { status: 429, retry_after: Some(Duration::from_secs(3)) }, false)).action(Action::Stop),
        Rule::new(replace(Instead::Body("[]".to_owned()), false)).action(Action::Describe),
        Rule::new(replace(Instead::Hang, false)).probability(0.25, 7),
        Rule::new(replace(Instead::Cut, false)),
        Rule::new(replace(Instead::Cut, true)).room("42"),
        Rule::new(Effect::Delay(Duration::from_secs(2))),
        Rule::new(Effect::ColdDelay(Duration::from_millis(150))),
        Rule::new(Effect::Vanish(Duration::from_secs(20))),
    ];
    assert_eq!(format!("{:?}", read.faults), format!("{:?}", FaultPlan::new(expected.to_vec())));
}

#[test]
fn what_is_wrong_is_said_with_its_place_all_at_once() {
    for (text, expected) in [
        ("rules: []\n", "f.yaml:1:1: unknown key `rules` (the file holds `media` and `faults`)"),
        ("- delay: 2s\n", "f.yaml:1:1: the file must be a mapping, not a list"),
        ("faults: {delay: 2s}\n", "f.yaml:1:9: `faults` must be a list of rules, not a mapping"),
        ("faults:\n  - {action: start}\n", "f.yaml:2:5: this rule does nothing (give it one of error, "),
        ("faults:\n  - {delay: 2s, hang: true}\n", "f.yaml:2:17: this rule has `delay` already"),
        ("faults:\n  - {user: r, delay: 2s}\n", "f.yaml:2:6: unknown key `user` (a robot's user id is matched by `robot`)"),
        ("faults:\n  - {acton: start, delay: 2s}\n", "f.yaml:2:6: unknown key `acton` (a rule chooses with action, "),
        ("faults:\n  - {action: Start, delay: 2s}\n", "f.yaml:2:14: `action` must be `start`, `stop` or `describe`"),
        ("faults:\n  - {delay: 2}\n", "f.yaml:2:13: `delay` must be a duration above 0 and at most 600 s (durations are written"),
        ("faults:\n  - {delay: 0s}\n", "f.yaml:2:13: `delay` must be a duration above 0"),
        ("faults:\n  - {delay: 2s, done: true}\n", "f.yaml:2:17: `done` only goes with `error`, `status`, `body` or `hang`"),
        ("faults:\n  - {cut: after, done: true}\n", "f.yaml:2:18: `done` only goes with"),
        ("faults:\n  - {hang: true, retry_after: 1s}\n", "f.yaml:2:18: `retry_after` only goes with `status`"),
        ("faults:\n  - {status: 429, retry_after: 1500ms}\n", "f.yaml:2:32: `retry_after` must be whole seconds"),
        ("faults:\n  - {status: 200}\n", "f.yaml:2:14: `status` must be a whole number from 300 to 599"),
        ("faults:\n  - {cut: true}\n", "f.yaml:2:11: `cut` must be `before` or `after`"),
        ("faults:\n  - {hang: false}\n", "f.yaml:2:12: `hang` can only be `true`"),
        ("faults:\n  - {error: \"no such\"}\n", "f.yaml:2:13: `error` must be a code"),
        ("faults:\n  - {hang: true, probability: 0.5}\n", "f.yaml:2:31: `probability` needs a `seed`"),
        ("faults:\n  - {hang: true, probability: 2, seed: 1}\n", "f.yaml:2:31: `probability` must be a number from 0 to 1"),
        ("faults:\n  - {hang: true, seed: 1}\n", "f.yaml:2:18: `seed` only goes with `probability`"),
        ("faults:\n  - {vanish: 2s, action: stop}\n", "f.yaml:2:18: `action` only goes with an effect other than `vanish`"),
        ("faults:\n  - {hang: true, times: 0}\n", "f.yaml:2:25: `times` must be a whole number from 1 to"),
        ("media: {https://a.example/x: soon}\n", "f.yaml:1:30: a length must be a duration"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].starts_with(expected), "{text:?}: {found:?}");
    }
    assert_eq!(problems("faults:\n  - {delay: x}\n  - {status: 1}\nmore: 1\n").len(), 3);
    assert_eq!(problems(""), [""; 0]);
    assert_eq!(problems("faults: []\n"), [""; 0]);
}

#[test]
fn durations_are_read_as_schedules_write_them() {
    for (text, expected_ms) in [
        ("200ms", Some(200)),
        ("90s", Some(90_000)),
        ("1m30s", Some(90_000)),
        ("2h", Some(7_200_000)),
        ("1d", Some(86_400_000)),
        ("1s500ms", Some(1_500)),
        ("", None),
        ("90", None),
        ("s", None),
        ("1s1m", None),
        ("1s1s", None),
        ("-1s", None),
        ("1.5s", None),
        ("99999999999999999999s", None),
        ("9999999999999999999d", None),
    ] {
        assert_eq!(duration(text), expected_ms.map(Duration::from_millis), "{text:?}");
    }
}
