//! Where commands of administration are carried out: in the running gateway, or on its store.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::admin::record::{Key, Record, User};
use crate::admin::{self, By, Page, Reply, Request, Span, Who};
use crate::auth::Core;
use crate::auth::error::Entity;
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::config::value::nearest;
use crate::pipeline::reason::Reason;
use crate::server;
use crate::socket::{self, Answer, Failed};
use crate::store::embedded::Location;

use super::Place;
use super::configuration::{configure_store, looked_in};
use super::named::{Named, Thing, is_credential};
use super::output::{complain, fail};

const A_CREDENTIAL: &str = "this is the text of a credential; expected the name of a user";
const USER_UNKNOWN: Reason = Reason::Unknown(Entity::Account);

/// Where one command is carried out, found with its first request.
pub(super) struct Desk<'a> {
    pub(super) place: &'a Place,
    config: Config,
    runtime: Runtime,
    office: Option<Office>,
    user: Option<User>,
}

impl<'a> Desk<'a> {
    pub(super) fn open(place: &'a Place) -> Result<Self, ExitCode> {
        let (config, runtime) = prepare(place)?;
        Ok(Self { place, config, runtime, office: None, user: None })
    }

    /// All of it, whatever parts the answer comes in.
    pub(super) fn perform(&mut self, request: Request) -> Result<Reply, String> {
        self.try_to(request).map_err(|failure| failure.message)
    }

    fn try_to(&mut self, request: Request) -> Result<Reply, Failure> {
        let Self { place, config, runtime, office, .. } = self;
        runtime.block_on(async {
            let office = match office {
                Some(office) => office,
                None => office.insert(Office::find(place, config, &request).await?),
            };
            if let (Office::Here(_), Some(why)) = (&*office, gateway_needed(config, &request)) {
                return Err(without(place, config, why).into());
            }
            office.perform_all(request).await
        })
    }

    /// Closes the store while somebody is asked, so that nobody else waits for the answer.
    pub(super) fn step_away(&mut self) {
        if matches!(self.office, Some(Office::Here(_))) {
            self.office = None;
        }
    }

    /// The id of what a command names.
    ///
    /// # Errors
    /// When there is no such thing, or there are several.
    pub(super) fn find(&mut self, thing: Thing, named: &Named) -> Result<Uuid, String> {
        let name = match (thing, named) {
            (Thing::User, _) => return self.find_user(named),
            (_, Named::Id(id)) => return Ok(*id),
            (_, Named::Name(name)) => name,
        };
        let items = self.list(thing)?;
        if is_credential(name) {
            return find_by_text(&items, name);
        }
        let is_called =
            |record: &&Record| name_and_id(record).is_some_and(|(known, _)| known == name);
        let found: Vec<&Record> = items.iter().filter(is_called).collect();
        let ids: Vec<Uuid> =
            found.iter().filter_map(|record| name_and_id(record)).map(|(_, id)| id).collect();
        let word = thing.word();
        match ids[..] {
            [id] => Ok(id),
            [] => {
                let hint = hint(thing, name, &items);
                Err(format!("no {word} has the id or name {name:?}; {hint}"))
            }
            _ => {
                let apart: Vec<String> = found.iter().map(|record| apart(record)).collect();
                let (count, apart) = (apart.len(), apart.join(", "));
                Err(format!("{count} {word}s have the name {name:?}; give the id of one: {apart}"))
            }
        }
    }

    /// All that there are.
    pub(super) fn list(&mut self, thing: Thing) -> Result<Vec<Record>, String> {
        let page = Span::default();
        let request = match thing {
            Thing::Key => Request::ListKeys { owner: None, server: None, page },
            Thing::Server => Request::ListServers { page },
            Thing::User => Request::ListUsers { page },
            Thing::Workspace => Request::ListWorkspaces { page },
        };
        match self.perform(request)? {
            Reply::Page(Page { items, .. }) => Ok(items),
            _ => Err(unexpected().message),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The user that the command names.
    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// A user is looked for by the gateway, which knows names and addresses in every spelling.
    fn find_user(&mut self, named: &Named) -> Result<Uuid, String> {
        let user = match named {
            Named::Id(id) => Who::Id(*id),
            Named::Name(name) => Who::Name(name.clone()),
        };
        match self.try_to(Request::ShowUser { user }) {
            Ok(Reply::Found(Record::User(user))) => {
                let id = user.id;
                self.user = Some(user);
                Ok(id)
            }
            Ok(_) => Err(unexpected().message),
            Err(Failure { code: Some(code), .. }) if code == USER_UNKNOWN.code() => {
                let name = named.to_string();
                if is_credential(&name) {
                    return Err(A_CREDENTIAL.to_owned());
                }
                let hint = hint(Thing::User, &name, &self.list(Thing::User)?);
                Err(format!("no user has the name, e-mail address or id {name:?}; {hint}"))
            }
            Err(Failure { message, .. }) => Err(message),
        }
    }
}

/// The name that was meant, if one is near, or else how to see them all.
fn hint(thing: Thing, name: &str, items: &[Record]) -> String {
    let near = nearest(name, items.iter().filter_map(name_and_id).map(|(known, _)| known));
    near.unwrap_or_else(|| format!("`portcullis {} list` shows them", thing.word()))
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

/// What tells a thing from others of its name.
fn apart(record: &Record) -> String {
    match record {
        Record::Key(Key { id, expires: Some(end), .. }) => format!("{id} (until {end})"),
        record => name_and_id(record).map(|(_, id)| id.to_string()).unwrap_or_default(),
    }
}

pub(super) fn name_and_id(record: &Record) -> Option<(&str, Uuid)> {
    match record {
        Record::Key(key) => Some((&key.name, key.id)),
        Record::Server(server) => Some((&server.name, server.id)),
        Record::User(user) => Some((&user.username, user.id)),
        Record::Workspace(workspace) => Some((&workspace.name, workspace.id)),
        _ => None,
    }
}

/// Why something was not done.
struct Failure {
    /// Of a refusal, as logs and `portcullis explain` have it.
    code: Option<String>,
    message: String,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { code: None, message }
    }
}

impl From<Failed> for Failure {
    fn from(Failed { code, reason }: Failed) -> Self {
        Self { code: Some(code), message: reason }
    }
}

fn unexpected() -> Failure {
    "unexpected answer".to_owned().into()
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
        match socket::ask_health(&config.store.directory).await {
            Ok(Some(_)) => Ok(Office::Gateway(config.store.directory.clone())),
            Ok(None) => {
                if let Some(why) = gateway_needed(config, request) {
                    return Err(without(place, config, why));
                }
                let location = Location::in_directory(&config.store.directory);
                let adds = matches!(request, Request::AddUser(_) | Request::ImportUsers { .. });
                let is_new = config.store.shared.is_none() && !location.exists();
                if is_new && !adds {
                    return Err(no_store(place, config));
                }
                if is_new {
                    server::make_directory(config).map_err(|error| error.to_string())?;
                }
                let core = open_here(config).await?;
                if is_new {
                    let directory = config.store.directory.display();
                    complain(&format!("a new store was made in {directory}"));
                }
                Ok(Office::Here(Box::new(core)))
            }
            Err(error) => Err(no_answer(&error)),
        }
    }

    async fn perform(&self, request: Request) -> Result<Reply, Failure> {
        let answer = match self {
            Office::Here(core) => {
                let done = admin::perform(core, request, By::Operator).await;
                return done.map_err(|error| Failed::from(error).into());
            }
            Office::Gateway(directory) => socket::ask(directory, &request).await,
        };
        match answer {
            Ok(Some(Answer::Reply(reply))) => Ok(reply),
            Ok(Some(Answer::Failed(failed))) => Err(failed.into()),
            Ok(Some(_)) => Err(unexpected()),
            Ok(None) => Err("the gateway has just stopped; once more, please".to_owned().into()),
            Err(error) => Err(no_answer(&error).into()),
        }
    }

    /// Page after page, as if a list had none.
    async fn perform_all(&self, mut request: Request) -> Result<Reply, Failure> {
        let mut reply = self.perform(request.clone()).await?;
        while let Reply::SessionsEnded { users, next: Some(next) } = reply {
            if let Request::EndAllSessions { after, .. } = &mut request {
                *after = Some(next);
            }
            let more = self.perform(request.clone()).await;
            let more = more.map_err(|Failure { code, message }| Failure {
                code,
                message: format!("{message}; {users} users were done"),
            });
            reply = match more? {
                Reply::SessionsEnded { users: more, next } => {
                    Reply::SessionsEnded { users: users + more, next }
                }
                _ => return Err(unexpected()),
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

/// Opens the store. Another command is waited for: it is done at once.
async fn open_here(config: &Config) -> Result<Core, String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(20);
    // No token is signed here, so no lasting secret is needed.
    let secret = Secret::new("0".repeat(32));
    let begun = Instant::now();
    loop {
        match server::open_core(config, &secret, None, None).await {
            Ok((core, _)) => return Ok(core),
            Err(error) if error.is_in_use() && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What is missing, and where it was looked for.
fn without(place: &Place, config: &Config, what: &str) -> String {
    format!("{what}; {}", looked_in(place, config))
}

pub(super) fn no_store(place: &Place, config: &Config) -> String {
    without(place, config, "there is no store yet")
}

/// Why a request cannot be carried out on a store alone.
fn gateway_needed(config: &Config, request: &Request) -> Option<&'static str> {
    match request {
        Request::InviteUser(_) | Request::MakeResetLink { .. } => {
            Some("no gateway is running, and only a running one makes links")
        }
        Request::ListLockouts { .. } | Request::ClearLockout { .. }
            if config.store.shared.is_none() =>
        {
            Some("no gateway is running, and only a running one counts failures")
        }
        _ => None,
    }
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
        io::ErrorKind::InvalidInput => {
            "the command is longer than the 64 KiB that the gateway takes".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "the running gateway does not respond in time; see its log".to_owned()
        }
        _ => format!("the running gateway does not answer: {error}"),
    }
}

/// The configuration of the store, and what waits for answers.
pub(super) fn prepare(place: &Place) -> Result<(Config, Runtime), ExitCode> {
    let config = configure_store(place)?;
    server::judge_store(&config).map_err(|error| fail(1, &error.to_string()))?;
    let runtime = Runtime::new().map_err(|error| fail(1, &error.to_string()))?;
    Ok((config, runtime))
}
