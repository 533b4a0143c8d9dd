//! The rows of rooms, drawn: bars in percent of the width, so that they fit every window without a script. A look is a shape and a word, and a
//! colour besides. It does not know how a bar came to be.

use std::ops::Range;

use jiff::Timestamp;

use super::data::Made;
use super::html::Html;
use super::view::View;
use crate::report::rundown::{Anchor, Bar, Look, RoomRow, Zoom};
use crate::report::time::wall_beside;

/// How high a bar is, and how high its line is.
const BAR: u32 = 28;
const LANE: u32 = 34;
/// The least part of the width, in percent, that a bar has, that one with its job has, and that one with a text beside it has.
const LEAST: f64 = 0.25;
const WITH_JOB: f64 = 3.0;
const WITH_TEXT: f64 = 6.0;

/// Where an instant is, in percent of the width.
fn place(at: Timestamp, range: &Range<Timestamp>) -> f64 {
    let whole = range.end.as_millisecond() - range.start.as_millisecond();
    let part = at.as_millisecond() - range.start.as_millisecond();
    #[expect(clippy::cast_precision_loss, reason = "a dot is more than what is lost")]
    let (whole, part) = (whole.max(1) as f64, part as f64);
    part / whole * 100.0
}

/// The scale above the rows.
pub(super) fn axis(made: &Made, view: &View) -> String {
    let range = made.rundown.from..made.rundown.to;
    let mut html = Html::new();
    html.raw("<div id=\"p-axis\" class=\"axis\"><span class=\"room\">").text(view.language.pick("Room", "房间"));
    html.raw("</span><svg class=\"lane\" height=\"26\" aria-hidden=\"true\">");
    for tick in &made.ticks {
        let Some(label) = &tick.label else { continue };
        let at = place(tick.at, &range);
        // A label at an edge would be cut.
        let anchor = if at < 1.5 {
            "start"
        } else if at > 98.5 {
            "end"
        } else {
            "middle"
        };
        html.raw("<text y=\"17\" x=\"").number(at).raw("%\" text-anchor=\"").text(anchor).raw("\">").text(label).raw("</text>");
    }
    html.raw("</svg></div>");
    html.into_string()
}

/// That not everything is drawn, where it is so.
pub(super) fn clipped(made: &Made, view: &View) -> String {
    let mut html = Html::new();
    if !made.rundown.is_clipped {
        return html.raw("<p id=\"p-clip\" hidden></p>").take();
    }
    html.raw("<p id=\"p-clip\" class=\"clip\">").text(view.language.pick(
        "There is more in this time than can be drawn: shows are missing. Choose a shorter time.",
        "此时段的节目过多，无法全部显示：请缩短时间范围。",
    ));
    html.raw("</p>").take()
}

/// The lines under the rows.
pub(super) fn lines(made: &Made) -> String {
    let range = made.rundown.from..made.rundown.to;
    let mut html = Html::new();
    html.raw("<svg id=\"p-lines\" class=\"lines\" aria-hidden=\"true\">");
    for tick in &made.ticks {
        let at = place(tick.at, &range);
        let class = if tick.label.is_some() { "hour" } else { "part" };
        html.raw("<line class=\"").text(class).raw("\" y2=\"100%\" x1=\"").number(at).raw("%\" x2=\"").number(at).raw("%\"/>");
    }
    html.raw("</svg>");
    html.into_string()
}

/// What stands over the rows: what is past, and now.
pub(super) fn over(now: Timestamp, range: &Range<Timestamp>) -> Html {
    let at = place(now, range).clamp(-1.0, 101.0);
    let mut html = Html::new();
    html.raw("<svg id=\"over\" class=\"over\" aria-hidden=\"true\"><rect id=\"veil\" height=\"100%\" width=\"").number(at.max(0.0));
    html.raw("%\"/><line id=\"now\" y2=\"100%\" x1=\"").number(at).raw("%\" x2=\"").number(at).raw("%\"/></svg>");
    html
}

/// What stands behind the bars of a row.
pub(super) const ROW_END: &str = "</svg></div>";

/// The time that stands over the line of now.
pub(super) fn now_label(now: Timestamp, range: &Range<Timestamp>, clock: &str) -> Html {
    let mut html = Html::new();
    html.raw("<svg class=\"over\" aria-hidden=\"true\"><text id=\"nowt\" y=\"17\" text-anchor=\"middle\" x=\"");
    html.number(place(now, range).clamp(-9.0, 109.0)).raw("%\">").text(clock).raw("</text></svg>");
    html
}

/// A row: what stands before its bars, and each of them.
pub(super) fn row(room: &RoomRow, id: &str, made: &Made, view: &View) -> (String, Vec<String>) {
    let lanes = u32::try_from(room.lanes).unwrap_or(1).max(1);
    let mut html = Html::new();
    html.raw("<div class=\"row\" role=\"group\" id=\"").text(id).raw("\" aria-label=\"").text(view.language.pick("room ", "房间 "));
    html.text(&room.room).raw("\"><span class=\"room\"><bdi>");
    if let Some(app) = &room.app {
        html.raw("<small>").text(app).raw("/</small>");
    }
    html.text(&room.room).raw("</bdi></span><svg class=\"lane\" height=\"").number(lanes * LANE).raw("\">");
    let range = made.rundown.from..made.rundown.to;
    let drawn = |one: &Bar| {
        let mut html = Html::new();
        bar(&mut html, one, &range, made, view);
        html.into_string()
    };
    (html.into_string(), room.bars.iter().map(drawn).collect())
}

fn bar(html: &mut Html, bar: &Bar, range: &Range<Timestamp>, made: &Made, view: &View) {
    let from = place(bar.from, range).max(0.0);
    let to = place(bar.to, range).min(100.0);
    let width = (to - from).max(LEAST);
    let from = from.min(100.0 - width);
    let lane = u32::try_from(bar.lane).unwrap_or(0);
    let top = lane * LANE + (LANE - BAR) / 2;
    let many = bar.count > 1 && bar.look != Look::Missed;
    let others = if bar.is_mixed { ", …" } else { "" };
    let name = if many { format!("{}{others} ×{}", bar.job, bar.count) } else { bar.job.clone() };
    // The text of one of many is not that of all.
    let text = if many { view.language.look(bar.look) } else { &bar.text };
    html.raw("<a class=\"b ").text(bar.look.name());
    if bar.is_late && bar.from > range.start {
        html.raw(" late");
    }
    html.raw("\" href=\"");
    if many {
        // Nobody can point at one of many: it leads to where they can be told apart.
        let zoom = view.zoom.smaller().unwrap_or(Zoom::Minutes);
        html.raw("/?").text(&view.query(zoom, Anchor::At(bar.from)));
    } else {
        html.text(&view.story(&bar.job, bar.start));
    }
    let zone = view.shown_zone(&made.day);
    let begins = wall_beside(bar.from, made.rundown.now, &zone);
    let has_text = width >= WITH_JOB;
    // What is to be read in the bar begins its name.
    html.raw("\" aria-label=\"").text(&name).raw(" ").text(text);
    html.raw(", ");
    if bar.look == Look::Planned && !many {
        // Its text has its times.
        html.text(view.language.look(bar.look));
    } else {
        html.text(&begins);
        if !bar.is_open {
            html.raw(" – ").text(&wall_beside(bar.to, bar.from, &zone));
        }
    }
    html.raw("\">");
    if !has_text && !bar.is_cut && bar.healed.is_empty() {
        html.raw("<rect rx=\"2\" height=\"").number(BAR).raw("\" x=\"").number(from).raw("%\" y=\"").number(top);
        html.raw("\" width=\"").number(width).raw("%\"/></a>");
        return;
    }
    html.raw("<svg height=\"").number(BAR).raw("\" x=\"").number(from).raw("%\" y=\"").number(top).raw("\" width=\"").number(width);
    html.raw("%\"><rect class=\"box\"/>");
    for at in bar.healed.iter().filter(|at| range.contains(at)) {
        let part = (place(*at, range) - from) / width * 100.0;
        html.raw("<use href=\"#heal\" x=\"").number(part).raw("%\"/>");
    }
    if bar.is_late && bar.from > range.start {
        html.raw("<use href=\"#late\"/>");
    }
    if has_text {
        html.raw("<text x=\"7\" y=\"").text(if width < WITH_TEXT { "18" } else { "12" }).raw("\">").text(&name).raw("</text>");
    }
    if width >= WITH_TEXT {
        html.raw(" <text class=\"s\" x=\"7\" y=\"23.5\">").text(text).raw("</text>");
    }
    if bar.is_cut && bar.to <= range.end {
        html.raw("<use href=\"#cut\" x=\"100%\"/>");
    } else if bar.is_open {
        html.raw("<use href=\"#open\" x=\"100%\"/>");
    }
    html.raw("</svg></a>");
}

/// The looks, each with its word.
pub(super) fn legend(view: &View) -> Html {
    let mut html = Html::new();
    html.raw("<ul class=\"legend\" aria-label=\"").text(view.language.pick("Legend", "图例")).raw("\">");
    let looks = [
        Look::Planned,
        Look::Returns,
        Look::Armed,
        Look::Trying,
        Look::Waiting,
        Look::OnAir,
        Look::Fallback,
        Look::Stopping,
        Look::Ended,
        Look::Failed,
        Look::Missed,
        Look::Skipped,
    ];
    for look in looks {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><g class=\"b ")
            .text(look.name())
            .raw("\"><rect class=\"box\"/></g></svg>");
        html.text(view.language.look(look)).raw("</li>");
    }
    for (mark, look, word) in [
        ("late", "on_air", view.language.pick("joined late", "迟加入")),
        ("heal", "on_air", view.language.pick("healed", "已恢复")),
        ("cut", "cut", view.language.pick("cut", "被切断")),
    ] {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><g class=\"b ")
            .text(look)
            .raw("\"><rect class=\"box\"/><use href=\"#");
        html.text(mark).raw("\" x=\"").text(if mark == "cut" {
            "100%"
        } else if mark == "heal" {
            "50%"
        } else {
            "0"
        });
        html.raw("\"/></g></svg>").text(word).raw("</li>");
    }
    html.raw("</ul>");
    html
}
