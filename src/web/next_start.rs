//! The next start that is on its way, remembered as long as it is true: in a large schedule it takes a while to find. Does not know who
//! wants to know.

use std::sync::Arc;

use jiff::Timestamp;

use super::AppState;
use crate::occurrence::Key;
use crate::plan::Upcoming;
use crate::plan::holds::Holds;
use crate::plan::interruptions::Interruptions;

/// So many starts are looked at: those of a job that is paused for long may come before the one that is looked for.
const LOOKED_AT_MAX: usize = 200;

/// The next start, as long as it is known.
#[derive(Debug, Default)]
pub struct NextStart {
    /// Of which generation it is, under which holds, and when it was looked for.
    known_for: Option<(i64, Arc<Holds>, Timestamp)>,
    key: Option<Key>,
}

impl NextStart {
    /// Returns the next start that no operator holds back; `None`: it is not one of the next 200.
    pub fn of(&mut self, app_state: &AppState, now: Timestamp) -> Option<&Key> {
        let generation = app_state.in_force.borrow().generation.clone();
        let holds = Arc::clone(&app_state.status.borrow().holds);
        let is_known = self.known_for.as_ref().is_some_and(|(number, known_holds, looked_at)| {
            *number == generation.number
                && *known_holds == holds
                && *looked_at <= now
                && self.key.as_ref().is_none_or(|key| now < key.start)
        });
        if !is_known {
            let interruptions = Interruptions::new(&generation.schedule).with_holds(&holds, now);
            let mut soon = Upcoming::new(&generation.schedule, now).take(LOOKED_AT_MAX).map(|start| interruptions.of(start));
            let next = soon.find(|next| next.held.is_none()).map(|next| next.occurrence);
            self.key = next.map(|next| Key { start: next.start.at, job: next.job.id.clone() });
            self.known_for = Some((generation.number, holds, now));
        }
        self.key.as_ref()
    }
}
