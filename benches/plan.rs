//! How long `ingestd plan` takes over a year of 10,000 jobs, 2.6 million occurrences, in each format, and how much memory: the real
//! program. Prints, and judges nothing: `cargo bench --bench plan`.

#[path = "shared/measured.rs"]
mod measured;

use measured::{Took, measured, write};

const JOBS: usize = 10_000;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 0, JOBS);
        let year = ["plan", "--from", "2027-01-01", "--to", "2028-01-01"];
        for how in [&["--format", "json"][..], &["--format", "csv"], &["--format", "table"], &["--format", "ics"], &["--forecast"]]
        {
            for _ in 0..3 {
                let Took { wall_s, used_s, peak_mb, code } = measured(folder.path(), &[&year[..], how].concat());
                let how = how.join(" ");
                println!("{how}: {wall_s:.2} s ({used_s:.2} s of a processor), peak {peak_mb} MB, exit {code:?}");
            }
        }
    }
}
