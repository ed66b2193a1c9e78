//! Portcullis
pub mod auth;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod store;
