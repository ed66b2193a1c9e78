//! Portcullis
pub mod auth;
pub mod clock;
pub mod crypto;
pub mod store;
