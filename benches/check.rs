//! How long `ingestd check` takes, and how much memory: the real program, over 100,000 jobs in ten files, the same in one file, and
//! 1,000,000 in a hundred files. Prints, and judges nothing: `cargo bench --bench check`.

#[path = "shared/measured.rs"]
mod measured;

use measured::{Took, measured, write};

/// Files, and jobs in each.
const SIZES: [(usize, usize); 3] = [(10, 10_000), (1, 100_000), (100, 10_000)];

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        for (files, jobs) in SIZES {
            let folder = tempfile::tempdir().expect("a folder");
            let bytes: usize = (0..files).map(|file| write(folder.path(), file, jobs)).sum();
            for _ in 0..3 {
                let Took { wall_s, used_s, peak_mb, code } = measured(folder.path(), &["check", "schedules"]);
                let (jobs, megabytes) = (files * jobs, bytes / 1_000_000);
                println!(
                    "{jobs} jobs in {files} files, {megabytes} MB: check took {wall_s:.2} s ({used_s:.2} s of a processor), \
                     peak {peak_mb} MB, exit {code:?}"
                );
            }
        }
    }
}
