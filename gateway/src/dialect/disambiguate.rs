//! Whose a request is for a path that several contracts have, by the rules of
//! [`shared_path`].

use crate::contract::shared_path::{self, Owner, RequestTraits};

use super::{Ambiguous, Candidate};

/// Whose request for a shared path is.
#[derive(Clone, Copy)]
pub enum Chosen<'a> {
    /// One that fits none is the path's default's, which refuses it for what it lacks.
    One(&'a Candidate),
    /// It has the marks of several, and is refused in the shape of the default.
    Several(&'a Candidate),
}

/// Whose request it is; `None` only where there is no candidate.
#[must_use]
pub fn choose<'a>(candidates: &'a [Candidate], request: &RequestTraits) -> Option<Chosen<'a>> {
    let [first, _, ..] = candidates else {
        return candidates.first().map(Chosen::One);
    };
    let mut fitting = candidates.iter().filter(|candidate| {
        let others = candidates.iter().filter(|other| owner(other) != owner(candidate));
        let mut rules = others.map(|other| shared_path::rule(owner(candidate), owner(other)));
        rules.all(|rule| rule.is_some_and(|fits| fits(request)))
    });
    Some(match (fitting.next(), fitting.next()) {
        (Some(only), None) => Chosen::One(only),
        (Some(_), Some(_)) => Chosen::Several(first),
        (None, _) => Chosen::One(first),
    })
}

/// Whether every request for a path is one endpoint's at most.
///
/// # Errors
/// When two endpoints have the path and a method, and no rule tells their requests apart: one
/// of them could never be reached.
pub(super) fn check(path: &str, candidates: &[Candidate]) -> Result<(), Ambiguous> {
    for (index, one) in candidates.iter().enumerate() {
        for other in &candidates[..index] {
            let overlap = one.endpoint.method.overlaps(other.endpoint.method);
            if overlap && shared_path::rule(owner(one), owner(other)).is_none() {
                let method = one.endpoint.method.allow();
                let name = |candidate: &Candidate| candidate.dialect.contract().as_str();
                let (one, other) = (name(one), name(other));
                let reason = format!(
                    "{method} is an endpoint of {other} and of {one}, and nothing tells their \
                     requests apart; give one of them another prefix"
                );
                return Err(Ambiguous { path: path.to_owned(), reason });
            }
        }
    }
    Ok(())
}

fn owner(candidate: &Candidate) -> Owner {
    (candidate.dialect.contract(), candidate.endpoint.operation)
}
