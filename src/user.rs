//! The users of this host, as the ledger names them. Does not know what they may do.

use std::fs;

/// The name of nobody in particular: the system does not say who it is.
pub const UNKNOWN: &str = "an unknown user";

/// Who that is: `uid 1000 (anna)`, or `uid 1000` where the host has no name for it.
pub fn describe(uid: u32) -> String {
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|users| users.lines().find_map(named));
    name.map_or_else(|| format!("uid {uid}"), |name| format!("uid {uid} ({name})"))
}

/// The user whom this process belongs to.
#[cfg(target_os = "linux")]
pub fn own() -> String {
    describe(rustix::process::geteuid().as_raw())
}

/// The user whom this process belongs to: not asked for here.
#[cfg(not(target_os = "linux"))]
pub fn own() -> String {
    UNKNOWN.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_number_and_the_name_that_the_host_has_for_it() {
        assert_eq!(describe(0), "uid 0 (root)");
        assert_eq!(describe(4_123_456_789), "uid 4123456789");
    }
}
