//! Looks whether media is there, as the vendor's relay would fetch it: by a GET with a range, never by a HEAD, which some servers answer
//! wrong. Bounded in time, bytes, redirects and addresses. It does not know jobs, and what a finding means: `ingestd_core::probe` does.
//!
//! Addresses: a name is resolved once, each of its addresses is judged, and a connection goes to one of these. So DNS cannot change in
//! between, and a redirect is judged like the first URL. No proxy is used: the relay would not, and it would resolve names by itself.

mod fetch;
mod media;
mod resolver;
mod rtmp;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::finding::Finding;
use crate::trtc::StreamUrl;
use crate::trtc::client::causes::causes;
use fetch::Fetcher;
pub use ingestd_core::probe::*;
use resolver::Judged;
pub use secrets::fill_secrets;

/// How long one look may take. A relay gives up after 15 s; what comes after that is told as too slow.
const LOOK_TIME_MAX: Duration = Duration::from_secs(25);

/// How many looks are made at one time.
pub const LOOKS_AT_ONCE: usize = 8;

/// What came of a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What was seen.
    pub facts: MediaFacts,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Whether there is media, whatever is wrong with it; `None`: this host cannot tell.
    pub is_there: Option<bool>,
}

impl Look {
    /// Whether nothing is a problem.
    pub fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::is_problem)
    }
}

/// Looks at media. A clone is the same one.
#[derive(Clone)]
pub struct Prober {
    client: reqwest::Client,
    hosts: Arc<MediaHosts>,
    has_proxy: bool,
}

impl Prober {
    /// Prepares to connect. Errors: the system lacks what connections need.
    pub fn new(hosts: MediaHosts) -> Result<Prober, String> {
        let hosts = Arc::new(hosts);
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("ingestd/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(fetch::CONNECT_TIME_MAX)
                // A kept connection would go where an earlier look was allowed to go.
                .pool_max_idle_per_host(0)
                .dns_resolver(Arc::new(Judged::new(Arc::clone(&hosts))))
        };
        // A host without certificates can look at media by plain HTTP, and finds that of HTTPS out of reach.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let client = client.map_err(|error| format!("cannot prepare HTTPS connections: {}", causes(error)))?;
        let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        let has_proxy = proxies.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        Ok(Prober { client, hosts, has_proxy })
    }

    /// What probes may reach although it is not public.
    pub fn hosts(&self) -> &MediaHosts {
        &self.hosts
    }

    /// Looks at a URL. `filled` has its secrets in their places and is never shown; `shown` has their names.
    pub async fn look(&self, filled: &StreamUrl, shown: &StreamUrl, expected: Expected) -> Look {
        let about = shown.redacted();
        let mut facts = MediaFacts::default();
        let seen = timeout(LOOK_TIME_MAX, self.see(filled, expected, &mut facts)).await;
        let seen = seen.unwrap_or(Err(MediaFault::Slow("it was not read in 25 s")));
        let is_there = match &seen {
            Ok(()) => Some(true),
            Err(MediaFault::Connect(_)) if self.has_proxy => None,
            Err(_) => Some(false),
        };
        let mut findings = match seen {
            Ok(()) => judge(&facts, expected, &about),
            Err(MediaFault::Connect(_)) if self.has_proxy => vec![needs_media(&MediaFault::OnlyByProxy, &about)],
            Err(fault) => vec![needs_media(&fault, &about)],
        };
        // A server may repeat what it was asked for.
        for finding in &mut findings {
            finding.what = filled.mask(&finding.what);
        }
        Look { facts, findings, is_there }
    }

    async fn see(&self, url: &StreamUrl, expected: Expected, facts: &mut MediaFacts) -> Result<(), MediaFault> {
        if url.is_rtmp() {
            return rtmp::see(url, &self.hosts, facts).await;
        }
        let fetcher = Fetcher::new(&self.client, &self.hosts);
        media::see(&fetcher, url, expected, facts).await
    }
}
