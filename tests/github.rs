//! Signing in with GitHub.

mod provider;
