//! An endpoint of a contract as one row: its path, its operation, its decoder and its encoder.
//! An operation can have neither without the others.

use super::{Answer, Command, Context, Contract, DecodeError, Endpoint, Input, Operation, Outcome};

/// An endpoint of the contract `D`.
pub(super) struct Row<D> {
    pub(super) endpoint: Endpoint,
    /// From a request as the contract writes it.
    pub(super) decode: fn(&D, &Input<'_>) -> Result<Command, DecodeError>,
    /// From each outcome that the command can have; `None` for any other.
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

/// An outcome that an endpoint does not encode: a defect, and never an empty success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract {} does not encode this outcome of {operation:?}", .contract.as_str())]
pub struct NotEncoded {
    pub contract: Contract,
    pub operation: Operation,
}

/// Decodes a request by the row of its operation.
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

/// Encodes an outcome by the row of its operation.
///
/// # Errors
/// When the row does not encode it.
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
