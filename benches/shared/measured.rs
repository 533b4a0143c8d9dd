//! What benches of the program have in common: large schedules, and a child with the time and the memory that it took. It does not
//! know what is measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a run of the program took.
pub(crate) struct Took {
    /// From its start to its end, in seconds.
    pub(crate) wall_s: f64,
    /// Seconds of a processor.
    pub(crate) used_s: f64,
    /// The most memory that it was seen to hold, in MB.
    pub(crate) peak_mb: u64,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

/// Runs the program in a folder with these arguments, to its end. What it says goes nowhere.
pub(crate) fn measured(folder: &Path, arguments: &[&str]) -> Took {
    let (begin, used_s) = (Instant::now(), used_by_children_s());
    let child = Command::new(env!("CARGO_BIN_EXE_ingestd"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let (code, peak_kb) = watched(child);
    Took { wall_s: begin.elapsed().as_secs_f64(), used_s: used_by_children_s() - used_s, peak_mb: peak_kb / 1024, code }
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

/// Makes a file in the folder `schedules` of a folder: jobs of seven fields, each in a room of its own, numbered from `file` times `jobs`
/// on. Answers its length in bytes.
pub(crate) fn write(folder: &Path, file: usize, jobs: usize) -> usize {
    let mut text = String::from("timezone: Asia/Shanghai\njobs:\n");
    for job in 0..jobs {
        let (name, hour, minute) = (file * jobs + job, job % 24, job % 60);
        let _ = write!(
            text,
            "  job-{name}:\n    at: \"{hour:02}:{minute:02}\"\n    days: mon..fri\n    room: room-{name}\n    \
             stream: https://cdn.example.com/media/{name}.mp4\n    length: 1m30s\n    repeat: forever\n    for: 20m\n"
        );
    }
    let schedules = folder.join("schedules");
    fs::create_dir_all(&schedules).expect("writable");
    fs::write(schedules.join(format!("jobs-{file}.yaml")), &text).expect("writable");
    text.len()
}
