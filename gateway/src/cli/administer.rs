//! Commands of administration: asked of the running gateway, or carried out on
//! the store.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::admin::record::{Key, Record, Registration};
use crate::admin::{self, By, Hidden, Import, Page, Reply, Request, Span};
use crate::auth::Core;
use crate::auth::account::{ADMIN_ROLE, DEFAULT_ROLE};
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::config::value::nearest;
use crate::server;
use crate::socket::{self, Answer, Failed, Question};
use crate::store::embedded::Location;

use super::commands::user::UserCommand;
use super::commands::{self, Ask, Find, Named, Thing};
use super::configuration::{configure_store, looked_in, roles_of_routes};
use super::input::read_at_most;
use super::output::{Kind, complain, fail, say, show, show_running};
use super::{Place, htpasswd};

/// Of an htpasswd file: half a million users.
const MAX_IMPORT_BYTES: u64 = 64 << 20;
/// Users of one request to the store.
const BATCH: usize = 100;

pub(super) fn user(place: &Place, command: UserCommand) -> ExitCode {
    if let UserCommand::Import { file, roles } = command {
        return import(place, &file, &roles);
    }
    if let UserCommand::Verify { user: None, .. } = command {
        return verify_all(place);
    }
    administer(place, |_| commands::user::user(command))
}

/// Asks on a terminal; a script says so on its command line.
fn confirm(question: &str) -> Result<(), ExitCode> {
    if !io::stdin().is_terminal() {
        return Err(fail(2, &format!("{question} Say --yes: nobody can be asked here")));
    }
    complain(&format!("{question} [y/N]"));
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(_) if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => Err(fail(1, "nothing was done")),
    }
}

pub(super) fn healthcheck(place: &Place) -> ExitCode {
    ask_running(place, &Question::Health)
}

pub(super) fn status(place: &Place) -> ExitCode {
    ask_running(place, &Question::Status)
}

/// Twice from a prompt, or one line of standard input; never from an argument,
/// which `ps` would show.
pub(super) fn read_password(name: &str) -> Result<Secret, String> {
    let first = ask_password(name)?;
    if !io::stdin().is_terminal() {
        return Ok(first);
    }
    let second = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
    if first.expose() == second { Ok(first) } else { Err("the two passwords differ".into()) }
}

/// A password that there is already: once from a prompt, or one line of standard input.
pub(super) fn ask_password(name: &str) -> Result<Secret, String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(unreadable)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(line.strip_suffix('\r').unwrap_or(line).into());
    }
    let prompt = format!("Password for {name}: ");
    rpassword::prompt_password(prompt).map(Secret::new).map_err(unreadable)
}

fn unreadable(error: io::Error) -> String {
    format!("the password could not be read: {error}")
}

/// Where commands are carried out: in the running gateway, or here.
enum Office {
    Gateway(PathBuf),
    Here(Box<Core>),
}

impl Office {
    /// The gateway if it answers; opens the store once if there is none. Only adding
    /// somebody makes a new one: a look into the wrong directory leaves nothing there.
    async fn find(place: &Place, config: &Config, request: &Request) -> Result<Self, String> {
        let without = |what: &str| format!("{what}; {}", looked_in(place, config));
        match socket::ask_health(&config.store.directory).await {
            Ok(Some(_)) => Ok(Office::Gateway(config.store.directory.clone())),
            Ok(None) if signed_by_gateway(request) => {
                Err(without("no gateway is running, and only a running one makes links"))
            }
            Ok(None) if config.store.shared.is_none() && counted_by_gateway(request) => {
                Err(without("no gateway is running, and only a running one counts failures"))
            }
            Ok(None) => {
                let location = Location::in_directory(&config.store.directory);
                let adds = matches!(request, Request::AddUser(_) | Request::ImportUsers { .. });
                if config.store.shared.is_none() && !adds && !location.exists() {
                    return Err(without("there is no store yet"));
                }
                // No token is signed here, so no lasting secret is needed.
                let secret = Secret::new("0".repeat(32));
                let opened = server::open_core(config, &secret, None, None).await;
                let (core, _) = opened.map_err(|error| error.to_string())?;
                Ok(Office::Here(Box::new(core)))
            }
            Err(error) => Err(no_answer(&error)),
        }
    }

    async fn perform(&self, request: Request) -> Result<Reply, String> {
        let answer = match self {
            Office::Here(core) => {
                let done = admin::perform(core, request, By::Operator).await;
                return done.map_err(|error| Failed::from(error).reason);
            }
            Office::Gateway(directory) => socket::ask(directory, &request).await,
        };
        match answer {
            Ok(Some(Answer::Reply(reply))) => Ok(reply),
            Ok(Some(Answer::Failed(failed))) => Err(failed.reason),
            Ok(Some(_)) => Err("unexpected answer".to_owned()),
            Ok(None) => Err("the gateway has just stopped; once more, please".to_owned()),
            Err(error) => Err(no_answer(&error)),
        }
    }

    /// Page after page, as if a list had none.
    async fn perform_all(&self, mut request: Request) -> Result<Reply, String> {
        let mut reply = self.perform(request.clone()).await?;
        while let Reply::SessionsEnded { users, next: Some(next) } = reply {
            if let Request::EndAllSessions { after, .. } = &mut request {
                *after = Some(next);
            }
            let more = self.perform(request.clone()).await;
            reply = match more.map_err(|reason| format!("{reason}; {users} users were done"))? {
                Reply::SessionsEnded { users: more, next } => {
                    Reply::SessionsEnded { users: users + more, next }
                }
                _ => return Err("unexpected answer".to_owned()),
            };
        }
        while let Reply::Page(page) = &mut reply
            && let Some(next) = page.next.take()
        {
            go_on(&mut request, &next);
            if let Reply::Page(more) = self.perform(request.clone()).await? {
                page.items.extend(more.items);
                page.names.extend(more.names);
                page.next = more.next;
            }
        }
        Ok(reply)
    }
}

fn signed_by_gateway(request: &Request) -> bool {
    matches!(request, Request::InviteUser(_) | Request::MakeResetLink { .. })
}

fn counted_by_gateway(request: &Request) -> bool {
    matches!(request, Request::ListLockouts { .. } | Request::ClearLockout { .. })
}

/// Turns a request for a part of a list into that for the next part.
fn go_on(request: &mut Request, next: &str) {
    match request {
        Request::ListUsers { page }
        | Request::ListSessions { page, .. }
        | Request::ListKeys { page, .. }
        | Request::ListServers { page }
        | Request::ListWorkspaces { page }
        | Request::ListMembers { page, .. } => page.after = next.parse().ok(),
        Request::ListLockouts { page } => page.after = next.parse().ok(),
        _ => {}
    }
}

pub(super) fn no_answer(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => "the running gateway answers what this program does not \
                                       understand: it is of another version; use the program it \
                                       was started from, or restart it"
            .to_owned(),
        io::ErrorKind::TimedOut => {
            "the running gateway does not answer in time; its log says what it does".to_owned()
        }
        _ => format!("the running gateway does not answer: {error}"),
    }
}

/// Carries out what a command asks for, once it has found the ids of what that names.
pub(super) fn administer(
    place: &Place,
    build: impl FnOnce(Find<'_>) -> Result<Ask, String>,
) -> ExitCode {
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let mut desk = Desk { place, config, runtime, office: None };
    let Ask { request, said, question } = match build(&mut |thing, named| desk.find(thing, named)) {
        Ok(ask) => ask,
        Err(message) => return fail(1, &message),
    };
    if let Some(question) = question
        && let Err(refused) = confirm(&question)
    {
        return refused;
    }
    let kind = Kind::of(&request);
    let roles = roles_in(&request);
    let done = desk.perform(request);
    if done.is_ok() {
        warn_of_unknown_roles(place, &roles);
    }
    match done {
        Ok(Reply::NewKey { key, text }) => desk.hand_over(key, text),
        Ok(reply) => show(place, kind, reply, said),
        Err(message) => fail(1, &message),
    }
}

/// Those that a request gives to somebody.
fn roles_in(request: &Request) -> Vec<String> {
    match request {
        Request::AddUser(new) => new.roles.clone(),
        Request::InviteUser(invitation) => invitation.roles.clone(),
        Request::ChangeUser { roles: Some(roles), .. } | Request::ImportUsers { roles, .. } => {
            roles.clone()
        }
        _ => Vec::new(),
    }
}

/// Nothing forbids a role that no route asks for, since upstreams are told it; where routes
/// ask for others, it is a slip more often.
fn warn_of_unknown_roles(place: &Place, roles: &[String]) {
    let Some(asked) = roles_of_routes(place).filter(|asked| !asked.is_empty()) else { return };
    let known = || asked.iter().map(String::as_str).chain([ADMIN_ROLE, DEFAULT_ROLE]);
    for role in roles.iter().filter(|role| known().all(|known| known != role.as_str())) {
        let hint = nearest(role, known()).unwrap_or_else(|| {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            format!("they ask for {}", asked.join(", "))
        });
        complain(&format!("warning: no route asks for the role {role:?}; {hint}"));
    }
}

/// Where one command is carried out, found once.
struct Desk<'a> {
    place: &'a Place,
    config: Config,
    runtime: Runtime,
    office: Option<Office>,
}

impl Desk<'_> {
    fn perform(&mut self, request: Request) -> Result<Reply, String> {
        let Self { place, config, runtime, office } = self;
        runtime.block_on(async {
            let office = match office {
                Some(office) => office,
                None => office.insert(Office::find(place, config, &request).await?),
            };
            office.perform_all(request).await
        })
    }

    fn find(&mut self, thing: Thing, named: &Named) -> Result<Uuid, String> {
        let name = match named {
            Named::Id(id) => return Ok(*id),
            Named::Name(name) => name,
        };
        let page = Span::default();
        let request = match thing {
            Thing::Key => Request::ListKeys { owner: None, server: None, page },
            Thing::Server => Request::ListServers { page },
            Thing::Workspace => Request::ListWorkspaces { page },
        };
        let Reply::Page(Page { items, .. }) = self.perform(request)? else {
            return Err("unexpected answer".to_owned());
        };
        if commands::is_credential(name) {
            return find_by_text(&items, name);
        }
        let known: Vec<(&str, Uuid)> = items.iter().filter_map(name_and_id).collect();
        let found: Vec<Uuid> =
            known.iter().filter(|(known, _)| known == name).map(|(_, id)| *id).collect();
        let word = thing.word();
        match found[..] {
            [id] => Ok(id),
            [] => {
                let hint = nearest(name, known.iter().map(|(name, _)| *name));
                let hint = hint.unwrap_or_else(|| format!("`portcullis {word} list` shows them"));
                Err(format!("no {word} has the id or name {name:?}; {hint}"))
            }
            _ => {
                let ids: Vec<String> = found.iter().map(Uuid::to_string).collect();
                let (count, ids) = (ids.len(), ids.join(", "));
                Err(format!("{count} {word}s have the name {name:?}; give the id of one: {ids}"))
            }
        }
    }

    /// A key whose text reaches nobody is of no use, but to whoever finds it in what was lost.
    fn hand_over(&mut self, key: Key, text: Hidden) -> ExitCode {
        let id = key.id;
        let shown = show(self.place, Kind::NONE, Reply::NewKey { key, text }, None);
        if shown != ExitCode::SUCCESS {
            complain(&match self.perform(Request::RevokeKey { id }) {
                Ok(_) => format!("the text of key {id} was not written; the key is revoked"),
                Err(reason) => format!(
                    "the text of key {id} was not written, and the key not revoked: {reason}; \
                     `portcullis key revoke {id}` does it"
                ),
            });
        }
        shown
    }
}

/// In an incident it is the text of a key that is known: its beginning, which lists show, is
/// one key's.
fn find_by_text(items: &[Record], text: &str) -> Result<Uuid, String> {
    let begins_so = |record: &Record| match record {
        Record::Key(key) if text.starts_with(&key.shown) => Some(key.id),
        _ => None,
    };
    let found: Vec<Uuid> = items.iter().filter_map(begins_so).collect();
    match found[..] {
        [id] => Ok(id),
        [] => Err("this is the text of a credential, and no key of this gateway begins so".into()),
        _ => Err("this is the text of a credential, and several keys begin so; give an id".into()),
    }
}

fn name_and_id(record: &Record) -> Option<(&str, Uuid)> {
    match record {
        Record::Key(key) => Some((&key.name, key.id)),
        Record::Server(server) => Some((&server.name, server.id)),
        Record::Workspace(workspace) => Some((&workspace.name, workspace.id)),
        _ => None,
    }
}

fn ask_running(place: &Place, question: &Question) -> ExitCode {
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let directory = &config.store.directory;
    let asked = runtime.block_on(async {
        // One that does not answer so is not waited for any longer.
        match socket::ask_health(directory).await {
            Ok(Some(_)) if !matches!(question, Question::Health) => {
                socket::ask(directory, question).await
            }
            answered => answered,
        }
    });
    match asked {
        Ok(Some(answer)) => show_running(place, answer),
        Ok(None) => fail(1, &format!("no gateway is running; {}", looked_in(place, &config))),
        Err(error) => fail(1, &no_answer(&error)),
    }
}

pub(super) fn prepare(place: &Place) -> Result<(Config, Runtime), ExitCode> {
    let config = configure_store(place)?;
    server::judge_store(&config).map_err(|error| fail(1, &error.to_string()))?;
    let runtime = Runtime::new().map_err(|error| fail(1, &error.to_string()))?;
    Ok((config, runtime))
}

/// Vouches for every address that nobody vouches for yet.
fn verify_all(place: &Place) -> ExitCode {
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let verified = runtime.block_on(async {
        let request = Request::ListUsers { page: Span::default() };
        let office = Office::find(place, &config, &request).await?;
        let Reply::Page(Page { items, .. }) = office.perform_all(request).await? else {
            return Err("unexpected answer".to_owned());
        };
        let unverified = items.iter().filter_map(|record| match record {
            Record::User(user) if user.email.is_some() && !user.email_verified => Some(user.id),
            _ => None,
        });
        let unverified: Vec<Uuid> = unverified.collect();
        let mut verified = 0;
        for batch in unverified.chunks(BATCH) {
            let reply = office.perform(Request::VerifyUsers { users: batch.to_vec() }).await;
            match reply.map_err(|reason| format!("{reason}; {verified} were verified before"))? {
                Reply::Verified { users } => verified += users.len(),
                _ => return Err("unexpected answer".to_owned()),
            }
        }
        Ok(verified)
    });
    match verified {
        Ok(verified) => show(
            place,
            Kind::NONE,
            Reply::Done,
            Some(format!("{verified} e-mail addresses verified")),
        ),
        Err(message) => fail(1, &message),
    }
}

/// For a question that something else does not depend on.
const LOOK: Duration = Duration::from_secs(2);

/// What a gateway that runs on this store says of registration, if there is one.
pub(super) fn running_registration(config: &Config) -> Option<Registration> {
    let asked = async {
        let question = Request::ShowRegistration;
        let asked = socket::ask(&config.store.directory, &question);
        tokio::time::timeout(LOOK, asked).await.ok()?.ok().flatten()
    };
    match Runtime::new().ok()?.block_on(asked)? {
        Answer::Reply(Reply::Found(Record::Registration(registration))) => Some(registration),
        _ => None,
    }
}

fn import(place: &Place, file: &Path, roles: &[String]) -> ExitCode {
    let name =
        if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
    let read = if file == Path::new("-") {
        read_at_most(io::stdin(), MAX_IMPORT_BYTES)
    } else {
        File::open(file).and_then(|file| read_at_most(file, MAX_IMPORT_BYTES))
    };
    let text = match read.map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            let message = "the file is not UTF-8 text; expected lines of name:hash";
            return fail(1, &format!("{name}: {message}"));
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return fail(1, &format!("{name}: larger than 64 MiB; split it"));
        }
        Err(error) => return fail(1, &format!("{name}: {error}")),
    };
    let users = match htpasswd::parse(&text) {
        Ok(users) => users,
        Err(problems) => {
            for (line, problem) in &problems {
                complain(&format!("{name}:{line}: {problem}"));
            }
            return fail(1, "nothing was imported");
        }
    };
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    match runtime.block_on(import_all(place, &config, users, roles)) {
        Ok((added, present)) => {
            warn_of_unknown_roles(place, roles);
            for name in &present {
                complain(&format!("{name} is there already and stays as it is"));
            }
            say(&format!("{added} added, {} there already\n", present.len()))
        }
        Err(message) => fail(1, &message),
    }
}

async fn import_all(
    place: &Place,
    config: &Config,
    users: Vec<Import>,
    roles: &[String],
) -> Result<(usize, Vec<String>), String> {
    let request = |users: &[Import]| {
        let (users, roles) = (users.to_vec(), roles.to_vec());
        Request::ImportUsers { users, roles }
    };
    let office = Office::find(place, config, &request(&[])).await?;
    let (mut added, mut present) = (0, Vec::new());
    for batch in users.chunks(BATCH) {
        let reply = office.perform(request(batch)).await;
        match reply.map_err(|reason| format!("{reason}; {added} were added before"))? {
            Reply::Imported { added: new, present: old } => {
                added += new.len();
                present.extend(old);
            }
            _ => return Err("unexpected answer".to_owned()),
        }
    }
    Ok((added, present))
}
