//! Starts that were signed shortly before their instant, for the second in which they are to leave. A start that leaves in another second,
//! asks for something else, or was signed with other secrets is not one of them: it is signed anew. Does not know how to sign.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Secrets;
use crate::trtc::Request;
use crate::trtc::request::SignedRequest;

/// So many are kept: what leaves in a second under the vendor's default limit (20 a second, TRTC.md). Where more may leave, the others are
/// signed as they do.
const KEPT_MAX: usize = 20;

/// Those that are kept. What nobody asked for in its second goes.
#[derive(Default)]
pub(super) struct PreparedStarts(Mutex<Vec<PreparedStart>>);

struct PreparedStart {
    request: Request,
    /// What it was signed for, by the endpoint's clock, in seconds since 1970.
    second: i64,
    secrets: Arc<Secrets>,
    signed: SignedRequest,
}

impl PreparedStarts {
    /// Whether one more may be kept for that second.
    pub(super) fn has_room(&self, second: i64) -> bool {
        let mut kept = self.lock();
        // One of a later second may have been signed before the clock was set back.
        kept.retain(|start| start.second == second || start.second == second + 1);
        kept.len() < KEPT_MAX
    }

    pub(super) fn keep(&self, request: Request, second: i64, secrets: Arc<Secrets>, signed: SignedRequest) {
        self.lock().push(PreparedStart { request, second, secrets, signed });
    }

    /// Takes the one that asks for the same, was signed for the same second, and with the secrets that are in use.
    pub(super) fn take(&self, request: &Request, second: i64, secrets: &Arc<Secrets>) -> Option<SignedRequest> {
        let mut kept = self.lock();
        let is_same =
            |start: &PreparedStart| start.second == second && Arc::ptr_eq(&start.secrets, secrets) && start.request == *request;
        let place = kept.iter().position(is_same)?;
        Some(kept.swap_remove(place).signed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PreparedStart>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::trtc::request::sign;
    use crate::trtc::{Body, Credentials, Destination};

    const SECOND: i64 = 1_700_000_000;

    fn secrets() -> Arc<Secrets> {
        let credentials = Credentials { secret_id: "AKID".to_owned(), secret_key: "key".into(), token: None };
        Arc::new(Secrets { credentials, apps: BTreeMap::new(), streams: BTreeMap::new() })
    }

    /// Any request: nothing here looks into one.
    fn request(task_id: &str) -> Request {
        let destination = Destination { app: "main".to_owned(), sdk_app_id: 1, region: "ap-singapore".to_owned() };
        Request { destination, body: Body::Stop { task_id: task_id.to_owned() } }
    }

    fn keep(prepared: &PreparedStarts, request: Request, secrets: &Arc<Secrets>) {
        let at = Timestamp::from_second(SECOND).expect("a time of our days");
        let signed = sign(&request, "localhost", &secrets.credentials, None, at).unwrap_or_else(|why| panic!("{why}"));
        prepared.keep(request, SECOND, Arc::clone(secrets), signed);
    }

    #[test]
    fn only_the_same_of_that_second_with_these_secrets_is_taken_and_that_once() {
        let (prepared, before) = (PreparedStarts::default(), secrets());
        keep(&prepared, request("a"), &before);
        assert!(prepared.take(&request("b"), SECOND, &before).is_none());
        assert!(prepared.take(&request("a"), SECOND + 1, &before).is_none());
        assert!(prepared.take(&request("a"), SECOND, &secrets()).is_none(), "they were read again");
        assert!(prepared.take(&request("a"), SECOND, &before).is_some());
        assert!(prepared.take(&request("a"), SECOND, &before).is_none());
    }

    #[test]
    fn no_more_are_kept_than_leave_in_a_second_and_none_beyond_it() {
        let (prepared, secrets) = (PreparedStarts::default(), secrets());
        for number in 0..KEPT_MAX {
            assert!(prepared.has_room(SECOND));
            keep(&prepared, request(&number.to_string()), &secrets);
        }
        assert!(!prepared.has_room(SECOND));
        assert!(prepared.has_room(SECOND + 1), "those of the second before are gone");
        assert!(prepared.take(&request("0"), SECOND, &secrets).is_none());
    }
}
