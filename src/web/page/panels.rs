//! The lists: what needs somebody, what is on air, what comes next, what went wrong lately. Times are drawn so that a script can count them
//! down. It does not know where the items come from.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::html::Html;
use super::view::View;
use crate::report::rundown::{NextItem, OnAirItem, Rundown, TroubleItem};
use crate::report::status::Health;
use crate::report::time::{brief_beside, wall_beside};

/// How many things need somebody: what is only to be known is none.
pub(super) fn wrong(rundown: &Rundown) -> usize {
    rundown.needs.iter().filter(|need| need.weight != Health::Ok).count()
}

/// The title of the window: trouble first, for whoever looks at a row of tabs.
pub(super) fn title(rundown: &Rundown, view: &View) -> String {
    let wrong = wrong(rundown);
    let mark = if wrong > 0 { format!("({wrong}) ") } else { String::new() };
    format!("{mark}ingestd · {}", view.language.pick("rundown", "时间表"))
}

/// The head of a list, with how many are in it.
fn heading(html: &mut Html, id: &'static str, word: &str, count: Option<usize>) {
    html.raw("<section class=\"card\" id=\"")
        .raw(id)
        .raw("\" aria-labelledby=\"t-")
        .raw(id)
        .raw("\"><h2 id=\"t-")
        .raw(id)
        .raw("\">");
    html.text(word);
    if let Some(count) = count {
        html.raw(" <b>").value(count).raw("</b>");
    }
    html.raw("</h2>");
}

/// What is wrong now.
pub(super) fn needs(rundown: &Rundown, view: &View) -> String {
    let language = view.language;
    let mut html = Html::new();
    if rundown.needs.is_empty() {
        html.raw("<section class=\"card calm\" id=\"p-needs\"><h2>").text(language.pick("Nothing needs you", "一切正常"));
        html.raw("</h2></section>");
        return html.into_string();
    }
    let wrong = wrong(rundown);
    let word =
        if wrong > 0 { language.pick("Needs you", "需要处理") } else { language.pick("Nothing needs you", "一切正常") };
    heading(&mut html, "p-needs", word, (wrong > 0).then_some(wrong));
    for need in &rundown.needs {
        html.raw("<div class=\"need ").text(need.weight.name()).raw("\"><p lang=\"en\"><b>");
        html.text(match need.weight {
            Health::Failing => language.pick("failing", "故障"),
            Health::Degraded => language.pick("degraded", "降级"),
            Health::Ok => language.pick("to know", "提示"),
        });
        html.raw("</b> ").ticked(&need.what).raw("</p>");
        if let Some(advice) = &need.advice {
            html.raw("<p class=\"do\" lang=\"en\">").ticked(advice).raw("</p>");
        }
        if let Some(drawn) = &need.drawn {
            html.raw("<pre lang=\"en\" tabindex=\"0\">").lines(drawn).raw("</pre>");
        }
        html.raw("<p class=\"d\">");
        if let Some(command) = &need.command {
            html.raw("<code>").text(command).raw("</code> ");
        }
        if let (Some(job), Some(start)) = (&need.job, &need.start)
            && let Ok(start) = start.parse::<Timestamp>()
        {
            html.raw("<a class=\"story\" href=\"").text(&view.story(job, start)).raw("\">");
            html.text(language.pick("its story", "经过")).raw("</a>");
        }
        html.raw("</p></div>");
    }
    html.raw("</section>");
    html.into_string()
}

/// How long it is until a time, for those without a script: in minutes, so that the page changes no more often.
fn minutes(milliseconds: i64) -> String {
    let minutes = milliseconds.abs() / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "< 1 min".to_owned(),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// A length of time: `1:52:18`, `22:18`, `0:24`.
fn countdown(milliseconds: i64) -> String {
    let seconds = milliseconds.abs() / 1_000;
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{rest:02}"),
        (0, hours) => format!("{hours}:{minutes:02}:{rest:02}"),
        (days, hours) => format!("{days} d {hours:02}:{minutes:02}"),
    }
}

/// A time that counts down, and the time of day beside it; a click makes the one of them large that is small.
fn when(html: &mut Html, at: Option<Timestamp>, words: (&str, &str, &str), rundown: &Rundown, view: &View, zone: &TimeZone) {
    let (before, over, none) = words;
    html.raw("<span class=\"n\">");
    let Some(at) = at else {
        html.raw("<small>").text(none).raw("</small></span>");
        return;
    };
    // From the minute of now on, so that all of them become others at one time.
    let left = at.as_millisecond() - rundown.now.as_millisecond();
    let minutes = minutes(at.as_millisecond() - rundown.now.as_millisecond().div_euclid(60_000) * 60_000);
    html.raw("<button type=\"button\" class=\"flip\" title=\"")
        .text(view.language.pick("Countdown or time of day", "倒计时或时刻"));
    html.raw("\"><time class=\"left\" data-at=\"").value(at.as_millisecond()).raw("\" data-before=\"").text(before);
    html.raw("\" data-over=\"").text(over).raw("\">").text(if left < 0 { over } else { before }).text(&minutes).raw("</time>");
    html.raw("<time class=\"day\">").text(&brief_beside(at, rundown.now, zone)).raw("</time></button></span>");
}

/// What is on air.
pub(super) fn on_air(rundown: &Rundown, view: &View, zone: &TimeZone) -> String {
    let language = view.language;
    let mut html = Html::new();
    heading(&mut html, "p-air", language.pick("On air", "正在播出"), rundown.on_air.as_ref().map(Vec::len));
    match &rundown.on_air {
        None => none(&mut html, language.pick("not known: the ledger cannot be read", "未知：无法读取记录")),
        Some(items) if items.is_empty() => none(&mut html, language.pick("nothing", "无")),
        Some(items) => {
            html.raw("<ul class=\"items\">");
            for item in items {
                air(&mut html, item, rundown, view, zone);
            }
            html.raw("</ul>");
        }
    }
    html.raw("</section>");
    html.into_string()
}

fn none(html: &mut Html, word: &str) {
    html.raw("<p class=\"d\">").text(word).raw("</p>");
}

fn air(html: &mut Html, item: &OnAirItem, rundown: &Rundown, view: &View, zone: &TimeZone) {
    let language = view.language;
    html.raw("<li><span class=\"dot").text(if item.is_troubled { " w" } else { "" }).raw("\" aria-hidden=\"true\"></span>");
    html.raw("<span class=\"what\"><a class=\"story\" href=\"").text(&view.story(&item.job, item.start)).raw("\"><b>");
    html.text(&item.job).raw("</b></a> <small><bdi>").text(&item.room).raw("</bdi></small></span>");
    let words = ("", language.pick("over ", "超时 "), language.pick("no end", "无结束"));
    when(html, item.until, words, rundown, view, zone);
    html.raw("<span class=\"more\">").text(&item.text).raw("</span>");
    html.raw("<small class=\"more\">").text(language.pick("robot ", "机器人 ")).text(&item.robot);
    if let Some(since) = item.since {
        html.raw(" · ").text(language.pick("since ", "自 ")).text(&wall_beside(since, rundown.now, zone));
    }
    html.raw(" · ").text(&language.attempts(item.attempts));
    if let Some(under) = item.under_ms {
        html.raw(" · ").text(language.pick("media under by ", "媒体不足 ")).text(&countdown(under));
    }
    if let Some(bound) = item.bound {
        html.raw(" · ").text(language.pick("cloud ends it ", "云端上限 ")).text(&brief_beside(bound, rundown.now, zone));
    }
    if let Some(task) = &item.task {
        html.raw(" · <span class=\"task\">").text(task).raw("</span>");
    }
    html.raw("</small></li>");
}

/// What comes next.
pub(super) fn next(rundown: &Rundown, view: &View, zone: &TimeZone) -> String {
    let language = view.language;
    let mut html = Html::new();
    heading(&mut html, "p-next", language.pick("Next", "即将播出"), None);
    match &rundown.next {
        None => none(&mut html, language.pick("not known", "未知")),
        Some(items) if items.is_empty() => none(&mut html, language.pick("nothing is planned", "没有计划")),
        Some(items) => {
            html.raw("<ul class=\"items\">");
            for item in items {
                coming(&mut html, item, rundown, view, zone);
            }
            html.raw("</ul>");
        }
    }
    html.raw("</section>");
    html.into_string()
}

fn coming(html: &mut Html, item: &NextItem, rundown: &Rundown, view: &View, zone: &TimeZone) {
    let language = view.language;
    html.raw("<li><span class=\"dot ").text(if item.is_held { "held" } else { "plan" }).raw("\" aria-hidden=\"true\"></span>");
    html.raw("<span class=\"what\"><a class=\"story\" href=\"").text(&view.story(&item.job, item.start)).raw("\"><b>");
    html.text(&item.job).raw("</b></a> <small><bdi>").text(&item.room).raw("</bdi></small>");
    if let Some(about) = &item.about {
        html.raw(" <small>").text(about).raw("</small>");
    }
    html.raw("</span>");
    when(html, Some(item.start), (language.pick("in ", ""), language.pick("due ", "已到 "), ""), rundown, view, zone);
    html.raw("<small class=\"more\">");
    if let Some(end) = item.end {
        html.text(language.pick("to ", "至 ")).text(&brief_beside(end, rundown.now, zone));
    }
    if let Some(under) = item.under_ms {
        html.raw(if item.end.is_some() { " · " } else { "" });
        html.text(language.pick("media under by ", "媒体不足 ")).text(&countdown(under));
    }
    if !item.note.is_empty() {
        html.raw(if item.end.is_some() || item.under_ms.is_some() { " · " } else { "" });
        html.raw("<span lang=\"en\">").text(&item.note).raw("</span>");
    }
    html.raw("</small></li>");
}

/// What went wrong lately.
pub(super) fn lately(rundown: &Rundown, view: &View) -> String {
    let language = view.language;
    let mut html = Html::new();
    heading(&mut html, "p-lately", language.pick("Trouble in the last 24 hours", "近 24 小时的问题"), None);
    if rundown.lately.is_empty() {
        none(&mut html, language.pick("none", "无"));
    } else {
        html.raw("<ul class=\"items\">");
        for item in &rundown.lately {
            past(&mut html, item, view);
        }
        html.raw("</ul>");
    }
    html.raw("</section>");
    html.into_string()
}

fn past(html: &mut Html, item: &TroubleItem, view: &View) {
    html.raw("<li><span class=\"dot bad\" aria-hidden=\"true\"></span><span class=\"what\"><a class=\"story\" href=\"");
    html.text(&view.story(&item.job, item.start))
        .raw("\"><b>")
        .text(&item.job)
        .raw("</b></a> <span lang=\"en\">")
        .text(&item.result);
    html.raw("</span></span><span class=\"n\"><time class=\"day\">").text(&item.at).raw("</time></span>");
    html.raw("<small class=\"more\">").text(&item.room).raw(" · ").text(&view.language.attempts(item.attempts));
    if let Some(error) = &item.error {
        html.raw(" · <span lang=\"en\">").text(error).raw("</span>");
    }
    if let Some(request) = &item.request_id {
        html.raw(" · <span class=\"task\">").text(request).raw("</span>");
    }
    html.raw("</small>");
    if let Some(advice) = &item.advice {
        html.raw("<small class=\"more do\" lang=\"en\">").ticked(advice).raw("</small>");
    }
    html.raw("</li>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_is_as_short_as_it_can_be_read() {
        for (milliseconds, expected) in [
            (0, "0:00"),
            (24_999, "0:24"),
            (-24_000, "0:24"),
            (1_338_000, "22:18"),
            (6_738_000, "1:52:18"),
            (90_000_000, "1 d 01:00"),
        ] {
            assert_eq!(countdown(milliseconds), expected);
        }
    }
}
