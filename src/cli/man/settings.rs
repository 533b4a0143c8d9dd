//! The page ingestd.yaml(5): every key of the settings, from the tables that the reader goes by. How a page looks is not known here.

use std::fmt::Write as _;

use super::page::{Block, Page, Section, paragraphs};
use crate::config::{KeyReference, reference};

/// Settings that are accepted, with the keys that most daemons need.
pub(super) const EXAMPLE: &str = "\
account:
  secret_id: {credential: tencentcloud-secret-id}
  secret_key: {credential: tencentcloud-secret-key}
  region: ap-singapore
  endpoint: https://trtc.intl.tencentcloudapi.com   # an international account

apps:
  main:
    sdk_app_id: 1400000001
    secret_key: {credential: trtc-app-main}

schedules: schedules        # /etc/ingestd/schedules
listen: 127.0.0.1:8620
";

/// Returns the page.
pub(super) fn page() -> Page {
    let keys = reference();
    let terms = |prefix: &str| {
        let of = keys.iter().filter(|(of, _)| *of == prefix).flat_map(|(_, keys)| keys);
        vec![Block::Terms(of.map(|key| (format!("`{}`", key.name), meaning(key))).collect())]
    };
    let with = |text: &str, prefix: &str| [paragraphs(text), terms(prefix)].concat();
    let sections = vec![
        Section::new("SYNOPSIS", paragraphs("/etc/ingestd/ingestd.yaml")),
        Section::new("DESCRIPTION", paragraphs(DESCRIPTION)),
        Section::new("KEYS", terms("")),
        Section::new("ACCOUNT", with("These keys stand under `account`.", "account")),
        Section::new("APPS", with(APPS, "apps.NAME")),
        Section::new("SECRETS", with(SECRETS, "secret")),
        Section::new("LEDGER", with(LEDGER, "ledger")),
        Section::new("ALERTS", with(ALERTS, "alerts")),
        Section::new("CHORES", with(CHORES, "chores")),
        Section::new(
            "CHORES: PRUNE",
            with("These keys stand under `prune`; `keep`, `most` or both must be written.", "chores.prune"),
        ),
        Section::new("CHORES: INTEGRITY", with("This key stands under `integrity`.", "chores.integrity")),
        Section::new("CHORES: BACKUP", with("These keys stand under `backup`.", "chores.backup")),
        Section::new("EXAMPLE", vec![Block::Literal(EXAMPLE.to_owned())]),
        Section::new("SEE ALSO", paragraphs("ingestd(8), ingestd-schedule(5), systemd.exec(5)")),
    ];
    Page { name: "ingestd.yaml", section: 5, summary: "the settings of ingestd", sections }
}

const DESCRIPTION: &str = "\
The daemon reads its settings once, when it starts. Their path is `/etc/ingestd/ingestd.yaml`; the option `--config` or the variable \
`INGESTD_CONFIG` names another one. The file is YAML 1.2. An unknown key is an error. A relative path starts from the folder of this \
file.

`ingestd check` reads the settings and the schedule, and shows every problem with its line. `ingestd schema config` prints a JSON \
Schema, with which an editor completes keys and marks errors.";

const APPS: &str = "\
Under `apps` stand the applications, each under the name by which jobs call it. A name is up to 32 of a-z, 0-9, _ and -, and begins \
with a letter or a digit. These keys stand under each name.";

const SECRETS: &str = "\
No secret is ever written into this file. A key of a secret says where the secret is kept: it takes a mapping with exactly one of \
these keys. A secret that is written here as plain text is an error, and no message repeats it.";

const LEDGER: &str = "\
Without `ledger` the ledger is a file in `state`, and one host plays the schedule. With it, the ledger is on PostgreSQL, and several \
hosts share it: one of them owns the air, the others wait and take over when its lease has ended, or at once when it is stopped. The \
URL has the form `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full`; of several hosts the first is used that \
can be written. `sslmode` is `disable`, `prefer` (the default), `require`, `verify-ca` or `verify-full`, and only `verify-full` proves \
which host it is; `sslrootcert` names a file of roots. Hosts with the same `station` share one schedule; a database has as many stations \
as you like. These keys stand under `ledger`.";

const ALERTS: &str = "\
Under `alerts` stands a list of receivers. Each item has exactly one of `webhook`, `exec` and `heartbeat`. The URL of a robot is a \
secret: whoever knows it can write into the chat. So write where it is kept, as for every secret. `ingestd alert test` sends a test to \
each receiver and says what came back.

The events are `failed`, `missed`, `cut`, `lost`, `stop_unverified`, `reload_rejected`, `clock`, `disk`, `doctor`, `preflight`, \
`unseen`, `fallback`, `role_changed`, `no_owner` and `recovered`. `recovered` tells of the end of a trouble, and only those who were \
told of the trouble.";

const CHORES: &str = "\
Under `chores` stands what is done for the ledger now and then, and when: five fields of cron, in UTC, of which the day of the month or \
the weekday is `*`. A chore that was missed because the daemon was down runs after its next start. A chore that fails is an alert \
`disk`, and is told by `status` until it succeeds. `ingestd backup` and `ingestd prune` do the same by hand.

Nothing is deleted that is open or owed, nor anything of the last 48 hours. The space of deleted rows is used again; the file does not \
become smaller. A copy has the rows of one moment; it is looked through before it gets its name.";

fn meaning(key: &KeyReference) -> Vec<Block> {
    let mut text = key.doc.to_owned();
    if key.needed {
        text.push_str(" It must be written.");
    }
    if !key.default.is_empty() {
        let _ = write!(text, " Default: {}.", key.default);
    }
    if !key.example.is_empty() {
        let _ = write!(text, " Example: `{}: {}`.", key.name, key.example);
    }
    paragraphs(&text)
}
