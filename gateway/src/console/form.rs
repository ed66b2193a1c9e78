//! The console's forms: what each brings and asks for, and where a browser goes when it is done.

use std::net::IpAddr;

use uuid::Uuid;

use crate::admin::record::State;
use crate::admin::{Invitation, Owner, Request, Who};
use crate::auth::account::PersonName;
use crate::auth::api_key::{KeyId, MAX_OVERLAP};
use crate::auth::register::Registration;
use crate::auth::server::ServerId;
use crate::auth::time::Seconds;
use crate::auth::token::SessionId;
use crate::dialect::body::fields::Fields;
use crate::dialect::notation::parse_id;
use crate::dialect::{
    Answer, Binding, Command, Context, DecodeError, Expiry, Input, KeyRequest, Outcome, Typed, flow,
};

use super::Console;
use super::table::{Deed, Scope};

/// Fields whose values pages and addresses may repeat: no other's ever is.
const REPEATED: [&str; 11] = [
    "name",
    "username",
    "email",
    "full_name",
    "roles",
    "mail",
    "scopes",
    "expires",
    "return_to",
    "server",
    "owner",
];

/// The longest that a form lets a key last, unless that is for ever.
const MAX_DAYS: u64 = 3_650;

fn wrong(name: &str) -> DecodeError {
    DecodeError::Malformed(format!("The form's field {name} is not valid"))
}

fn id(input: &Input<'_>) -> Uuid {
    let text = input.parameters.first().map_or("", String::as_str);
    // What is none is the id that nothing has.
    parse_id(text).unwrap_or_default()
}

pub(super) fn decode(
    console: &Console,
    deed: Deed,
    input: &Input<'_>,
) -> Result<Command, DecodeError> {
    let mut form = Fields::read(input.content_type, input.body)?;
    let command = match deed {
        Deed::SignIn => {
            form.optional("return_to");
            Command::Login { name: form.name("name")?, password: form.secret("password")? }
        }
        Deed::Register => {
            form.optional("return_to");
            Command::Register(Registration {
                username: Some(form.text("username")?),
                email: form.text("email")?,
                name: PersonName { full: form.optional("full_name"), ..PersonName::default() },
                password: form.secret("password")?,
            })
        }
        Deed::SendLink => {
            form.optional("return_to");
            Command::SendPasswordLink { address: form.text("email")? }
        }
        Deed::ChangePassword => {
            Command::ChangePassword { current: form.secret("current")?, new: form.secret("new")? }
        }
        Deed::VerifyAddress => Command::SendAddressLink,
        Deed::EndSession => Command::EndOwnSession { session: SessionId(id(input)) },
        Deed::EndOthers => Command::EndOtherSessions,
        Deed::CreateServer(scope) => {
            let request = Request::AddServer { name: form.name("name")?, owner: None };
            of(scope, request)
        }
        Deed::RenameServer(scope) => {
            let name = Some(form.name("name")?);
            of(scope, Request::ChangeServer { id: id(input), name, owner: Owner::Same })
        }
        Deed::DeleteServer(scope) => of(scope, Request::RemoveServer { id: id(input) }),
        Deed::SetOwner => {
            let owner = form.optional("owner").map(|name| Who::from(name.trim().to_owned()));
            let owner = owner.map_or(Owner::Nobody, Owner::User);
            Command::Administer(Request::ChangeServer { id: id(input), name: None, owner })
        }
        Deed::CreateKey(_) => {
            let form_id = form.text("form")?;
            let name = form.optional("name").unwrap_or_default().trim().to_owned();
            let (scopes, server) = (form.words("scopes"), input.parameters.first());
            let days = form.optional("expires").map(|days| match days.parse() {
                Ok(days) if (1..=MAX_DAYS).contains(&days) => Ok(Seconds(days * 86_400)),
                _ => Err(wrong("expires")),
            });
            let server = match server.map(|text| parse_id(text).map(ServerId)) {
                None => Binding::None,
                Some(Some(id)) => Binding::Server(id),
                Some(None) => Binding::Nothing,
            };
            let expires = days.transpose()?.map_or(Expiry::Never, Expiry::After);
            let request = KeyRequest { name, server, scopes, expires };
            let form_id = parse_id(&form_id).ok_or_else(|| wrong("form"))?;
            let command = form.finish(Command::CreateKey(request))?;
            console.spend(form_id)?;
            return Ok(command);
        }
        Deed::RotateKey(scope) => {
            let overlap = form.text("overlap")?.parse().ok();
            let overlap = overlap.filter(|overlap| *overlap <= MAX_OVERLAP.0);
            let overlap = overlap.ok_or_else(|| wrong("overlap"))?;
            form.optional("server");
            let form_id = parse_id(&form.text("form")?).ok_or_else(|| wrong("form"))?;
            let command = match scope {
                Scope::Own => {
                    Command::RotateKey { key: Some(KeyId(id(input))), overlap: Seconds(overlap) }
                }
                Scope::All => Command::Administer(Request::RotateKey { id: id(input), overlap }),
            };
            let command = form.finish(command)?;
            console.spend(form_id)?;
            return Ok(command);
        }
        Deed::RevokeKey(scope) => {
            form.optional("server");
            match scope {
                Scope::Own => Command::DeleteKey { key: Some(KeyId(id(input))) },
                Scope::All => Command::Administer(Request::RevokeKey { id: id(input) }),
            }
        }
        deed => Command::Administer(administer(deed, &mut form, input)?),
    };
    form.finish(command)
}

/// What administrators alone have forms for.
fn administer(deed: Deed, form: &mut Fields, input: &Input<'_>) -> Result<Request, DecodeError> {
    let user = Who::Id(id(input));
    Ok(match deed {
        Deed::Invite => Request::InviteUser(Invitation {
            email: form.text("email")?,
            name: form.optional("username"),
            roles: form.words("roles"),
            mail: form.optional("mail").is_some(),
        }),
        Deed::SetRoles => {
            let roles = form.words("roles");
            if roles.is_empty() {
                return Err(wrong("roles"));
            }
            Request::ChangeUser { user, roles: Some(roles), state: None, email_verified: None }
        }
        Deed::SetState => {
            let state = match form.text("state")?.as_str() {
                "enabled" => State::Enabled,
                "disabled" => State::Disabled,
                _ => return Err(wrong("state")),
            };
            Request::ChangeUser { user, roles: None, state: Some(state), email_verified: None }
        }
        Deed::SetVerified => {
            let verified = form.text("verified")?.parse().map_err(|_| wrong("verified"))?;
            Request::ChangeUser { user, roles: None, state: None, email_verified: Some(verified) }
        }
        Deed::MakeResetLink => {
            Request::MakeResetLink { user, mail: form.optional("mail").is_some() }
        }
        Deed::EndUsersSessions => Request::EndSessions { user },
        Deed::EndAnySession => Request::EndSession { id: id(input) },
        Deed::ClearLockout => {
            let address = form.text("address")?.parse::<IpAddr>();
            Request::ClearLockout { address: address.map_err(|_| wrong("address"))? }
        }
        _ => return Err(DecodeError::not_of_this_contract()),
    })
}

fn of(scope: Scope, request: Request) -> Command {
    match scope {
        Scope::Own => Command::OwnServer(request),
        Scope::All => Command::Administer(request),
    }
}

/// What a form brought, without secrets, and the page that has it.
pub(super) fn typed(row: usize, deed: Deed, input: &Input<'_>) -> Typed {
    let parameters = input.parameters.to_vec();
    let of = parameters.first().cloned().unwrap_or_default();
    let server = |scope: Scope| format!("{}/servers/{of}", scope.base());
    let page = match deed {
        Deed::SignIn => "/sign-in".to_owned(),
        Deed::Register => "/register".to_owned(),
        Deed::SendLink => "/forgotten".to_owned(),
        Deed::ChangePassword => "/account/password".to_owned(),
        Deed::VerifyAddress | Deed::EndSession | Deed::EndOthers => "/account".to_owned(),
        Deed::CreateServer(scope) => format!("{}/servers", scope.base()),
        Deed::RenameServer(scope) => server(scope),
        Deed::SetOwner => server(Scope::All),
        Deed::DeleteServer(scope) => format!("{}/delete", server(scope)),
        Deed::CreateKey(_) if of.is_empty() => "/keys/new".to_owned(),
        Deed::CreateKey(scope) => format!("{}/keys/new", server(scope)),
        Deed::RotateKey(scope) => format!("{}/keys/{of}/rotate", scope.base()),
        Deed::RevokeKey(scope) => format!("{}/keys/{of}/revoke", scope.base()),
        Deed::Invite => "/admin/users".to_owned(),
        Deed::SetRoles
        | Deed::SetState
        | Deed::SetVerified
        | Deed::MakeResetLink
        | Deed::EndUsersSessions => format!("/admin/users/{of}"),
        Deed::EndAnySession => "/admin/sessions".to_owned(),
        Deed::ClearLockout => "/admin/lockouts".to_owned(),
    };
    let pairs = form_urlencoded::parse(input.body).into_owned();
    let fields = pairs.filter(|(name, _)| REPEATED.contains(&name.as_str()));
    Typed { row, parameters, page, fields: fields.take(16).collect() }
}

/// What a browser gets when a form has done what it asks for; `None` where it is not known
/// which form that was.
pub(super) fn done(
    console: &Console,
    deed: Deed,
    outcome: Outcome,
    context: Context<'_>,
) -> Option<Answer> {
    let typed = context.typed?;
    let back = || flow::local_or_home(typed.field("return_to")).to_owned();
    let told = |page: &str, notice: &str| {
        Console::redirect(&format!("{}?done={notice}", console.path(page)))
    };
    Some(match (deed, outcome) {
        (Deed::SignIn, Outcome::SignedIn(_, pair))
        | (Deed::Register, Outcome::Registered(_, pair)) => {
            let home = typed.field("return_to").is_empty();
            let to = if home { console.path("") } else { back() };
            console.continue_to(&to).with(console.keep(&pair))
        }
        (Deed::SendLink, Outcome::MailTaken) => {
            let return_to: String =
                form_urlencoded::byte_serialize(typed.field("return_to").as_bytes()).collect();
            let page = console.path("/forgotten");
            Console::redirect(&format!("{page}?sent=yes&return_to={return_to}"))
        }
        (Deed::CreateKey(_) | Deed::RotateKey(_), Outcome::KeyCreated(key, text)) => {
            console.show_key(&(&key).into(), &text, context)
        }
        (Deed::RotateKey(_) | Deed::Invite | Deed::MakeResetLink, Outcome::Administered(reply)) => {
            console.show_administered(reply, context)
        }
        (Deed::CreateServer(scope), Outcome::Administered(reply)) => {
            let id = super::data::made_id(&reply);
            told(&format!("{}/servers/{id}", scope.base()), "server")
        }
        (Deed::DeleteServer(scope), _) => told(&format!("{}/servers", scope.base()), "delete"),
        (Deed::RevokeKey(scope), _) => told(&key_list(scope, typed), "revoke"),
        (Deed::ChangePassword, _) => told("/account", "password"),
        (deed, _) => told(&typed.page, notice(deed)),
    })
}

/// The list that a key's form was opened from: its server's, if its user sees that.
pub(super) fn key_list(scope: Scope, typed: &Typed) -> String {
    scope.key_list(parse_id(typed.field("server")))
}

/// What a page says behind a form, by the word in its address.
fn notice(deed: Deed) -> &'static str {
    match deed {
        Deed::VerifyAddress => "verification",
        Deed::EndSession | Deed::EndAnySession => "session",
        Deed::EndOthers => "others",
        Deed::RenameServer(_) => "rename",
        Deed::SetOwner => "owner",
        Deed::SetRoles => "roles",
        Deed::SetState => "state",
        Deed::SetVerified => "verify",
        Deed::EndUsersSessions => "sessions",
        Deed::ClearLockout => "lockout",
        _ => "",
    }
}
