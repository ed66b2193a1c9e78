//! An export as a file: lines of JSON. The first says what it is, the last how many
//! records of each kind lie between, and their checksum, so that a cut file is known.

use std::io::{BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::WorkspaceId;
use crate::store::record::{Record, check_member_role};

use super::{Clash, Counts, Entry, Import, Kind, Orphans, PAGE, Records, There, Written};

/// How the first line begins.
pub const BEGINNING: &str = "{\"format\":\"portcullis-export\"";
const FORMAT: &str = "portcullis-export";
/// The version this program writes, and the newest that it reads.
const SCHEMA: u32 = 2;
/// The form of each record; one that means something else gets a higher number.
const VERSION: u32 = 1;
const MAX_LINE_BYTES: u64 = 4 << 20;
const OUT_OF_RANGE: &str = "a value is out of its range";
/// How the last line begins.
const FOOTER: &str = "{\"counts\":";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    schema: u32,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Serialize, Deserialize)]
struct NoMembers {}

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
            // Without what is kept of a former password for minutes: a file outlives them.
            Entry::Account(account) => {
                line(kind, &Account { former: None, ..account.clone() }.to_exported())
            }
            Entry::Server(server) => line(kind, &server.to_stored()),
            Entry::Workspace(workspace) => line(kind, &workspace.to_stored()),
            Entry::Member { workspace, account, role } => {
                let (workspace, account, role) = (workspace.0, account.0, role.clone());
                line(kind, &Member { workspace, account, role })
            }
            Entry::Session(session) => line(kind, &session.to_exported()),
            Entry::Key(key) => line(kind, &key.to_stored()),
            Entry::KeyUse { key, at } => line(kind, &KeyUse { key: key.0, at: at.0 }),
            Entry::RevokedToken { token, expires } => {
                line(kind, &RevokedToken { token: token.0, expires: expires.0 })
            }
            Entry::RegistrationClosed => line(kind, &NoMembers {}),
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
            R::from_stored(read(line)?).ok_or_else(|| Fault::whole(OUT_OF_RANGE))
        }
        let head: Head = read(line)?;
        if head.v != VERSION {
            let (kind, v) = (head.kind.as_str(), head.v);
            return Err(Fault::whole(&format!(
                "{kind} of version {v}; this program knows version {VERSION}"
            )));
        }
        Ok(match head.kind {
            Kind::Account => Entry::Account(Account { former: None, ..entity(line)? }),
            Kind::Server => Entry::Server(entity(line)?),
            Kind::Workspace => Entry::Workspace(entity(line)?),
            Kind::Member => {
                let Member { workspace, account, role } = read(line)?;
                check_member_role(&role).map_err(|_| Fault::whole(OUT_OF_RANGE))?;
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
            Kind::RegistrationClosed => {
                let NoMembers {} = read(line)?;
                Entry::RegistrationClosed
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

/// An export in the making: the lines of one page after another.
pub struct Export<'a> {
    records: &'a dyn Records,
    stage: Stage,
    sum: Sum,
    there: There,
}

enum Stage {
    Header,
    /// Which of [`Kind::ALL`], and the last that was read of it.
    Records(usize, Option<Box<Entry>>),
    Done,
}

impl<'a> Export<'a> {
    #[must_use]
    pub fn of(records: &'a dyn Records) -> Self {
        Self { records, stage: Stage::Header, sum: Sum::default(), there: There::default() }
    }

    /// The next lines, until there are none.
    ///
    /// # Errors
    /// When records cannot be read; the export then has no last line.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut lines = Vec::new();
        while lines.is_empty() {
            match &mut self.stage {
                Stage::Header => {
                    let header = Header { format: FORMAT.to_owned(), schema: SCHEMA };
                    self.sum.add(&mut lines, json(&header)?);
                    self.stage = Stage::Records(0, None);
                }
                Stage::Records(index, last) => {
                    let Some(kind) = Kind::ALL.get(*index) else {
                        lines = json(&self.sum.footer())?;
                        lines.push(b'\n');
                        self.stage = Stage::Done;
                        break;
                    };
                    let page = self.records.read(*kind, last.as_deref(), PAGE).await?;
                    for entry in &page {
                        if !self.there.admits(entry, self.records.moment())? {
                            continue;
                        }
                        let line = entry.to_line().map_err(|error| damaged(&error))?;
                        self.sum.add(&mut lines, line);
                        self.sum.count(*kind, 1);
                    }
                    self.stage = match page.into_iter().nth(PAGE - 1) {
                        Some(last) => Stage::Records(*index, Some(Box::new(last))),
                        None => Stage::Records(*index + 1, None),
                    };
                }
                Stage::Done => return Ok(None),
            }
        }
        Ok(Some(lines))
    }

    /// What is not in it, once all lines are out.
    #[must_use]
    pub fn orphans(&self) -> &Orphans {
        &self.there.orphans
    }

    /// How many records there are, once all lines are out.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.sum.counts
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| damaged(&error))
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

/// What the last line says, while the others go by.
struct Sum {
    digest: Context,
    counts: Counts,
}

impl Default for Sum {
    fn default() -> Self {
        // Earlier versions neither count this kind nor can read one.
        let always = Kind::ALL.into_iter().filter(|kind| *kind != Kind::RegistrationClosed);
        let counts = always.map(|kind| (kind, 0)).collect();
        Self { digest: Context::new(&SHA256), counts }
    }
}

impl Sum {
    /// Ends a line and adds it to `lines`.
    fn add(&mut self, lines: &mut Vec<u8>, mut line: Vec<u8>) {
        line.push(b'\n');
        self.digest.update(&line);
        lines.extend(line);
    }

    fn count(&mut self, kind: Kind, more: usize) {
        if more > 0 {
            *self.counts.entry(kind).or_default() += more as u64;
        }
    }

    fn footer(&self) -> Footer {
        let sha256 = data_encoding::HEXLOWER.encode(self.digest.clone().finish().as_ref());
        Footer { counts: self.counts.clone(), sha256 }
    }
}

/// What is wrong with a line, and which one it is.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {}: {}", fault.column, fault.reason)]
pub struct BadLine {
    pub line: u64,
    pub fault: Fault,
}

/// Whether a line is the last of an export, if that is whole.
#[must_use]
pub fn is_last(line: &[u8]) -> bool {
    line.starts_with(FOOTER.as_bytes())
}

/// An export that is read, line by line.
pub struct Reading<R> {
    input: R,
    /// Of the line read last.
    line: u64,
    sum: Sum,
    ended: bool,
}

impl<R: BufRead> Reading<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When it is not that of an export, or of a newer one.
    pub fn begin(input: R) -> Result<Self, BadLine> {
        let mut reading = Self { input, line: 0, sum: Sum::default(), ended: false };
        let text = reading.read_line()?;
        reading.sum.digest.update(text.as_bytes());
        match serde_json::from_str::<Header>(&text) {
            Ok(header) if header.format == FORMAT && header.schema == SCHEMA => Ok(reading),
            Ok(Header { format, schema }) if format == FORMAT && schema > SCHEMA => Err(reading
                .bad(Fault::whole(&format!(
                    "written by a newer version (schema {schema}; this one knows {SCHEMA}); \
                     import it with that version"
                )))),
            _ => Err(reading.bad(Fault::whole("this is not an export of portcullis"))),
        }
    }

    /// The next record with the number of its line, until the end has proven right.
    ///
    /// # Errors
    /// What is wrong with the line, or with the whole at its end.
    pub fn next_entry(&mut self) -> Result<Option<(u64, Entry)>, BadLine> {
        if self.ended {
            return Ok(None);
        }
        let text = self.read_line()?;
        if is_last(text.as_bytes()) {
            let footer: Footer =
                serde_json::from_str(&text).map_err(|error| self.bad(error.into()))?;
            if footer != self.sum.footer() {
                let reason = "the checksum is another: a line before was changed or is missing";
                return Err(self.bad(Fault::whole(reason)));
            }
            self.ended = true;
            return match self.input.fill_buf() {
                Ok([]) => Ok(None),
                Ok(_) => {
                    self.line += 1;
                    Err(self.bad(Fault::whole("something follows the last line")))
                }
                Err(error) => Err(self.bad(Fault::whole(&error.to_string()))),
            };
        }
        let entry = Entry::from_line(&text).map_err(|fault| self.bad(fault))?;
        self.sum.digest.update(text.as_bytes());
        self.sum.count(entry.kind(), 1);
        Ok(Some((self.line, entry)))
    }

    /// How many records there were so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.sum.counts
    }

    /// The checksum of what was read so far; at the end, the export's.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.sum.footer().sha256
    }

    fn read_line(&mut self) -> Result<String, BadLine> {
        self.line += 1;
        let mut line = Vec::new();
        let read = self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        if let Err(error) = read {
            return Err(self.bad(Fault::whole(&error.to_string())));
        }
        if line.last() != Some(&b'\n') {
            let long = line.len() as u64 == MAX_LINE_BYTES;
            let reason = if long { "it is too long" } else { "the file is cut off here" };
            return Err(self.bad(Fault { column: line.len() + 1, reason: reason.to_owned() }));
        }
        String::from_utf8(line).map_err(|error| {
            let column = error.utf8_error().valid_up_to() + 1;
            self.bad(Fault { column, reason: "this is not UTF-8".to_owned() })
        })
    }

    fn bad(&self, fault: Fault) -> BadLine {
        BadLine { line: self.line, fault }
    }
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Line(#[from] BadLine),
    #[error("line {line}: {record} {clash}")]
    Clash { line: u64, record: String, clash: Clash },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What of an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What ends something.
    Ends,
    /// What these end, and all else.
    Rest,
}

/// Writes one part of an export, many records at a time; answers how many were not there.
///
/// # Errors
/// At the first line that is wrong or cannot be added.
pub async fn import<R: BufRead>(
    to: &mut dyn Import,
    reading: &mut Reading<R>,
    part: Part,
) -> Result<u64, ImportError> {
    let mut added = 0;
    loop {
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        let mut more = true;
        while more && entries.len() < PAGE {
            match reading.next_entry()? {
                Some((line, entry)) => {
                    if entry.kind().ends_something() == (part == Part::Ends) {
                        lines.push(line);
                        entries.push(entry);
                    }
                }
                None => more = false,
            }
        }
        match to.write(&entries).await? {
            Written::Added(new) => added += new as u64,
            Written::Refused { index, clash } => {
                let (line, record) = (lines[index], entries[index].to_string());
                return Err(ImportError::Clash { line, record, clash });
            }
        }
        if !more {
            return Ok(added);
        }
    }
}
