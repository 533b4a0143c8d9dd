//! Fetches parts of a URL by HTTP: each hop is judged, and time and bytes are bounded. Does not know what the bytes are.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use ingestd_core::probe::{MediaFault, MediaHosts, SLOW_OPEN};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout};

use super::resolver::Refused;
use crate::trtc::StreamUrl;
use crate::trtc::client::causes::{causes, in_words};

/// How long a connection may take, from the name to the end of the TLS handshake.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long the bytes of one part are read.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// The longest text about a connection that is told.
const SAID_CHARS_MAX: usize = 300;

/// Fetches.
pub(super) struct Fetcher<'a> {
    client: &'a reqwest::Client,
    hosts: &'a MediaHosts,
}

/// A part of a file.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it was in the end.
    pub(super) url: Url,
    /// The place of its first byte.
    pub(super) from: u64,
    pub(super) bytes: Vec<u8>,
    /// Of the whole file, if the server says it.
    pub(super) total: Option<u64>,
    /// Whether the server answered with a part.
    pub(super) is_range: bool,
    pub(super) redirects: usize,
    /// From the first connection on.
    pub(super) first_byte: Duration,
    /// From the first byte to the last.
    pub(super) reading: Duration,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(client: &'a reqwest::Client, hosts: &'a MediaHosts) -> Fetcher<'a> {
        Fetcher { client, hosts }
    }

    /// Fetches `count` bytes from `from` on. A server that serves no parts gives what stands at the beginning.
    pub(super) async fn part(&self, url: &Url, from: u64, count: u64) -> Result<Part, MediaFault> {
        self.part_within(url, from, count, READ_TIME_MAX).await
    }

    /// The same, read for so long at most.
    pub(super) async fn part_within(&self, url: &Url, from: u64, count: u64, time: Duration) -> Result<Part, MediaFault> {
        let begin = Instant::now();
        let range = format!("bytes={from}-{}", from.saturating_add(count.max(1)) - 1);
        let slow = |_| MediaFault::Slow("the server does not answer in 15 s");
        let (mut response, redirects) = timeout(SLOW_OPEN, self.follow(url.clone(), &range)).await.map_err(slow)??;
        let status = response.status();
        let is_range = status == StatusCode::PARTIAL_CONTENT;
        if !status.is_success() {
            // Behind the end of an empty file there is nothing.
            let is_empty = status == StatusCode::RANGE_NOT_SATISFIABLE && from == 0;
            return Err(if is_empty { MediaFault::Empty } else { MediaFault::Status(status.as_u16()) });
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        // `bytes 0-99/5000`: some give another part than the one that was asked for.
        let range = header(CONTENT_RANGE).filter(|_| is_range);
        let total = range.map_or_else(|| header(CONTENT_LENGTH), |range| range.rsplit('/').next());
        let total = total.and_then(|total| total.parse().ok());
        let begins = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok());
        let from = if is_range { begins.unwrap_or(from) } else { 0 };
        let final_url = response.url().clone();
        let first_byte = begin.elapsed();
        let reading_begin = Instant::now();
        let bytes = read(&mut response, count, time).await?;
        Ok(Part { url: final_url, from, bytes, total, is_range, redirects, first_byte, reading: reading_begin.elapsed() })
    }

    /// Sends the request, and again to where it is redirected.
    async fn follow(&self, mut url: Url, range: &str) -> Result<(Response, usize), MediaFault> {
        for redirects in 0..=REDIRECTS_MAX {
            self.allow(&url)?;
            let request = self.client.get(url.clone()).header(RANGE, range).header(ACCEPT_ENCODING, "identity");
            let response = request.send().await.map_err(fault_of)?;
            if !response.status().is_redirection() {
                return Ok((response, redirects));
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let location = location.ok_or_else(|| MediaFault::Redirect("it does not say where to".to_owned()))?;
            url = url.join(location).map_err(|_| MediaFault::Redirect("where it points to is not a URL".to_owned()))?;
        }
        Err(MediaFault::Redirect(format!("there are more than {REDIRECTS_MAX}, one behind the other")))
    }

    /// Judges a URL before a connection is made: its scheme, and its host if that is an address. A name is judged when it is resolved.
    fn allow(&self, url: &Url) -> Result<(), MediaFault> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(MediaFault::Redirect("it points to something else than HTTP".to_owned()));
        }
        let host = url.host_str().ok_or_else(|| MediaFault::Url("it names no host".to_owned()))?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.map_or(Ok(()), |address| self.hosts.judge(host, address).map_err(MediaFault::Address))
    }
}

/// Reads up to `count` bytes, for a bounded time: fewer are no error, as long as there are some.
async fn read(response: &mut Response, count: u64, time: Duration) -> Result<Vec<u8>, MediaFault> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < count {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(count - bytes.len())]),
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    match timeout(time, reading).await {
        Ok(Err(error)) => Err(MediaFault::Cut(in_short(&causes(error)))),
        Err(_) if bytes.is_empty() => Err(MediaFault::Slow("no byte came in time")),
        Ok(Ok(())) | Err(_) => Ok(bytes),
    }
}

/// Why there is no answer. The URL, which may hold a secret, is left out.
fn fault_of(error: reqwest::Error) -> MediaFault {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return match refused {
                Refused::Address(why) => MediaFault::Address(why.clone()),
                Refused::Unresolved(why) => MediaFault::Connect(why.clone()),
            };
        }
        source = cause.source();
    }
    let (is_slow, is_builder) = (error.is_timeout(), error.is_builder());
    let is_cut = !error.is_connect();
    let causes = causes(error);
    let words = in_short(&causes);
    match (is_builder, is_slow, is_cut) {
        (true, ..) => MediaFault::Url("it is not a URL of HTTP".to_owned()),
        (_, true, _) => MediaFault::Connect(format!("no connection in {} s", CONNECT_TIME_MAX.as_secs())),
        (_, _, true) => MediaFault::Cut(words),
        (..) => MediaFault::Connect(words),
    }
}

/// What went wrong in words, and then as it was said, cut short: a certificate may hold any number of names.
pub(super) fn in_short(said: &str) -> String {
    let cut = said.char_indices().nth(SAID_CHARS_MAX).map_or(said.to_owned(), |(end, _)| format!("{}…", &said[..end]));
    in_words(said).map_or_else(|| cut.clone(), |words| format!("{words} ({cut})"))
}

/// The URL as the client takes it.
pub(super) fn parse(url: &StreamUrl) -> Result<Url, MediaFault> {
    Url::parse(url.reveal()).map_err(|error| MediaFault::Url(format!("it is not a URL: {error}")))
}
