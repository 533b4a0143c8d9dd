//! What an occurrence plays, where, and by which robot; and what an edit makes of that before it is on air. Does not know states and
//! requests.

use std::time::Duration;

use super::Occurrence;
use crate::trtc::{Destination, Repeat, Room, StartOptions, StreamUrl};

/// What is played, where, and by which robot. An occurrence on air keeps it even if the schedule changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Playout {
    /// Application and region.
    pub destination: Destination,
    /// The room.
    pub room: Room,
    /// The robot's `UserId`, expanded: the same for every attempt of the occurrence.
    pub robot: String,
    /// The media.
    pub stream: StreamUrl,
    /// What plays instead while that cannot be had.
    pub fallback: Option<StreamUrl>,
    /// This is the fallback, and plays in the place of that.
    pub instead_of: Option<Box<Playout>>,
    /// A live source has no position to seek to.
    pub live: bool,
    /// The media's length once through.
    pub length: Option<Duration>,
    /// `SeekSecond` of an on-time start, whole seconds.
    pub seek: Duration,
    /// How often it plays.
    pub repeat: Repeat,
    /// What is only passed through to the API.
    pub options: StartOptions,
}

/// A room of an application: what two occurrences can be in conflict about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The application's `SdkAppId`.
    pub sdk_app_id: u64,
    /// The room, with its type.
    pub room: Room,
}

impl Playout {
    /// Where it plays.
    pub fn target(&self) -> Target {
        Target { sdk_app_id: self.destination.sdk_app_id, room: self.room.clone() }
    }

    /// Whether both are started in the same room of the same region, by the same robot.
    pub fn has_place_of(&self, other: &Playout) -> bool {
        (&self.destination, &self.room, &self.robot) == (&other.destination, &other.room, &other.robot)
    }

    /// Returns the fields of a job in which what is sent differs.
    pub fn differing(&self, other: &Playout) -> Vec<&'static str> {
        let Playout { destination, room, robot, stream, fallback, instead_of: _, live, length, seek, repeat, options } = self;
        let fields = [
            ("app", (&destination.app, destination.sdk_app_id) == (&other.destination.app, other.destination.sdk_app_id)),
            ("region", destination.region == other.destination.region),
            ("room", *room == other.room),
            ("robot", *robot == other.robot),
            ("stream", *stream == other.stream),
            ("fallback", *fallback == other.fallback),
            ("live", *live == other.live),
            ("length", *length == other.length),
            ("seek", *seek == other.seek),
            ("repeat", *repeat == other.repeat),
        ];
        let fields = fields.into_iter().filter(|(_, same)| !same).map(|(name, _)| name);
        fields.chain(options.differing(&other.options)).collect()
    }
}

/// What an edit replaced of a show that is off the air.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Replaced {
    /// Nothing that matters.
    #[default]
    Nothing,
    /// The media that an attempt in doubt sent: if that attempt is on air, these play.
    Media(Box<Playout>),
    /// Its place or its robot: a task that is where it is now is not its own.
    Place,
}

impl Occurrence {
    /// Gives it what an edit has it play from its next attempt on. Its fallback stays in place of the same stream; another stream is tried.
    pub fn take_edit(&mut self, playout: Playout, generation: i64) {
        self.generation = generation;
        if playout == *self.playout.scheduled() {
            return;
        }
        let is_same_stream = playout.stream == self.playout.scheduled().stream;
        let fallback = playout.of_fallback().filter(|_| is_same_stream);
        if fallback.is_none() {
            (self.fallback.trouble, self.fallback.returns) = (None, 0);
        }
        let next = fallback.filter(|_| self.plays_fallback()).unwrap_or(playout);
        self.replace_playout(next);
    }

    /// Gives it another playout from its next attempt on. If a start of it may be on air, and the edit leaves it in its place,
    /// that start's media are kept beside: the next answer says which of the two plays. If the edit moves it, nothing that was begun
    /// where it was says anything about where it is: the doubt stays recorded, and nobody looks for it there any more.
    pub(super) fn replace_playout(&mut self, playout: Playout) {
        let before = std::mem::replace(&mut self.playout, playout);
        if before.has_place_of(&self.playout) {
            if self.in_doubt {
                // Of several edits only the first replaced what was sent.
                if !matches!(self.replaced, Replaced::Media(_)) {
                    self.replaced = Replaced::Media(Box::new(before));
                }
            }
        } else {
            (self.replaced, self.in_doubt, self.joined) = (Replaced::Place, false, false);
            self.doubts.clear();
        }
    }
}
