//! The members of a JSON object, taken out one by one, each of its documented type.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{NOT_AN_OBJECT, describe, is_json};
use crate::dialect::DecodeError;

const TEXT: &str = "a string";
const TEXTS: &str = "a list of strings";
const NUMBER: &str = "a whole number, zero or more";

/// What narrows a key, or the time for which its predecessor stays good: the member, and
/// how the [`letters`] of names begin that other APIs have for it.
const NARROWING: [(&str, &[&str]); 4] = [
    ("expiresAt", &["expir", "ttl", "validuntil", "validfor", "lifetime", "notafter"]),
    ("scopes", &["scope", "permission", "role"]),
    ("serverId", &["server"]),
    ("overlapSeconds", &["overlap", "grace"]),
];

/// A body's JSON object. What is taken out of it must be there once and of its type;
/// what nobody takes out is ignored, for clients send more than is documented, unless
/// [`finish`](Self::finish) is asked.
pub(crate) struct Members<'a> {
    /// Values are not read before somebody takes them: what is ignored may be any JSON.
    found: Vec<(String, &'a RawValue)>,
    taken: Vec<&'static str>,
}

/// A member for which `null` is a word of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Given<T> {
    Absent,
    Null,
    Value(T),
}

impl<'a> Members<'a> {
    /// # Errors
    /// When the body is announced as something else, or is no JSON object.
    pub(crate) fn read(content_type: Option<&str>, body: &'a [u8]) -> Result<Self, DecodeError> {
        if !is_json(content_type) {
            return Err(DecodeError::MediaType);
        }
        Self::parse(body)
    }

    /// # Errors
    /// When the text is no JSON object.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, DecodeError> {
        let found: Pairs<'a> = serde_json::from_slice(text).map_err(|error| describe(&error))?;
        Ok(Self { found: found.0, taken: Vec::new() })
    }

    /// # Errors
    /// When it is missing, there twice, or no string. So for all of the following, of
    /// which none but [`text`](Self::text) and [`required`](Self::required) must be there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.required(name, TEXT)
    }

    pub(crate) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, DecodeError> {
        self.optional(name, TEXT)
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, DecodeError> {
        self.optional(name, TEXTS)
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<u64>, DecodeError> {
        self.optional(name, NUMBER)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        let given = self.take(name)?.map(|value| typed(name, "true or false", value));
        given.transpose().map(Option::unwrap_or_default)
    }

    /// `kind` says in the error what the member must be.
    pub(crate) fn required<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        kind: &str,
    ) -> Result<T, DecodeError> {
        let value = self.take(name)?.ok_or_else(|| malformed(name, "is missing"))?;
        typed(name, kind, value)
    }

    /// `null` means the same as absence.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        kind: &str,
    ) -> Result<Option<T>, DecodeError> {
        match self.nullable(name, kind)? {
            Given::Value(value) => Ok(Some(value)),
            Given::Null | Given::Absent => Ok(None),
        }
    }

    pub(crate) fn nullable<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        kind: &str,
    ) -> Result<Given<T>, DecodeError> {
        match self.take(name)? {
            Some(value) => {
                let value = typed::<Option<T>>(name, kind, value)?;
                Ok(value.map_or(Given::Null, Given::Value))
            }
            None => Ok(Given::Absent),
        }
    }

    /// For requests that carry out what an operator asks for: a misspelt member must not
    /// be passed over.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.found.is_empty() {
            return Ok(());
        }
        // The client's own word is not repeated: it may be a secret in the wrong place.
        let known = self.taken.join(", ");
        Err(DecodeError::Malformed(format!("The body may have no other members than: {known}")))
    }

    /// Members that narrow a key must not be passed over under another name, nor where
    /// they are not taken: who sends one would hold a key that is good for more.
    pub(crate) fn refuse_narrowing(&self) -> Result<(), DecodeError> {
        let is_meant = |beginnings: &[&str]| {
            let mut names = self.found.iter().map(|(name, _)| letters(name));
            names.any(|name| beginnings.iter().any(|beginning| name.starts_with(beginning)))
        };
        match NARROWING.iter().find(|(_, beginnings)| is_meant(beginnings)) {
            Some((name, _)) if self.taken.contains(name) => Err(malformed(
                name,
                "has another name in this body; write it as here, or leave it out",
            )),
            Some((name, _)) => Err(malformed(name, "is not taken here; leave it out")),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &'static str) -> Result<Option<&'a RawValue>, DecodeError> {
        self.taken.push(name);
        let mut values = self.found.extract_if(.., |(found, _)| found == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(malformed(name, "is there more than once")),
            (value, None) => Ok(value.map(|(_, value)| value)),
        }
    }
}

fn typed<T: DeserializeOwned>(
    name: &'static str,
    kind: &str,
    value: &RawValue,
) -> Result<T, DecodeError> {
    serde_json::from_str(value.get()).map_err(|_| malformed(name, &format!("must be {kind}")))
}

fn malformed(name: &'static str, problem: &str) -> DecodeError {
    DecodeError::Malformed(format!("The member \"{name}\" {problem}"))
}

/// A name in lower case, without what parts its words.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The pairs of an object in their order, a name as often as it is there.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_AN_OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests;
