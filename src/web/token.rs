//! The token of `listen_token`: whether a guess is right, found out in a time that does not depend on the guess, and how many wrong
//! guesses an address has. Does not keep the token, only a digest of it, and does not know where it is kept. Does not know HTTP.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::time::{Instant, timeout};

use crate::listener::network;

/// The fewest characters of a token. A guess each 6 s finds none of this length.
const TOKEN_MIN: usize = 16;

/// So many wrong guesses an address has at once ...
const GUESSES: u32 = 10;

/// ... and one more after each such time.
const GUESS_EVERY: Duration = Duration::from_secs(6);

/// The most addresses whose guesses are remembered. Of more, those with the fewest wrong guesses are forgotten.
const ADDRESSES_MAX: usize = 1_024;

/// The least time between two readings of the token.
const READ_APART: Duration = Duration::from_secs(5);

/// How long a reading may take. Whoever asks waits for it.
const READ_MAX: Duration = Duration::from_secs(2);

/// So seldom it is told that an address has to wait: others must not fill the log.
const TELL_APART: Duration = Duration::from_mins(1);

/// What the digest is made for.
const PURPOSE: &[u8] = b"ingestd listen_token";

/// What came of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// It is the token.
    Right,
    /// It is not. `is_news`: from now on the address has to wait, and of no address that was told in the last minute.
    Wrong { is_news: bool },
    /// Nobody knows: the token could never be read.
    Unread,
    /// Too many were wrong: it was not looked at. One is again, after this time.
    TooMany { wait: Duration },
}

/// Reads the token from where it is kept. Error: why it cannot be read.
pub type ReadToken = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// The token that is asked for.
pub struct ListenToken {
    /// Of the token as it was read last; or why it could never be read, or not be taken.
    digest: Mutex<Result<Vec<u8>, String>>,
    read: ReadToken,
    read_at: Mutex<Instant>,
    wrong: Mutex<WrongGuesses>,
}

#[derive(Default)]
struct WrongGuesses {
    /// For each network, when all its wrong guesses will be forgotten.
    forgotten_at: BTreeMap<IpAddr, Instant>,
    /// When it was told last that an address has to wait.
    told_at: Option<Instant>,
}

impl ListenToken {
    /// Of the token as it is now. One that cannot be read, or is too short, lets nobody in.
    pub fn new(read: ReadToken) -> ListenToken {
        let digest = Mutex::new(read().and_then(|token| digest(&token)));
        ListenToken { digest, read, read_at: Mutex::new(Instant::now()), wrong: Mutex::default() }
    }

    /// Why nobody is let in, if that is so; without the token.
    pub fn trouble(&self) -> Option<String> {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).as_ref().err().cloned()
    }

    /// Reads the token again, unless that was just done: one that was replaced is not taken any more. What cannot be read changes nothing.
    pub async fn refresh(&self) {
        {
            let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            if read_at.elapsed() < READ_APART {
                return;
            }
            *read_at = Instant::now();
        }
        let read = Arc::clone(&self.read);
        // A file's disk may not answer: the threads of the runtime do not wait for it.
        let new = timeout(READ_MAX, tokio::task::spawn_blocking(move || read().and_then(|token| digest(&token)))).await;
        match new {
            Ok(Ok(Ok(new))) => *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Ok(new),
            Ok(Ok(Err(why))) if self.trouble().is_some() => {
                *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
            }
            Ok(Ok(Err(why))) => tracing::warn!("`listen_token` cannot be read again, so that the former one holds: {why}"),
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// Looks at a guess from an address.
    pub(super) fn guess(&self, guess: &[u8], from: IpAddr) -> Guess {
        let (from, now) = (network(from), Instant::now());
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten_at = wrong.forgotten_at.get(&from).copied().unwrap_or(now).max(now);
        let most = GUESS_EVERY * (GUESSES - 1);
        let left = forgotten_at.duration_since(now);
        if left > most {
            return Guess::TooMany { wait: left.saturating_sub(most) };
        }
        // Both have the length of a digest, and the comparison looks at all of them.
        match &*self.digest.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(digest) if mac(guess).verify_slice(digest).is_ok() => return Guess::Right,
            Ok(_) => {}
            Err(_) => return Guess::Unread,
        }
        if wrong.forgotten_at.len() >= ADDRESSES_MAX && !wrong.forgotten_at.contains_key(&from) {
            make_room(&mut wrong.forgotten_at, now);
        }
        wrong.forgotten_at.insert(from, forgotten_at + GUESS_EVERY);
        let is_news = left + GUESS_EVERY > most && wrong.told_at.is_none_or(|at| now.duration_since(at) >= TELL_APART);
        if is_news {
            wrong.told_at = Some(now);
        }
        Guess::Wrong { is_news }
    }
}

/// The digest of a token. Error: it is too short.
fn digest(token: &SecretString) -> Result<Vec<u8>, String> {
    let token = token.expose_secret().as_bytes();
    if token.len() < TOKEN_MIN {
        return Err(format!("expected a token of at least {TOKEN_MIN} characters, found one of {}", token.len()));
    }
    Ok(mac(token).finalize().into_bytes().to_vec())
}

fn mac(text: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(PURPOSE).expect("a key of any length is taken").chain_update(text)
}

/// Forgets what is over, or else the address that has the fewest wrong guesses.
fn make_room(wrong: &mut BTreeMap<IpAddr, Instant>, now: Instant) {
    wrong.retain(|_, forgotten_at| *forgotten_at > now);
    if wrong.len() >= ADDRESSES_MAX
        && let Some(fewest) = wrong.iter().min_by_key(|(_, forgotten_at)| **forgotten_at).map(|(address, _)| *address)
    {
        wrong.remove(&fewest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "a-token-of-the-tests";

    fn token() -> ListenToken {
        ListenToken::new(Arc::new(|| Ok(SecretString::from(RIGHT.to_owned()))))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_short_token_is_refused_and_not_shown() {
        let token = ListenToken::new(Arc::new(|| Ok(SecretString::from("hush".to_owned()))));
        assert_eq!(token.trouble().as_deref(), Some("expected a token of at least 16 characters, found one of 4"));
        assert_eq!(token.guess(b"hush", address("192.0.2.1")), Guess::Unread);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_cannot_be_read_at_the_start_lets_nobody_in_until_it_can_be() {
        let now = Arc::new(Mutex::new(Err("gone".to_owned())));
        let kept: Arc<Mutex<Result<String, String>>> = Arc::clone(&now);
        let token = ListenToken::new(Arc::new(move || kept.lock().expect("nobody panics").clone().map(SecretString::from)));
        let guess = |text: &str| token.guess(text.as_bytes(), address("192.0.2.1"));
        for _ in 0..100 {
            assert_eq!(guess(RIGHT), Guess::Unread, "this is nobody's fault, and nobody has to wait for it");
        }
        tokio::time::advance(READ_APART).await;
        token.refresh().await;
        assert_eq!((guess(""), token.trouble()), (Guess::Unread, Some("gone".to_owned())));
        *now.lock().expect("nobody panics") = Ok(RIGHT.to_owned());
        tokio::time::advance(READ_APART).await;
        token.refresh().await;
        assert_eq!((guess(RIGHT), guess("wrong"), token.trouble()), (Guess::Right, Guess::Wrong { is_news: false }, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_replaced_is_not_taken_any_more_and_one_that_is_gone_stays() {
        let now = Arc::new(Mutex::new(Ok(RIGHT.to_owned())));
        let kept: Arc<Mutex<Result<String, String>>> = Arc::clone(&now);
        let read = move || kept.lock().expect("nobody panics").clone().map(SecretString::from);
        let token = ListenToken::new(Arc::new(read));
        let set = |value| *now.lock().expect("nobody panics") = value;
        let guess = |text: &str| token.guess(text.as_bytes(), address("192.0.2.1")) == Guess::Right;
        set(Ok("another-token-of-the-tests".to_owned()));
        token.refresh().await;
        assert!(guess(RIGHT), "it was read a moment ago");
        tokio::time::advance(READ_APART).await;
        token.refresh().await;
        assert!(!guess(RIGHT) && guess("another-token-of-the-tests"));
        for useless in [Err("gone".to_owned()), Ok("hush".to_owned())] {
            set(useless);
            tokio::time::advance(READ_APART).await;
            token.refresh().await;
            assert!(guess("another-token-of-the-tests") && !guess("hush"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_token_itself_is_right() {
        let token = token();
        assert_eq!(token.guess(RIGHT.as_bytes(), address("192.0.2.1")), Guess::Right);
        for wrong in ["", "a-token-of-the-test", "a-token-of-the-tests ", "A-token-of-the-tests"] {
            assert_eq!(token.guess(wrong.as_bytes(), address("192.0.2.1")), Guess::Wrong { is_news: false }, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_wrong_has_to_wait_and_no_other_does() {
        let token = token();
        let guess = |text: &str, from| token.guess(text.as_bytes(), address(from));
        for number in 1..=GUESSES {
            assert_eq!(guess("wrong", "192.0.2.1"), Guess::Wrong { is_news: number == GUESSES }, "{number}");
        }
        assert_eq!(guess(RIGHT, "192.0.2.1"), Guess::TooMany { wait: GUESS_EVERY }, "it is not looked at");
        assert_eq!(guess(RIGHT, "192.0.2.2"), Guess::Right);
        tokio::time::advance(GUESS_EVERY).await;
        assert_eq!(guess("wrong", "192.0.2.1"), Guess::Wrong { is_news: false }, "it was told a moment ago");
        assert_eq!(guess("wrong", "192.0.2.1"), Guess::TooMany { wait: GUESS_EVERY });
        tokio::time::advance(GUESS_EVERY).await;
        assert_eq!(guess(RIGHT, "192.0.2.1"), Guess::Right);
        tokio::time::advance(GUESS_EVERY * GUESSES).await;
        assert_eq!(guess("wrong", "192.0.2.1"), Guess::Wrong { is_news: false }, "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_fill_no_memory_and_all_of_one_network_guess_together() {
        let token = token();
        let last = (0..GUESSES).map(|number| token.guess(b"wrong", address(&format!("2001:db8::{number:x}")))).last();
        assert_eq!(last, Some(Guess::Wrong { is_news: true }), "they are of one network");
        for number in 0..4 * u32::try_from(ADDRESSES_MAX).expect("small") {
            token.guess(b"wrong", IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)));
        }
        assert_eq!(token.wrong.lock().expect("nobody panics").forgotten_at.len(), ADDRESSES_MAX);
        assert!(matches!(token.guess(b"wrong", address("2001:db8::1")), Guess::TooMany { .. }), "who guesses most is remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_from_many_addresses_fills_no_log() {
        let token = token();
        let told = || {
            let addresses = (0..100).map(|number| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)));
            let guesses = addresses.flat_map(|from| (0..=GUESSES).map(move |_| from));
            guesses.filter(|from| token.guess(b"wrong", *from) == Guess::Wrong { is_news: true }).count()
        };
        assert_eq!(told(), 1);
        tokio::time::advance(GUESS_EVERY).await;
        assert_eq!(told(), 0, "not within a minute");
        tokio::time::advance(TELL_APART).await;
        assert_eq!(told(), 1);
    }
}
