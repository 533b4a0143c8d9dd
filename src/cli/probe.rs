//! The verb `probe`: looks at the media of a job, or at a URL, as the vendor's relay would fetch it, and prints what it saw. Asks no
//! daemon. Does not know what a relay trips over.

use std::io::Write;

use serde::Serialize;

use super::format::ObjectFormat;
use super::{Context, Exit, Failure, load};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::{escape_json, escape_lines};
use crate::finding::Finding;
use crate::plan::Upcoming;
use crate::probe::{Expected, Look, MediaFacts, MediaFault, MediaHosts, Prober, fill_secrets, needs_media};
use crate::schedule::values::format_duration;
use crate::trtc::StreamUrl;
use crate::zones::Zones;

/// Is the media there, and what would a relay trip over
///
/// A job's media is that of its next start; `length` and `live` of the job are compared. The first bytes are fetched by a GET with a range,
/// then the index of an MP4, or a segment of a playlist of HLS; of RTMP the handshake is made. No address is reached that is
/// loopback, private or link-local, redirected or not, unless `media_hosts` of the settings names it.
///
/// As JSON one object: `{url, job, start, facts, findings}`. The URL has no secret part. `findings` are `{severity, kind, about, what,
/// advice}`, `severity` being `problem` or `note`.
///
/// The exit code is 1 when there is a problem.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A job of the schedule, or a URL of http, https, rtmp or rtmps
    #[arg(value_name = "JOB|URL")]
    target: String,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ObjectFormat,
}

/// What is looked at.
struct Target {
    job: Option<String>,
    start: Option<jiff::Timestamp>,
    shown: StreamUrl,
    filled: Result<StreamUrl, String>,
    expected: Expected,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct ProbeObject<'a> {
    url: String,
    job: Option<&'a str>,
    start: Option<String>,
    facts: &'a MediaFacts,
    findings: &'a [Finding],
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::read_settings(context);
    // A URL can be looked at without settings.
    let settings = if args.target.contains("://") { settings.value } else { settings.accept(context)? };
    let target = target(context, settings.as_ref(), &args.target)?;
    let hosts = settings.map(|settings| settings.media_hosts).unwrap_or_default();
    let look = match &target.filled {
        Ok(filled) => look(hosts, filled, &target)?,
        Err(why) => {
            let findings = vec![needs_media(&MediaFault::Secret(why.clone()), &target.shown.redacted())];
            Look { findings, ..Look::default() }
        }
    };
    let mut out = context.stdout();
    let printed = match args.format {
        ObjectFormat::Table => out.write_all(escape_lines(&text(&target, &look)).as_bytes()),
        ObjectFormat::Json => {
            let object = ProbeObject {
                url: target.shown.redacted(),
                job: target.job.as_deref(),
                start: target.start.map(|start| format!("{start:.3}")),
                facts: &look.facts,
                findings: &look.findings,
            };
            let json = serde_json::to_string(&object).expect("a struct of plain values is JSON");
            writeln!(out, "{}", escape_json(&json))
        }
    };
    printed.and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(if look.is_good() { Exit::Good } else { Exit::Problem })
}

fn target(context: &Context, settings: Option<&Settings>, text: &str) -> Result<Target, Failure> {
    if text.contains("://") {
        let shown = StreamUrl::new(text);
        let known = ["http://", "https://", "rtmp://", "rtmps://"];
        let scheme = text.to_ascii_lowercase();
        if !known.iter().any(|known| scheme.starts_with(known)) {
            return Err(Failure::usage("expected a URL of `http`, `https`, `rtmp` or `rtmps`"));
        }
        let expected = Expected { live: shown.is_rtmp(), ..Expected::default() };
        return Ok(Target { job: None, start: None, filled: Ok(shown.clone()), shown, expected });
    }
    let now = clock::now();
    let zones = Zones::newest();
    let schedule = load::load_schedule(context, settings, &zones.database, now)?;
    let job = load::job(&schedule, text)?;
    // A job without a start to come, or that is off, has the media that it would play now.
    let start = Upcoming::of([job], now).next().map(|occurrence| occurrence.start.at);
    let shown = job.stream_at(start.unwrap_or(now));
    let filled = match settings {
        Some(settings) => fill_secrets(&settings.secrets, &shown),
        None => Ok(shown.clone()),
    };
    let expected = Expected { length: job.length, live: job.live };
    Ok(Target { job: Some(job.id.to_string()), start, shown, filled, expected })
}

fn look(hosts: MediaHosts, filled: &StreamUrl, target: &Target) -> Result<Look, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let prober = Prober::new(hosts).map_err(Failure::new)?;
    let look = runtime.block_on(prober.look(filled, &target.shown, target.expected));
    // A resolver that does not answer must not keep the process.
    runtime.shutdown_background();
    Ok(look)
}

/// What was seen, a line for each thing, then what is wrong.
fn text(target: &Target, look: &Look) -> String {
    let Look { facts, findings, is_there: _ } = look;
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name:<12}{value}")));
    add("media", Some(target.shown.redacted()));
    add("job", target.job.clone());
    add("start", target.start.map(|start| format!("{start:.0}")));
    add("container", facts.container.map(str::to_owned));
    add("bytes", facts.bytes.map(|bytes| bytes.to_string()));
    add("length", facts.length_ms.map(|length| format_duration(std::time::Duration::from_millis(length))));
    let size = facts.width.zip(facts.height).map(|(width, height)| format!(" {width}x{height}")).unwrap_or_default();
    let rate = facts.fps_percent.map(|rate| format!(", {}.{:02} pictures a second", rate / 100, rate % 100)).unwrap_or_default();
    add("video", facts.video.as_ref().map(|codec| format!("{codec}{size}{rate}")));
    add("audio", facts.audio.clone());
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    add("index first", facts.index_first.map(yes));
    add("ranges", facts.ranges.map(yes));
    add("redirects", (facts.redirects > 0).then(|| facts.redirects.to_string()));
    add("first byte", facts.first_byte_ms.map(|time| format!("{time} ms")));
    let kbit = |bits: u64| format!("{} kbit/s", bits / 1_000);
    add("needs", facts.bits_per_s().map(kbit));
    add("comes with", facts.bytes_per_s.map(|bytes| kbit(bytes.saturating_mul(8))));
    let mut text = lines.join("\n");
    text.push('\n');
    if findings.is_empty() {
        text.push_str("nothing is wrong with it\n");
    }
    for finding in findings {
        text.push_str(&super::findings::lines(finding));
    }
    text
}
