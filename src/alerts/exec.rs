//! A program as a receiver: the message is JSON on its stdin, exit code 0 means that it was taken. It gets none of the daemon's
//! environment, which may hold secrets. Does not know what the program does.

use std::pin::pin;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::Message;

/// How long a program may take.
const RUN_MAX: Duration = Duration::from_secs(30);

/// So much of what it says on stderr is kept, in bytes.
const SAID_MAX: usize = 1_024;

/// How long what it said is waited for when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What of our environment it gets.
const PASSED: [&str; 3] = ["PATH", "LANG", "HOME"];

/// Runs it once.
///
/// Errors: it cannot be started, takes longer than 30 s, or ends with another exit code than 0.
pub(super) async fn run(command: &[String], object: &Value, message: &Message) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("no program is named".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.envs(PASSED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    command.env("INGESTD_ALERT_ID", &message.id);
    // A group of its own: what it starts ends with it.
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let group = child.id();
    let ended = timeout(RUN_MAX, talk(&mut child, object.to_string())).await;
    let Ok(ended) = ended else {
        end_group(group);
        return Err(format!("`{program}` did not end within {} s, and was killed", RUN_MAX.as_secs()));
    };
    let (status, said) = ended.map_err(|error| format!("`{program}`: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(format!("`{program}` ended with {status}{said}"))
}

async fn talk(child: &mut Child, text: String) -> std::io::Result<(std::process::ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read is no failure.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let said = Mutex::new(Vec::new());
    let mut waited = pin!(async { tokio::join!(child.wait(), write).0 });
    let mut read = pin!(listen(stderr, &said));
    let status = tokio::select! {
        biased;
        // What it started may go on and keep its stderr: that is not waited for.
        status = &mut waited => {
            let _ = timeout(LAST_WORDS, &mut read).await;
            status?
        }
        () = &mut read => waited.await?,
    };
    let said = said.lock().map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    Ok((status, said.unwrap_or_default()))
}

/// Keeps what it says first, and takes the rest: a program whose stderr is closed may end by that.
async fn listen(stderr: Option<ChildStderr>, said: &Mutex<Vec<u8>>) {
    let Some(mut stderr) = stderr else { return };
    let mut part = [0; SAID_MAX];
    while let Ok(count @ 1..) = stderr.read(&mut part).await {
        if let Ok(mut said) = said.lock() {
            let left = SAID_MAX - said.len();
            said.extend_from_slice(&part[..count.min(left)]);
        }
    }
}

fn end_group(group: Option<u32>) {
    let group = group.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script of the shell, and returns what was heard of it.
    async fn script(text: &str) -> (bool, String) {
        let command = ["-c", text];
        let mut child = Command::new("/bin/sh");
        let child = child.args(command).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = child.kill_on_drop(true).spawn().expect("a shell");
        let group = child.id();
        let (status, said) = timeout(RUN_MAX, talk(&mut child, "{}".to_owned())).await.expect("in time").expect("it ends");
        end_group(group);
        (status.success(), said)
    }

    #[tokio::test]
    async fn a_program_that_says_much_and_one_that_leaves_another_behind_have_taken_it() {
        let (is_taken, said) = script("head -c 200000 /dev/zero | tr '\\0' x >&2").await;
        assert_eq!((is_taken, said.len()), (true, SAID_MAX));
        assert_eq!(script("sleep 60 & exit 0").await, (true, String::new()));
        assert_eq!(script("echo no >&2; exit 3").await, (false, "no".to_owned()));
    }
}
