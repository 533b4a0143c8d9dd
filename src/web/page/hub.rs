//! Who looks at what: viewers of one view share one picture of it, which is made anew only when something has changed, and by one of them for
//! all. There are few views at a time. It does not know what is in a picture.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::data;
use super::parts::Rendered;
use super::view::View;
use crate::web::{PageState, blocking, error};

/// Views that are kept at a time. Most viewers have the same.
const VIEWS_MAX: usize = 24;
/// A picture that is so old may be another by now.
const FRESH: Duration = Duration::from_secs(1);
/// A picture is made anew after so long, whatever has changed: what is late, or over, shows by the time alone.
const OLD: Duration = Duration::from_secs(5);
/// Making pictures takes at most one part in so many of the time of one processor, for each view; but none gets older than [`OLD`] for that.
const SHARE: u32 = 8;

/// All views.
pub(in crate::web) struct Hub {
    views: Mutex<HashMap<String, Arc<Watched>>>,
    /// Places for those who have the stream of events. They leave places of the listener to everybody else.
    pub(super) streams: Arc<Semaphore>,
}

/// A view and its newest picture.
pub(super) struct Watched {
    view: View,
    newest: watch::Sender<Option<Arc<Rendered>>>,
    making: tokio::sync::Mutex<Making>,
    used: Mutex<Instant>,
}

#[derive(Default)]
struct Making {
    made_at: Option<Instant>,
    took: Duration,
    /// Whether a task makes pictures for those who have the stream.
    runs: bool,
}

impl Hub {
    /// With so many places for streams.
    pub(in crate::web) fn new(streams: usize) -> Hub {
        Hub { views: Mutex::default(), streams: Arc::new(Semaphore::new(streams)) }
    }

    /// The view that others have too, or a new one. `None`: there are too many, and all are looked at.
    pub(super) fn shared(&self, view: View) -> Option<Arc<Watched>> {
        let key = view.key();
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = views.get(&key) {
            *watched.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Some(Arc::clone(watched));
        }
        if views.len() >= VIEWS_MAX {
            let used = |watched: &Arc<Watched>| *watched.used.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = views.iter().filter(|(_, watched)| watched.newest.receiver_count() == 0);
            let oldest = idle.min_by_key(|(_, watched)| used(watched)).map(|(key, _)| key.clone());
            views.remove(&oldest?);
        }
        let watched = Arc::new(Watched {
            view,
            newest: watch::Sender::new(None),
            making: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
        });
        views.insert(key, Arc::clone(&watched));
        Some(watched)
    }
}

/// The answer to whoever wants one view more than there can be.
pub(super) fn too_many() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "too many different views are watched: try again later")
}

impl Watched {
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// A picture that is not old. Whoever comes while it is made waits for that one.
    pub(super) async fn fresh(&self, shared: &Arc<PageState>) -> Result<Arc<Rendered>, Response> {
        self.not_older(shared, FRESH).await
    }

    async fn not_older(&self, shared: &Arc<PageState>, age: Duration) -> Result<Arc<Rendered>, Response> {
        let mut making = self.making.lock().await;
        let newest = self.newest.borrow().clone();
        if let (Some(newest), Some(made_at)) = (&newest, making.made_at)
            && made_at.elapsed() < age.max((making.took * SHARE).min(OLD))
        {
            return Ok(Arc::clone(newest));
        }
        let begun = Instant::now();
        let made = data::rundown(shared, &self.view).await?;
        let view = self.view.clone();
        let draw = move |_: &PageState| Arc::new(Rendered::new(&made, &view, newest.as_deref()));
        let rendered = blocking(shared, Arc::clone(&shared.reads), draw).await?;
        making.took = begun.elapsed();
        making.made_at = Some(Instant::now());
        // Whoever watches hears of it only if something is another.
        self.newest.send_if_modified(|newest| {
            let is_new = newest.as_ref().is_none_or(|newest| newest.version != rendered.version);
            *newest = Some(Arc::clone(&rendered));
            is_new
        });
        Ok(rendered)
    }

    /// What a stream of events follows. While somebody does, pictures are made as things change.
    pub(super) async fn follow(self: &Arc<Watched>, shared: &Arc<PageState>) -> watch::Receiver<Option<Arc<Rendered>>> {
        let receiver = self.newest.subscribe();
        let mut making = self.making.lock().await;
        if !std::mem::replace(&mut making.runs, true) {
            tokio::spawn(keep(Arc::downgrade(self), Arc::clone(shared)));
        }
        receiver
    }
}

/// Makes pictures of a view for as long as somebody follows it.
async fn keep(watched: Weak<Watched>, shared: Arc<PageState>) {
    let mut ticks = interval(FRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let app = &shared.app_state;
    let (mut status, mut in_force, mut findings, mut alerts) =
        (app.status.clone(), app.in_force.clone(), app.findings.clone(), app.alerts.clone());
    let mut commits = 0;
    loop {
        ticks.tick().await;
        let Some(watched) = watched.upgrade() else { return };
        {
            let mut making = watched.making.lock().await;
            if watched.newest.receiver_count() == 0 {
                making.runs = false;
                return;
            }
        }
        let committed = app.metrics.commit_time.counts().count;
        let changed = [
            status.has_changed().is_ok_and(|changed| changed),
            in_force.has_changed().is_ok_and(|changed| changed),
            findings.has_changed().is_ok_and(|changed| changed),
            alerts.has_changed().is_ok_and(|changed| changed),
            committed != commits,
        ];
        let age = if changed.contains(&true) { Duration::ZERO } else { OLD };
        status.mark_unchanged();
        in_force.mark_unchanged();
        findings.mark_unchanged();
        alerts.mark_unchanged();
        commits = committed;
        // What cannot be made now is made the next time.
        let _ = watched.not_older(&shared, age).await;
    }
}
