//! A heartbeat: a URL is asked for as long as the daemon's loop turns, whatever the health is. Who listens there tells when that ends.
//! Does not know what else is wrong.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::deliver::Deliverer;
use super::sender::AlertStatus;
use crate::busy::Busy;
use crate::config::UrlSource;

/// Beats for ever. A loop that stands with one turn is not told for: then nothing is sent.
pub(super) async fn beat(
    name: String,
    (url, every): (UrlSource, Duration),
    deliverer: Deliverer,
    busy: Busy,
    status: watch::Sender<AlertStatus>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if busy.turn.stands().is_some() {
            continue;
        }
        let failed = deliverer.beat(&url).await.err();
        status.send_if_modified(|status| {
            let was_failing = status.heartbeats.contains_key(&name);
            match &failed {
                Some(why) if !was_failing => tracing::warn!("the heartbeat `{name}` is not taken: {why}"),
                None if was_failing => tracing::info!("the heartbeat `{name}` is taken again"),
                _ => {}
            }
            match failed {
                Some(why) => status.heartbeats.insert(name.clone(), why.clone()) != Some(why),
                None => status.heartbeats.remove(&name).is_some(),
            }
        });
    }
}
