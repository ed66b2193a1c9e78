//! How answers look: a table for people, JSON for programs, errors on standard
//! error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::browser;
use crate::admin::record::{Record, Registering, Registration};
use crate::admin::{Page, Reply, Request};
use crate::auth::text::shown;
use crate::config::warning::Warning;
use crate::pipeline::status::Status;
use crate::server::connectivity::{State, Tried};
use crate::socket::Answer;

use super::{Format, Place, counted};

/// What a list is of: the heads of its table, which an empty one has too.
pub(super) struct Kind(&'static [&'static str]);

impl Kind {
    /// No list.
    pub(super) const NONE: Self = Self(&[]);

    pub(super) fn of(request: &Request) -> Self {
        Self(match request {
            Request::ListUsers { .. } => {
                &["NAME", "EMAIL", "VERIFIED", "ROLES", "STATE", "CREATED", "LAST SIGN-IN", "ID"]
            }
            Request::ListKeys { .. } => &[
                "ID",
                "OWNER",
                "NAME",
                "KEY",
                "SERVER",
                "SCOPES",
                "CREATED",
                "EXPIRES",
                "LAST USED",
            ],
            Request::ListServers { .. } => &["ID", "NAME", "OWNER", "CREATED"],
            Request::ListWorkspaces { .. } => &["ID", "NAME", "CREATED"],
            Request::ListMembers { .. } => &["NAME", "ROLE", "ID"],
            Request::ListSessions { .. } => {
                &["ID", "USER", "ADDRESS", "BROWSER", "CREATED", "LAST USED", "EXPIRES"]
            }
            Request::ListLockouts { .. } => &["ADDRESS", "FAILURES", "LOCKED UNTIL"],
            _ => &[],
        })
    }
}

/// A record's cells, in the order of its heads.
fn row(record: Record, names: &BTreeMap<Uuid, String>) -> Vec<String> {
    let name = |id: Uuid| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    match record {
        Record::User(user) => vec![
            user.username,
            user.email.unwrap_or_default(),
            if user.email_verified { "yes" } else { "no" }.to_owned(),
            user.roles.join(","),
            user.state.as_str().to_owned(),
            user.created,
            // Not "never": earlier versions did not record sign-ins.
            user.last_sign_in.unwrap_or_else(|| "-".to_owned()),
            user.id.to_string(),
        ],
        Record::Key(key) => vec![
            key.id.to_string(),
            name(key.owner),
            key.name,
            format!("{}…", key.shown),
            id(key.server),
            key.scopes.join(","),
            key.created,
            key.expires.unwrap_or_else(|| "never".to_owned()),
            key.last_used.unwrap_or_else(|| "never".to_owned()),
        ],
        Record::Server(server) => vec![
            server.id.to_string(),
            server.name,
            server.owner.map(name).unwrap_or_default(),
            server.created,
        ],
        Record::Workspace(workspace) => {
            vec![workspace.id.to_string(), workspace.name, workspace.created]
        }
        Record::Member(member) => vec![member.username, member.role, member.user_id.to_string()],
        Record::Session(session) => vec![
            session.id.to_string(),
            name(session.user_id),
            session.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
            session.user_agent.as_deref().map_or_else(|| "-".to_owned(), browser::read),
            session.created,
            session.last_used,
            session.expires,
        ],
        Record::Lockout(lockout) => vec![
            lockout.address.to_string(),
            lockout.failures.to_string(),
            lockout.locked_until.unwrap_or_default(),
        ],
        Record::Registration(_) => Vec::new(),
    }
}

/// Prints what an administration command answered; `said` is what it did, in words.
pub(super) fn show(place: &Place, kind: Kind, reply: Reply, said: Option<String>) -> ExitCode {
    if place.format == Some(Format::Json) {
        let json = match reply {
            Reply::Done => json!({ "message": said.unwrap_or_default() }),
            Reply::Made(record) | Reply::Found(record) | Reply::Changed { user: record, .. } => {
                record.members()
            }
            Reply::Page(Page { items, .. }) => items.iter().map(Record::members).collect(),
            Reply::NewKey { key, text } => {
                let mut json = Record::Key(key).members();
                json["key"] = text.0.into();
                json
            }
            Reply::NewLink { user, url, expires, mailed } => {
                json!({ "user": user.id, "link": url.0, "expires": expires, "mailed": mailed })
            }
            Reply::Imported { added, present } => json!({ "added": added, "present": present }),
            Reply::SessionsEnded { users, .. } => json!({ "users": users }),
            Reply::KeysRevoked { keys } => json!({ "keys": keys }),
            Reply::Verified { users } => json!({ "verified": users }),
        };
        return say(&format!("{json:#}\n"));
    }
    match reply {
        Reply::Page(Page { items, names, .. }) => {
            let rows = items.into_iter().map(|record| row(record, &names));
            say(&table(kind.0, rows.collect()))
        }
        Reply::NewKey { key, text } => {
            let end = key.expires.map(|end| format!(", good until {end}")).unwrap_or_default();
            complain(&format!("key {} made{end}; its text is shown only now", key.id));
            if let Some(said) = said {
                complain(&said);
            }
            say(&(text.0 + "\n"))
        }
        Reply::NewLink { user, url, expires, mailed } => {
            let sent = if mailed { ", sent by mail too" } else { "" };
            complain(&format!(
                "link for {}, single use, valid until {expires}{sent}:",
                user.username
            ));
            say(&(url.0 + "\n"))
        }
        Reply::Made(Record::Server(server)) => made("server", server.id),
        Reply::Made(Record::Workspace(workspace)) => made("workspace", workspace.id),
        Reply::Found(Record::Registration(registration)) => {
            say(&format!("{}\n", in_words(registration)))
        }
        Reply::SessionsEnded { users, .. } => {
            say(&format!("the sessions of {} have ended\n", numbered(users, "user")))
        }
        Reply::KeysRevoked { keys } => say(&format!("{} revoked\n", numbered(keys, "key"))),
        Reply::Found(record) | Reply::Changed { user: record, .. } if said.is_none() => {
            say(&members(&record))
        }
        Reply::Imported { added, present } => {
            say(&format!("{} added, {} there already\n", added.len(), present.len()))
        }
        Reply::Verified { users } => say(&format!("{} e-mail addresses verified\n", users.len())),
        Reply::Done | Reply::Made(_) | Reply::Found(_) | Reply::Changed { .. } => {
            say(&(said.unwrap_or_default() + "\n"))
        }
    }
}

/// Whether anybody may make an account, and what says so.
pub(super) fn in_words(registration: Registration) -> &'static str {
    match (registration.configured, registration.stored) {
        (Registering::Open, Registering::Open) => "registration is open",
        (Registering::Open, Registering::Closed) => {
            "registration is closed in the store; portcullis registration open takes that back"
        }
        (Registering::Closed, Registering::Open) => {
            "registration is closed by the configuration (auth.registration), and no more by the store"
        }
        (Registering::Closed, Registering::Closed) => {
            "registration is closed by the configuration (auth.registration) and in the store"
        }
    }
}

/// `1 key`, `2 keys`
fn numbered(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// The id alone goes where a script can read it.
fn made(what: &str, id: Uuid) -> ExitCode {
    complain(&format!("{what} added; its id:"));
    say(&format!("{id}\n"))
}

/// One record, a line for each member that says something.
fn members(record: &Record) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let members = record.members();
    let members = members.as_object().into_iter().flatten();
    table(
        &["NAME", "VALUE"],
        members.map(|(name, value)| vec![name.clone(), text(value)]).collect(),
    )
}

/// Prints what a running gateway said of itself.
pub(super) fn show_running(place: &Place, answer: Answer) -> ExitCode {
    let json = place.format == Some(Format::Json);
    match answer {
        Answer::Healthy if json => say(&format!("{:#}\n", json!({ "message": "healthy" }))),
        Answer::Healthy => say("healthy\n"),
        Answer::HealthyWith(store) if json => {
            say(&format!("{:#}\n", json!({ "message": "healthy", "store": store })))
        }
        Answer::HealthyWith(store) => say(&format!("healthy; the store is {}\n", store.state)),
        Answer::Status(status) if json => say(&format!("{:#}\n", json!(status))),
        Answer::Status(status) => say(&status_table(status)),
        Answer::Failed(failed) => fail(1, &failed.reason),
        Answer::Frozen { .. } | Answer::Thawed(_) | Answer::Request(_) | Answer::Reply(_) => {
            fail(1, "unexpected answer")
        }
    }
}

fn status_table(status: Status) -> String {
    let mut rows = vec![
        vec!["version".to_owned(), status.version],
        vec!["serving".to_owned(), status.serving],
        vec!["registration".to_owned(), status.registration],
        vec!["uptime_seconds".to_owned(), status.uptime_seconds.to_string()],
    ];
    if let Some(store) = status.store {
        rows.push(vec!["store".to_owned(), store.state]);
        let staleness = store.staleness_ms.map_or_else(String::new, |ms| ms.to_string());
        rows.push(vec!["store_staleness_ms".to_owned(), staleness]);
        rows.push(vec!["store_undelivered".to_owned(), store.undelivered.to_string()]);
    }
    let numbers = status.held.into_iter().chain(status.counters);
    rows.extend(numbers.map(|(name, value)| vec![name, value.to_string()]));
    table(&["NAME", "VALUE"], rows)
}

/// What `check --against` found, for people and for programs.
pub(super) struct Changes {
    pub lines: String,
    pub members: Value,
}

/// All routes, for people and for programs, and which may not be meant so.
pub(super) struct Listed {
    pub table: String,
    pub members: Vec<Value>,
    /// Which pages of other origins the auth API lets read.
    pub cors: Option<String>,
    pub notes: Vec<String>,
}

/// What `check` found.
pub(super) struct Checked<'a> {
    pub(super) routes: &'a Listed,
    pub(super) warnings: &'a [Warning],
    /// Only with `--against`.
    pub(super) changes: Option<&'a Changes>,
    /// Only with `--connect`.
    pub(super) tried: Option<&'a [Tried]>,
    /// As a gateway sees it that runs on this store.
    pub(super) registration: Option<Registration>,
}

/// A line without what would command a terminal.
fn visible(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", shown(line)),
        None => shown(line).into_owned(),
    }
}

/// Prints what `check` found, with what `--connect` tried; fails if anything of that could
/// not be used.
pub(super) fn show_checked(place: &Place, checked: &Checked<'_>) -> ExitCode {
    let Checked { routes, warnings, changes, tried, registration } = *checked;
    let text = if place.format == Some(Format::Json) {
        let warnings: Vec<Value> = warnings.iter().map(warning_members).collect();
        let mut json = json!({
            "message": "the configuration is good",
            "warnings": warnings,
            "routes": routes.members,
            "notes": routes.notes,
        });
        if let Some(cors) = &routes.cors {
            json["cors"] = json!(cors);
        }
        if let Some(changes) = changes {
            json["changes"] = changes.members.clone();
        }
        if let Some(tried) = tried {
            json["connections"] = json!(tried);
        }
        if let Some(registration) = registration {
            json["registration"] = json!(registration);
        }
        format!("{json:#}\n")
    } else {
        in_lines(checked).split_inclusive('\n').map(visible).collect()
    };
    let said = say(&text);
    if said != ExitCode::SUCCESS {
        return said;
    }
    let tried = tried.unwrap_or_default();
    match tried.iter().filter(|tried| tried.state == State::Failed).count() {
        0 => ExitCode::SUCCESS,
        failed => fail(1, &format!("{failed} of {} cannot be used", tried.len())),
    }
}

fn in_lines(checked: &Checked<'_>) -> String {
    let Checked { routes, warnings, changes, tried, registration } = *checked;
    let mut text: String = warnings.iter().map(Warning::rendered).collect();
    text.push_str("the configuration is good");
    if !warnings.is_empty() {
        text.extend([", with ", &counted(warnings.len())]);
    }
    text.extend(["\n", &routes.table]);
    if let Some(cors) = &routes.cors {
        text.extend(["the auth API may be read by pages of ", cors, "\n"]);
    }
    for note in &routes.notes {
        text.extend(["note: ", note, "\n"]);
    }
    if let Some(registration) = registration.filter(|found| is_closed_in_store(*found)) {
        text.extend(["in the running gateway, ", in_words(registration), "\n"]);
    }
    text.extend(changes.map(|changes| changes.lines.as_str()));
    text.extend(tried.map(reached));
    text
}

/// What a look at the file alone would not tell.
fn is_closed_in_store(registration: Registration) -> bool {
    registration.configured == Registering::Open && registration.stored == Registering::Closed
}

fn reached(tried: &[Tried]) -> String {
    let row = |tried: &Tried, state: &str, detail: &str| {
        let cells = [tried.what.as_str(), state, tried.at.as_str(), detail];
        cells.map(str::to_owned).to_vec()
    };
    let rows = tried.iter().flat_map(|tried| {
        let warnings = tried.warnings.iter().map(|warning| row(tried, "warning", warning));
        std::iter::once(row(tried, tried.state.word(), &tried.detail)).chain(warnings)
    });
    table(&["WHAT", "STATE", "AT", "DETAIL"], rows.collect())
}

fn warning_members(warning: &Warning) -> Value {
    json!({
        "code": warning.kind.code,
        "place": warning.place,
        "key": warning.key,
        "message": warning.message,
        "remedy": warning.kind.remedy,
    })
}

/// Columns of text. What somebody else has named cannot turn or break the lines.
pub(super) fn table(heads: &[&str], mut rows: Vec<Vec<String>>) -> String {
    for cell in rows.iter_mut().flatten() {
        if let Cow::Owned(text) = shown(cell) {
            *cell = text;
        }
    }
    let width = |column: usize, head: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(head.len())
    };
    let widths: Vec<usize> =
        heads.iter().enumerate().map(|(column, head)| width(column, head)).collect();
    let mut text = String::new();
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    for row in [heads].into_iter().chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Not by a format, whose widths are small numbers.
fn padded(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))
}

/// Prints an answer; fails when not all of it was written. A reader who has left knows why.
pub(super) fn say(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => fail(1, &format!("standard output cannot be written: {error}")),
    }
}

/// Whether what is written to standard output is for nobody: it is the null device, which
/// stands in the place of one that is closed.
pub(super) fn has_no_reader() -> bool {
    use std::os::unix::fs::MetadataExt;
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
    let output = rustix::fs::fstat(io::stdout());
    match (null, output) {
        (Ok(null), Ok(output)) => {
            rustix::fs::FileType::from_raw_mode(output.st_mode).is_char_device()
                && output.st_rdev == null
        }
        _ => false,
    }
}

/// Why a file cannot be made, without the number of the error.
pub(super) fn unwritable(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory".into(),
        io::ErrorKind::PermissionDenied => "this user may not write there".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        io::ErrorKind::StorageFull => "no space is left on the disk".into(),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "something else is there, which is no directory".into()
        }
        _ => error.to_string().into(),
    }
}

/// Whatever names it repeats, it commands no terminal.
pub(super) fn complain(message: &str) {
    let mut out = io::stderr().lock();
    for line in message.split('\n') {
        let _ = writeln!(out, "{}", shown(line));
    }
}

pub(super) fn fail(code: u8, message: &str) -> ExitCode {
    complain(&format!("portcullis: {}", message.trim_end()));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_cell_may_be_of_any_length() {
        let rows = [["a".repeat(70_000), "1".to_owned()], ["b".to_owned(), "2".to_owned()]];
        let listed = table(&["NAME", "ID"], rows.map(Vec::from).to_vec());
        assert!(listed.ends_with(&format!("b{}2\n", " ".repeat(70_001))));
    }

    #[test]
    fn lists_show_what_is_not_seen_by_its_number_and_stay_lists() {
        let rows = [["1", "web\n2  forged"], ["3", "a\u{202e}b\u{2028}c"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        let listed = table(&["ID", "NAME"], rows);
        assert_eq!(listed, "ID  NAME\n1   web\\n2  forged\n3   a\\u{202e}b\\u{2028}c\n");
    }
}
