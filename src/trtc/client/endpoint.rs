//! Where the API is: HTTPS, or plain HTTP to this host's own loopback. It does not know requests and connections.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The API's address. Invariant: nothing signed ever leaves this host unencrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    host: String,
    loopback: bool,
}

impl Endpoint {
    /// Returns an endpoint, or why the text is not one.
    ///
    /// ```
    /// use ingestd::trtc::Endpoint;
    /// assert_eq!(Endpoint::parse("https://trtc.tencentcloudapi.com").unwrap().host(), "trtc.tencentcloudapi.com");
    /// assert_eq!(Endpoint::parse("http://127.0.0.1:9080").unwrap().host(), "127.0.0.1:9080");
    /// assert!(Endpoint::parse("http://trtc.tencentcloudapi.com").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let url = Url::parse(text).map_err(|error| format!("it is not a URL: {error}"))?;
        let name = url.host_str().filter(|name| !name.is_empty()).ok_or("it does not name a host")?;
        // Checked first, so that no message below repeats a password.
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an endpoint takes no user name and no password".to_owned());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` has more than a host and a port; the API is at `/`"));
        }
        let loopback = is_loopback(name);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(format!("`{text}` would send signed requests unencrypted; `http` is for a loopback address only"));
            }
            other => return Err(format!("an endpoint is an `https` URL, not `{other}`")),
        }
        // As hyper writes the header, and as we sign it: the port only where it is not the scheme's own.
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Endpoint { url, host, loopback })
    }

    /// What the `Host` header says, and what is signed.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is on this host: then no proxy is asked.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.url.scheme(), self.host)
    }
}

/// `localhost` and the addresses `127.0.0.0/8` and `::1`. Other names that happen to resolve there may resolve elsewhere tomorrow.
fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_or_loopback_endpoints_are_taken() {
        for (text, host) in [
            ("https://trtc.tencentcloudapi.com", "trtc.tencentcloudapi.com"),
            ("https://TRTC.tencentcloudapi.com/", "trtc.tencentcloudapi.com"),
            ("https://trtc.tencentcloudapi.com:443", "trtc.tencentcloudapi.com"),
            ("https://trtc.tencentcloudapi.com:8443", "trtc.tencentcloudapi.com:8443"),
            ("http://127.0.0.1:9080", "127.0.0.1:9080"),
            ("http://127.8.9.1", "127.8.9.1"),
            ("http://[::1]:9080/", "[::1]:9080"),
            ("http://localhost:80", "localhost"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(endpoint.host(), host, "{text}");
        }
        for (text, why) in [
            ("http://trtc.tencentcloudapi.com", "loopback"),
            ("http://localhost.example.com", "loopback"),
            ("http://127.0.0.1.example.com", "loopback"),
            ("http://128.0.0.1", "loopback"),
            ("http://0.0.0.0:80", "loopback"),
            ("ftp://localhost", "not `ftp`"),
            ("trtc.tencentcloudapi.com", "not a URL"),
            ("", "not a URL"),
            ("https://me:secret@trtc.tencentcloudapi.com", "no user name"),
            ("https://trtc.tencentcloudapi.com/v1", "more than a host"),
            ("https://trtc.tencentcloudapi.com/?a", "more than a host"),
            ("file:///etc/passwd", "does not name a host"),
        ] {
            let error = Endpoint::parse(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
