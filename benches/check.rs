//! How long `ingestd check` takes over 100,000 jobs of seven fields in ten files, and how much memory: the real program. Prints, and
//! judges nothing: `cargo bench --bench check`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 10;
const JOBS_IN_FILE: usize = 10_000;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: usize = (0..FILES).map(|file| write(folder.path(), file)).sum();
        for _ in 0..3 {
            let (begin, used_s) = (Instant::now(), used_by_children_s());
            let child = Command::new(env!("CARGO_BIN_EXE_ingestd"))
                .arg("check")
                .arg(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts");
            let (code, peak_kb) = watched(child);
            let (jobs, megabytes, took_s) = (FILES * JOBS_IN_FILE, bytes / 1_000_000, begin.elapsed().as_secs_f64());
            let used_s = used_by_children_s() - used_s;
            println!(
                "{jobs} jobs, {megabytes} MB: check took {took_s:.2} s ({used_s:.2} s of a processor), peak {} MB, exit {code:?}",
                peak_kb / 1024
            );
        }
    }
}

/// The processor time of the children that have ended, their own and the system's for them. The kernel counts it in hundredths.
fn used_by_children_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses; `cutime` and `cstime` are the 16th and the 17th.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let hundredths: u32 = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(hundredths) / 100.0
}

/// Waits for its end; answers its exit code and the most memory it was seen to hold, in KB.
fn watched(mut child: Child) -> (Option<i32>, u64) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak_kb = seen.unwrap_or(0).max(peak_kb);
        if let Some(ended) = child.try_wait().expect("it is our child") {
            return (ended.code(), peak_kb);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One file, each job in a room of its own; answers its length in bytes.
fn write(folder: &Path, file: usize) -> usize {
    let mut text = String::from("timezone: Asia/Shanghai\njobs:\n");
    for job in 0..JOBS_IN_FILE {
        let (name, hour, minute) = (file * JOBS_IN_FILE + job, job % 24, job % 60);
        let _ = write!(
            text,
            "  job-{name}:\n    at: \"{hour:02}:{minute:02}\"\n    days: mon..fri\n    room: room-{name}\n    \
             stream: https://cdn.example.com/media/{name}.mp4\n    length: 1m30s\n    repeat: forever\n    for: 20m\n"
        );
    }
    fs::write(folder.join(format!("jobs-{file}.yaml")), &text).expect("writable");
    text.len()
}
