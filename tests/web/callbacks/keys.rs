//! A key that is replaced while the listener runs. Does not know what a callback says.

use std::time::Duration;

use super::{APP, CallbackServer, GOOD, headers};

#[tokio::test]
async fn a_key_that_was_replaced_is_read_again() {
    let server = CallbackServer::open().await;
    let body = GOOD.as_bytes();
    assert_eq!(server.post(&headers(APP, "new-key", body), body).await.status, 401, "the file has the former key");
    *server.key.lock().expect("whole") = "new-key".to_owned();
    assert_eq!(server.post(&headers(APP, "new-key", body), body).await.status, 401, "wrong signatures do not keep the disk busy");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(server.post(&headers(APP, "new-key", body), body).await.status, 200);
    assert_eq!(server.signed(body).await.status, 401, "the former key counts no more");
    assert_eq!(server.effect().len(), 1);
    assert!(server.log().contains("the keys of the callbacks were read again, and changed"), "{}", server.log());
    assert!(!server.log().contains("new-key"), "{}", server.log());
}
