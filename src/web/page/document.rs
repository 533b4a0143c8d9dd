//! The document around the parts: the head with health, clock and zone, the ways to other views, the shapes that bars use. It does not know
//! what the parts show.

use jiff::tz::TimeZone;

use super::assets::EDITION;
use super::data::{Made, days_beside};
use super::html::Html;
use super::panels;
use super::parts::Rendered;
use super::timeline;
use super::view::View;
use crate::report::rundown::{Anchor, Language, Zoom};
use crate::report::status::Health;
use crate::report::time::zone_name;

/// Shapes that bars use, drawn once.
const SHAPES: &str = "<svg class=\"shapes\" aria-hidden=\"true\" focusable=\"false\"><defs>\
    <pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <rect class=\"ground\" width=\"7\" height=\"7\"/><line class=\"stroke\" y2=\"7\"/></pattern>\
    <path id=\"cut\" class=\"mark\" d=\"M1,0 h-1 l-5,4.67 5,4.67 -5,4.67 5,4.67 -5,4.67 5,4.65 h1z\"/>\
    <path id=\"late\" class=\"mark\" d=\"M0,0 h9 L0,28z\"/>\
    <path id=\"heal\" class=\"mark\" d=\"M-5,0 h10 l-5,7z\"/>\
    <path id=\"open\" class=\"mark-line\" d=\"M-11,9 l5,5 -5,5 M-6,9 l5,5 -5,5\"/></defs></svg>";

/// The whole page.
pub(super) fn document(rendered: &Rendered, view: &View) -> String {
    let language = view.language;
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"").text(language.tag()).raw("\" data-version=\"").text(&rendered.name());
    html.raw("\" data-now=\"").value(rendered.now.as_millisecond()).raw("\" data-from=\"").value(rendered.from.as_millisecond());
    html.raw("\" data-to=\"").value(rendered.to.as_millisecond()).raw("\" data-view=\"").text(&view.key());
    html.raw("\" data-edition=\"").text(&EDITION).raw("\">");
    beginning(&mut html, &rendered.title, true);
    html.raw("<body>");
    html.raw("<a class=\"skip\" href=\"#lists\">").text(language.pick("Skip the rundown", "跳过时间表")).raw("</a>");
    html.raw(SHAPES);
    html.raw("<header><div class=\"head\">");
    let mut out = html.into_string();
    out.push_str(rendered.part("p-head"));
    // What is read out when it becomes another: only what is in these two is replaced, not they.
    out.push_str("<span role=\"status\">");
    out.push_str(rendered.part("p-health"));
    out.push_str("</span>");
    out.push_str(&live(view).into_string());
    out.push_str("</div>");
    out.push_str(rendered.part("p-ways"));
    out.push_str("</header><main>");
    out.push_str(&rundown(rendered, view));
    out.push_str("<div id=\"lists\" class=\"lists\">");
    for part in ["p-needs", "p-air", "p-next", "p-lately"] {
        out.push_str(rendered.part(part));
    }
    out.push_str("</div><div class=\"plots\">");
    for part in ["p-late", "p-rate", "p-day"] {
        out.push_str(rendered.part(part));
    }
    out.push_str("</div></main>");
    out.push_str(rendered.part("p-foot"));
    out.push_str("</body></html>\n");
    out
}

/// The beginning of every document: what it loads, and where it is looked at again without scripts.
pub(super) fn beginning(html: &mut Html, title: &str, reloads: bool) {
    html.raw("<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"><title>").text(title).raw("</title>");
    html.raw("<link rel=\"icon\" href=\"/page/icon.svg\"><link rel=\"stylesheet\" href=\"/page/rundown.css?").text(&EDITION);
    html.raw("\"><script defer src=\"/page/rundown.js?").text(&EDITION).raw("\"></script>");
    if reloads {
        html.raw("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>");
    }
    html.raw("</head>");
}

/// The first line: who, when, where.
pub(super) fn head(made: &Made, view: &View) -> String {
    let rundown = &made.rundown;
    let language = view.language;
    let zone = view.shown_zone(&made.day);
    let now = rundown.now.to_zoned(zone.clone());
    let mut html = Html::new();
    html.raw("<div id=\"p-head\" class=\"as-one\"><h1>ingestd</h1>");
    // The minute is enough for whoever has no script: with one, the seconds run.
    html.raw("<time id=\"clock\" class=\"clock\" data-offset=\"").value(zone.to_offset(rundown.now).seconds()).raw("\">");
    html.value(now.strftime("%H:%M")).raw("</time><span class=\"zone\"><b>").text(language.weekday(now.weekday()));
    html.raw(" ").value(now.date()).raw("</b> ").text(zone_name(&zone)).raw(" (").value(now.strftime("%:z"));
    html.raw(")<span id=\"yours\"></span></span></div>");
    html.into_string()
}

/// How it stands, and how much needs somebody.
pub(super) fn health(made: &Made, view: &View) -> String {
    let rundown = &made.rundown;
    let language = view.language;
    let (mark, word) = match rundown.health {
        Health::Ok => ("●", language.pick("ok", "正常")),
        Health::Degraded => ("▲", language.pick("degraded", "降级")),
        Health::Failing => ("■", language.pick("failing", "故障")),
    };
    let mut html = Html::new();
    html.raw("<a id=\"p-health\" href=\"#p-needs\" class=\"chip ").text(rundown.health.name());
    html.raw("\"><span aria-hidden=\"true\">");
    html.text(mark).raw("</span> ").text(word);
    let wrong = panels::wrong(rundown);
    if wrong > 0 {
        html.raw(" · ").value(wrong).text(language.pick(if wrong == 1 { " needs you" } else { " need you" }, " 项需处理"));
    }
    html.raw("</a>");
    html.into_string()
}

/// Whether the page follows the daemon: a script fills it in.
fn live(view: &View) -> Html {
    let language = view.language;
    let mut html = Html::new();
    html.raw("<span id=\"live\" class=\"live\" role=\"status\" data-live=\"").text(language.pick("live", "实时"));
    html.raw("\" data-polls=\"").text(language.pick("every 5 s", "每 5 秒")).raw("\" data-lost=\"");
    html.text(language.pick("old: no answer since", "已过时：无响应，自")).raw("\"></span>");
    html
}

/// The ways to other views.
pub(super) fn ways(made: &Made, view: &View) -> String {
    let language = view.language;
    let range = made.rundown.from..made.rundown.to;
    let (before_today, after_today) = days_beside(&made.day, made.rundown.now);
    let mut html = Html::new();
    html.raw("<nav id=\"p-ways\" aria-label=\"").text(language.pick("Range", "时间范围")).raw("\">");
    way(&mut html, view.zoom.smaller().map(|zoom| view.query(zoom, view.anchor)), "+", language.pick("Zoom in", "放大"), false);
    for (zoom, word) in [
        (Zoom::Minutes, language.pick("3 min", "3 分")),
        (Zoom::Hour, language.pick("Hour", "1 小时")),
        (Zoom::Hours, language.pick("6 h", "6 小时")),
        (Zoom::Day, language.pick("Day", "天")),
        (Zoom::Week, language.pick("Week", "周")),
    ] {
        way(&mut html, Some(view.query(zoom, view.anchor)), word, word, view.zoom == zoom);
    }
    way(&mut html, view.zoom.larger().map(|zoom| view.query(zoom, view.anchor)), "−", language.pick("Zoom out", "缩小"), false);
    html.raw("<span class=\"gap\"></span>");
    let at = |anchor: Option<Anchor>| anchor.map(|anchor| view.query(view.zoom, anchor));
    let day = |anchor: Option<Anchor>| anchor.map(|anchor| view.query(Zoom::Day, anchor));
    way(&mut html, at(view.zoom.neighbour(&range, &made.day, false)), "◀", language.pick("Earlier", "更早"), false);
    let is_day = |anchor: Option<Anchor>| view.zoom == Zoom::Day && anchor == Some(view.anchor);
    let (yesterday, tomorrow) = (language.pick("Yesterday", "昨天"), language.pick("Tomorrow", "明天"));
    way(&mut html, day(before_today), yesterday, yesterday, is_day(before_today));
    let now = language.pick("Now", "现在");
    way(&mut html, Some(view.query(view.zoom, Anchor::Now)), now, now, view.anchor == Anchor::Now);
    way(&mut html, day(after_today), tomorrow, tomorrow, is_day(after_today));
    way(&mut html, at(view.zoom.neighbour(&range, &made.day, true)), "▶", language.pick("Later", "更晚"), false);
    html.raw("</nav>");
    html.into_string()
}

/// One way; none leads nowhere.
fn way(html: &mut Html, query: Option<String>, word: &str, name: &str, is_here: bool) {
    let Some(query) = query else {
        html.raw("<span class=\"way off\" aria-hidden=\"true\">").text(word).raw("</span>");
        return;
    };
    html.raw("<a class=\"way\" href=\"/?").text(&query).raw("\"");
    if word != name {
        html.raw(" aria-label=\"").text(name).raw("\"");
    }
    if is_here {
        html.raw(" aria-current=\"true\"");
    }
    html.raw(">").text(word).raw("</a>");
}

fn rundown(rendered: &Rendered, view: &View) -> String {
    let language = view.language;
    let range = rendered.from..rendered.to;
    let mut html = Html::new();
    html.raw("<section class=\"card rundown\" aria-labelledby=\"t-rundown\"><h2 id=\"t-rundown\" class=\"unseen\">");
    html.text(language.pick("Rundown", "时间表")).raw("</h2>");
    let mut out = html.into_string();
    out.push_str(rendered.part("p-clip"));
    let mut html = Html::new();
    html.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    html.text(language.pick("Rundown by room", "各房间时间表")).raw("\"><div class=\"grid\">");
    html.raw("<div class=\"top\">");
    out.push_str(&html.into_string());
    out.push_str(rendered.part("p-axis"));
    out.push_str(&timeline::now_label(rendered.now, &range, &rendered.clock).into_string());
    out.push_str("</div><div class=\"body\">");
    out.push_str(rendered.part("p-lines"));
    out.push_str(&rendered.rows_html());
    out.push_str(&timeline::over(rendered.now, &range).into_string());
    out.push_str("</div></div></div>");
    out.push_str(&timeline::legend(view).into_string());
    out.push_str("</section>");
    out
}

/// The zones, the languages, the calendar, and what this is.
pub(super) fn footer(view: &View) -> String {
    let language = view.language;
    let mut html = Html::new();
    html.raw("<footer id=\"p-foot\"><span>").text(language.pick("Times in", "时区")).raw(": ");
    let is_utc = view.zone.as_ref().is_some_and(|zone| zone_name(zone) == "UTC");
    link(&mut html, &format!("/?{}", view.in_zone(None)), language.pick("the schedule's zone", "节目表时区"), view.zone.is_none());
    html.raw(" ");
    link(&mut html, &format!("/?{}", view.in_zone(Some(TimeZone::UTC))), "UTC", is_utc);
    html.raw(" <a id=\"zone\" hidden href=\"/?").text(&view.in_zone(None)).raw("\" data-name=\"");
    html.text(language.pick("your zone", "本地时区")).raw("\"></a>");
    if let Some(zone) = view.zone.as_ref().filter(|_| !is_utc) {
        html.raw(" <b>").text(zone_name(zone)).raw("</b>");
    }
    html.raw("</span><span>");
    for (other, word, tag) in [(Language::English, "English", "en"), (Language::Chinese, "中文", "zh-CN")] {
        html.raw("<a lang=\"").text(tag).raw("\" href=\"/?").text(&view.in_language(other)).raw("\"");
        if language == other {
            html.raw(" aria-current=\"true\"");
        }
        html.raw(">").text(word).raw("</a> ");
    }
    html.raw("</span><span><a href=\"/calendar.ics\">").text(language.pick("Calendar", "日历订阅"));
    html.raw("</a></span><span class=\"quiet\">").text(language.pick(
        "This page only reads: what changes something is a command. Keys: 1 to 5, + and − zoom, T now, C clock.",
        "本页只读，更改须用命令。按键：1–5、+ 和 − 缩放，T 现在，C 时钟。",
    ));
    html.raw("</span><span class=\"quiet\">ingestd ").text(env!("CARGO_PKG_VERSION")).raw("</span></footer>");
    html.into_string()
}

fn link(html: &mut Html, href: &str, word: &str, is_here: bool) {
    html.raw("<a href=\"").text(href).raw("\"");
    if is_here {
        html.raw(" aria-current=\"true\"");
    }
    html.raw(">").text(word).raw("</a>");
}
