//! The settings of the read-only listener: where it listens, what it is called, and where the token is kept that others must send. Does
//! not open anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::settings_reader::{Fields, SettingsReader};
use crate::secret::SecretSource;
use crate::yaml::{Kind, Node};

/// Where the page listens when nothing is said.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8620);

/// The most addresses, and the most names.
pub(super) const PLACES_MAX: usize = 8;

/// The longest name of a host (RFC 1035).
const HOST_MAX: usize = 253;

const EXPECTED: &str = "`none`, an address and a port, or a list of these";

/// The read-only listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where it listens; empty: nowhere. Not two of them at one port of one address.
    pub addresses: Vec<SocketAddr>,
    /// Names of this host that requests may give it, beside its addresses.
    pub hosts: Vec<Arc<str>>,
    /// Where the token is kept that is asked for at addresses that are not loopback.
    pub token: Option<SecretSource>,
}

impl Listen {
    /// The first loopback address, where programs on this host ask.
    pub fn on_this_host(&self) -> Option<SocketAddr> {
        self.addresses.iter().find(|address| address.ip().is_loopback()).copied()
    }

    /// The addresses that other hosts may reach.
    pub fn public(&self) -> impl Iterator<Item = &SocketAddr> {
        self.addresses.iter().filter(|address| !address.ip().is_loopback())
    }
}

/// Reads `listen`, `listen_public`, `listen_token` and `listen_hosts`.
pub(super) fn listen(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>) -> Option<Listen> {
    let is_public = match fields.get("listen_public") {
        Some(node) => reader.boolean(node, "listen_public"),
        None => Some(false),
    };
    let addresses = match fields.get("listen") {
        Some(node) => addresses(reader, node, is_public != Some(false)),
        None => Some(vec![LISTEN_DEFAULT]),
    };
    let token = match fields.get("listen_token") {
        Some(_) => reader.secret(fields, "listen_token").map(Some),
        None => Some(None),
    };
    let hosts = match fields.get("listen_hosts") {
        Some(node) => hosts(reader, node),
        None => Some(Vec::new()),
    };
    let listen = Listen { addresses: addresses?, hosts: hosts?, token: token? };
    let first = listen.public().next();
    match (first, is_public?, fields.get("listen"), fields.get("listen_token")) {
        (Some(first), true, Some(node), None) => {
            let message = format!("without `listen_token`, `{first}` answers only `/healthz` and `/readyz`");
            reader.warning(node.span, "no-token", message).hint("write where a token is kept: `listen_token: {credential: NAME}`");
        }
        (None, _, _, Some(node)) => {
            let message = "nothing asks for `listen_token`: every address of `listen` is loopback";
            let hint = "add an address that others reach to `listen`, with `listen_public: true`, or remove `listen_token`";
            reader.warning(node.span, "no-public-address", message).hint(hint);
        }
        _ => {}
    }
    Some(listen)
}

fn addresses(reader: &mut SettingsReader<'_>, node: &Node<'_>, is_public: bool) -> Option<Vec<SocketAddr>> {
    let Kind::List(items) = &node.kind else {
        if node.text() == Some("none") {
            return Some(Vec::new());
        }
        return address(reader, node, is_public).map(|address| vec![address]);
    };
    if !(1..=PLACES_MAX).contains(&items.len()) {
        reader.error(node.span, "bad-value", format!("`listen`: expected 1 to {PLACES_MAX} addresses, found {}", items.len()));
        return None;
    }
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut is_good = true;
    for item in items {
        match address(reader, item, is_public) {
            Some(address) => {
                if let Some(other) = addresses.iter().find(|other| meets(**other, address)) {
                    let message = format!("`listen`: `{address}` and `{other}` cannot both be listened on");
                    reader.error(item.span, "same-address", message).hint("remove one, or give it another port");
                    is_good = false;
                }
                addresses.push(address);
            }
            None => is_good = false,
        }
    }
    is_good.then_some(addresses)
}

/// Whether the second of the two finds its port taken. `0.0.0.0` takes it at every address, and `[::]` at those of IPv4 too.
fn meets(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    let (first, second) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (first == second || covers(first, second) || covers(second, first))
}

fn address(reader: &mut SettingsReader<'_>, node: &Node<'_>, is_public: bool) -> Option<SocketAddr> {
    let text = reader.text(node, "listen", EXPECTED)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() || is_public => Some(address),
        Ok(address) => {
            let message = format!("`listen`: other hosts may reach `{address}`, and `listen_public` is not true");
            let hint = "write `listen_public: true` and `listen_token: {credential: NAME}`, or a loopback address such as `127.0.0.1:8620`";
            reader.error(node.span, "public-address", message).hint(hint);
            None
        }
        Err(_) => {
            reader
                .error(node.span, "bad-value", format!("`listen` is {EXPECTED}"))
                .hint("for example `127.0.0.1:8620`, or `[127.0.0.1:8620, 192.0.2.10:8620]`");
            None
        }
    }
}

fn hosts(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Vec<Arc<str>>> {
    let expected = "a list of names of this host";
    let Kind::List(items) = &node.kind else {
        reader.error(node.span, "wrong-type", format!("`listen_hosts`: expected {expected}, found {}", node.describe()));
        return None;
    };
    if items.len() > PLACES_MAX {
        reader.error(node.span, "bad-value", format!("`listen_hosts`: expected at most {PLACES_MAX} names, found {}", items.len()));
        return None;
    }
    let mut hosts = Vec::new();
    for item in items {
        let name = reader.text(item, "listen_hosts", "a name of this host")?;
        if !is_name(name) {
            reader
                .error(item.span, "bad-value", "`listen_hosts`: expected a name of this host, without a scheme and a port")
                .hint("for example `ingestd.example.com`; an address needs no entry");
            return None;
        }
        hosts.push(Arc::from(name.to_ascii_lowercase()));
    }
    Some(hosts)
}

/// Whether it is a name as DNS has it, and no address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let labels = || text.split('.');
    text.len() <= HOST_MAX && labels().all(is_label) && !labels().next_back().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Reading, read};
    use crate::schedule::Source;
    use std::path::Path;

    const GOOD: &str = "account: {region: ap-singapore}\napps: {main: {sdk_app_id: 1, secret_key: {env: KEY}}}\n";

    fn reading(more: &str) -> Reading {
        read(&Source { name: Arc::from("s.yaml"), text: format!("{GOOD}{more}") }, Path::new("/etc/ingestd"))
    }

    #[test]
    fn addresses_of_one_host_and_of_others_are_told_apart() {
        let text = "listen: [192.0.2.10:8620, 127.0.0.1:8620, '[::1]:8620']\nlisten_public: true\n\
                    listen_token: {credential: listen-token}\nlisten_hosts: [Ingestd.example.com]\n";
        let read = reading(text);
        assert!(read.diagnostics.is_empty(), "{:?}", read.diagnostics);
        let listen = read.settings.expect("accepted").listen;
        assert_eq!(listen.on_this_host(), Some(LISTEN_DEFAULT));
        assert_eq!(listen.public().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.10:8620"]);
        assert_eq!(listen.hosts, [Arc::from("ingestd.example.com")]);
        assert_eq!(listen.token, Some(SecretSource::Credential("listen-token".to_owned())));
        let nowhere = reading("listen: none\n").settings.expect("accepted").listen;
        assert_eq!((nowhere.addresses.len(), nowhere.on_this_host()), (0, None));
        let usual = reading("").settings.expect("accepted").listen;
        assert_eq!(usual, Listen { addresses: vec![LISTEN_DEFAULT], hosts: Vec::new(), token: None });
    }

    #[test]
    fn what_others_reach_is_said_on_purpose_and_what_cannot_be_is_refused() {
        let public = "listen_public: true\nlisten_token: {env: T}\n";
        for (text, expected) in [
            (
                "listen: 0.0.0.0:8620\n",
                "s.yaml:3:9: `listen`: other hosts may reach `0.0.0.0:8620`, and `listen_public` is not true",
            ),
            ("listen: [127.0.0.1:1, 192.0.2.1:1]\nlisten_public: false\n", "s.yaml:3:23: `listen`: other hosts may reach"),
            ("listen: ['[::ffff:127.0.0.1]:1']\n", "s.yaml:3:10: `listen`: other hosts may reach"),
            ("listen: []\n", "s.yaml:3:9: `listen`: expected 1 to 8 addresses, found 0"),
            ("listen: [none]\n", "s.yaml:3:10: `listen` is `none`, an address and a port, or a list of these"),
            ("listen: {}\n", "s.yaml:3:9: `listen`: expected `none`, an address and a port, or a list of these, found a mapping"),
            ("listen: [127.0.0.1:1, 127.0.0.1:1]\n", "s.yaml:3:23: `listen`: `127.0.0.1:1` and `127.0.0.1:1` cannot both"),
            ("listen: [127.0.0.1:1, 0.0.0.0:1]\n", "s.yaml:3:23: `listen`: `0.0.0.0:1` and `127.0.0.1:1` cannot both"),
            ("listen: ['[::]:1', 127.0.0.1:1]\n", "s.yaml:3:20: `listen`: `127.0.0.1:1` and `[::]:1` cannot both"),
            ("listen_hosts: a\n", "s.yaml:3:15: `listen_hosts`: expected a list of names of this host, found a value"),
            ("listen_hosts: ['http://a']\n", "s.yaml:3:16: `listen_hosts`: expected a name of this host, without a scheme"),
            ("listen_hosts: [a:80]\n", "s.yaml:3:16: `listen_hosts`: expected a name of this host, without a scheme"),
            ("listen_hosts: ['192.0.2.1']\n", "s.yaml:3:16: `listen_hosts`: expected a name of this host, without a scheme"),
            ("listen_hosts: [*x]\n", "s.yaml:"),
        ] {
            // Whether it is public is not what is wrong with the others.
            let more = if expected.contains("may reach") { "" } else { public };
            let read = reading(&format!("{text}{more}"));
            let lines: Vec<String> = read.diagnostics.iter().map(ToString::to_string).collect();
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{text}: {lines:#?}");
            assert!(read.settings.is_none(), "{text}");
        }
    }

    #[test]
    fn a_token_that_nobody_asks_for_and_an_address_that_asks_for_none_draw_a_warning() {
        let said = |text: &str| {
            let read = reading(text);
            assert!(read.settings.is_some(), "{:?}", read.diagnostics);
            read.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let open = said("listen: 0.0.0.0:8620\nlisten_public: true\n");
        assert!(
            open.starts_with("s.yaml:3:9: without `listen_token`, `0.0.0.0:8620` answers only `/healthz` and `/readyz`"),
            "{open}"
        );
        let unused = said("listen_token: {env: T}\n");
        assert!(unused.starts_with("s.yaml:3:15: nothing asks for `listen_token`"), "{unused}");
        assert_eq!(said("listen_public: true\n"), "");
    }
}
