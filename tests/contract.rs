//! The wire contracts: `status` statement by statement; the others, which
//! `portcullis conform` goes through in `conform.rs`, in what the operator can set
//! and what takes more than one request to see.

mod accounts;
mod cookies;
mod keys;
mod members;
mod sessions;
mod settings;
mod status;
mod workspaces;
