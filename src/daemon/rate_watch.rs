//! Whether requests leave slower than the settings allow, told once each way. Does not decide the rate: the limiter does.

use jiff::Timestamp;

use crate::engine::{Level, Notice};
use crate::trtc::PerAction;

/// What was told last.
pub(super) struct RateWatch {
    /// As it is written.
    pub(super) rate: usize,
    is_lowered: bool,
}

impl RateWatch {
    pub(super) fn new(rate: usize) -> RateWatch {
        RateWatch { rate, is_lowered: false }
    }

    /// Looks at how many requests of each action may leave in a second now. Returns what is to be told.
    pub(super) fn look(&mut self, rates: &PerAction<usize>, now: Timestamp) -> Option<Notice> {
        let lowered: Vec<_> = rates.iter().filter(|(_, rate)| **rate < self.rate).collect();
        if self.is_lowered != lowered.is_empty() {
            return None;
        }
        self.is_lowered = !lowered.is_empty();
        let (level, text) = match lowered.first() {
            Some((action, rate)) => {
                let why = "the endpoint rejects more, perhaps because something else uses the account; it rises again slowly";
                (Level::Warning, format!("{rate} {}s a second may leave, and not `rate: {}`: {why}", action.word(), self.rate))
            }
            None => (Level::Info, format!("`rate: {}` requests a second may leave again", self.rate)),
        };
        Some(Notice::new(now, level, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_is_lowered_is_told_once_and_so_is_its_return() {
        let mut watch = RateWatch::new(20);
        let mut look = |start: usize| {
            let rates = PerAction::new(|action| if action.word() == "start" { start } else { 20 });
            watch.look(&rates, Timestamp::UNIX_EPOCH).map(|notice| (notice.level, notice.text))
        };
        assert_eq!(look(20), None);
        let (level, text) = look(10).expect("it is told");
        assert!(level == Level::Warning && text.starts_with("10 starts a second may leave, and not `rate: 20`: "), "{text}");
        assert_eq!([look(5), look(6), look(19)], [None, None, None]);
        assert_eq!(look(20), Some((Level::Info, "`rate: 20` requests a second may leave again".to_owned())));
        assert_eq!(look(20), None);
    }
}
