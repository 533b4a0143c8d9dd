//! The only place that reads a clock, and the only one that waits for an instant. Does not know what is waited for.
//!
//! Waiting uses one timerfd on the realtime clock that the kernel cancels when the clock is set. A step or a resume therefore
//! wakes every sleeper at once, and each looks at the clock again: nothing fires early, and nothing sleeps through its time.
//! A monotonic timer would do neither, and a polling tick would be late by half its period.

use std::time::Duration;

use jiff::Timestamp;

/// What time it is, and waiting for it. A trait because a second implementation is real: the simulated clock of the tests.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary origin, never set back.
    fn elapsed(&self) -> Duration;

    /// Time since the host booted, suspends included: what the wall clock is held against.
    fn since_boot(&self) -> Duration;

    /// Whether the wall clock is synchronised, if somebody who knows may be asked. `None`: it is not known.
    fn synchronised(&self) -> Option<bool>;

    /// When the wall clock was put right last, if anybody says.
    fn synchronised_at(&self) -> Option<Timestamp>;

    /// Waits until the wall clock shows `at`. It may come back early when the clock was set, so callers look at the clock again.
    fn wake_at(&self, at: Timestamp) -> impl Future<Output = ()> + Send;

    /// Waits until the wall clock shows `at` or later.
    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send {
        async move {
            while self.now() < at {
                self.wake_at(at).await;
            }
        }
    }
}

/// The host's clock.
#[derive(Clone)]
pub struct SystemClock {
    origin: std::time::Instant,
    #[cfg(target_os = "linux")]
    alarm: std::sync::Arc<linux::Alarm>,
}

/// The wall clock for programs that only ask once: the verbs beside `run`.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Where systemd-timesyncd says that it has set the clock: systemd-time-wait-sync(8) uses the same file.
const TIMESYNC: &str = "/run/systemd/timesync";

/// What the kernel says, whoever keeps its clock: systemd-timesyncd, chrony, ntpd-rs, ntpd. `None`: it may not be asked here. Under our
/// own unit that is so (`ProtectClock=`), although nothing is to be set.
#[cfg(target_os = "linux")]
fn kernel_says() -> Option<bool> {
    let mut answer = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut answer).ok()?;
    // The kernel lets the error grow until somebody keeps the clock right again, up to 16 s (`NTP_PHASE_LIMIT`), in microseconds.
    // systemd-timedated judges by it too: `STA_UNSYNC` stays set where chronyd does not keep the hardware clock.
    Some(answer.0.maxerror < 16_000_000)
}

#[cfg(not(target_os = "linux"))]
fn kernel_says() -> Option<bool> {
    None
}

/// What is known of the synchronisation: by the kernel, else by systemd-timesyncd, whose folder is there while it runs. No answer of
/// either is no answer.
fn synchronisation(kernel: Option<bool>, timesync: &std::path::Path) -> Option<bool> {
    kernel.or_else(|| {
        let is_set = timesync.join("synchronized").exists();
        (is_set || timesync.is_dir()).then_some(is_set)
    })
}

/// The monotonic clock since boot in microseconds, as systemd compares it; 0 on systems that have no systemd.
pub fn monotonic_us() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // Neither is ever negative on this clock.
        now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Returns how long the processors have worked for this process; nothing on systems that we do not ask.
pub fn of_process() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).ok()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

impl SystemClock {
    /// Takes a timer from the kernel. Must be called inside a tokio runtime with I/O enabled, which then drives the timer.
    pub fn new() -> std::io::Result<SystemClock> {
        Ok(SystemClock {
            origin: std::time::Instant::now(),
            #[cfg(target_os = "linux")]
            alarm: linux::Alarm::start()?,
        })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> Duration {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(boot).unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    fn since_boot(&self) -> Duration {
        self.elapsed()
    }

    fn synchronised(&self) -> Option<bool> {
        synchronisation(kernel_says(), std::path::Path::new(TIMESYNC))
    }

    fn synchronised_at(&self) -> Option<Timestamp> {
        let touched = std::fs::metadata(std::path::Path::new(TIMESYNC).join("synchronized")).and_then(|file| file.modified());
        touched.ok().and_then(|at| Timestamp::try_from(at).ok())
    }

    #[cfg(target_os = "linux")]
    async fn wake_at(&self, at: Timestamp) {
        self.alarm.wake_at(at).await;
    }

    /// Bounded sleeps: a step of the clock is noticed within a second.
    #[cfg(not(target_os = "linux"))]
    async fn wake_at(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::{Arc, Mutex, PoisonError};

    use jiff::Timestamp;
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use tokio::io::unix::AsyncFd;
    use tokio::sync::oneshot;

    /// One timerfd shared by every sleeper of the process.
    pub(super) struct Alarm {
        timer: AsyncFd<OwnedFd>,
        sleepers: Mutex<Sleepers>,
    }

    #[derive(Default)]
    struct Sleepers {
        next_id: u64,
        waiting: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    }

    impl Sleepers {
        /// The clock was set: everybody looks at it again.
        fn wake_all(&mut self) {
            for sleeper in std::mem::take(&mut self.waiting).into_values() {
                let _ = sleeper.send(());
            }
        }
    }

    impl Alarm {
        pub(super) fn start() -> io::Result<Arc<Alarm>> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = rustix::time::timerfd_create(TimerfdClockId::Realtime, flags)?;
            #[expect(deprecated, reason = "unsound only for a type whose descriptor can change; an OwnedFd keeps its own")]
            let timer = AsyncFd::new(fd)?;
            let alarm = Arc::new(Alarm { timer, sleepers: Mutex::default() });
            let driver = Arc::downgrade(&alarm);
            tokio::spawn(async move {
                // The driver holds the alarm only while it waits for the kernel; it ends with the runtime that owns it.
                while let Some(alarm) = driver.upgrade() {
                    if alarm.expired().await.is_err() {
                        break;
                    }
                }
            });
            Ok(alarm)
        }

        pub(super) async fn wake_at(&self, at: Timestamp) {
            let (sender, receiver) = oneshot::channel();
            let registered = {
                let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
                let key = (at, sleepers.next_id);
                sleepers.next_id += 1;
                let is_earliest = sleepers.waiting.keys().next().is_none_or(|earliest| key < *earliest);
                sleepers.waiting.insert(key, sender);
                if is_earliest && self.arm(at) {
                    sleepers.wake_all();
                }
                Registered { alarm: self, key }
            };
            // The sender goes only with its entry, and the entry only when it is woken or this future is dropped.
            let _ = receiver.await;
            drop(registered);
        }

        /// Returns whether the clock was set since the timer was armed last. The kernel says so once, to the first that asks.
        fn arm(&self, at: Timestamp) -> bool {
            // Zero would disarm the timer, so an instant before 1970 is one nanosecond after it: past, as it should be.
            let (seconds, nanoseconds) = if at > Timestamp::UNIX_EPOCH { (at.as_second(), at.subsec_nanosecond()) } else { (0, 1) };
            let value = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
            let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            let armed = rustix::time::timerfd_settime(self.timer.get_ref(), flags, &spec);
            armed.is_err_and(|error| error == rustix::io::Errno::CANCELED)
        }

        /// Waits for the timer, then wakes the sleepers whose instant has come; when the clock was set, all of them.
        async fn expired(&self) -> io::Result<()> {
            let mut ready = self.timer.readable().await?;
            let mut ticks = [0_u8; 8];
            let was_set = match rustix::io::read(self.timer.get_ref(), &mut ticks) {
                Ok(_) => false,
                Err(rustix::io::Errno::CANCELED) => true,
                Err(rustix::io::Errno::AGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            ready.clear_ready();
            let now = super::now();
            let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
            if was_set {
                sleepers.wake_all();
            }
            while let Some(entry) = sleepers.waiting.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                // A sleeper that is gone does not need to be woken.
                let _ = entry.remove().send(());
            }
            let earliest = sleepers.waiting.keys().next().map(|(at, _)| *at);
            if earliest.is_some_and(|at| self.arm(at)) {
                sleepers.wake_all();
            }
            Ok(())
        }
    }

    /// Takes the sleeper off the list when its future ends, however it ends.
    struct Registered<'a> {
        alarm: &'a Alarm,
        key: (Timestamp, u64),
    }

    impl Drop for Registered<'_> {
        fn drop(&mut self) {
            self.alarm.sleepers.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_order_and_never_early() {
        let clock = SystemClock::new().expect("a timer");
        let start = clock.now();
        let waits = [30_i64, 10, 20, -5].map(|milliseconds| {
            let clock = clock.clone();
            let at = start + jiff::SignedDuration::from_millis(milliseconds);
            tokio::spawn(async move {
                clock.sleep_until(at).await;
                let woke = clock.now();
                assert!(woke >= at);
                woke
            })
        });
        let mut woke = Vec::new();
        for wait in waits {
            woke.push(wait.await.expect("no panic"));
        }
        assert!(woke[3] <= woke[1] && woke[1] <= woke[2] && woke[2] <= woke[0], "{woke:?}");
    }

    #[test]
    fn where_the_kernel_does_not_say_it_the_file_does_and_no_answer_is_unknown() {
        let folder = tempfile::tempdir().expect("a folder");
        let [running, gone] = ["running", "gone"].map(|name| folder.path().join(name));
        std::fs::create_dir(&running).expect("writable");
        for (kernel, expected) in [(Some(true), Some(true)), (Some(false), Some(false)), (None, Some(false))] {
            assert_eq!(synchronisation(kernel, &running), expected, "timesyncd has not set it: {kernel:?}");
        }
        std::fs::write(running.join("synchronized"), "").expect("writable");
        for (kernel, expected) in [(Some(true), Some(true)), (Some(false), Some(false)), (None, Some(true))] {
            assert_eq!(synchronisation(kernel, &running), expected, "timesyncd has set it: {kernel:?}");
        }
        for (kernel, expected) in [(Some(true), Some(true)), (Some(false), Some(false)), (None, None)] {
            assert_eq!(synchronisation(kernel, &gone), expected, "another keeps it, or nobody: {kernel:?}");
        }
    }

    /// Sets the host's clock to the time that it shows. That is harmless, and the kernel still reports it as a change.
    #[cfg(target_os = "linux")]
    fn set_the_clock_to_what_it_shows() -> bool {
        let shown = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        rustix::time::clock_settime(rustix::time::ClockId::Realtime, shown).is_ok()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn whoever_waits_looks_again_when_the_clock_is_set() {
        let clock = SystemClock::new().expect("a timer");
        let far = clock.now() + jiff::SignedDuration::from_hours(1);
        let waiting = clock.clone();
        let sleeper = tokio::spawn(async move { waiting.wake_at(far).await });
        // Until the sleeper has its timer, a change of the clock has no effect on it.
        let woken = async {
            while !sleeper.is_finished() {
                if !set_the_clock_to_what_it_shows() {
                    eprintln!("left out: this user may not set the clock");
                    sleeper.abort();
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), woken).await.expect("it is woken long before its time");
    }

    #[tokio::test]
    async fn a_dropped_sleeper_leaves_the_list() {
        let clock = SystemClock::new().expect("a timer");
        let at = clock.now() + jiff::SignedDuration::from_hours(1);
        let outcome = tokio::time::timeout(Duration::from_millis(5), clock.sleep_until(at)).await;
        assert!(outcome.is_err());
        clock.sleep_until(clock.now() + jiff::SignedDuration::from_millis(1)).await;
    }
}
