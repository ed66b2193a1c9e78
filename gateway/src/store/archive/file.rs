//! An export as a file: lines of JSON. The first says what it is, the last how many
//! records of each kind lie between, and their checksum, so that a cut file is known.

use std::collections::BTreeMap;
use std::io;

use aws_lc_rs::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::WorkspaceId;
use crate::store::record::Record;

use super::{Entry, Kind, Records};

const FORMAT: &str = "portcullis-export";
/// The version this program writes, and the newest that it reads.
const SCHEMA: u32 = 2;
/// The form of each record; one that means something else gets a higher number.
const VERSION: u32 = 1;
/// Records of one look into the store.
const PAGE: usize = 500;

/// How many records of each kind.
pub type Counts = BTreeMap<Kind, u64>;

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    counts: Counts,
    sha256: String,
}

/// The beginning of every line between; the record's own members follow.
#[derive(Deserialize)]
struct Head {
    kind: Kind,
    v: u32,
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: Kind,
    v: u32,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Serialize, Deserialize)]
struct Member {
    workspace: Uuid,
    account: Uuid,
    role: String,
}

#[derive(Serialize, Deserialize)]
struct KeyUse {
    key: Uuid,
    at: u64,
}

#[derive(Serialize, Deserialize)]
struct RevokedToken {
    token: Uuid,
    expires: u64,
}

#[derive(Serialize, Deserialize)]
struct EndedSession {
    session: Uuid,
    expires: u64,
}

impl Entry {
    /// Its line, without the end of it.
    ///
    /// # Errors
    /// When it has no form in JSON.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        fn line<T: Serialize>(kind: Kind, record: &T) -> serde_json::Result<Vec<u8>> {
            serde_json::to_vec(&Line { kind, v: VERSION, record })
        }
        let kind = self.kind();
        match self {
            Entry::Account(account) => line(kind, &account.to_stored()),
            Entry::Server(server) => line(kind, &server.to_stored()),
            Entry::Workspace(workspace) => line(kind, &workspace.to_stored()),
            Entry::Member { workspace, account, role } => {
                let (workspace, account, role) = (workspace.0, account.0, role.clone());
                line(kind, &Member { workspace, account, role })
            }
            Entry::Session(session) => line(kind, &session.to_stored()),
            Entry::Key(key) => line(kind, &key.to_stored()),
            Entry::KeyUse { key, at } => line(kind, &KeyUse { key: key.0, at: at.0 }),
            Entry::RevokedToken { token, expires } => {
                line(kind, &RevokedToken { token: token.0, expires: expires.0 })
            }
            Entry::EndedSession { session, expires } => {
                line(kind, &EndedSession { session: session.0, expires: expires.0 })
            }
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn from_line(line: &str) -> Result<Self, Fault> {
        fn read<T: DeserializeOwned>(line: &str) -> Result<T, Fault> {
            serde_json::from_str(line).map_err(Fault::from)
        }
        fn entity<R: Record>(line: &str) -> Result<R, Fault> {
            R::from_stored(read(line)?).ok_or_else(|| Fault::whole("a value is out of its range"))
        }
        let head: Head = read(line)?;
        if head.v != VERSION {
            let (kind, v) = (head.kind.as_str(), head.v);
            return Err(Fault::whole(&format!(
                "{kind} of version {v}; this program knows version {VERSION}"
            )));
        }
        Ok(match head.kind {
            Kind::Account => Entry::Account(entity(line)?),
            Kind::Server => Entry::Server(entity(line)?),
            Kind::Workspace => Entry::Workspace(entity(line)?),
            Kind::Member => {
                let Member { workspace, account, role } = read(line)?;
                let (workspace, account) = (WorkspaceId(workspace), AccountId(account));
                Entry::Member { workspace, account, role }
            }
            Kind::Session => Entry::Session(entity(line)?),
            Kind::Key => Entry::Key(entity(line)?),
            Kind::KeyUse => {
                let KeyUse { key, at } = read(line)?;
                Entry::KeyUse { key: KeyId(key), at: Timestamp(at) }
            }
            Kind::RevokedToken => {
                let RevokedToken { token, expires } = read(line)?;
                Entry::RevokedToken { token: TokenId(token), expires: Timestamp(expires) }
            }
            Kind::EndedSession => {
                let EndedSession { session, expires } = read(line)?;
                Entry::EndedSession { session: SessionId(session), expires: Timestamp(expires) }
            }
        })
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From one on.
    pub column: usize,
    pub reason: String,
}

impl Fault {
    fn whole(reason: &str) -> Self {
        Self { column: 1, reason: reason.to_owned() }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        let (text, place) = (error.to_string(), format!(" at line {} column ", error.line()));
        let reason = text.rsplit_once(&place).map_or(text.as_str(), |(reason, _)| reason);
        Self { column: error.column().max(1), reason: reason.to_owned() }
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Writes every record of a store, page by page.
///
/// # Errors
/// When a record cannot be read or written; what was written then has no last line.
pub async fn export(
    records: &dyn Records,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<Counts, ExportError> {
    let mut sum = Sum::default();
    let header = Header { format: FORMAT.to_owned(), schema: SCHEMA };
    let header = serde_json::to_vec(&header).map_err(io::Error::from)?;
    out.write_all(&sum.add(header)).await?;
    for kind in Kind::ALL {
        let mut last = None;
        loop {
            let page = records.read(kind, last.as_ref(), PAGE).await?;
            let mut lines = Vec::new();
            for entry in &page {
                lines.extend(sum.add(entry.to_line().map_err(io::Error::from)?));
            }
            *sum.counts.entry(kind).or_default() += page.len() as u64;
            out.write_all(&lines).await?;
            let ended = page.len() < PAGE;
            last = page.into_iter().next_back();
            if ended {
                break;
            }
        }
    }
    let (counts, sha256) = sum.finish();
    let footer = Footer { counts, sha256 };
    let mut line = serde_json::to_vec(&footer).map_err(io::Error::from)?;
    line.push(b'\n');
    out.write_all(&line).await?;
    out.flush().await?;
    Ok(footer.counts)
}

/// What the last line says, while the others go by.
struct Sum {
    digest: Context,
    counts: Counts,
}

impl Default for Sum {
    fn default() -> Self {
        Self { digest: Context::new(&SHA256), counts: Counts::new() }
    }
}

impl Sum {
    /// Ends a line and adds it.
    fn add(&mut self, mut line: Vec<u8>) -> Vec<u8> {
        line.push(b'\n');
        self.digest.update(&line);
        line
    }

    fn finish(self) -> (Counts, String) {
        (self.counts, data_encoding::HEXLOWER.encode(self.digest.finish().as_ref()))
    }
}
