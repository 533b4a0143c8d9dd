//! The plots as SVG: lateness of recent starts, requests a second beside the limit with the forecast, how many shows are on air over the day.
//! It does not know where the numbers come from.

use jiff::Timestamp;

use super::data::Made;
use super::html::Html;
use super::view::View;
use crate::report::rundown::{Lateness, Plots};
use crate::report::time::brief_beside;

/// The height of a plot, and of its top line.
const HEIGHT: f64 = 84.0;
const TOP: f64 = 12.0;

/// A number of at most some thousands as one that is drawn.
fn real(number: i64) -> f64 {
    f64::from(i32::try_from(number).unwrap_or(i32::MAX))
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The height of a value, of a plot that goes up to `most`.
fn height(value: f64, most: f64) -> f64 {
    HEIGHT - 1.0 - (HEIGHT - TOP) * (value / most).clamp(0.0, 1.0)
}

/// The three plots, by the names of their parts.
pub(super) fn plots(made: &Made, view: &View) -> [(&'static str, String); 3] {
    let plots = &made.rundown.plots;
    [("p-late", lateness(&plots.lateness, view)), ("p-rate", requests(plots, made, view)), ("p-day", on_air(plots, made, view))]
}

fn begin(id: &'static str, word: &str, figure: &str, name: &str) -> Html {
    let mut html = Html::new();
    html.raw("<section class=\"card plot\" id=\"").raw(id).raw("\"><h2>").text(word).raw(" <b>").text(figure).raw("</b></h2>");
    html.raw("<svg role=\"img\" height=\"84\" aria-label=\"").text(name).raw("\">");
    html
}

fn end(mut html: Html) -> String {
    html.raw("<line class=\"axis-line\" x2=\"100%\" y1=\"83\" y2=\"83\"/></svg></section>");
    html.into_string()
}

fn lateness(lateness: &Lateness, view: &View) -> String {
    let language = view.language;
    let word = language.pick("Lateness of recent starts", "近期开播延迟");
    let figure = match (lateness.p50, lateness.p99) {
        (Some(p50), Some(p99)) => format!("p50 {p50} ms · p99 {p99} ms"),
        _ => language.pick("none yet", "暂无").to_owned(),
    };
    let mut html = begin("p-late", word, &figure, &format!("{word}: {figure}"));
    let most = lateness.milliseconds.iter().copied().max().unwrap_or(0).max(4);
    let step = 98.0 / count(lateness.milliseconds.len().max(40));
    for (number, late) in lateness.milliseconds.iter().enumerate() {
        html.raw("<circle r=\"2\" cx=\"")
            .number(1.0 + step * count(number))
            .raw("%\" cy=\"")
            .number(height(real(*late), real(most)));
        html.raw("\"/>");
    }
    html.raw("<line class=\"part\" x2=\"100%\" y1=\"12\" y2=\"12\"/><text class=\"s\" x=\"100%\" y=\"9\" text-anchor=\"end\">");
    html.value(most).raw(" ms</text>");
    end(html)
}

/// Where an instant is in a plot.
fn across(at: Timestamp, plots: &Plots) -> f64 {
    let whole = (plots.to.as_second() - plots.from.as_second()).max(1);
    let part = at.as_second() - plots.from.as_second();
    real(part.clamp(0, whole)) / real(whole) * 100.0
}

fn now_line(html: &mut Html, plots: &Plots, now: Timestamp) {
    if (plots.from..plots.to).contains(&now) {
        // A plot stands still while a minute does: only what changes is told.
        let minute = Timestamp::from_second(now.as_second().div_euclid(60) * 60).unwrap_or(now);
        let at = across(minute.max(plots.from), plots);
        html.raw("<line class=\"now\" y1=\"12\" y2=\"100%\" x1=\"").number(at).raw("%\" x2=\"").number(at).raw("%\"/>");
    }
}

fn hours(html: &mut Html, made: &Made, view: &View) {
    let plots = &made.rundown.plots;
    let zone = view.shown_zone(&made.day);
    for quarter in [1, 2, 3] {
        let length = (plots.to.as_second() - plots.from.as_second()) / 4 * quarter;
        let Ok(at) = Timestamp::from_second(plots.from.as_second() + length) else { continue };
        let percent = real(quarter) * 25.0;
        html.raw("<line class=\"part\" y1=\"12\" y2=\"100%\" x1=\"").number(percent).raw("%\" x2=\"").number(percent);
        html.raw("%\"/><text class=\"s\" y=\"9\" text-anchor=\"middle\" x=\"").number(percent).raw("%\">");
        html.text(&brief_beside(at, at, &zone)).raw("</text>");
    }
}

fn requests(plots: &Plots, made: &Made, view: &View) -> String {
    let language = view.language;
    let word = language.pick("Requests a second", "每秒请求数");
    let zone = view.shown_zone(&made.day);
    let figure = match &plots.peak {
        Some(peak) => format!(
            "{} {} {} {}",
            language.pick("peak to come", "后续峰值"),
            peak.most,
            language.pick("at", "于"),
            brief_beside(peak.at, made.rundown.now, &zone)
        ),
        None => language.pick("none to come", "后续无").to_owned(),
    };
    let name = format!("{word}: {figure}, {} {}", language.pick("limit", "限速"), plots.limit);
    let mut html = begin("p-rate", word, &figure, &name);
    hours(&mut html, made, view);
    let busiest = plots.requests.iter().map(|bucket| bucket.most).max().unwrap_or(0);
    let most = count(busiest.max(plots.limit).max(4)) * 1.1;
    for bucket in &plots.requests {
        let top = height(count(bucket.most), most);
        html.raw("<rect class=\"").text(if bucket.is_forecast { "f" } else { "p" }).raw("\" width=\".8%\" x=\"");
        html.number(across(bucket.at, plots))
            .raw("%\" y=\"")
            .number(top)
            .raw("\" height=\"")
            .number(HEIGHT - 1.0 - top)
            .raw("\"/>");
    }
    if plots.limit > 0 {
        let y = height(count(plots.limit), most);
        html.raw("<line class=\"lim\" x2=\"100%\" y1=\"").number(y).raw("\" y2=\"").number(y).raw("\"/>");
        html.raw("<text class=\"s\" x=\"100%\" text-anchor=\"end\" y=\"").number(y + 11.0).raw("\">");
        html.text(language.pick("limit ", "限速 ")).value(plots.limit).raw("</text>");
    }
    now_line(&mut html, plots, made.rundown.now);
    end(html)
}

fn on_air(plots: &Plots, made: &Made, view: &View) -> String {
    let language = view.language;
    let now = made.rundown.now;
    let is_today = (plots.from..plots.to).contains(&now);
    let word = if is_today { language.pick("On air today", "今日播出数") } else { language.pick("On air", "播出数") };
    let most = plots.on_air.iter().map(|step| step.count).max().unwrap_or(0);
    let current = plots.on_air.iter().take_while(|step| step.at <= now).last().map_or(0, |step| step.count);
    let of = language.pick("of", "/");
    let figure = if is_today { format!("{current} {of} {most}") } else { most.to_string() };
    let mut html = begin("p-day", word, &figure, &format!("{word}: {figure}"));
    hours(&mut html, made, view);
    let scale = count(most.max(1)) * 1.1;
    for (number, step) in plots.on_air.iter().enumerate() {
        let to = plots.on_air.get(number + 1).map_or(plots.to, |next| next.at);
        let (from, to) = (across(step.at, plots), across(to, plots));
        if step.count == 0 || to <= from {
            continue;
        }
        let top = height(count(step.count), scale);
        html.raw("<rect class=\"area\" x=\"").number(from).raw("%\" width=\"").number(to - from).raw("%\" y=\"").number(top);
        html.raw("\" height=\"").number(HEIGHT - 1.0 - top).raw("\"/>");
    }
    now_line(&mut html, plots, now);
    end(html)
}
