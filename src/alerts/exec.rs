//! A program as a receiver: the message is JSON on its stdin, exit code 0 means that it was taken. It gets none of the daemon's
//! environment, which may hold secrets. Does not know what the program does.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Message;

/// How long a program may take.
const RUN_MAX: Duration = Duration::from_secs(30);

/// So much of what it says on stderr is kept, in bytes.
const SAID_MAX: u64 = 1_024;

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
    let read = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(SAID_MAX).read_to_end(&mut said).await;
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    let (status, (), said) = tokio::join!(child.wait(), write, read);
    Ok((status?, said))
}

fn end_group(group: Option<u32>) {
    let group = group.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}
