//! How this host stands among those that share a ledger: which role it has, who owns, and what keeps it from owning. Does not know
//! databases, and decides nothing.

use jiff::Timestamp;
use serde::Serialize;

use crate::lease::Term;

/// What a host does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It has the air.
    Owner,
    /// It waits, and takes over when the owner is silent.
    #[default]
    Standby,
}

impl Role {
    /// As our JSON shows it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Standby => "standby",
        }
    }
}

/// How a host stands among those that share a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostStanding {
    /// What it does.
    pub role: Role,
    /// The station.
    pub station: String,
    /// The host of the newest owner; nothing, if nobody ever owned, or nobody knows.
    pub owner: Option<String>,
    /// The newest term.
    pub term: Option<Term>,
    /// When its lease ends if it is not renewed, by the database's clock.
    pub lease_end: Option<Timestamp>,
    /// How long it lasts yet, in milliseconds; less than nothing, if it has ended.
    pub lease_left_ms: Option<i64>,
    /// Whether nobody owns: the air was given back, or the lease has ended.
    pub is_unowned: bool,
    /// Since when the database does not do what it is asked, and why.
    pub failing: Option<(Timestamp, String)>,
    /// Why this host may not own.
    pub refusals: Vec<String>,
    /// The files of its folder that differ from the accepted sources.
    pub differing: Vec<String>,
    /// The others that are there.
    pub others: Vec<OtherHost>,
    /// Whether another server has a commit only a moment later.
    pub is_asynchronous: bool,
}

impl HostStanding {
    /// Who owns, for whoever asked the wrong host.
    pub fn who_owns(&self) -> String {
        match (&self.owner, self.is_unowned, &self.failing) {
            (_, _, Some((_, why))) => format!("nobody can say who owns: {why}"),
            (Some(owner), false, None) => format!("`{owner}` owns the air"),
            (Some(owner), true, None) => format!("nobody owns the air now; `{owner}` had it last"),
            (None, _, None) => "nobody is known to own the air".to_owned(),
        }
    }

    /// One line: the role, and who owns.
    pub fn line(&self) -> String {
        let term = self.term.map_or_else(String::new, |term| format!(", term {term}"));
        match self.role {
            Role::Owner => format!("this host owns the air of station `{}`{term}", self.station),
            Role::Standby => format!("this host is a standby of station `{}`: {}{term}", self.station, self.who_owns()),
        }
    }

    /// What makes the health failing.
    pub fn failing_reasons(&self) -> Vec<String> {
        let database = self.failing.as_ref().map(|(_, why)| match self.role {
            Role::Owner => {
                format!("the database does not do what it is asked, and starts leave only as long as the lease lasts: {why}")
            }
            Role::Standby => format!("the database does not do what it is asked, so this host cannot take over: {why}"),
        });
        let unowned = self.failing.is_none() && self.role == Role::Standby && self.is_unowned && !self.refusals.is_empty();
        let unowned = unowned.then(|| format!("{}: nothing is started, and this host may not take over", self.who_owns()));
        database.into_iter().chain(unowned).collect()
    }

    /// What makes it degraded.
    pub fn degraded_reasons(&self) -> Vec<String> {
        let refused = self.refusals.iter().map(|why| format!("this host may not own the air: {why}"));
        let folder = (!self.differing.is_empty()).then(|| {
            let files: Vec<String> = self.differing.iter().map(|file| format!("`{file}`")).collect();
            format!(
                "the schedule folder of this host differs from the accepted schedule, which is played: {} (make the folders alike, or \
                 `ingestd reload` on the owner takes the owner's)",
                files.join(", ")
            )
        });
        refused.chain(folder).collect()
    }

    /// What somebody should know.
    pub fn warnings(&self) -> Vec<String> {
        let asynchronous = "the database's replication is asynchronous: a fail-over of it may lose the newest rows, and shows that begin \
                            then are taken up as doubts";
        self.is_asynchronous.then(|| asynchronous.to_owned()).into_iter().collect()
    }

    /// The object of our JSON.
    pub fn object(&self) -> HostObject {
        HostObject {
            role: self.role,
            station: self.station.clone(),
            owner: self.owner.clone().filter(|_| !self.is_unowned),
            term: self.term.map(|term| term.0),
            lease_until: self.lease_end.map(|end| end.to_string()),
            others: self.others.clone(),
            replication: if self.is_asynchronous { "asynchronous" } else { "none or synchronous" },
        }
    }
}

/// Another host that shares the ledger, as it said some seconds ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherHost {
    /// Its name.
    pub host: String,
    /// Its program.
    pub version: String,
    /// What it does: `owner`, `standby`, or why it may not own.
    pub state: String,
    /// How far its clock is from the database's, in milliseconds; null when that is not known.
    pub clock_offset_ms: Option<i64>,
    /// The files of its folder that differ from the accepted sources; empty when none does.
    pub differing: String,
}

/// `host` of the status. Absent without a shared ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostObject {
    /// What this host does.
    pub role: Role,
    /// The station.
    pub station: String,
    /// The host that owns; null, if nobody does.
    pub owner: Option<String>,
    /// The newest term.
    pub term: Option<i64>,
    /// When its lease ends if it is not renewed.
    pub lease_until: Option<String>,
    /// The others that are there.
    pub others: Vec<OtherHost>,
    /// Whether a fail-over of the database may lose rows.
    pub replication: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_says_who_owns_and_what_keeps_it_from_owning() {
        let standby = HostStanding { station: "main".into(), owner: Some("a".into()), term: Some(Term(3)), ..Default::default() };
        assert_eq!(standby.line(), "this host is a standby of station `main`: `a` owns the air, term 3");
        assert!(standby.failing_reasons().is_empty() && standby.degraded_reasons().is_empty());
        let refused = HostStanding { refusals: vec!["its clock".into()], ..standby.clone() };
        assert_eq!((refused.failing_reasons().len(), refused.degraded_reasons().len()), (0, 1));
        let nobody = HostStanding { is_unowned: true, ..refused };
        assert!(nobody.failing_reasons()[0].contains("nobody owns"));
        let differing = HostStanding { differing: vec!["a.yaml".into()], ..standby };
        assert!(differing.degraded_reasons()[0].contains("`a.yaml`"));
    }
}
