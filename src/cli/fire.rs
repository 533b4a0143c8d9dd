//! The verb `fire`: tells the daemon to start a job now, by hand. Does not know how that is done.

use serde_json::{Value, json};

use super::order::{NoteArgs, job_id};
use super::{Context, Exit, Failure, order};
use crate::trtc::Room;

/// Starts a job now, by hand
///
/// The order goes to the running daemon over its control socket. A show of the job that failed or waits for another attempt is taken up again
/// while its window is open, where it would be by now. Else an extra occurrence begins, recorded with the kind `fired`: it plays what the job
/// plays, and the planned starts of the job stay as they are. A planned start takes the room when it comes.
///
/// It is refused while something has the room, or has the same robot in another room; a filler that yields is no obstacle. `--preempt` cuts
/// what is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: String,

    /// For how long: `90s`, `2h`, `1d` [default: as the job says]
    #[arg(long = "for", value_name = "DURATION", value_parser = order::duration)]
    length: Option<String>,

    /// In this room: digits are an integer room, and in double quotes (`\'"42"\'`) a string room [default: the job's]
    #[arg(long, value_name = "ROOM", value_parser = room)]
    room: Option<Value>,

    /// Take the room, and the robot, from what has them: that is cut
    #[arg(long)]
    preempt: bool,

    #[command(flatten)]
    note: NoteArgs,
}

/// A room as an order takes it.
fn room(text: &str) -> Result<Value, String> {
    Room::parse(text).map(|room| match room {
        Room::Integer(id) => id.into(),
        Room::Text(id) => id.into(),
    })
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, length, room, preempt, note } = args;
    let mut order = json!({ "job": job });
    if let Some(length) = length {
        order["for"] = length.into();
    }
    if let Some(room) = room {
        order["room"] = room;
    }
    if preempt {
        order["preempt"] = true.into();
    }
    order::give(context, "/v1/fire", note.with(order))
}
