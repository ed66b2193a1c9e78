//! Every credential in the same six cases - missing, another scheme's, malformed,
//! expired, revoked, valid - and several of them at once.

mod account_limits;
mod api_key;
mod applications;
mod basic;
mod bearer;
mod challenge;
mod counted;
mod hashes;
mod refresh_token;
mod rotation;
mod server_key;
mod several;
mod ticket;
