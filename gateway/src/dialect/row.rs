//! An endpoint of a contract as one row: its path, its operation, how a request to it is read
//! and how what came of it is put. So no operation is without a reader, and none without words
//! for its end.

use super::{Answer, Command, Context, Contract, DecodeError, Endpoint, Input, Operation, Outcome};

/// An endpoint of the contract `D`.
pub(super) struct Row<D> {
    pub(super) endpoint: Endpoint,
    /// Reads a request as the contract writes it.
    pub(super) decode: fn(&D, &Input<'_>) -> Result<Command, DecodeError>,
    /// Puts what the command can come to; `None` of any other outcome.
    pub(super) encode: fn(&D, Outcome, Context<'_>) -> Option<Answer>,
}

impl<D> Row<D> {
    pub(super) const fn new(
        endpoint: Endpoint,
        decode: fn(&D, &Input<'_>) -> Result<Command, DecodeError>,
        encode: fn(&D, Outcome, Context<'_>) -> Option<Answer>,
    ) -> Self {
        Self { endpoint, decode, encode }
    }
}

/// The endpoints of a contract's rows.
pub(super) const fn endpoints<D, const N: usize>(rows: &[Row<D>; N]) -> [Endpoint; N] {
    let mut endpoints = [Endpoint::NONE; N];
    let mut index = 0;
    while index < N {
        endpoints[index] = rows[index].endpoint;
        index += 1;
    }
    endpoints
}

/// An outcome that a contract has no words for. Whoever meets it has found a defect: of an
/// outcome that is not told nobody may be told that all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract {} does not encode this outcome of {operation:?}", .contract.as_str())]
pub struct NotEncoded {
    pub contract: Contract,
    pub operation: Operation,
}

/// Reads a request by the row of its operation.
///
/// # Errors
/// When the request is not what the operation takes.
pub(super) fn decode<D: 'static>(
    rows: impl IntoIterator<Item = &'static Row<D>>,
    dialect: &D,
    operation: Operation,
    input: &Input<'_>,
) -> Result<Command, DecodeError> {
    let row = rows.into_iter().find(|row| row.endpoint.operation == operation);
    (row.ok_or_else(DecodeError::not_of_this_contract)?.decode)(dialect, input)
}

/// Puts an outcome by the row of its operation.
///
/// # Errors
/// When the row has no words for it.
pub(super) fn encode<D: super::Dialect + 'static>(
    rows: impl IntoIterator<Item = &'static Row<D>>,
    dialect: &D,
    outcome: Outcome,
    context: Context<'_>,
) -> Result<Answer, NotEncoded> {
    let operation = context.operation;
    let row = rows.into_iter().find(|row| row.endpoint.operation == operation);
    let answer = row.and_then(|row| (row.encode)(dialect, outcome, context));
    answer.ok_or(NotEncoded { contract: dialect.contract(), operation })
}

#[cfg(test)]
pub(super) mod tests;
