//! Every secret that the settings name: how they call it, and where it is kept. Reads none of them.

use super::{App, Settings, Token};
use crate::secret::SecretSource;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSecret<'a> {
    /// As the settings call it: `account.secret_key`.
    pub name: String,
    /// Where it is kept.
    pub source: &'a SecretSource,
    /// Whether nothing is wrong when it is not there.
    pub is_optional: bool,
}

impl Settings {
    /// Returns every secret of the settings. A new kind of secret is added here, and nowhere else.
    pub fn secret_list(&self) -> Vec<NamedSecret<'_>> {
        let mut list = Vec::new();
        let mut add = |name: String, source, is_optional| list.push(NamedSecret { name, source, is_optional });
        add("account.secret_id".to_owned(), &self.account.secret_id, false);
        add("account.secret_key".to_owned(), &self.account.secret_key, false);
        match &self.account.token {
            Token::Wanted(source) => add("account.token".to_owned(), source, false),
            Token::IfPresent(source) => add("account.token".to_owned(), source, true),
        }
        for (name, App { secret_key, callback_key, .. }) in &self.apps {
            add(format!("apps.{name}.secret_key"), secret_key, false);
            if let Some(key) = callback_key {
                add(format!("apps.{name}.callback_key"), key, false);
            }
        }
        for (name, source) in &self.secrets {
            add(format!("secrets.{name}"), source, false);
        }
        if let Some(shared) = &self.ledger {
            add("ledger.postgres".to_owned(), &shared.postgres, false);
            if let Some(source) = &shared.migrate {
                add("ledger.migrate".to_owned(), source, false);
            }
        }
        if let Some(source) = &self.listen.token {
            add("listen_token".to_owned(), source, false);
        }
        for receiver in &self.alerts {
            for (field, source) in receiver.secrets() {
                add(format!("alerts.{}.{field}", receiver.name), source, false);
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::schedule::Source;

    #[test]
    fn every_secret_of_the_settings_is_listed_by_its_name() {
        let text = "account: {secret_id: {file: s1}, secret_key: {file: s2}, token: {file: s3}, region: ap-singapore}\n\
                    apps: {main: {sdk_app_id: 1, secret_key: {file: s4}, callback_key: {file: s5}}}\n\
                    secrets: {cam: {file: s6}}\nledger: {postgres: {file: s11}, migrate: {file: s12}}\nlisten: 0.0.0.0:1\nlisten_public: true\nlisten_token: {file: s7}\n\
                    alerts: [{webhook: {file: s8}, key: {file: s9}}, {heartbeat: {file: s10}, every: 1m}, {exec: [/bin/true]}]\n";
        let source = Source { name: Arc::from("s.yaml"), text: text.to_owned() };
        let reading = crate::config::read(&source, Path::new("/etc/ingestd"));
        let settings = reading.settings.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
        let list = settings.secret_list();
        let names: Vec<&str> = list.iter().map(|secret| secret.name.as_str()).collect();
        let [account, others] = [&names[..3], &names[3..]];
        assert_eq!(account, ["account.secret_id", "account.secret_key", "account.token"]);
        let expected =
            ["apps.main.secret_key", "apps.main.callback_key", "secrets.cam", "ledger.postgres", "ledger.migrate", "listen_token"];
        assert_eq!(others[..6], expected);
        let fields: Vec<&str> = others[6..].iter().filter_map(|name| name.rsplit('.').next()).collect();
        assert_eq!(fields, ["webhook", "key", "heartbeat"]);
        // Each place that stands in the text is in the list.
        let places: std::collections::BTreeSet<String> = list.iter().map(|secret| secret.source.to_string()).collect();
        assert_eq!((places.len(), list.len()), (12, 12), "{places:?}");
    }
}
