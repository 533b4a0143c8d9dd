//! Names to addresses that a probe may connect to. What is judged here is what the connection goes to. It does not know URLs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ingestd_core::probe::MediaHosts;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names for the HTTP client.
pub(super) struct Judged(Arc<MediaHosts>);

/// Why a name has no address to connect to.
#[derive(Debug)]
pub(super) enum Refused {
    /// One of its addresses is not allowed.
    Address(String),
    /// It has none.
    Unresolved(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Address(why) | Refused::Unresolved(why) => formatter.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

impl Judged {
    pub(super) fn new(hosts: Arc<MediaHosts>) -> Judged {
        Judged(hosts)
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = Arc::clone(&self.0);
        Box::pin(async move {
            // Port 0 is replaced by that of the URL.
            let addresses = addresses(&hosts, name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Returns the addresses of a host, all of them allowed. Errors: there is none, or one is not: who answers with a mixture may mean to
/// mislead.
pub(super) async fn addresses(hosts: &MediaHosts, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let unresolved = || Refused::Unresolved(format!("the name `{host}` cannot be resolved"));
    let found: Vec<_> = tokio::net::lookup_host((plain, port)).await.map_err(|_| unresolved())?.collect();
    for address in &found {
        hosts.judge(host, address.ip()).map_err(Refused::Address)?;
    }
    if found.is_empty() { Err(unresolved()) } else { Ok(found) }
}
