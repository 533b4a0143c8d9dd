//! The parameters of StartStreamIngest that a job only passes through. Here alone stand the name of each in the API, its range, its
//! unit and its JSON forms; the schedule, an occurrence, the ledger, the request and the sandbox share them. What the parameters do
//! is not known here.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// The options of one job. `None`: the job does not say, and the parameter is not sent.
///
/// Its JSON form is a part of the ledger's released `spec` column: the names of the fields, a tempo in percent. What a later version
/// adds is `None` in the rows of an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartOptions {
    /// `Volume`, 0..=200 (the international documents say 0..=100).
    pub volume: Option<u8>,
    /// `Tempo`.
    pub tempo: Option<Tempo>,
    /// `EnableProgress`.
    pub progress: Option<bool>,
    /// `AutoPush`.
    pub auto_push: Option<bool>,
    /// `IdleTimeout` in seconds, 0..=600.
    pub idle_timeout: Option<u16>,
}

/// `Volume`.
pub static VOLUME: StartParameter =
    parameter("volume", "Volume", Takes::Whole { least: 0, most: 200 }, |options| &mut options.volume);
/// `Tempo`.
pub static TEMPO: StartParameter = parameter("tempo", "Tempo", Takes::Tempo, |options| &mut options.tempo);
/// `EnableProgress`.
pub static PROGRESS: StartParameter = parameter("progress", "EnableProgress", Takes::Flag, |options| &mut options.progress);
/// `AutoPush`.
pub static AUTO_PUSH: StartParameter = parameter("auto_push", "AutoPush", Takes::Flag, |options| &mut options.auto_push);
/// `IdleTimeout`.
pub static IDLE_TIMEOUT: StartParameter =
    parameter("idle_timeout", "IdleTimeout", Takes::Seconds { least: 0, most: 600 }, |options| &mut options.idle_timeout);

/// Every parameter.
pub static START_PARAMETERS: [&StartParameter; 5] = [&VOLUME, &TEMPO, &PROGRESS, &AUTO_PUSH, &IDLE_TIMEOUT];

/// One parameter.
pub struct StartParameter {
    /// Its key in a schedule file and in the ledger.
    pub key: &'static str,
    /// Its name in the API.
    pub name: &'static str,
    /// Which values it takes.
    pub takes: Takes,
    field: fn(&mut StartOptions) -> &mut dyn Setting,
}

/// Which values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A whole number from `least` to `most`.
    Whole {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// The same, in seconds: a schedule file says it as a duration.
    Seconds {
        /// The shortest.
        least: u64,
        /// The longest.
        most: u64,
    },
    /// `true` or `false`.
    Flag,
    /// One of the seven speeds.
    Tempo,
}

/// What is wrong with a parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// It is of another type; this one is expected.
    Type(&'static str),
    /// It is of that type and out of this range.
    Range(String),
}

const fn parameter(
    key: &'static str,
    name: &'static str,
    takes: Takes,
    field: fn(&mut StartOptions) -> &mut dyn Setting,
) -> StartParameter {
    StartParameter { key, name, takes, field }
}

impl StartParameter {
    /// Returns the value as the API takes it, or `None` if it is not sent.
    pub fn get(&self, options: &StartOptions) -> Option<Value> {
        let mut options = *options;
        (self.field)(&mut options).get()
    }

    /// Sets the value, which is as the API takes it.
    pub fn set(&self, options: &mut StartOptions, value: &Value) -> Result<(), BadValue> {
        let in_range = match self.takes {
            Takes::Whole { least, most } | Takes::Seconds { least, most } => {
                if !value.is_i64() && !value.is_u64() {
                    return Err(BadValue::Type("an integer"));
                }
                value.as_u64().is_some_and(|number| (least..=most).contains(&number))
            }
            Takes::Flag if !value.is_boolean() => return Err(BadValue::Type("a boolean")),
            Takes::Tempo if !value.is_number() => return Err(BadValue::Type("a number")),
            Takes::Flag | Takes::Tempo => true,
        };
        if in_range && (self.field)(options).set(value) { Ok(()) } else { Err(BadValue::Range(self.takes.range())) }
    }
}

impl Takes {
    /// Returns the largest value, in the form in which the API takes it: `true` of a flag.
    pub fn largest(self) -> Value {
        match self {
            Takes::Whole { most, .. } | Takes::Seconds { most, .. } => most.into(),
            Takes::Flag => true.into(),
            Takes::Tempo => Tempo::all().last().map(Tempo::factor).into(),
        }
    }

    fn range(self) -> String {
        match self {
            Takes::Whole { least, most } | Takes::Seconds { least, most } => format!("{least} to {most}"),
            Takes::Flag => "true or false".to_owned(),
            Takes::Tempo => Tempo::RANGE.to_owned(),
        }
    }
}

impl StartOptions {
    /// Returns options in which every parameter has its largest value: a request that says all there is to say.
    pub fn largest() -> StartOptions {
        let mut options = StartOptions::default();
        for parameter in START_PARAMETERS {
            let is_set = parameter.set(&mut options, &parameter.takes.largest());
            debug_assert!(is_set.is_ok(), "{} takes its largest value", parameter.key);
        }
        options
    }

    /// Reads the options out of a request's body. Returns the first parameter whose value is wrong, with what is wrong.
    pub fn from_body(body: &Map<String, Value>) -> Result<StartOptions, (&'static str, BadValue)> {
        let mut options = StartOptions::default();
        for parameter in START_PARAMETERS {
            if let Some(value) = body.get(parameter.name) {
                parameter.set(&mut options, value).map_err(|bad| (parameter.name, bad))?;
            }
        }
        Ok(options)
    }

    /// Returns the keys of the parameters in which the two differ.
    pub fn differing<'o>(&'o self, other: &'o StartOptions) -> impl Iterator<Item = &'static str> + 'o {
        let differ = |parameter: &&StartParameter| parameter.get(self) != parameter.get(other);
        START_PARAMETERS.into_iter().filter(differ).map(|parameter| parameter.key)
    }
}

/// The parameters that are sent, under the API's names: to be flattened into a request's body.
pub(super) struct AsSent<'o>(pub(super) &'o StartOptions);

impl Serialize for AsSent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for parameter in START_PARAMETERS {
            if let Some(value) = parameter.get(self.0) {
                map.serialize_entry(parameter.name, &value)?;
            }
        }
        map.end()
    }
}

/// A field of [`StartOptions`], as the API takes its value.
trait Setting {
    fn get(&self) -> Option<Value>;
    /// Returns whether the value fits.
    fn set(&mut self, value: &Value) -> bool;
}

/// A value in the form in which the API takes it.
trait AsJson: Copy {
    fn to_json(self) -> Value;
    fn from_json(value: &Value) -> Option<Self>;
}

impl<T: AsJson> Setting for Option<T> {
    fn get(&self) -> Option<Value> {
        self.map(T::to_json)
    }

    fn set(&mut self, value: &Value) -> bool {
        *self = T::from_json(value);
        self.is_some()
    }
}

impl AsJson for u8 {
    fn to_json(self) -> Value {
        self.into()
    }

    fn from_json(value: &Value) -> Option<u8> {
        value.as_u64()?.try_into().ok()
    }
}

impl AsJson for u16 {
    fn to_json(self) -> Value {
        self.into()
    }

    fn from_json(value: &Value) -> Option<u16> {
        value.as_u64()?.try_into().ok()
    }
}

impl AsJson for bool {
    fn to_json(self) -> Value {
        self.into()
    }

    fn from_json(value: &Value) -> Option<bool> {
        value.as_bool()
    }
}

/// A float, also where the speed is a whole number.
impl AsJson for Tempo {
    fn to_json(self) -> Value {
        self.factor().into()
    }

    fn from_json(value: &Value) -> Option<Tempo> {
        let factor = value.as_f64()?;
        Tempo::all().find(|tempo| tempo.factor().total_cmp(&factor).is_eq())
    }
}

/// Playback speed. The API takes exactly seven values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub struct Tempo(u16);

impl Tempo {
    /// Original speed.
    pub const NORMAL: Tempo = Tempo(100);

    /// The seven values, for people.
    pub const RANGE: &str = "0.5, 0.75, 1.0, 1.25, 1.5, 1.75 or 2.0";

    /// Returns every speed, the slowest first.
    pub fn all() -> impl Iterator<Item = Tempo> {
        [50, 75, 100, 125, 150, 175, 200].into_iter().map(Tempo)
    }

    /// Returns the speed of that many percent, if the API has it.
    pub fn from_percent(percent: u16) -> Option<Tempo> {
        Tempo::all().find(|tempo| tempo.percent() == percent)
    }

    /// In percent.
    pub fn percent(self) -> u16 {
        self.0
    }

    /// As a factor: 1.0 is original speed. Each of the seven is exact in binary.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl From<Tempo> for u16 {
    fn from(tempo: Tempo) -> u16 {
        tempo.percent()
    }
}

impl TryFrom<u16> for Tempo {
    type Error = String;

    fn try_from(percent: u16) -> Result<Tempo, String> {
        Tempo::from_percent(percent).ok_or_else(|| format!("`{percent}` is not a `tempo`"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn every() -> StartOptions {
        StartOptions {
            volume: Some(200),
            tempo: Tempo::from_percent(125),
            progress: Some(true),
            auto_push: Some(false),
            idle_timeout: Some(0),
        }
    }

    #[test]
    fn the_ledgers_form_is_the_released_one_and_an_absent_field_is_none() {
        let released = json!({"volume": 200, "tempo": 125, "progress": true, "auto_push": false, "idle_timeout": 0});
        assert_eq!(serde_json::to_value(every()).expect("JSON"), released);
        assert_eq!(serde_json::from_value::<StartOptions>(released).expect("its own"), every());
        assert_eq!(serde_json::from_value::<StartOptions>(json!({})).expect("every field may be absent"), StartOptions::default());
        let error = serde_json::from_value::<StartOptions>(json!({"tempo": 110})).expect_err("no such tempo");
        assert_eq!(error.to_string(), "`110` is not a `tempo`");
    }

    #[test]
    fn the_sent_form_has_the_names_of_the_api_and_comes_back() {
        let sent = json!({"Volume": 200, "Tempo": 1.25, "EnableProgress": true, "AutoPush": false, "IdleTimeout": 0});
        let body = serde_json::to_value(AsSent(&every())).expect("JSON");
        assert_eq!(body, sent);
        assert_eq!(StartOptions::from_body(body.as_object().expect("an object")), Ok(every()));
        assert_eq!(serde_json::to_value(AsSent(&StartOptions::default())).expect("JSON"), json!({}));
    }

    #[test]
    fn a_value_is_held_to_its_type_and_its_range() {
        let range = |range: &str| Err(BadValue::Range(range.to_owned()));
        for (parameter, value, expected) in [
            (&VOLUME, json!(200), Ok(())),
            (&VOLUME, json!(201), range("0 to 200")),
            (&VOLUME, json!(-1), range("0 to 200")),
            (&VOLUME, json!(1.5), Err(BadValue::Type("an integer"))),
            (&VOLUME, json!(u64::MAX), range("0 to 200")),
            (&IDLE_TIMEOUT, json!(600), Ok(())),
            (&IDLE_TIMEOUT, json!(601), range("0 to 600")),
            (&TEMPO, json!(1), Ok(())),
            (&TEMPO, json!(1.1), range(Tempo::RANGE)),
            (&TEMPO, json!("1.0"), Err(BadValue::Type("a number"))),
            (&PROGRESS, json!("true"), Err(BadValue::Type("a boolean"))),
        ] {
            assert_eq!(parameter.set(&mut StartOptions::default(), &value), expected, "{} {value}", parameter.key);
        }
    }

    #[test]
    fn the_largest_values_are_those_of_the_documents() {
        let largest = StartOptions {
            volume: Some(200),
            tempo: Tempo::from_percent(200),
            progress: Some(true),
            auto_push: Some(true),
            idle_timeout: Some(600),
        };
        assert_eq!(StartOptions::largest(), largest);
    }

    #[test]
    fn the_parameters_in_which_options_differ_are_named_by_their_keys() {
        let keys: Vec<&str> = every().differing(&StartOptions::default()).collect();
        assert_eq!(keys, ["volume", "tempo", "progress", "auto_push", "idle_timeout"]);
        assert_eq!(every().differing(&every()).count(), 0);
    }
}
