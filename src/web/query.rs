//! The parameters of a request, read strictly: one that is unknown, repeated or not valid is an error and never ignored. Does
//! not know what is done with them.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::diagnostic::needs_escape;

/// The parameters by name.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Of the part behind the `?`. Errors: a parameter that is not one of `known`, or one that is there twice.
    pub(super) fn parse(text: &str, known: &[&str]) -> Result<Query, String> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                return Err(format!("there is no parameter `{}`: the parameters are {}", clip(&name), known.join(", ")));
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(format!("the parameter `{name}` is there twice"));
            }
        }
        Ok(Query(parameters))
    }

    /// A parameter as it was written.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that is a number of that range.
    pub(super) fn number<N: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        (least, most): (N, N),
    ) -> Result<Option<N>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<N>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(format!("`{name}`: expected a number from {least} to {most}, found `{}`", clip(text))),
        }
    }

    /// A parameter that is one of some words.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<Option<&str>, String> {
        match self.text(name) {
            Some(text) if !words.contains(&text) => {
                let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                Err(format!("`{name}`: expected one of {}, found `{}`", words.join(", "), clip(text)))
            }
            text => Ok(text),
        }
    }
}

/// A text that a client sent, cut to 60 characters, with a dot for each that acts on a terminal or is not seen.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(60).map(|character| if needs_escape(character) { '.' } else { character }).collect()
}
