//! What is done for each order: it is obeyed, recorded with who gave it, and told. Does not know how an order came.

use std::sync::Arc;

use super::edits::{self, Edition};
use super::order::{self, Command, Order};
use super::prepare::Prepared;
use super::step::{OrderReply, Records, Step};
use super::{Engine, Level, fire, holding, reopen, stops};
use crate::plan::holds::OrderSource;

impl Engine {
    /// Obeys an order. Returns the reply, or its number.
    pub(super) fn obey(&mut self, step: &mut Step, records: &dyn Records, order: Order) -> OrderReply {
        let Order { who, note, command } = order;
        let source = OrderSource { who: who.clone(), note: note.clone() };
        let (verb, reply) = match command {
            Command::Stop(target) => ("stop", stops::stop(&mut self.airings, &mut self.orphans, step, &target, &source)),
            Command::Skip { job, start } => {
                ("skip", OrderReply::Now(holding::skip(&mut self.airings, &mut self.agenda, step, (&job, start), source)))
            }
            Command::Pause { job, length } => {
                ("pause", OrderReply::Now(holding::pause(&mut self.airings, &mut self.agenda, step, (job, length), source)))
            }
            Command::Fire(order) => {
                ("fire", OrderReply::Now(fire::fire(&mut self.airings, &self.agenda, step, records, &order, source)))
            }
            Command::Resume { job: Some(job), start: Some(start) } => {
                ("resume", OrderReply::Now(holding::unskip(&mut self.agenda, step, &job, start)))
            }
            Command::Resume { job, start: _ } => ("resume", OrderReply::Now(holding::resume(&mut self.agenda, step, job))),
            Command::Accept { prepared, changes } => {
                let told = self.accept(step, records, *prepared, &who);
                ("reload", OrderReply::Now(Ok([changes, told].concat())))
            }
            Command::TakeSecrets(read) => {
                let lines = self.endpoint.secrets.take(&mut self.airings, step, read, Some(&who));
                ("secrets", OrderReply::Now(Ok(lines)))
            }
            Command::ConfirmClock => {
                ("clock confirm", OrderReply::Now(Ok(vec![format!("the clock is believed: it shows {}", step.now)])))
            }
        };
        // A change of the secrets records itself, and no change is nothing that was done.
        if let OrderReply::Now(Ok(lines)) = &reply
            && verb != "secrets"
        {
            let note = note.map(|note| format!("note: {note}"));
            // A reload has lines of its own in the log.
            if verb != "reload" {
                let noted = note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
                step.notify(Level::Info, format!("{verb}, by {who}: {}{noted}", order::few(lines)));
            }
            let detail: Vec<&str> = lines.iter().chain(&note).map(String::as_str).collect();
            step.record_action(who, verb, detail.join("\n"));
        }
        reply
    }

    /// Another schedule is in force. Returns what it drops that is on air or due soon, a line each.
    fn accept(&mut self, step: &mut Step, records: &dyn Records, prepared: Prepared, who: &str) -> Vec<String> {
        let ready = prepared.ready(step.now);
        self.orphans.learn(&ready.homes);
        let former = Arc::clone(&self.agenda.generation().schedule);
        let (schedule, generation) = (Arc::clone(&ready.generation.schedule), ready.generation.number);
        let edition = Edition { schedule: &schedule, former: Some(&former), generation, who };
        let mut told = edits::apply(&mut self.airings, step, edition);
        let (added, dropped) = (ready.added.clone(), ready.dropped.clone());
        self.agenda.accept(&self.airings, step, ready);
        told.extend(self.departures.accept(&mut self.agenda, step, &added, &dropped));
        self.departures.take_up(&mut self.airings, step, self.agenda.generation(), who);
        told.extend(reopen::by_edit(&mut self.airings, &self.agenda, step, Some(&former), who));
        self.start_open_windows(step, records);
        told
    }
}
