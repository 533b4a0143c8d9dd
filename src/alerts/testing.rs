//! A test message to each receiver, at once, and what came back. Does not queue anything, and does not know who asks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::deliver::Deliverer;
use super::test_message;
use crate::clock;
use crate::config::AlertReceiver;

/// What came back from one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// Its name.
    pub receiver: String,
    /// Why it did not take the test, without a secret; `null`: it took it.
    pub why: Option<String>,
}

/// Sends tests. Clones send to the same receivers.
#[derive(Clone)]
pub struct AlertTester {
    receivers: Arc<[Arc<AlertReceiver>]>,
    deliverer: Deliverer,
}

impl AlertTester {
    /// To these receivers, heartbeats included.
    pub fn new(receivers: Vec<AlertReceiver>, deliverer: Deliverer) -> AlertTester {
        AlertTester { receivers: receivers.into_iter().map(Arc::new).collect(), deliverer }
    }

    /// Sends one message to each, all at once. Returns what came back, in the order of the settings.
    pub async fn test(&self) -> Vec<Tested> {
        let mut asked = JoinSet::new();
        for (at, receiver) in self.receivers.iter().enumerate() {
            let (receiver, deliverer) = (Arc::clone(receiver), self.deliverer.clone());
            asked.spawn(async move {
                let now = clock::now();
                let answer = deliverer.send(&receiver, &test_message(&receiver.name, now), now).await;
                (at, answer.err().map(|failed| failed.why))
            });
        }
        let mut whys: Vec<Option<String>> = self.receivers.iter().map(|_| Some("there is no answer".to_owned())).collect();
        while let Some(answer) = asked.join_next().await {
            if let Ok((at, why)) = answer {
                whys[at] = why;
            }
        }
        let tested = |(receiver, why): (&Arc<AlertReceiver>, _)| Tested { receiver: receiver.name.clone(), why };
        self.receivers.iter().zip(whys).map(tested).collect()
    }
}
