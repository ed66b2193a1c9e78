//! `portcullis key`.

use clap::Subcommand;

use crate::admin::{NewKey, Request, Span};
use crate::auth::api_key::DEFAULT_OVERLAP;
use crate::auth::ports::Clock;
use crate::auth::time::Seconds;
use crate::cli::desk::Desk;
use crate::clock::SystemClock;
use crate::telemetry::log::rfc3339;

use super::super::{parse_seconds, parse_seconds_or_none};
use super::{Ask, Confirmed, find_user};
use crate::cli::named::{Named, Thing, is_credential};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key; its text is shown this once
    Create {
        /// The user on whose behalf the key acts
        #[arg(long)]
        owner: String,
        /// What the key is for
        #[arg(long, default_value = "")]
        name: String,
        /// The server whose agents present it, by its id or name
        #[arg(long, value_name = "SERVER")]
        server: Option<Named>,
        /// May be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Such as 90d or 12h [default: never]
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
        expires_in: Option<u64>,
    },
    /// List keys, without their secrets
    #[command(alias = "ls")]
    List {
        #[arg(long)]
        owner: Option<String>,
        #[arg(long, value_name = "SERVER")]
        server: Option<Named>,
    },
    /// Replace a key by a new one; its text is shown this once
    Rotate {
        /// By its id or name
        key: Named,
        /// How long the old one stays valid, such as 1h, or 0s for a leaked one [default: 24h]
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds_or_none)]
        overlap: Option<u64>,
    },
    /// Refuse a key from now on, or all of a user
    #[command(alias = "rm", alias = "delete", alias = "remove")]
    Revoke {
        /// By its id or name
        #[arg(required_unless_present = "owner")]
        key: Option<Named>,
        /// All keys of this user
        #[arg(long, conflicts_with = "key", value_name = "USER")]
        owner: Option<String>,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

pub(in crate::cli) fn key(command: KeyCommand, desk: &mut Desk<'_>) -> Result<Ask, String> {
    let server = |desk: &mut Desk<'_>, named: Option<Named>| {
        named.map(|named| desk.find(Thing::Server, &named)).transpose()
    };
    Ok(match command {
        KeyCommand::Create { owner, name, server: named, scopes, expires_in } => {
            let expires = expires_in.map(|length| SystemClock.now().plus(Seconds(length)).0);
            let (owner, server) = (find_user(desk, owner)?, server(desk, named)?);
            Ask::look(Request::CreateKey(NewKey { owner, name, server, scopes, expires }))
        }
        KeyCommand::List { owner, server: named } => {
            let owner = owner.map(|owner| find_user(desk, owner)).transpose()?;
            let server = server(desk, named)?;
            Ask::look(Request::ListKeys { owner, server, page: Span::default() })
        }
        KeyCommand::Rotate { key, overlap } => {
            let id = desk.find(Thing::Key, &key)?;
            let overlap = overlap.unwrap_or(DEFAULT_OVERLAP.0);
            let end = rfc3339(SystemClock.now().plus(Seconds(overlap)));
            let said = match overlap {
                0 => "the old key is refused from now on".to_owned(),
                _ => format!("the old key stays valid until {end}, or until it expires before"),
            };
            Ask::change(Request::RotateKey { id, overlap }, said)
        }
        KeyCommand::Revoke { key: Some(key), confirmed, .. } => {
            let id = desk.find(Thing::Key, &key)?;
            // What was given may be the text of the key.
            let key =
                if is_credential(&key.to_string()) { id.to_string() } else { key.to_string() };
            Ask::change(Request::RevokeKey { id }, format!("key {key} revoked"))
                .after(&confirmed, format!("Revoke the key {key} for good?"))
        }
        KeyCommand::Revoke { key: None, owner, confirmed } => {
            let owner = owner.unwrap_or_default();
            let question = format!("Revoke all keys of {owner} for good?");
            Ask::look(Request::RevokeKeys { owner: find_user(desk, owner)? })
                .after(&confirmed, question)
        }
    })
}
