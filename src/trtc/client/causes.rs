//! Why no answer came, in words: the causes that the libraries give, and before them what they come to and what to do. Does not decide
//! what a failure proves.

use std::error::Error as _;

use reqwest::Url;

use super::Endpoint;

/// What the libraries say of a connection that does not come about, in small letters and without spaces, since some write a sentence and
/// some a name; and what it comes to. The first that is found counts.
/// The words are those of rustls 0.23, rustls-webpki 0.103, hyper-util 0.1, reqwest 0.13 and the C library.
const WORDS: [(&str, &str); 20] = [
    (
        "causedasendentity",
        "its certificate is one of an authority, not of a host: something else answers there, such as a proxy that opens connections",
    ),
    (
        "unknownissuer",
        "this host does not trust who issued its certificate: if a proxy opens connections, add its authority to this host's certificates",
    ),
    ("self-signed", "its certificate is signed by itself: something else answers there, such as a proxy that opens connections"),
    (
        "notvalidforname",
        "its certificate is for another name: something else answers there; check the host's DNS, and a proxy in between",
    ),
    ("notvalidyet", "its certificate is not valid yet by this host's clock: check the clock"),
    ("expired", "its certificate has expired by this host's clock: check the clock"),
    ("revoked", "its certificate was revoked: something else may answer there"),
    (
        "invalidpeercertificate",
        "its certificate is not accepted: something else may answer there, such as a proxy that opens connections",
    ),
    ("invalidcontenttype", NO_TLS),
    ("corruptmessage", NO_TLS),
    ("receivedfatalalert", REFUSED_TLS),
    ("peerisincompatible", REFUSED_TLS),
    ("proxyauth", "the proxy wants a user name and a password: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`"),
    ("tunnel", "the proxy does not let it through: ask whoever runs the proxy"),
    ("lookupaddress", "its name cannot be resolved: check this host's DNS"),
    ("refused", "nothing listens there, or a firewall refuses"),
    ("unreachable", "there is no way there from this host: check its network"),
    ("timedout", "no connection in time: a firewall may drop it, or the network is down"),
    (
        "handshakeeof",
        "it closed the connection during the handshake: a firewall or a proxy in between may do that, or it speaks no TLS",
    ),
    ("reset", "the connection was cut: a firewall or a proxy in between may do that"),
];

const NO_TLS: &str = "what answers there does not speak TLS: check the port, and that a proxy is named as `http://`";

const REFUSED_TLS: &str = "it refuses the encryption: it may want an older TLS than 1.2, or a proxy in between may";

/// What the causes of a failure come to.
fn in_words(causes: &str) -> Option<&'static str> {
    let causes = causes.to_lowercase().replace(' ', "");
    WORDS.iter().find(|(said, _)| causes.contains(said)).map(|(_, words)| *words)
}

/// Why there is no connection: to which host, through which proxy, what it comes to, and the causes.
pub(super) fn no_connection(endpoint: &Endpoint, proxy: Option<&str>, causes: &str) -> String {
    let through = proxy.map(|proxy| format!(" through the proxy `{proxy}`")).unwrap_or_default();
    let words = in_words(causes).map(|words| format!("{words} ")).unwrap_or_default();
    let causes = if words.is_empty() { causes.to_owned() } else { format!("({causes})") };
    format!("no connection to `{}`{through}: {words}{causes}", endpoint.host())
}

/// The proxy that the environment names for an encrypted endpoint, without its password; none for this host itself, and none where
/// `NO_PROXY` has the endpoint. It is for messages: the library finds the proxy itself.
pub(super) fn proxy_of(endpoint: &Endpoint, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    if endpoint.is_loopback() {
        return None;
    }
    let name = endpoint.host().split(':').next().unwrap_or_default();
    let not = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let is_excepted = |entry: &str| {
        let entry = entry.trim().trim_start_matches("*.").trim_start_matches('.');
        entry == "*" || (!entry.is_empty() && (name == entry || name.ends_with(&format!(".{entry}"))))
    };
    if not.split(',').any(is_excepted) {
        return None;
    }
    let proxy = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
    let url = Url::parse(&proxy).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{proxy}")).ok())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
}

/// An error and its causes in one line, without the URL.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Wrappers tend to repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_is_told_with_its_host_and_in_words() {
        let endpoint = Endpoint::parse("https://trtc.tencentcloudapi.com").expect("an endpoint");
        for (causes, words) in [
            ("error sending request: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "one of an authority"),
            ("invalid peer certificate: UnknownIssuer", "does not trust who issued"),
            ("invalid peer certificate: certificate not valid for name \"x\"", "for another name"),
            ("invalid peer certificate: certificate expired: verification time 1", "check the clock"),
            ("invalid peer certificate: BadEncoding", "is not accepted"),
            ("dns error: failed to lookup address information: Name or service not known", "check this host's DNS"),
            ("tcp connect error: Connection refused (os error 111)", "nothing listens there"),
            ("tcp connect error: Network is unreachable (os error 101)", "check its network"),
            ("operation timed out", "a firewall may drop it"),
            ("received corrupt message of type InvalidContentType", "does not speak TLS"),
            ("tunnel error: unsuccessful", "the proxy does not let it through"),
        ] {
            let told = no_connection(&endpoint, None, causes);
            assert!(told.starts_with("no connection to `trtc.tencentcloudapi.com`: "), "{told}");
            assert!(told.contains(words) && told.ends_with(&format!("({causes})")), "{causes}: {told}");
        }
        let told = no_connection(&endpoint, Some("http://proxy:3128"), "something new");
        assert_eq!(told, "no connection to `trtc.tencentcloudapi.com` through the proxy `http://proxy:3128`: something new");
    }

    #[test]
    fn the_proxy_is_named_without_its_password_and_where_it_is_asked_only() {
        let endpoint = |url: &str| Endpoint::parse(url).expect("an endpoint");
        let trtc = endpoint("https://trtc.tencentcloudapi.com");
        let env = |set: &'static [(&'static str, &'static str)]| {
            move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let with = env(&[("https_proxy", "http://anna:hush@proxy:3128/")]);
        assert_eq!(proxy_of(&trtc, with).as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy_of(&endpoint("http://127.0.0.1:8621"), with), None);
        assert_eq!(proxy_of(&trtc, env(&[("HTTPS_PROXY", "proxy:3128")])).as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy_of(&trtc, env(&[])), None);
        assert_eq!(proxy_of(&trtc, env(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", "a, .tencentcloudapi.com")])), None);
    }
}
