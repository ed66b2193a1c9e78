//! Commands of administration: asked of the running gateway, or carried out on
//! the store.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::admin::record::{Key, Record, Registration, User};
use crate::admin::{Hidden, Import, Invitation, Reply, Request};
use crate::config::Config;
use crate::config::decode::decode;
use crate::files::read_at_most;
use crate::pem::why_unreadable;
use crate::socket::{self, Answer, Question};

use super::commands::user::UserCommand;
use super::commands::{self, Ask};
use super::configuration::looked_in;
use super::desk::{Desk, no_answer, prepare};
use super::input::confirm;
use super::named::Thing;
use super::output::{Kind, complain, fail, has_no_reader, show, show_running};
use super::remarks::{Remarks, warn_of_unknown_roles};
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
    administer(place, |desk| commands::user::user(command, desk))
}

pub(super) fn healthcheck(place: &Place) -> ExitCode {
    ask_running(place, &Question::Health)
}

pub(super) fn status(place: &Place) -> ExitCode {
    ask_running(place, &Question::Status)
}

/// Carries out what a command asks for, once it has found the ids of what that names.
pub(super) fn administer(
    place: &Place,
    build: impl FnOnce(&mut Desk<'_>) -> Result<Ask, String>,
) -> ExitCode {
    let mut desk = match Desk::open(place) {
        Ok(desk) => desk,
        Err(code) => return code,
    };
    let Ask { request, said, question } = match build(&mut desk) {
        Ok(ask) => ask,
        Err(message) => return fail(1, &message),
    };
    if let Some(nameless) = desk.user().filter(|user| lacks_address(&request, user)) {
        return fail(1, &format!("{} has no e-mail address to verify", nameless.username));
    }
    if is_shown_once(&request) && has_no_reader() {
        return fail(1, &format!("nothing was done: {NO_READER}"));
    }
    if let Some(question) = question {
        desk.step_away();
        if let Err(refused) = confirm(&question) {
            return refused;
        }
    }
    let kind = Kind::of(&request);
    let remarks = Remarks::on(&request, desk.user());
    let wants_mail = wants_mail(&request);
    let done = desk.perform(request);
    if done.is_ok() {
        remarks.tell(&mut desk);
    }
    if let (true, Ok(Reply::NewLink { mailed: false, .. })) = (wants_mail, &done) {
        complain("warning: no mail was sent: the gateway has no [mail], or too many wait");
    }
    match done {
        Ok(Reply::NewKey { key, text }) => hand_over(&mut desk, key, text, said),
        Ok(reply) => show(place, kind, reply, said),
        Err(message) => fail(1, &message),
    }
}

fn lacks_address(request: &Request, user: &User) -> bool {
    let vouches = matches!(request, Request::ChangeUser { email_verified: Some(true), .. });
    vouches && user.email.is_none()
}

/// What is said of a secret that would be written to nobody.
pub(super) const NO_READER: &str =
    "what is shown only once would go to a standard output that is closed or /dev/null";

/// Whether the answer holds what is stored nowhere.
fn is_shown_once(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateKey(_)
            | Request::RotateKey { .. }
            | Request::InviteUser(Invitation { mail: false, .. })
            | Request::MakeResetLink { mail: false, .. }
    )
}

fn wants_mail(request: &Request) -> bool {
    matches!(
        request,
        Request::InviteUser(Invitation { mail: true, .. })
            | Request::MakeResetLink { mail: true, .. }
    )
}

/// A key whose text reaches nobody is of no use, but to whoever finds it in what was lost.
fn hand_over(desk: &mut Desk<'_>, key: Key, text: Hidden, said: Option<String>) -> ExitCode {
    let id = key.id;
    // The end that a rotation has given to another key cannot be taken back.
    let former = said.as_ref().map(|said| format!("; {said}: make another in its place"));
    let former = former.unwrap_or_default();
    let shown = show(desk.place, Kind::NONE, Reply::NewKey { key, text }, said);
    if shown != ExitCode::SUCCESS {
        complain(&match desk.perform(Request::RevokeKey { id }) {
            Ok(_) => format!("the text of key {id} was not written; the key is revoked{former}"),
            Err(reason) => format!(
                "the text of key {id} was not written, and the key not revoked: {reason}; \
                 `portcullis key revoke {id}` does it"
            ),
        });
    }
    shown
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

/// Vouches for every address that nobody vouches for yet.
fn verify_all(place: &Place) -> ExitCode {
    let mut desk = match Desk::open(place) {
        Ok(desk) => desk,
        Err(code) => return code,
    };
    match verify_in_batches(&mut desk) {
        Ok(verified) => show(place, Kind::NONE, verified, None),
        Err(message) => fail(1, &message),
    }
}

fn verify_in_batches(desk: &mut Desk<'_>) -> Result<Reply, String> {
    let items = desk.list(Thing::User)?;
    let unverified = items.iter().filter_map(|record| match record {
        Record::User(user) if user.email.is_some() && !user.email_verified => Some(user.id),
        _ => None,
    });
    let unverified: Vec<Uuid> = unverified.collect();
    let mut verified = Vec::new();
    for batch in unverified.chunks(BATCH) {
        let reply = desk.perform(Request::VerifyUsers { users: batch.to_vec() });
        match reply
            .map_err(|reason| format!("{reason}; {} were verified before", verified.len()))?
        {
            Reply::Verified { users } => verified.extend(users),
            _ => return Err("unexpected answer".to_owned()),
        }
    }
    Ok(Reply::Verified { users: verified })
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
    let text = match read.map(decode) {
        Ok(Ok(text)) => text,
        Ok(Err(fault)) => {
            return fail(1, &format!("{name}: {}; {}", fault.message(), fault.remedy(&name)));
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return fail(1, &format!("{name}: larger than 64 MiB; split it"));
        }
        Err(error) => return fail(1, &format!("{name}: {}", why_unreadable(&error))),
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
    if users.is_empty() {
        complain(&format!("warning: {name} names no user"));
    }
    let mut desk = match Desk::open(place) {
        Ok(desk) => desk,
        Err(code) => return code,
    };
    match import_in_batches(&mut desk, &users, roles) {
        Ok((added, present)) => {
            warn_of_unknown_roles(place, roles);
            for name in &present {
                complain(&format!("{name} exists and was not changed"));
            }
            show(place, Kind::NONE, Reply::Imported { added, present }, None)
        }
        Err(message) => fail(1, &message),
    }
}

fn import_in_batches(
    desk: &mut Desk<'_>,
    users: &[Import],
    roles: &[String],
) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut added, mut present) = (Vec::new(), Vec::new());
    for batch in users.chunks(BATCH) {
        let request = Request::ImportUsers { users: batch.to_vec(), roles: roles.to_vec() };
        let reply = desk.perform(request);
        match reply.map_err(|reason| format!("{reason}; {} were added before", added.len()))? {
            Reply::Imported { added: new, present: old } => {
                added.extend(new);
                present.extend(old);
            }
            _ => return Err("unexpected answer".to_owned()),
        }
    }
    Ok((added, present))
}
