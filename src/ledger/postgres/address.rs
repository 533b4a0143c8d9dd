//! Where a database is: a connection URL as libpq takes it, read once. Its password is never shown, nor is anything of a URL that cannot
//! be read. Does not connect.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::tls::{self, Check, Tls};

/// How long one address of a host may take to take a connection. A name may have several, and all must fit into a call.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// After how long of silence, and how often, the system asks whether the other end is there.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));

/// What this program calls itself to the database.
const APPLICATION: &str = "ingestd";

/// What a connection URL looks like.
const FORM: &str = "expected `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full`, and in the password \
                    `@`, `/`, `?`, `#`, `%` and `:` written as `%40`, `%2F`, `%3F`, `%23`, `%25` and `%3A`";

/// Where a database is, and how it is reached.
pub struct Address {
    /// One for each host, in the order of the URL.
    hosts: Vec<Config>,
    pub(super) tls: Tls,
    is_checked: bool,
}

impl Address {
    /// Reads a connection URL.
    ///
    /// Errors: it is not one, or it asks for what this program does not do. They quote nothing of it.
    pub fn parse(url: &SecretString) -> Result<Address, String> {
        let url = url.expose_secret().trim();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(format!("it is no connection URL of PostgreSQL: {FORM}"));
        }
        // Before the `@` a `?` belongs to the password.
        let host = url.find('@').unwrap_or(0);
        let (base, query) = url[host..].find('?').map_or((url, ""), |at| (&url[..host + at], &url[host + at + 1..]));
        // The reader would take what is behind the first for a host, which everybody may see.
        if base.matches('@').count() > 1 {
            return Err(format!("the connection URL has more than one `@`: write that of a password as `%40`; {FORM}"));
        }
        let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(decoded(value)),
                Some((key @ ("sslcert" | "sslkey" | "sslcrl" | "gssencmode" | "krbsrvname" | "passfile" | "service"), _)) => {
                    return Err(format!("`{key}` is not known here: take it out of the URL"));
                }
                _ => kept.push(pair),
            }
        }
        let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        // What it says may quote a part of the password.
        let config: Config = url.parse().map_err(|_| format!("the connection URL cannot be read: {FORM}"))?;
        let (mode, check) = ssl_mode(mode, roots)?;
        let hosts = hosts_of(&config, mode)?;
        let is_checked = matches!(check, Check::Full(_)) && mode == SslMode::Require;
        Ok(Address { hosts, tls: tls::connector(&check)?, is_checked })
    }

    /// The same for those who only read: a server that follows another will do.
    pub(super) fn for_reading(&self) -> Address {
        let mut hosts = self.hosts.clone();
        for host in &mut hosts {
            host.target_session_attrs(TargetSessionAttrs::Any);
        }
        Address { hosts, tls: self.tls.clone(), is_checked: self.is_checked }
    }

    /// The hosts, in the order of the URL.
    pub(super) fn hosts(&self) -> &[Config] {
        &self.hosts
    }

    /// The hosts that may be on another machine and whose certificate nobody compares with their name.
    pub fn unchecked_hosts(&self) -> Vec<String> {
        let remote = |config: &&Config| match config.get_hosts().first() {
            Some(Host::Tcp(host)) => !self.is_checked && !is_loopback(host),
            _ => false,
        };
        self.hosts.iter().filter(remote).map(named).collect()
    }

    /// Host, port and database, for people.
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(named).collect();
        let database = self.hosts.first().and_then(Config::get_dbname).unwrap_or("(of its user)");
        format!("{database} on {}", hosts.join(", "))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({})", self.shown())
    }
}

/// A host and its port.
pub(super) fn named(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(host)), _) => format!("{host}:{port}"),
        (Some(Host::Unix(path)), _) => format!("{} (port {port})", path.display()),
        (None, address) => address.map_or_else(String::new, |address| format!("{address}:{port}")),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// How it is encrypted, and what is checked, as libpq means `sslmode`: `require` takes any certificate unless roots are named.
fn ssl_mode(mode: Option<&str>, roots: Option<String>) -> Result<(SslMode, Check), String> {
    let roots = roots.filter(|roots| roots != "system").map(PathBuf::from);
    match mode.unwrap_or("prefer") {
        "disable" => Ok((SslMode::Disable, Check::Nothing)),
        "prefer" => Ok((SslMode::Prefer, Check::Nothing)),
        "require" if roots.is_none() => Ok((SslMode::Require, Check::Nothing)),
        "require" | "verify-ca" => Ok((SslMode::Require, Check::Chain(roots))),
        "verify-full" => Ok((SslMode::Require, Check::Full(roots))),
        _ => Err("`sslmode`: expected `disable`, `prefer`, `require`, `verify-ca` or `verify-full`".to_owned()),
    }
}

/// One configuration for each host, so that a host that takes a connection and says nothing does not keep us from the next.
fn hosts_of(config: &Config, mode: SslMode) -> Result<Vec<Config>, String> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let agree = |length: usize| length == 0 || length == count;
    if count == 0 || !agree(hosts.len()) || !agree(addresses.len()) || !(ports.len() <= 1 || ports.len() == count) {
        return Err(format!("the connection URL names no host, or not as many ports as hosts: {FORM}"));
    }
    let one = |index: usize| {
        let mut one = Config::new();
        one.application_name(config.get_application_name().unwrap_or(APPLICATION));
        config.get_user().map(|user| one.user(user));
        config.get_password().map(|password| one.password(password));
        config.get_dbname().map(|name| one.dbname(name));
        config.get_options().map(|options| one.options(options));
        match hosts.get(index) {
            Some(Host::Tcp(host)) => drop(one.host(host.as_str())),
            Some(Host::Unix(path)) => drop(one.host_path(path)),
            None => {}
        }
        addresses.get(index).map(|address| one.hostaddr(*address));
        one.port(ports.get(index).or(ports.first()).copied().unwrap_or(5432));
        one.ssl_mode(mode).channel_binding(config.get_channel_binding());
        one.connect_timeout(CONNECT_MAX).keepalives_idle(KEEPALIVE.0).keepalives_interval(KEEPALIVE.1);
        one.target_session_attrs(TargetSessionAttrs::ReadWrite);
        one
    };
    Ok((0..count).map(one).collect())
}

/// A value of a query, with its `%XX` read.
fn decoded(value: &str) -> String {
    url::form_urlencoded::parse(format!("v={}", value.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(&SecretString::from(url))
    }

    #[test]
    fn a_url_of_several_hosts_is_read() {
        let address = parse("postgres://on:air@db-1,db-2:6432/ingestd?sslmode=verify-full").expect("it is one");
        assert_eq!(address.shown(), "ingestd on db-1:5432, db-2:6432");
        assert!(address.unchecked_hosts().is_empty());
        let address = parse("postgresql://on:air@db-1:1,db-2:2/ingestd?connect_timeout=3").expect("it is one");
        assert_eq!(address.unchecked_hosts(), ["db-1:1", "db-2:2"]);
        assert_eq!(address.hosts()[1].get_password(), Some("air".as_bytes()));
        let address = parse("postgres://on@%2Fvar%2Frun%2Fpostgresql/ingestd").expect("it is one");
        assert_eq!(address.shown(), "ingestd on /var/run/postgresql (port 5432)");
        assert!(address.unchecked_hosts().is_empty(), "a socket of this host");
    }

    #[test]
    fn a_password_is_in_no_error_and_not_shown() {
        let address = parse("postgres://on:s3cret@db-1/ingestd").expect("it is one");
        assert!(!format!("{address:?}").contains("s3cret"));
        let address = parse("postgres://on:s3c?sslmode=s3cret@db-1/ingestd?sslmode=require").expect("the password has a `?`");
        assert_eq!(address.hosts()[0].get_password(), Some("s3c?sslmode=s3cret".as_bytes()));
        for url in [
            "mysql://on:s3cret@db-1/ingestd",
            "postgres://on:s3c@s3cret@db-1/ingestd",
            "postgres://on:s3cret@db-1:1:2/ingestd",
            "postgres://on:s3cret@/ingestd",
            "postgres://on:s3cret@db-1/ingestd?sslmode=s3cret",
            "postgres://on:s3cret@db-1/ingestd?sslcert=s3cret",
            "postgres://on:s3cret@db-1/ingestd?s3cret=1",
            "postgres://on:s3cret@db-1/ingestd?sslrootcert=/nowhere&sslmode=verify-ca&options=s3cret",
        ] {
            let why = parse(url).expect_err(url);
            assert!(!why.contains("s3cret"), "{url}: {why}");
        }
    }
}
