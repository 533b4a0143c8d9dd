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
/// A job's media is that of its next start; `length` and `live` of the job are compared. If it has a `fallback`, that is looked at too. The
/// first bytes are fetched by a GET with a range,
/// then the index of an MP4, or a segment of a playlist of HLS; of RTMP the handshake is made. No address is reached that is
/// loopback, private or link-local, redirected or not, unless `media_hosts` of the settings names it.
///
/// As JSON one object: `{url, job, start, facts, findings, fallback}`. The URL has no secret part. `findings` are `{severity, kind, about,
/// what, advice}`, `severity` being `problem` or `note`. `fallback` is null, or `{url, facts, findings}`.
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
    media: Media,
    /// What plays instead while that cannot be had.
    fallback: Option<Media>,
}

/// One URL, and what is expected of it.
struct Media {
    shown: StreamUrl,
    filled: Result<StreamUrl, String>,
    expected: Expected,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct ProbeObject<'a> {
    job: Option<&'a str>,
    start: Option<String>,
    #[serde(flatten)]
    media: MediaObject<'a>,
    fallback: Option<MediaObject<'a>>,
}

/// One URL in it.
#[derive(Serialize)]
struct MediaObject<'a> {
    url: String,
    facts: &'a MediaFacts,
    findings: &'a [Finding],
}

impl<'a> MediaObject<'a> {
    fn new(media: &Media, look: &'a Look) -> MediaObject<'a> {
        MediaObject { url: media.shown.redacted(), facts: &look.facts, findings: &look.findings }
    }
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::read_settings(context);
    // A URL can be looked at without settings.
    let settings = if args.target.contains("://") { settings.value } else { settings.accept(context)? };
    let target = target(context, settings.as_ref(), &args.target)?;
    let hosts = settings.map(|settings| settings.media_hosts).unwrap_or_default();
    let seen = look(hosts.clone(), &target.media)?;
    let fallback = match &target.fallback {
        Some(media) => Some((media, of_fallback(look(hosts, media)?))),
        None => None,
    };
    let mut out = context.stdout();
    let printed = match args.format {
        ObjectFormat::Table => {
            let below =
                fallback.as_ref().map_or(String::new(), |(media, seen)| format!("\n{}", text("fallback", media, None, seen)));
            let text = text("media", &target.media, Some(&target), &seen) + &below;
            out.write_all(escape_lines(&text).as_bytes())
        }
        ObjectFormat::Json => {
            let object = ProbeObject {
                job: target.job.as_deref(),
                start: target.start.map(|start| format!("{start:.3}")),
                media: MediaObject::new(&target.media, &seen),
                fallback: fallback.as_ref().map(|(media, seen)| MediaObject::new(media, seen)),
            };
            let json = serde_json::to_string(&object).expect("a struct of plain values is JSON");
            writeln!(out, "{}", escape_json(&json))
        }
    };
    printed.and_then(|()| out.flush()).map_err(Failure::Output)?;
    let is_good = seen.is_good() && fallback.is_none_or(|(_, seen)| seen.is_good());
    Ok(if is_good { Exit::Good } else { Exit::Problem })
}

fn target(context: &Context, settings: Option<&Settings>, text: &str) -> Result<Target, Failure> {
    if text.contains("://") {
        let shown = StreamUrl::new(text);
        let known = ["http://", "https://", "rtmp://", "rtmps://"];
        let scheme = text.to_ascii_lowercase();
        if !known.iter().any(|known| scheme.starts_with(known)) {
            let found = shown.redacted();
            return Err(Failure::usage(format!("expected a URL of `http`, `https`, `rtmp` or `rtmps`, found `{found}`")));
        }
        let expected = Expected { live: shown.is_rtmp(), ..Expected::default() };
        return Ok(Target { job: None, start: None, media: Media { filled: Ok(shown.clone()), shown, expected }, fallback: None });
    }
    let now = clock::now();
    let zones = Zones::newest();
    let schedule = load::load_schedule(context, settings, &zones.database, now)?;
    let job = load::job(&schedule, text)?;
    // A job without a start to come, or that is off, has the media that it would play now.
    let start = Upcoming::of([job], now).next().map(|occurrence| occurrence.start.at);
    let media = |shown: StreamUrl, expected| {
        let filled = match settings {
            Some(settings) => fill_secrets(&settings.secrets, &shown),
            None => Ok(shown.clone()),
        };
        Media { shown, filled, expected }
    };
    let fallback = job.fallback_at(start.unwrap_or(now)).map(|shown| {
        // It plays in a loop, or as it comes.
        let expected = Expected { length: None, live: shown.is_rtmp() };
        media(shown, expected)
    });
    let expected = Expected { length: job.length, live: job.live };
    Ok(Target { job: Some(job.id.to_string()), start, media: media(job.stream_at(start.unwrap_or(now)), expected), fallback })
}

fn look(hosts: MediaHosts, media: &Media) -> Result<Look, Failure> {
    let Media { shown, filled, expected } = media;
    let filled = match filled {
        Ok(filled) => filled,
        Err(why) => {
            let findings = vec![needs_media(&MediaFault::Secret(why.clone()), &shown.redacted())];
            return Ok(Look { findings, ..Look::default() });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let prober = Prober::new(hosts).map_err(Failure::new)?;
    let look = runtime.block_on(prober.look(filled, shown, *expected));
    // A resolver that does not answer must not keep the process.
    runtime.shutdown_background();
    Ok(look)
}

/// The same with advice for the field that names a fallback.
fn of_fallback(mut look: Look) -> Look {
    look.findings.iter_mut().for_each(|finding| finding.advice = finding.advice.replace("`stream`", "`fallback`"));
    look
}

/// What was seen, a line for each thing, then what is wrong. `target`: whose it is.
fn text(name: &str, media: &Media, target: Option<&Target>, look: &Look) -> String {
    let Look { facts, findings, is_there: _ } = look;
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| lines.extend(value.map(|value| format!("{name:<12}{value}")));
    add(name, Some(media.shown.redacted()));
    add("job", target.and_then(|target| target.job.clone()));
    add("start", target.and_then(|target| target.start).map(|start| format!("{start:.0}")));
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
