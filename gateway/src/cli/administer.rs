//! Commands on users and keys: asked of the running gateway, or carried out on
//! the store.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::admin::{self, Import, Reply, Request};
use crate::auth::Core;
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::server;
use crate::store::embedded::Location;

use super::output::{complain, fail, say, show};
use super::{KeyCommand, Place, UserCommand, configure_store, htpasswd};

/// Users of one request to the store.
const IMPORT_BATCH: usize = 100;

pub(super) fn user(place: &Place, command: UserCommand) -> ExitCode {
    let request = match command {
        UserCommand::Add { name, email, roles } => match read_password(&name) {
            Ok(password) => {
                Request::AddUser { name, email, roles, password: password.expose().to_owned() }
            }
            Err(message) => return fail(1, &message),
        },
        UserCommand::Passwd { name } => match read_password(&name) {
            Ok(password) => Request::SetPassword { name, password: password.expose().to_owned() },
            Err(message) => return fail(1, &message),
        },
        UserCommand::List => Request::ListUsers,
        UserCommand::Enable { name } => Request::EnableUser { name },
        UserCommand::Disable { name } => Request::DisableUser { name },
        UserCommand::Import { file, roles } => return import(place, &file, &roles),
    };
    administer(place, request)
}

pub(super) fn key(place: &Place, command: KeyCommand) -> ExitCode {
    let request = match command {
        KeyCommand::Create { owner, name, scopes, expires_in } => {
            Request::CreateKey { owner, name, scopes, expires_in }
        }
        KeyCommand::List { owner } => Request::ListKeys { owner },
        KeyCommand::Revoke { id } => Request::RevokeKey { id },
    };
    administer(place, request)
}

pub(super) fn healthcheck(place: &Place) -> ExitCode {
    ask_running(place, &Request::Health)
}

pub(super) fn status(place: &Place) -> ExitCode {
    ask_running(place, &Request::Status)
}

/// Twice from a prompt, or one line of standard input; never from an argument,
/// which `ps` would show.
pub(super) fn read_password(name: &str) -> Result<Secret, String> {
    let wrong = |error: io::Error| format!("the password could not be read: {error}");
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(wrong)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(line.strip_suffix('\r').unwrap_or(line).into());
    }
    let first = rpassword::prompt_password(format!("Password for {name}: ")).map_err(wrong)?;
    let second = rpassword::prompt_password("Once more: ").map_err(wrong)?;
    if first == second { Ok(Secret::new(first)) } else { Err("the two passwords differ".into()) }
}

/// Where commands are carried out: in the running gateway, or here.
enum Office {
    Gateway(PathBuf),
    Here(Arc<Core>),
}

impl Office {
    /// The gateway if it answers; opens the store once if there is none. Only adding
    /// somebody makes a new one: a look into the wrong directory leaves nothing there.
    async fn find(config: Config, adds: bool) -> Result<Self, String> {
        match admin::ask(&config.store.directory, &Request::Health).await {
            Ok(Some(_)) => Ok(Office::Gateway(config.store.directory)),
            Ok(None) => {
                let location = Location::in_directory(&config.store.directory);
                if !adds && !location.exists() {
                    let directory = config.store.directory.display();
                    return Err(format!("there is no store in {directory} (store.path)"));
                }
                // No token is signed here, so no lasting secret is needed.
                let secret = Secret::new("0".repeat(32));
                let core = server::open_core(&config, &secret, None).map_err(|e| e.to_string())?;
                Ok(Office::Here(Arc::new(core)))
            }
            Err(error) => Err(no_answer(&error)),
        }
    }

    async fn perform(&self, request: Request) -> Result<Reply, String> {
        match self {
            Office::Here(core) => Ok(admin::perform(core, request).await),
            Office::Gateway(directory) => match admin::ask(directory, &request).await {
                Ok(Some(reply)) => Ok(reply),
                Ok(None) => Err("the gateway has just stopped; once more, please".to_owned()),
                Err(error) => Err(no_answer(&error)),
            },
        }
    }
}

fn no_answer(error: &io::Error) -> String {
    format!("the running gateway does not answer: {error}")
}

fn administer(place: &Place, request: Request) -> ExitCode {
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let adds = matches!(request, Request::AddUser { .. });
    let reply =
        runtime.block_on(async { Office::find(config, adds).await?.perform(request).await });
    match reply {
        Ok(reply) => show(place, reply),
        Err(message) => fail(1, &message),
    }
}

fn ask_running(place: &Place, request: &Request) -> ExitCode {
    let (config, runtime) = match prepare(place) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    match runtime.block_on(admin::ask(&config.store.directory, request)) {
        Ok(Some(reply)) => show(place, reply),
        Ok(None) => fail(1, "not running"),
        Err(error) => fail(1, &no_answer(&error)),
    }
}

fn prepare(place: &Place) -> Result<(Config, Runtime), ExitCode> {
    let config = configure_store(place)?;
    let runtime = Runtime::new().map_err(|error| fail(1, &error.to_string()))?;
    Ok((config, runtime))
}

fn import(place: &Place, file: &Path, roles: &[String]) -> ExitCode {
    let name =
        if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = match text {
        Ok(text) => text,
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
    match runtime.block_on(import_all(config, users, roles)) {
        Ok((added, present)) => {
            for name in &present {
                complain(&format!("{name} is there already and stays as it is"));
            }
            say(&format!("{added} added, {} there already\n", present.len()))
        }
        Err(message) => fail(1, &message),
    }
}

async fn import_all(
    config: Config,
    users: Vec<Import>,
    roles: &[String],
) -> Result<(usize, Vec<String>), String> {
    let office = Office::find(config, true).await?;
    let (mut added, mut present) = (0, Vec::new());
    for batch in users.chunks(IMPORT_BATCH) {
        let request = Request::ImportUsers { users: batch.to_vec(), roles: roles.to_vec() };
        match office.perform(request).await? {
            Reply::Imported { added: new, present: old } => {
                added += new.len();
                present.extend(old);
            }
            Reply::Failed { reason } => return Err(format!("{reason}; {added} were added before")),
            _ => return Err("unexpected answer".to_owned()),
        }
    }
    Ok((added, present))
}
