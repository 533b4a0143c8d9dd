//! The settings file, told in examples: what is accepted, what is refused with which words, and that no secret is ever shown.

use std::collections::BTreeMap;

use super::*;

const GOOD: &str = "account: {region: ap-singapore}\napps:\n  main:\n    sdk_app_id: 1400000001\n    secret_key: {env: KEY}\n";

fn reading(text: &str) -> Reading {
    read(&Source { name: Arc::from("s.yaml"), text: text.to_owned() }, Path::new("/etc/ingestd"))
}

/// Everything that any output could show of a reading.
fn quote(reading: &Reading) -> String {
    let texts = BTreeMap::from([(Arc::from("s.yaml"), reading.drawable.as_str())]);
    let json: Vec<String> = reading.diagnostics.iter().map(|diagnostic| diagnostic.json().to_string()).collect();
    format!("{}{}{reading:?}", diagnostic::render(&reading.diagnostics, &texts, false), json.join("\n"))
}

fn lines(reading: &Reading) -> Vec<String> {
    reading.diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shortest_settings_get_the_defaults() {
    let reading = reading(GOOD);
    assert_eq!(lines(&reading), Vec::<String>::new());
    let settings = reading.settings.expect("accepted");
    assert_eq!(settings.account.secret_id, SecretSource::Env("TENCENTCLOUD_SECRET_ID".into()));
    assert_eq!(settings.account.secret_key, SecretSource::Env("TENCENTCLOUD_SECRET_KEY".into()));
    assert_eq!(settings.account.token, Token::IfPresent(SecretSource::Env("TENCENTCLOUD_TOKEN".into())));
    assert_eq!(settings.account.endpoint.to_string(), "https://trtc.tencentcloudapi.com");
    assert_eq!(settings.schedules, Path::new("/etc/ingestd/schedules"));
    assert_eq!(settings.state, None);
    assert_eq!(settings.listen.addresses, ["127.0.0.1:8620".parse().expect("an address")]);
    assert_eq!(settings.rate.get(), 20);
    assert!(!settings.apps["main"].private_map_key);
    assert_eq!((settings.callbacks, &settings.control, settings.require_sync), (None, &None, false));
    assert_eq!(settings.apps["main"].callback_key, None);
    let given = settings.for_schedule();
    assert_eq!(given.apps.expect("known")["main"], 1_400_000_001);
    assert_eq!(given.region.as_deref(), Some("ap-singapore"));
}

#[test]
fn everything_that_can_be_said_is_taken() {
    let reading = reading(concat!(
        "account:\n  secret_id: {file: keys/id}\n  secret_key: {credential: key}\n  token: {env: TOKEN}\n",
        "  region: ap-guangzhou\n  endpoint: http://127.0.0.1:8621\n",
        "apps:\n  main: {sdk_app_id: 1, secret_key: {file: /run/k}, private_map_key: true, callback_key: {credential: cb}}\n",
        "schedules: /srv/schedules\nstate: state\ncontrol: run/c.sock\nlisten: none\nrate: 5\n",
        "callbacks: 0.0.0.0:8622\nalerts: []\nrequire_sync: true\nlisten_public: false\n",
    ));
    assert_eq!(lines(&reading), Vec::<String>::new());
    let settings = reading.settings.expect("accepted");
    assert_eq!(settings.account.secret_id, SecretSource::File("/etc/ingestd/keys/id".into()));
    assert_eq!(settings.account.secret_key, SecretSource::Credential("key".into()));
    assert_eq!(settings.account.token, Token::Wanted(SecretSource::Env("TOKEN".into())));
    assert_eq!(settings.account.endpoint.to_string(), "http://127.0.0.1:8621");
    assert_eq!(settings.apps["main"].secret_key, SecretSource::File("/run/k".into()));
    assert!(settings.apps["main"].private_map_key);
    assert_eq!(settings.schedules, Path::new("/srv/schedules"));
    assert_eq!(settings.state_folder(), Ok(PathBuf::from("/etc/ingestd/state")));
    assert_eq!((settings.listen.addresses.len(), settings.rate.get()), (0, 5));
    assert_eq!(settings.callbacks.map(|address| address.to_string()).as_deref(), Some("0.0.0.0:8622"));
    assert_eq!(settings.apps["main"].callback_key, Some(SecretSource::Credential("cb".into())));
    assert_eq!(settings.control_socket(), Ok(PathBuf::from("/etc/ingestd/run/c.sock")));
    assert_eq!(settings.control_candidates(), Ok(vec![PathBuf::from("/etc/ingestd/run/c.sock")]));
    assert!(settings.require_sync);
}

#[test]
fn a_control_socket_stands_in_the_state_folder_and_settings_of_their_own_lead_to_no_other_daemon() {
    let with = |more: &str| reading(&format!("{GOOD}{more}")).settings.expect("accepted");
    let own = with("state: /srv/state\n");
    assert_eq!(own.control_socket(), Ok(PathBuf::from("/srv/state/control.sock")));
    assert_eq!(own.control_candidates(), Ok(vec![PathBuf::from("/srv/state/control.sock")]));
    let usual = with("").control_candidates().expect("the usual place at least");
    assert_eq!(usual.last(), Some(&PathBuf::from(CONTROL_USUAL)));
}

#[test]
fn callbacks_need_a_key_for_every_application() {
    let two =
        "apps: {a: {sdk_app_id: 1, secret_key: {env: K}}, b: {sdk_app_id: 2, secret_key: {env: K}, callback_key: {env: C}}}\n";
    let text = format!("account: {{region: ap-singapore}}\n{two}");
    assert_eq!(lines(&reading(&text)), Vec::<String>::new());
    let on = reading(&format!("{text}callbacks: '[::]:8622'\n"));
    assert!(on.settings.is_none());
    let [line] = &lines(&on)[..] else { panic!("{:#?}", lines(&on)) };
    assert!(line.starts_with("s.yaml:2:8: `callbacks` are on, and this application has no `callback_key`"), "{line}");
}

#[test]
fn each_mistake_has_its_place_and_its_words() {
    for (text, expected) in [
        ("", "s.yaml: the settings are empty"),
        ("# nothing\n", "s.yaml: the settings are empty"),
        ("- a\n", "s.yaml:1:1: the settings: expected a mapping, found a list"),
        ("apps: {}\n", "s.yaml:1:1: `account` is missing in the settings"),
        ("apps: {}\n", "s.yaml:1:7: `apps` names no application"),
        ("account: {}\n", "s.yaml:1:10: `region` is missing in `account`"),
        ("account: {region: Singapore}\n", "s.yaml:1:19: `region`: expected a region such as `ap-singapore`, found `Singapore`"),
        ("account: {region: ap-nowhere}\n", "s.yaml:1:19: `region`: the vendor does not list `ap-nowhere`"),
        (
            "account: {endpoint: 'http://a.example'}\n",
            "s.yaml:1:21: `endpoint`: `http://a.example` would send signed requests unencrypted",
        ),
        ("account: {endpoint: 'ftp://127.0.0.1'}\n", "s.yaml:1:21: `endpoint`: an endpoint is an `https` URL, not `ftp`"),
        (
            "account: {endpoint: 'https://a.example/v1'}\n",
            "s.yaml:1:21: `endpoint` is a scheme, a host and a port, and nothing else",
        ),
        ("account: {endpoint: 'nonsense'}\n", "s.yaml:1:21: `endpoint`: it is not a URL"),
        ("apps: {Main: {sdk_app_id: 1, secret_key: {env: K}}}\n", "s.yaml:1:8: this cannot be the name of an application"),
        (
            "apps: {a: {sdk_app_id: 0, secret_key: {env: K}}}\n",
            "s.yaml:1:24: `sdk_app_id`: expected a whole number from 1 to 4294967295, found `0`",
        ),
        (
            "apps: {a: {sdk_app_id: '1', secret_key: {env: K}}}\n",
            "s.yaml:1:24: `sdk_app_id`: expected a whole number from 1 to 4294967295, found the text `1` (write `1` without quotes)",
        ),
        ("apps: {a: {secret_key: {env: K}}}\n", "s.yaml:1:11: `sdk_app_id` is missing in `apps.a`"),
        ("apps: {a: {sdk_app_id: 1}}\n", "s.yaml:1:11: `secret_key` is missing in `apps.a`"),
        (
            "apps: {a: {private_map_key: yes}}\n",
            "s.yaml:1:29: `private_map_key`: expected `true` or `false`, found `yes`, which is a boolean in YAML 1.1 only (write `true`)",
        ),
        ("apps: {a: &x {sdk_app_id: 1, secret_key: {env: K}}, b: *x}\n", "s.yaml:1:53: `sdk_app_id` 1 has two names"),
        ("rate: 0\n", "s.yaml:1:7: `rate`: expected a whole number from 1 to 1000, found `0`"),
        ("rate: 1001\n", "s.yaml:1:7: `rate`: expected a whole number from 1 to 1000, found `1001`"),
        ("rate: 21\n", "s.yaml:1:7: `rate` 21 is above the 20 requests a second of an ordinary account"),
        ("listen: 0.0.0.0:80\n", "s.yaml:1:9: `listen`: other hosts may reach `0.0.0.0:80`, and `listen_public` is not true"),
        ("listen: localhost\n", "s.yaml:1:9: `listen` is `none`, an address and a port, or a list of these (for example"),
        ("schedules:\n", "s.yaml:1:10: `schedules`: expected a path, found no value"),
        ("state: [a]\n", "s.yaml:1:8: `state`: expected a path, found a list"),
        ("callbacks: localhost:1\n", "s.yaml:1:12: `callbacks` is `none`, or an address of this host and a port"),
        ("callbacks: 0.0.0.0\n", "s.yaml:1:12: `callbacks` is `none`, or an address of this host and a port"),
        ("callbacks: [none]\n", "s.yaml:1:12: `callbacks`: expected `none` or an address and a port, found a list"),
        (
            "require_sync: yes\n",
            "s.yaml:1:15: `require_sync`: expected `true` or `false`, found `yes`, which is a boolean in YAML 1.1 only",
        ),
        (
            "listen_public: yes\n",
            "s.yaml:1:16: `listen_public`: expected `true` or `false`, found `yes`, which is a boolean in YAML 1.1 only",
        ),
        ("listen_token: T\n", "s.yaml:1:15: `listen_token` is written into this file as plain text"),
        ("alerts: [{webhook: x}]\n", "s.yaml:1:20: `webhook`: it is not a URL"),
        ("control:\n", "s.yaml:1:8: `control`: expected a path, found no value"),
        ("watch: yes\n", "s.yaml:1:8: `watch`: expected `true` or `false`, found `yes`, which is a boolean in YAML 1.1 only"),
        ("apps: {a: {callback_key: K}}\n", "s.yaml:1:26: `callback_key` is written into this file as plain text"),
        ("account: {secret_id: {env: 1X}}\n", "s.yaml:1:22: `secret_id` does not say where the secret is kept"),
        ("account: {secret_id: {env: A, file: b}}\n", "s.yaml:1:22: `secret_id` does not say where the secret is kept"),
        ("account: {secret_id: {credential: ../x}}\n", "s.yaml:1:22: `secret_id` does not say where the secret is kept"),
        ("account: {secret_id: }\n", "s.yaml:1:20: `secret_id` does not say where the secret is kept"),
        ("rate: 5\nrate: 6\n", "s.yaml:2:1: `rate` is written twice in this mapping"),
        ("rate: 5\nraet: 6\n", "s.yaml:2:1: unknown key `raet` in the settings (did you mean `rate`?)"),
        ("rate: [\n", "s.yaml:"),
    ] {
        let reading = reading(text);
        assert!(lines(&reading).iter().any(|line| line.starts_with(expected)), "{text:?}: {:#?}", lines(&reading));
        assert!(reading.settings.is_none());
        assert_eq!(reading.drawable.len(), text.len());
    }
}

#[test]
fn each_mistake_in_a_chore_has_its_place_and_its_words() {
    for (text, expected) in [
        ("chores: []\n", "s.yaml:1:9: `chores`: expected a mapping, found a list"),
        ("chores: {prune: {cron: '0 4 * * *'}}\n", "s.yaml:1:17: `prune`: expected `keep`, `most` or both, found neither"),
        ("chores: {prune: {keep: 1d, cron: '0 4 * * *'}}\n", "s.yaml:1:24: `keep`: expected a duration of at least 2d, found `1d`"),
        ("chores: {prune: {most: 10, cron: '0 4 * * *'}}\n", "s.yaml:1:24: `most`: expected a whole number from 1000"),
        ("chores: {prune: {keep: 9d}}\n", "s.yaml:1:17: `cron` is missing in `prune`"),
        ("chores: {backup: {cron: '0 4 * * *'}}\n", "s.yaml:1:18: `to` is missing in `backup`"),
        ("chores: {backup: {to: b, keep: 0, cron: '0 4 * * *'}}\n", "s.yaml:1:32: `keep`: expected a whole number from 1 to 10000"),
        ("chores: {integrity: {cron: '0 4 * *'}}\n", "s.yaml:1:28: `cron`: expected five fields such as `30 4 * * *`"),
        ("chores: {integrity: {cron: '0 4 30 2 *'}}\n", "s.yaml:1:28: `cron`: it never comes"),
        ("chores: {vacuum: {}}\n", "s.yaml:1:10: unknown key `vacuum` in `chores`"),
    ] {
        let reading = reading(text);
        assert!(lines(&reading).iter().any(|line| line.starts_with(expected)), "{text:?}: {:#?}", lines(&reading));
        assert!(reading.settings.is_none());
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let reading = reading("account:\n  secret_key: hush\n  region: 5\nrate: x\nlisten: y\nchores: []\n");
    let places: Vec<u32> = reading.diagnostics.iter().map(|one| one.place.as_ref().expect("a place").line).collect();
    assert_eq!(places, [1, 2, 3, 4, 5, 6], "{:#?}", lines(&reading));
}

#[test]
fn a_secret_in_plain_text_is_refused_and_never_shown() {
    let secret = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3gnPhESA";
    for text in [
        "account:\n  secret_id: SECRET\n",
        "account:\n  secret_id: \"SECRET\"\n  secret_id: SECRET\n",
        "account: {secret_id: SECRET, region: ap-singapore, raet: 1}\n",
        "account:\n  secret_id: |\n    SECRET\n",
        "account:\n  secret_id: [SECRET]\n",
        "account:\n  secret_id: {SECRET: }\n",
        "account:\n  secret_id: {evn: SECRET}\n",
        "account:\n  secret_id: {env: SECRET}\n",
        "account: {region: SECRET}\n",
        "account: {region: ap-1, raet: 1, endpoint: SECRET}\n",
        "schedules: [SECRET]\n",
        "{state: SECRET, raet: 1}\n",
        "listen: SECRET\n",
        "listen: [SECRET]\n",
        "listen_token: SECRET\n",
        "listen_hosts: [SECRET]\n",
        "listen_hosts: SECRET\n",
        "account:\n  secret_id: {file: SECRET}\n",
        "account:\n  secret_id: {env: SECRET+}\n",
        "account:\n  secret_id: {credential: SECRET/}\n",
        "account:\n  secret_id: {env: [SECRET]}\n",
        "account:\n  secret_id: !SECRET\n",
        "account:\n  secret_id: !SECRET x\n",
        "account:\n  secret_id: *SECRET\n",
        "account:\n  secret_id: &SECRET x\n",
        "account:\n  secret_id: \"SECRET\n",
        "account:\n  secret_id:SECRET\n",
        "account: {secret_id:SECRET}\n",
        "account: {secret_id:SECRET, secret_id:SECRET}\n",
        "account: SECRET\n",
        "account: [SECRET]\n",
        "acount: {secret_id: SECRET}\n",
        "x: &x SECRET\naccount: {secret_id: *x}\n",
        "account:\n  secret-id: SECRET\n",
        "account:\n  SECRET\n",
        "account:\n  secret_id: # SECRET\n  \n",
        "account:\n  regoin: x # SECRET\n",
        "secret_id: SECRET\n",
        "apps: {main: {sdk_app_id: SECRET, secret_key: SECRET}}\n",
        "apps: {main: {sdk_app_id: 1, secret_key: SECRET, private_map_key: SECRET}}\n",
        "apps: {SECRET: {sdk_app_id: 1}}\n",
        "apps: {main: SECRET}\n",
        "rate: SECRET\n",
        "alerts: [{webhook: 'https://a.example/SECRET'}]\n",
        "callbacks: SECRET\n",
        "control: [SECRET]\n",
        "apps: {main: {sdk_app_id: 1, secret_key: {env: K}, callback_key: SECRET}}\n",
        "account: {endpoint: 'https://SECRET@a.example'}\n",
        "account: {endpoint: 'https://a.example/?key=SECRET'}\n",
        "SECRET\n",
        "- SECRET\n",
        "\tsecret_id: SECRET\n",
        "account:\n  secret_id: SECRET\n---\nx: SECRET\n",
    ] {
        let reading = reading(&text.replace("SECRET", secret));
        assert!(diagnostic::any_error(&reading.diagnostics), "{text:?} is accepted");
        let shown = quote(&reading);
        assert!(!shown.contains(secret), "{text:?} shows it:\n{shown}");
        assert!(!shown.to_lowercase().contains(&secret[8..20].to_lowercase()), "{text:?} shows a part of it:\n{shown}");
    }
}

#[test]
fn a_mistake_is_drawn_with_what_may_be_seen_of_its_line() {
    let reading = reading("account: {secret_key: abcDEF123, raet: hush, region: ap-singapore}  # hush\n");
    let drawn = quote(&reading);
    assert!(drawn.contains("account: {secret_key: *********, raet: ****, region: ap-singapore}  # ****"), "{drawn}");
    assert!(drawn.contains("error[plain-text-secret]: `secret_key` is written into this file as plain text"), "{drawn}");
    assert!(drawn.contains("`{env: NAME}`, `{file: PATH}` or `{credential: NAME}`"), "{drawn}");
}

#[test]
fn the_example_settings_are_good_and_fit_the_unit() {
    let read = reading(include_str!("../../systemd/ingestd.yaml"));
    assert_eq!(lines(&read), Vec::<String>::new());
    let settings = read.settings.expect("accepted");
    let unit = include_str!("../../systemd/ingestd.service");
    let loaded: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential=")?.split(':').next()).collect();
    let wanted = [&settings.account.secret_id, &settings.account.secret_key, &settings.apps["main"].secret_key];
    let wanted: Vec<SecretSource> = wanted.into_iter().cloned().collect();
    assert_eq!(wanted, loaded.iter().map(|name| SecretSource::Credential((*name).to_owned())).collect::<Vec<_>>());
    assert_eq!(settings.state, None, "the unit has a StateDirectory=");
    assert_eq!(settings.control, None, "the unit has a RuntimeDirectory=");
    assert!(
        unit.contains("\nRuntimeDirectory=ingestd\nRuntimeDirectoryMode=0750\n"),
        "operators of the group pass, and nobody else"
    );
    // The lines that turn callbacks on are there, and fit as well.
    let yaml = include_str!("../../systemd/ingestd.yaml");
    let on = yaml.replace("    # callback_key:", "    callback_key:").replace("# callbacks:", "callbacks:");
    let with = reading(&on);
    assert_eq!(lines(&with), Vec::<String>::new());
    let with = with.settings.expect("accepted");
    assert!(with.callbacks.is_some());
    let Some(SecretSource::Credential(name)) = &with.apps["main"].callback_key else { panic!("a credential") };
    assert!(unit.contains(&format!("\n# LoadCredential={name}:")), "{name}");
    // And those that open an address to other hosts.
    let public = yaml.replace("\nlisten: 127.0.0.1:8620\n", "\n").replace("# listen", "listen");
    let public = reading(&public);
    assert_eq!(lines(&public), Vec::<String>::new());
    let Some(SecretSource::Credential(name)) = public.settings.expect("accepted").listen.token else { panic!("a credential") };
    assert!(unit.contains(&format!("\n# LoadCredential={name}:")), "{name}");
    // So are those of alerts.
    let (before, example) = yaml.split_once("# alerts:\n").expect("the example");
    let lines_of = example.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let with = reading(&format!("{before}alerts:\n{lines_of}\n"));
    assert_eq!(lines(&with), Vec::<String>::new());
    let alerts = with.settings.expect("accepted").alerts;
    assert_eq!(alerts.len(), 3);
    for (_, source) in alerts.iter().flat_map(AlertReceiver::secrets) {
        let SecretSource::Credential(name) = source else { panic!("a credential") };
        assert!(unit.contains(&format!("\n# LoadCredential={name}:")), "{name}");
    }
}

#[test]
fn every_example_of_the_manual_is_accepted() {
    let [(_, file), (_, account), (_, app), (_, secret), (_, alert), (_, shared), (_, chores), kinds_of_chores @ ..] = reference();
    let written = |keys: &[KeyReference], indent: &str| -> String {
        let known = keys.iter().filter(|key| !key.example.is_empty());
        known.flat_map(|key| [indent, key.name, ": ", key.example, "\n"]).collect()
    };
    let ledger = written(&shared, "  ");
    let text = format!("{}account:\n{}apps:\n  main:\n{}", written(&file, ""), written(&account, "  "), written(&app, "    "));
    let text = format!("{text}ledger:\n{ledger}");
    assert_eq!(lines(&reading(&text)), Vec::<String>::new(), "{text}");
    let all: String = kinds_of_chores
        .iter()
        .fold(String::new(), |all, (of, keys)| format!("{all}  {}:\n{}", of.trim_start_matches("chores."), written(keys, "    ")));
    for chores in [written(&chores, "  "), all] {
        let text = format!("{GOOD}chores:\n{chores}");
        assert_eq!(lines(&reading(&text)), Vec::<String>::new(), "{text}");
    }
    for key in secret {
        let text = format!("{GOOD}callbacks: none\n").replace("{env: KEY}", &format!("{{{}: {}}}", key.name, key.example));
        assert_eq!(lines(&reading(&text)), Vec::<String>::new(), "{text}");
    }
    let kinds = ["webhook", "exec", "heartbeat"];
    for key in alert {
        let with = |kind: &str, others: &[&str]| others.contains(&key.name).then(|| kind.to_owned());
        let beside = with("webhook: {env: W}, format: feishu", &["key", "on", "name"])
            .or(with("webhook: {env: W}", &["format"]))
            .or(with("heartbeat: {env: H}", &["every"]));
        let beside = beside.map_or(String::new(), |beside| format!("{beside}, "));
        assert!(!beside.is_empty() || kinds.contains(&key.name), "{}", key.name);
        let text = format!("{GOOD}alerts: [{{{beside}{}: {}}}]\n", key.name, key.example);
        assert_eq!(lines(&reading(&text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn hosts_of_media_are_names_addresses_and_networks_and_nothing_else_is_repeated() {
    let hosts = |value: &str| reading(&format!("{GOOD}media_hosts: {value}\n"));
    let good = hosts("[media.lan, 10.1.2.3, 'fd00::/8']").settings.expect("accepted").media_hosts;
    assert!(good.names("media.lan") && good.names("10.1.2.3") && good.names("[fd00::1]") && !good.names("cdn.example.com"));
    for (value, line) in [
        ("media.lan", "`media_hosts`: expected a list"),
        ("['http://me:hush@media.lan/']", "without a scheme and a port"),
        ("[10.0.0.0/40]", "without a scheme and a port"),
        ("['']", "found an empty text"),
        ("[{a: b}]", "`media_hosts`: expected a name"),
    ] {
        let reading = hosts(value);
        assert!(reading.settings.is_none() && lines(&reading)[0].contains(line), "{value}: {:?}", lines(&reading));
        assert!(!quote(&reading).contains("hush"), "{value}");
    }
    assert_eq!(hosts("[]").settings.expect("accepted").media_hosts, MediaHosts::default());
}
