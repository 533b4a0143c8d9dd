//! Which requests a rule fires for, in what order, and how often. Does not know what the sandbox then does.

use super::*;

const START: RequestView<'static> =
    RequestView { action: Some(Action::Start), event: None, room: Some("lobby"), robot: Some("r"), stream: Some("https://h/a") };
const STOP: RequestView<'static> =
    RequestView { action: Some(Action::Stop), event: None, room: Some("hall"), robot: Some("r"), stream: None };

fn fired(rule: FaultRule, views: &[&RequestView<'_>]) -> Vec<bool> {
    let mut plan = FaultPlan::new(vec![rule]);
    views.iter().map(|view| plan.apply(view).replace.is_some()).collect()
}

#[test]
fn a_rule_counts_what_it_matches() {
    let rule = || FaultRule::error("InternalError");
    for (name, rule, expected) in [
        ("always", rule(), [true, true, true, true, true, true]),
        ("action", rule().action(Action::Start), [true, false, true, false, true, false]),
        ("room", rule().room("hall"), [false, true, false, true, false, true]),
        ("robot", rule().robot("other"), [false; 6]),
        ("stream", rule().stream("https://h/a"), [true, false, true, false, true, false]),
        ("times", rule().times(2), [true, true, false, false, false, false]),
        ("after", rule().after(4), [false, false, false, false, true, true]),
        ("every", rule().every(3), [false, false, true, false, false, true]),
        ("after and every", rule().after(1).every(2), [false, false, true, false, true, false]),
        ("all of them", rule().action(Action::Start).after(1).times(1), [false, false, true, false, false, false]),
        ("never by chance", rule().probability(0.0, 7), [false; 6]),
        ("always by chance", rule().probability(1.0, 7), [true; 6]),
    ] {
        assert_eq!(fired(rule, &[&START, &STOP, &START, &STOP, &START, &STOP]), expected, "{name}");
    }
}

#[test]
fn a_seed_draws_the_same_row_each_time() {
    let row = |seed| fired(FaultRule::error("x").probability(0.3, seed), &[&START; 1000]);
    assert_eq!(row(1), row(1));
    assert_ne!(row(1), row(2));
    let hits = row(1).iter().filter(|hit| **hit).count();
    assert!((250..350).contains(&hits), "{hits} of 1000 at 0.3");
}

#[test]
fn delays_and_vanishing_pass_the_request_on_and_an_answer_ends_the_walk() {
    let mut plan = FaultPlan::new(vec![
        FaultRule::new(FaultEffect::Delay(Duration::from_secs(2))),
        FaultRule::new(FaultEffect::Delay(Duration::from_secs(9))),
        FaultRule::new(FaultEffect::Vanish(Duration::from_secs(20))),
        FaultRule::new(FaultEffect::ColdDelay(Duration::from_millis(150))).times(1),
        FaultRule::error("first").times(1),
        FaultRule::error("second").times(1),
    ]);
    let injected = plan.apply(&START);
    assert_eq!(injected.delay, Duration::from_secs(2));
    assert_eq!(injected.vanish, Some(Duration::from_secs(20)));
    assert_eq!(injected.replace, Some((Replacement::Error("first".to_owned()), false)));
    assert_eq!(plan.apply(&STOP).replace, Some((Replacement::Error("second".to_owned()), false)));
    let third = plan.apply(&STOP);
    assert_eq!((third.replace, third.vanish), (None, None));
    assert_eq!(plan.cold_delay(&STOP), Duration::from_millis(150));
    assert_eq!(plan.cold_delay(&STOP), Duration::ZERO);
}

#[test]
fn callbacks_and_requests_do_not_see_each_others_rules() {
    let disturb = |disturbance| FaultRule::new(FaultEffect::Disturb(disturbance));
    let mut plan = FaultPlan::new(vec![
        disturb(Disturbance::Drop).event(TaskNews::Stopped).times(1),
        FaultRule::error("InternalError").after(1),
        disturb(Disturbance::Repeat(2)).robot("r").after(1),
    ]);
    let news = |event| RequestView { event: Some(event), action: None, ..START };
    assert_eq!(plan.apply(&START).replace, None);
    assert_eq!(plan.disturb(&news(TaskNews::Started)), None);
    assert_eq!(plan.disturb(&news(TaskNews::Stopped)), Some(Disturbance::Drop));
    assert_eq!(plan.disturb(&news(TaskNews::Stopped)), Some(Disturbance::Repeat(2)));
    assert!(plan.apply(&START).replace.is_some());
}
