//! What the kernel is asked for the sake of this process: its memory is for nobody else, and it has descriptors enough. Does not know what
//! is secret in it.

/// The descriptors that a daemon wants. systemd gives as many; a shell may give fewer.
#[cfg(target_os = "linux")]
const DESCRIPTORS: u64 = 1024;

/// No file with the memory of this process is ever written, and no other process of the same user may read it: secrets and signatures
/// are in it.
#[cfg(target_os = "linux")]
pub(super) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = no_core.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable)) {
        tracing::warn!("the memory of this process is not kept from other processes of its user: {error}");
    }
}

/// Takes as many descriptors as are wanted, where the hard limit allows it.
#[cfg(target_os = "linux")]
pub(super) fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        // With fewer it runs all the same: its listeners take fewer connections.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn keep_memory_private() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn raise_descriptors() {}
