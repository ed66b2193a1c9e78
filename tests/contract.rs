//! The wire contracts, statement by statement: one file for each.

mod status;
