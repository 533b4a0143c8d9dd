//! Everything secret that requests need, and how two readings of it differ. Does not know where it is read from, and how it is used.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret, SecretString};

use crate::trtc::request::{AppKey, Credentials};

/// Everything secret that requests need.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The account's.
    pub credentials: Credentials,
    /// By the application's name in the settings.
    pub apps: BTreeMap<String, AppKey>,
    /// Those to which streams refer, by name; or why one cannot be read.
    pub streams: BTreeMap<String, Result<SecretString, String>>,
}

impl Secrets {
    /// Returns the secret of that name. Errors: why there is none.
    pub(super) fn stream(&self, name: &str) -> Result<&SecretString, String> {
        let secret = self.streams.get(name).ok_or_else(|| format!("the settings have no secret `{name}`"))?;
        secret.as_ref().map_err(Clone::clone)
    }

    /// Where one of a stream cannot be read any more, the former one stays. Returns why they cannot be read.
    pub(super) fn keep_readable(&mut self, former: &Secrets) -> Vec<String> {
        let kept = |(name, secret): (&String, &mut Result<SecretString, String>)| {
            let former = former.streams.get(name)?.as_ref().ok()?.clone();
            std::mem::replace(secret, Ok(former)).err()
        };
        let unread = self.streams.iter_mut().filter(|(_, secret)| secret.is_err());
        unread.filter_map(kept).collect()
    }

    /// Returns the names, as the settings have them, of those that differ.
    pub fn differing(&self, other: &Secrets) -> Vec<String> {
        let (before, now) = (self.by_name(), other.by_name());
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        names.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
    }

    /// Each by its name. No copy is made: what is wiped when it is dropped stays the only one.
    fn by_name(&self) -> BTreeMap<String, &str> {
        let Credentials { secret_id, secret_key, token } = &self.credentials;
        let account = [("secret_id", Some(secret_id.as_str())), ("secret_key", Some(secret_key.expose_secret()))];
        let account = account.into_iter().chain([("token", token.as_ref().map(ExposeSecret::expose_secret))]);
        let account = account.filter_map(|(name, secret)| Some((format!("account.{name}"), secret?)));
        let apps = self.apps.iter().map(|(name, app)| (format!("apps.{name}.secret_key"), app.key.expose_secret()));
        let streams = self.streams.iter().filter_map(|(name, secret)| Some((name, secret.as_ref().ok()?)));
        let streams = streams.map(|(name, secret)| (format!("secrets.{name}"), secret.expose_secret()));
        account.chain(apps).chain(streams).collect()
    }
}
