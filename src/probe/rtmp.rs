//! Whether a server of RTMP answers: a connection, TLS for rtmps, and the begin of the handshake. Whether it has the stream is not
//! asked: the source may begin later, and a player would be one more viewer.

use std::sync::Arc;
use std::time::Duration;

use ingestd_core::probe::{HELLO_BYTES, MediaFacts, MediaFault, MediaHosts, hello, judge_answer};
use reqwest::Url;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, crypto::aws_lc_rs};

use super::fetch::{CONNECT_TIME_MAX, in_short, parse};
use super::resolver::{Refused, addresses};
use crate::trtc::StreamUrl;

/// How long the handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// The ports of rtmp and rtmps.
const PORTS: (u16, u16) = (1935, 443);

/// Sees whether the server answers.
pub(super) async fn see(url: &StreamUrl, hosts: &MediaHosts, facts: &mut MediaFacts) -> Result<(), MediaFault> {
    facts.container = Some("rtmp");
    let url = parse(url)?;
    let is_encrypted = url.scheme().eq_ignore_ascii_case("rtmps");
    let begin = Instant::now();
    let slow = |_| MediaFault::Connect(format!("no connection in {} s", CONNECT_TIME_MAX.as_secs()));
    let stream = timeout(CONNECT_TIME_MAX, connect(&url, is_encrypted, hosts)).await.map_err(slow)??;
    let slow = |_| MediaFault::Slow("the server does not answer the handshake in 5 s");
    if is_encrypted {
        let encrypted = timeout(CONNECT_TIME_MAX, encrypt(&url, stream)).await;
        let encrypted = encrypted.map_err(|_| MediaFault::Slow("the server does not answer the handshake of TLS in 5 s"))??;
        timeout(HANDSHAKE_TIME_MAX, shake_hands(encrypted)).await.map_err(slow)??;
    } else {
        timeout(HANDSHAKE_TIME_MAX, shake_hands(stream)).await.map_err(slow)??;
    }
    facts.first_byte_ms = u64::try_from(begin.elapsed().as_millis()).ok();
    Ok(())
}

async fn connect(url: &Url, is_encrypted: bool, hosts: &MediaHosts) -> Result<TcpStream, MediaFault> {
    let host = url.host_str().ok_or_else(|| MediaFault::Url("it names no host".to_owned()))?;
    let port = url.port().unwrap_or(if is_encrypted { PORTS.1 } else { PORTS.0 });
    let found = addresses(hosts, host, port).await.map_err(|refused| match refused {
        Refused::Address(why) => MediaFault::Address(why),
        Refused::Unresolved(why) => MediaFault::Connect(why),
    })?;
    TcpStream::connect(&found[..]).await.map_err(|error| MediaFault::Connect(told(&error)))
}

async fn encrypt(url: &Url, stream: TcpStream) -> Result<impl AsyncRead + AsyncWrite + Unpin, MediaFault> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| MediaFault::Url("its host has no name for TLS".to_owned()))?;
    let failed = |error: tokio_rustls::rustls::Error| MediaFault::Connect(format!("cannot prepare TLS: {error}"));
    let builder =
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let config = builder.and_then(BuilderVerifierExt::with_platform_verifier).map_err(failed)?.with_no_client_auth();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| MediaFault::Connect(told(&error)))
}

async fn shake_hands(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), MediaFault> {
    let cut = |error: std::io::Error| MediaFault::Cut(told(&error));
    stream.write_all(&hello()).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;
    let mut answer = Vec::with_capacity(HELLO_BYTES);
    let read = stream.take(HELLO_BYTES as u64).read_to_end(&mut answer).await;
    // What came before it was cut tells more.
    judge_answer(&answer).map_err(|why| match read {
        Err(error) if answer.is_empty() => MediaFault::Cut(told(&error)),
        _ => MediaFault::Handshake(why),
    })
}

/// An error in words, then as it was said.
fn told(error: &std::io::Error) -> String {
    in_short(&error.to_string())
}
