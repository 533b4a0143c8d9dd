//! The fields of a job that are only passed through to the API: reading one, by what its parameter takes. Which parameters there
//! are is said in `trtc::start_options`, and not here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::problem::Problem;
use super::raw::{RawJob, Written};
use super::shared::Shared;
use super::value_kind::{FieldReader, Flag, IntRange, Seconds, ValueKind as _, whole};
use super::{places, values};
use crate::trtc::start_options::{StartOptions, StartParameter, Takes, Tempo};
use crate::yaml::{Entry, Node};

/// What a job or a file's `defaults` wrote of these fields.
#[derive(Clone, Debug, Default)]
pub(super) struct RawOptions {
    /// The values that are good.
    pub(super) values: StartOptions,
    /// The keys whose last value was refused.
    refused: BTreeSet<&'static str>,
    /// Where each stands.
    places: BTreeMap<&'static str, Written>,
}

impl RawOptions {
    /// Where the field of that name stands, if it is written.
    pub(super) fn written(&self, name: &str) -> Option<Written> {
        self.places.get(name).copied()
    }
}

/// The field of a parameter.
pub(super) struct Passed(pub(super) &'static StartParameter);

impl Passed {
    fn value(&self, node: &Node<'_>) -> Result<Value, Problem> {
        Ok(match self.0.takes {
            Takes::Whole { least, most } => values::integer::<u64>(node, least..=most)?.into(),
            Takes::Seconds { least, most } => values::whole_seconds(node, least..=most)?.as_secs().into(),
            Takes::Flag => values::boolean(node)?.into(),
            Takes::Tempo => places::tempo(node)?.factor().into(),
        })
    }
}

impl FieldReader<RawJob> for Passed {
    fn read(&self, entry: &Entry<'_>, raw: &mut RawJob, _: &mut Shared<'_>) -> Vec<Problem> {
        let options = &mut raw.options;
        options.places.insert(self.0.key, Written { key: entry.key_span, span: entry.value.span });
        match self.value(&entry.value) {
            Ok(value) => {
                self.0.set(&mut options.values, &value).expect("the reader holds to the range of the parameter");
                options.refused.remove(self.0.key);
                Vec::new()
            }
            Err(problem) => {
                options.refused.insert(self.0.key);
                vec![problem]
            }
        }
    }

    fn schema(&self) -> Option<Value> {
        Some(match self.0.takes {
            Takes::Whole { least, most } => whole(least, most),
            Takes::Seconds { least, .. } => values::whole_seconds_schema(least),
            Takes::Flag => json!({"type": "boolean"}),
            Takes::Tempo => places::tempo_schema(),
        })
    }
    fn values(&self) -> String {
        match self.0.takes {
            Takes::Whole { least, most } => IntRange::<u64>::new(least, most).values(),
            Takes::Seconds { least, most } => Seconds(least, most).values(),
            Takes::Flag => Flag.values(),
            Takes::Tempo => Tempo::RANGE.to_owned(),
        }
    }

    fn written(&self, raw: &RawJob) -> Option<Written> {
        raw.options.written(self.0.key)
    }

    fn refused(&self, raw: &RawJob) -> bool {
        raw.options.refused.contains(self.0.key)
    }
}
