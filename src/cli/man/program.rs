//! The page ingestd(8): verbs and options, from clap's own definition. What a verb does is not known here.

use clap::{Arg, Command};

use super::page::{Block, Page, Section, paragraphs, term};
use super::{is_of_clap, verbs};

/// Returns the page.
pub(super) fn page(mut command: Command) -> Page {
    // It gives each verb its name and its options of the whole program.
    command.build();
    let verbs = verbs(&command).map(verb).collect();
    let sections = vec![
        Section::new("SYNOPSIS", vec![Block::Text("`ingestd` [OPTIONS] VERB [ARGUMENTS]".into())]),
        Section::new("DESCRIPTION", paragraphs(DESCRIPTION)),
        Section::new("OPTIONS", vec![Block::Terms(command.get_arguments().filter(|arg| !hidden(arg)).map(argument).collect())]),
        Section::new("VERBS", vec![Block::Terms(verbs)]),
        Section::new("EXIT STATUS", vec![Block::Terms(EXITS.iter().map(|(code, means)| term(*code, means)).collect())]),
        Section::new("ENVIRONMENT", vec![Block::Terms(VARIABLES.iter().map(|(name, means)| term(*name, means)).collect())]),
        Section::new("FILES", vec![Block::Terms(FILES.iter().map(|(path, means)| term(*path, means)).collect())]),
        Section::new("SEE ALSO", paragraphs("ingestd-schedule(5), ingestd.yaml(5), systemctl(1), journalctl(1)")),
    ];
    Page { name: "ingestd", section: 8, summary: "puts media on air in Tencent RTC rooms by the clock", sections }
}

const DESCRIPTION: &str = "\
`ingestd` reads schedule files, which say what plays in which room and when. At each start it calls StartStreamIngest of Tencent RTC. \
It tries again while the show may still start, watches the stream, stops it at its end, and records one outcome for every planned \
show.

The verb `run` is the daemon. The other verbs check schedules, show what is planned and what happened, and give orders to the daemon. \
Data goes to standard output, messages go to standard error.";

const EXITS: [(&str, &str); 5] = [
    ("`0`", "All is well."),
    ("`1`", "A problem was found, or what was asked for failed."),
    ("`2`", "The arguments make no sense."),
    ("`69`", "The daemon could not be reached."),
    ("`78`", "The settings or the schedule keep the program from starting. systemd does not restart after it."),
];

const VARIABLES: [(&str, &str); 6] = [
    ("`INGESTD_CONFIG`", "The path of the settings, when `--config` does not say."),
    ("`INGESTD_LOG`", "Which log lines are written: `info`, `debug`, or `ingestd=debug`."),
    ("`NO_COLOR`", "When it is set and not empty, no colours are used."),
    (
        "`STATE_DIRECTORY`, `RUNTIME_DIRECTORY`",
        "Where the ledger and the control socket are, when the settings do not say. systemd sets them.",
    ),
    (
        "`TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY`, `TENCENTCLOUD_TOKEN`",
        "The keys of the account, when the settings do not say.",
    ),
    ("`HTTPS_PROXY`, `SSL_CERT_FILE`", "The proxy and the certificates of requests."),
];

const FILES: [(&str, &str); 4] = [
    ("`/etc/ingestd/ingestd.yaml`", "The settings: see ingestd.yaml(5)."),
    ("`/etc/ingestd/schedules/*.yaml`", "The schedule: see ingestd-schedule(5)."),
    ("`/var/lib/ingestd`", "The ledger and the accepted sources."),
    ("`/run/ingestd/control.sock`", "The socket for orders. It is open to root and to the group `ingestd-operators`."),
];

/// A verb with its options, and the verbs below it.
fn verb(verb: &Command) -> (String, Vec<Block>) {
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage: ").replace("\n       ", "\n");
    let about = verb.get_long_about().or_else(|| verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let mut blocks = paragraphs(&sentences(&about));
    let own = verb.get_arguments().filter(|arg| !hidden(arg) && !arg.is_global_set());
    let arguments: Vec<_> = own.map(argument).collect();
    if !arguments.is_empty() {
        blocks.push(Block::Terms(arguments));
    }
    let below: Vec<_> = verbs(verb).map(self::verb).collect();
    if !below.is_empty() {
        blocks.push(Block::Terms(below));
    }
    (format!("`{usage}`"), blocks)
}

fn hidden(arg: &Arg) -> bool {
    arg.is_hide_set() || is_of_clap(arg.get_id().as_str())
}

fn argument(arg: &Arg) -> (String, Vec<Block>) {
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut blocks = paragraphs(&sentences(&help));
    let flag = !arg.get_action().takes_values();
    let values = arg.get_possible_values();
    if !flag && !values.is_empty() && !arg.is_hide_possible_values_set() {
        let means = |value: &clap::builder::PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
        if values.iter().all(|value| value.get_help().is_some()) {
            let terms = values.iter().map(|value| term(format!("`{}`", value.get_name()), &sentences(&means(value))));
            blocks.push(Block::Terms(terms.collect()));
        } else {
            let names: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
            blocks.push(Block::Text(format!("One of {}.", names.join(", "))));
        }
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !flag && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        blocks.push(Block::Text(format!("Default: `{}`.", defaults.join(" "))));
    }
    if let Some(variable) = arg.get_env() {
        blocks.push(Block::Text(format!("The variable `{}` sets it too.", variable.to_string_lossy())));
    }
    (format!("`{arg}`"), blocks)
}

/// Help texts end without a period.
fn sentences(help: &str) -> String {
    let end =
        |part: &str| if part.ends_with(['.', ':', ')', '`', ']']) || part.is_empty() { String::new() } else { ".".to_owned() };
    let parts = help.split("\n\n").map(str::trim).map(|part| format!("{part}{}", end(part)));
    parts.collect::<Vec<_>>().join("\n\n")
}
