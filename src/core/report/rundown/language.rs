//! The languages of the page, and the words of both for what a bar shows. What the daemon itself says (reasons, messages of the vendor) is
//! quoted as it stands everywhere, and is not translated here.

use jiff::civil::Weekday;
use jiff::{SignedDuration, Timestamp};

use super::{Look, Shown};
use crate::occurrence::{MissedReason, Occurrence, Outcome, SkippedReason};
use crate::report::history::short;
use crate::report::time::{brief_beside, wall_beside};

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Language {
    /// The one of its two words that this language has.
    pub fn pick<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    /// As HTML and HTTP name it.
    pub fn tag(self) -> &'static str {
        self.pick("en", "zh-CN")
    }

    /// A day of the week, short.
    pub fn weekday(self, day: Weekday) -> &'static str {
        match day {
            Weekday::Monday => self.pick("Mon", "周一"),
            Weekday::Tuesday => self.pick("Tue", "周二"),
            Weekday::Wednesday => self.pick("Wed", "周三"),
            Weekday::Thursday => self.pick("Thu", "周四"),
            Weekday::Friday => self.pick("Fri", "周五"),
            Weekday::Saturday => self.pick("Sat", "周六"),
            Weekday::Sunday => self.pick("Sun", "周日"),
        }
    }

    /// The word of a look.
    pub fn look(self, look: Look) -> &'static str {
        match look {
            Look::Planned => self.pick("planned", "计划"),
            Look::Returns => self.pick("returns", "恢复"),
            Look::Armed => self.pick("armed", "就绪"),
            Look::Trying => self.pick("trying", "尝试中"),
            Look::Waiting => self.pick("waiting", "等待"),
            Look::OnAir => self.pick("on air", "播出中"),
            Look::Fallback => self.pick("on its fallback", "播备用流"),
            Look::Stopping => self.pick("stopping", "正在停止"),
            Look::Ended => self.pick("ended", "已结束"),
            Look::Cut => self.pick("cut", "被切断"),
            Look::Failed => self.pick("failed", "失败"),
            Look::Missed => self.pick("missed", "错过"),
            Look::Skipped => self.pick("skipped", "已跳过"),
        }
    }

    /// How late the first request left: `95 s late`.
    pub(super) fn late(self, late: SignedDuration) -> String {
        let length = short(late.as_millis().max(0));
        match self {
            Language::English => format!("{length} late"),
            Language::Chinese => format!("晚 {length}"),
        }
    }

    /// How often it was put on air again.
    pub(super) fn healed(self, times: u32) -> String {
        match (self, times) {
            (Language::English, 1) => "healed once".to_owned(),
            (Language::English, 2) => "healed twice".to_owned(),
            (Language::English, times) => format!("healed {times} times"),
            (Language::Chinese, times) => format!("恢复 {times} 次"),
        }
    }

    /// How many requests it took.
    pub fn attempts(self, attempts: u32) -> String {
        match (self, attempts) {
            (Language::English, 1) => "1 attempt".to_owned(),
            (Language::English, attempts) => format!("{attempts} attempts"),
            (Language::Chinese, attempts) => format!("{attempts} 次请求"),
        }
    }

    /// Why it ended so: the reason's word in English, and its meaning in Chinese. A code of the vendor stays as it is.
    pub(super) fn reason(self, outcome: &Outcome) -> String {
        let chinese = match outcome {
            Outcome::EndedPlanned => "按计划",
            Outcome::EndedMedia => "媒体播完",
            Outcome::EndedUnverified => "未确认",
            Outcome::CutPreempted => "被抢占",
            Outcome::CutRemoved => "已移出节目表",
            Outcome::CutEdited => "被修改",
            Outcome::Failed(_) => return outcome.reason().to_owned(),
            Outcome::Missed(MissedReason::Down) => "服务未运行",
            Outcome::Missed(MissedReason::Late) => "太晚",
            Outcome::Missed(MissedReason::Limit) => "超出限速",
            Outcome::Missed(MissedReason::Clock) => "时钟不可信",
            Outcome::Missed(MissedReason::Disk) => "磁盘不可写",
            Outcome::Missed(MissedReason::ContentOver) => "内容已过",
            Outcome::Missed(MissedReason::Restored) => "备份恢复",
            Outcome::Skipped(SkippedReason::Paused) => "已暂停",
            Outcome::CutOperator | Outcome::Skipped(SkippedReason::Operator) => "操作员",
            Outcome::Skipped(SkippedReason::Conflict) => "房间冲突",
        };
        self.pick(&outcome.reason().replace('_', " "), chinese).to_owned()
    }

    /// Who ordered it and why, if an order did.
    pub(super) fn order(self, row: &Occurrence) -> Option<String> {
        let who = row.ordered_by.as_ref()?;
        Some(self.by(who, row.order_note.as_deref()))
    }

    pub(super) fn by(self, who: &str, note: Option<&str>) -> String {
        let note = note.map(|note| format!(": {note}")).unwrap_or_default();
        format!("{}{who}{note}", self.pick("by ", "由 "))
    }
}

impl Shown<'_> {
    /// A time of day beside now, without seconds where there are none, with the date where it is not today's.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        brief_beside(at, self.now, self.zone)
    }

    /// The same with seconds.
    pub(super) fn second(&self, at: Timestamp) -> String {
        wall_beside(at, self.now, self.zone)
    }
}
