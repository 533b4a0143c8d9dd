//! The secrets of the last starts: an endpoint, or a proxy before it, may answer with what another request carried. Does not know answers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::SecretMask;

/// So many starts share one mask when they are not the newest any more: to ask few masks takes little time.
const MERGED: usize = 16;

/// So many of those are kept: the secrets of the last 256 starts, some 3 MB.
const KEPT: usize = 16;

/// What the newest starts carried.
#[derive(Clone, Default)]
pub struct RecentSecrets {
    newest: Vec<Arc<SecretMask>>,
    older: VecDeque<Arc<SecretMask>>,
}

impl RecentSecrets {
    /// Remembers what a start carries.
    pub fn remember(&mut self, mask: &SecretMask) {
        self.newest.push(Arc::new(SecretMask { hidden: mask.hidden.clone(), ..SecretMask::default() }));
        if self.newest.len() < MERGED {
            return;
        }
        // Only the list: what to look for is worked out after an answer came.
        let hidden = self.newest.drain(..).flat_map(|mask| mask.hidden.clone()).collect();
        let merged = SecretMask { hidden, ..SecretMask::default() };
        self.older.push_back(Arc::new(merged));
        if self.older.len() > KEPT {
            self.older.pop_front();
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<SecretMask>> {
        self.newest.iter().chain(&self.older).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trtc::StreamUrl;

    fn of(secret: &str) -> SecretMask {
        let mut mask = SecretMask::default();
        mask.add(secret);
        mask
    }

    fn ticket(number: usize) -> String {
        format!("eJx{number:04}-{number:04}*{number:04}")
    }

    #[test]
    fn what_the_last_256_starts_carried_is_masked_and_no_more_is_kept() {
        let mut recent = RecentSecrets::default();
        for number in 0..1_000 {
            recent.remember(&of(&ticket(number)));
        }
        assert!(recent.all().len() <= KEPT + MERGED);
        let own = of("hush-hush").with_earlier(&recent);
        for (number, is_masked) in [(0, false), (500, false), (750, true), (983, true), (984, true), (999, true)] {
            let text = format!("bad {}, hush-hush", ticket(number).to_uppercase());
            assert_eq!(own.mask(&text) == "bad [...], [...]", is_masked, "{number}: {}", own.mask(&text));
        }
    }

    #[test]
    fn the_url_of_another_job_is_masked_too() {
        let mut recent = RecentSecrets::default();
        let url = StreamUrl::new("rtmp://viewer:hush-user-info@live.example.com/app/hush-stream-key");
        recent.remember(&SecretMask::of_url(&url));
        let own = of("hush-hush").with_earlier(&recent);
        let masked = own.mask("cannot pull RTMP://viewer:hush-user-info@live.example.com/app/hush-stream-key/").into_owned();
        assert!(!masked.contains("hush-") && masked.starts_with("cannot pull "), "{masked}");
    }

    #[test]
    fn a_handle_is_unusable_only_with_a_long_part_of_an_earlier_secret() {
        let mut recent = RecentSecrets::default();
        recent.remember(&of("0123456789abcdefghijklmnop"));
        let own = of("hush-hush").with_earlier(&recent);
        assert!(own.finds("task 0123456789ABCDEFgh") && own.finds("hush-hus"));
        assert!(!own.finds("task-01234567-9"), "eight characters in a row may be chance");
        assert_eq!(own.mask("task-01234567-9"), "task-[...]-9");
    }
}
