//! The story of one occurrence as a page: what `why` says about its start, and everything that the ledger has of it, in the order in which it
//! happened. The commands that change it are shown to be typed. It does not know the rules.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::document::beginning;
use super::html::Html;
use super::view::{View, station_day};
use crate::diagnostic::escape_lines;
use crate::ledger::Reader;
use crate::occurrence::{Key, State};
use crate::plan::interruptions::Interruptions;
use crate::plan::why::{Question, why};
use crate::report::story::{EventKind, Story, StoryEvent};
use crate::report::time::{parse_time, wall, wall_beside};
use crate::report::why::WhyInput;
use crate::schedule::JobId;
use crate::web::PageState;
use crate::web::query::{Query, clip};
use crate::web::views::Refused;

/// The page of the occurrence that the parameters name.
pub(super) fn page(shared: &PageState, view: &View, query: &Query, now: Timestamp) -> Result<String, Refused> {
    let (Some(id), Some(start)) = (query.text("job"), query.text("start")) else {
        return Err(Refused::BadRequest("`job` and `start` name an occurrence".to_owned()));
    };
    let job = JobId::parse(id).ok_or_else(|| format!("`{}` is not a job id", clip(id)))?;
    let start = parse_time(start, now, &TimeZone::UTC)?;
    let zone = view.shown_zone(&station_day(shared));
    let reader = Reader::open_at(&shared.app_state.ledger)?;
    let key = Key { start, job };
    let story = reader.at_one_moment(|reader| {
        let Some(row) = reader.occurrence(key.job.as_str(), start)? else { return Ok(None) };
        let (calls, tasks) = (reader.calls_of(&key)?, reader.tasks_of(&key)?);
        let is_over = matches!(row.state, State::Done { .. });
        Ok(Some((Story::new(&row, &calls, &tasks), is_over)))
    })?;
    let reasons = reasons(shared, &reader, &key, &zone, now)?;
    if story.is_none() && reasons.is_none() {
        return Err(Refused::BadRequest(format!("there is no job `{}` in the schedule, and no row of it in the ledger", clip(id))));
    }
    let language = view.language;
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"").text(language.tag()).raw("\">");
    beginning(&mut html, &format!("{} · ingestd", key.job), false);
    html.raw("<body class=\"alone\"><main><article id=\"story\" class=\"card told\"><h1><bdi>").text(key.job.as_str());
    html.raw("</bdi> <small>").text(&wall(start, &zone)).raw("</small></h1>");
    if let Some(text) = &reasons {
        html.raw("<pre lang=\"en\" tabindex=\"0\">").lines(text).raw("</pre>");
    }
    if let Some((story, _)) = &story {
        told(&mut html, story, view, &zone);
    }
    commands(&mut html, &key, story.as_ref().is_some_and(|(_, is_over)| *is_over), view, now);
    let mut rest = String::new();
    view.rest(&mut rest);
    html.raw("<p class=\"back\"><a href=\"/?").text(rest.trim_start_matches('&')).raw("\">");
    html.text(language.pick("Back to the rundown", "返回时间表")).raw("</a></p></article></main></body></html>\n");
    Ok(html.into_string())
}

/// What `why` says about the start, in its words; none, if the schedule has no such job.
fn reasons(shared: &PageState, reader: &Reader, key: &Key, zone: &TimeZone, now: Timestamp) -> Result<Option<String>, Refused> {
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let Some(job) = schedule.job(key.job.as_str()) else { return Ok(None) };
    let Some(why) = why(&schedule, job, Question::At(key.start), zone) else { return Ok(None) };
    let record = reader.at_one_moment(|reader| crate::ledger::record_of(reader, &why, now))?;
    let interruptions = Interruptions::new(&schedule).with_holds(&record.holds, now);
    let secrets = shared.app_state.status.borrow().secrets;
    let input = WhyInput { why: &why, interruptions: &interruptions, record: Ok(&record), secrets, now };
    Ok(Some(escape_lines(&input.text(None)).into_owned()))
}

fn told(html: &mut Html, story: &Story, view: &View, zone: &TimeZone) {
    let language = view.language;
    let row = &story.row;
    html.raw("<h2>").text(language.pick("What happened", "经过")).raw("</h2><ol class=\"events\">");
    let start: Timestamp = row.start.parse().unwrap_or_default();
    for event in &story.events {
        happened(html, event, start, view, zone);
    }
    html.raw("</ol><h2>").ticked(language.pick("As `history` has it", "记录")).raw("</h2><dl>");
    let late = row.late_ms.map(|late| format!("{late} ms"));
    let facts: [(&str, Option<String>); 9] = [
        (language.pick("state", "状态"), Some(row.outcome.unwrap_or(row.state).to_owned())),
        (language.pick("reason", "原因"), row.reason.clone()),
        (language.pick("room", "房间"), Some(format!("{}/{}", row.app, row.room))),
        (language.pick("robot", "机器人"), Some(row.robot.clone())),
        (language.pick("stream", "流"), Some(row.stream.clone())),
        (language.pick("lateness", "延迟"), late),
        (language.pick("attempts", "请求次数"), Some(row.attempts.to_string())),
        (language.pick("seen", "证据"), row.evidence.map(str::to_owned)),
        (language.pick("generation", "节目表版本"), Some(row.generation.to_string())),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            html.raw("<div><dt>").text(name).raw("</dt><dd>").text(&value).raw("</dd></div>");
        }
    }
    html.raw("</dl>");
}

fn happened(html: &mut Html, event: &StoryEvent, start: Timestamp, view: &View, zone: &TimeZone) {
    let language = view.language;
    let (mark, class, word) = match event.kind {
        EventKind::Planned => ("◷", "note", language.pick("planned", "计划")),
        EventKind::Accepted => ("✓", "good", language.pick("accepted", "已接受")),
        EventKind::Refused => ("✕", "bad", language.pick("refused", "被拒绝")),
        EventKind::Unanswered => ("?", "doubt", language.pick("in doubt", "存疑")),
        EventKind::Unsent => ("·", "note", language.pick("not sent", "未发送")),
        EventKind::OnAir => ("●", "good", language.pick("on air", "播出")),
        EventKind::Gone => ("■", "note", language.pick("off", "下播")),
        EventKind::Note => ("·", "note", language.pick("noted", "记录")),
    };
    html.raw("<li class=\"").text(class).raw("\"><time>");
    if let Some(at) = event.at {
        html.text(&wall_beside(at, start, zone));
        let after = at.as_millisecond() - start.as_millisecond();
        if (1..60_000).contains(&after) {
            html.raw(" <small>+").value(after).raw(" ms</small>");
        }
    }
    html.raw("</time><span class=\"mark-word\"><span aria-hidden=\"true\">").text(mark).raw("</span> ").text(word).raw("</span>");
    html.raw("<span lang=\"en\">").text(&event.what);
    if let Some(took) = event.took_ms {
        html.raw(" <small>").value(took).raw(" ms</small>");
    }
    if let Some(detail) = &event.detail {
        html.raw("<br><span class=\"detail\">").text(detail).raw("</span>");
    }
    if let Some(request) = &event.request_id {
        html.raw("<br><small class=\"task\">RequestId ").text(request).raw("</small>");
    }
    html.raw("</span></li>");
}

/// What an operator may type about it.
fn commands(html: &mut Html, key: &Key, is_over: bool, view: &View, now: Timestamp) {
    let job = key.job.as_str();
    html.raw("<h2>").text(view.language.pick("To type", "可用命令")).raw("</h2><p class=\"commands\"><code>ingestd why ").text(job);
    html.raw(" --at ").value(key.start).raw("</code>");
    if key.start > now {
        html.raw(" <code>ingestd skip ").text(job).raw(" --at ").value(key.start).raw("</code>");
    } else if !is_over {
        html.raw(" <code>ingestd stop ").text(job).raw("</code>");
    }
    html.raw(" <code>ingestd history --job ").text(job).raw("</code></p>");
}
