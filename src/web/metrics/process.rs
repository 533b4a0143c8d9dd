//! What the kernel says of this process: its memory and its descriptors. Where it says nothing there is no figure. Does not know who
//! asks.

use std::fs;

/// Returns how many bytes of memory are in use by this process.
pub(super) fn resident_memory() -> Option<u64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Returns how many descriptors are open, without the one that counts them.
pub(super) fn open_descriptors() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// Reads `VmRSS`, which `proc_pid_status(5)` gives in units of 1,024 bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line_in_bytes() {
        assert_eq!(resident("VmHWM:\t  9000 kB\nVmRSS:\t   4321 kB\nRssAnon:\t 1 kB\n"), Some(4_424_704));
        assert_eq!(resident("VmRSS:\t many kB\n"), None);
        assert_eq!(resident(""), None);
    }
}
