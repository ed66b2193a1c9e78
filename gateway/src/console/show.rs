//! The pages themselves: what each looks up, and its template.

use std::collections::BTreeMap;

use askama::Template;
use http::StatusCode;
use uuid::Uuid;

use crate::admin::record::{Key, Lockout, Record, Server, User};
use crate::admin::{self, By, Page as Listed, Reply, Request, Span, Who};
use crate::auth::Core;
use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::{Entity, Error};
use crate::auth::principal::Principal;
use crate::auth::register::Registering;
use crate::auth::secret::Secret;
use crate::auth::server::ServerId;
use crate::auth::time::Timestamp;
use crate::dialect::notation::{parse_id, seconds};
use crate::dialect::{Answer, Context, Typed, flow, typed};

use super::data::{self, AgentRow, KeyRow, Observed, RefusedRequest, ServerRow, SessionRow};
use super::form;
use super::page::{Frame, PageError, html};
use super::table::{Deed, Page, Scope, What};
use super::texts::Texts;
use super::{Console, LinksBy};

/// As many as one page of a list shows.
const LENGTH: usize = 50;
/// As many sessions as a user is shown of their own.
const MOST_SESSIONS: usize = 200;
const MOST_REFUSALS: usize = 200;
const DAY: u64 = 86_400;

/// A request for a page.
#[derive(Clone, Copy)]
pub struct PageRequest<'a> {
    pub core: &'a Core,
    pub observed: &'a dyn Observed,
    pub principal: Option<&'a Principal>,
    pub query: Option<&'a str>,
    /// What was typed into the page's form before, if that was not taken.
    pub typed: &'a [(String, String)],
    /// What stands for the segments in braces of its path.
    pub parameters: &'a [String],
    /// Whether the browser keeps cookies that it is given over this connection.
    pub keeps_cookies: bool,
    /// Whether it sends a password by itself.
    pub basic: bool,
    /// Whether a page of this site has led to it.
    pub from_here: bool,
}

impl<'a> PageRequest<'a> {
    fn account(&self) -> Option<&'a Account> {
        self.principal.map(|principal| principal.account.as_ref())
    }

    fn account_id(&self) -> AccountId {
        self.account().map_or(AccountId(Uuid::nil()), |account| account.id)
    }

    fn value(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.query.unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    fn id(&self) -> Uuid {
        parse_id(self.parameters.first().map_or("", String::as_str)).unwrap_or_default()
    }

    fn span<T: std::str::FromStr>(&self) -> Span<T> {
        let after = self.value("cursor").and_then(|cursor| cursor.parse().ok());
        Span { after, limit: LENGTH }
    }

    async fn list(&self, request: Request) -> Result<Listed, Error> {
        match admin::perform(self.core, request, By::Client).await? {
            Reply::Page(page) => Ok(page),
            _ => Ok(Listed { items: Vec::new(), next: None, names: BTreeMap::new() }),
        }
    }

    /// The sessions of a user, but the oldest of very many. They are listed from the oldest on.
    async fn latest_sessions(&self, user: Who) -> Result<Listed, Error> {
        let mut page = Span { after: None, limit: MOST_SESSIONS };
        let mut latest = Vec::new();
        loop {
            let request = Request::ListSessions { user: Some(user.clone()), page };
            let Listed { items, next, names } = self.list(request).await?;
            latest.extend(items);
            latest.drain(..latest.len().saturating_sub(MOST_SESSIONS));
            page.after = next.and_then(|next| next.parse().ok());
            if page.after.is_none() {
                // The newest first, as people look for what they have just opened.
                latest.reverse();
                return Ok(Listed { items: latest, next: None, names });
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.core.clock().now()
    }

    /// A server that who looks may see.
    fn server(&self, scope: Scope) -> Result<Server, Error> {
        let server = self.core.standing().server(ServerId(self.id()));
        let seen =
            server.filter(|server| scope == Scope::All || server.owner == Some(self.account_id()));
        seen.map(|server| server.as_ref().into()).ok_or(Error::Unknown(Entity::Server))
    }

    /// The server of a key, if who looks sees it: else they are not led to it.
    fn server_of(&self, key: &Key, scope: Scope) -> Option<Uuid> {
        let server = self.core.standing().server(ServerId(key.server?))?;
        (scope == Scope::All || server.owner == Some(self.account_id())).then_some(server.id.0)
    }

    /// What was typed into a field of the page's form before.
    fn typed(&self, name: &str) -> Option<String> {
        let found = self.typed.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn key(&self, scope: Scope) -> Result<Key, Error> {
        let key = self.core.standing().key_by_id(KeyId(self.id()));
        let key = key.filter(|key| !key.has_ended(self.now()));
        let seen = key.filter(|key| scope == Scope::All || key.owner == self.account_id());
        seen.map(|key| key.as_ref().into()).ok_or(Error::Unknown(Entity::Key))
    }

    fn key_rows<'k>(&self, keys: impl Iterator<Item = &'k ApiKey>, scope: Scope) -> Vec<KeyRow> {
        let now = self.now();
        let looking = (scope == Scope::Own).then(|| self.account_id());
        let live = keys.filter(|key| !key.has_ended(now));
        live.map(|key| data::key_row(self.core, key.into(), looking)).collect()
    }
}

#[expect(clippy::struct_excessive_bools, reason = "what a page shows, and what not")]
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    f: Frame<'a>,
    return_to: &'a str,
    name: &'a str,
    insecure: bool,
    passwords: bool,
    github: bool,
    mail: bool,
    registration: bool,
}

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    f: Frame<'a>,
    return_to: &'a str,
    username: &'a str,
    email: &'a str,
    full_name: &'a str,
}

#[derive(Template)]
#[template(path = "forgotten.html")]
struct ForgottenPage<'a> {
    f: Frame<'a>,
    return_to: &'a str,
    email: &'a str,
    sent: bool,
}

#[derive(Template)]
#[template(path = "continue.html")]
struct ContinuePage<'a> {
    f: Frame<'a>,
    return_to: &'a str,
    signed_in: bool,
    goes_on: bool,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    f: Frame<'a>,
    basic: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "what a page shows, and what not")]
#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    f: Frame<'a>,
    user: User,
    password: bool,
    mail: bool,
    sessions: Vec<SessionRow>,
    with_user: bool,
    sessions_base: &'static str,
    servers: Vec<Server>,
    keys: Vec<KeyRow>,
    with_server: bool,
    all: bool,
    base: &'static str,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    f: Frame<'a>,
    username: &'a str,
}

#[derive(Template)]
#[template(path = "servers.html")]
struct ServersPage<'a> {
    f: Frame<'a>,
    servers: Vec<ServerRow>,
    all: bool,
    base: &'static str,
    may_create: bool,
    name: &'a str,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage<'a> {
    f: Frame<'a>,
    server: &'a Server,
    base: &'static str,
    tab: u8,
    owner: &'a str,
    owner_name: &'a str,
    last_seen: Option<String>,
    agents: Vec<AgentRow>,
    name: &'a str,
    all: bool,
    may_delete: bool,
}

#[derive(Template)]
#[template(path = "server_keys.html")]
struct ServerKeysPage<'a> {
    f: Frame<'a>,
    server: &'a Server,
    base: &'static str,
    tab: u8,
    keys: Vec<KeyRow>,
    with_server: bool,
    all: bool,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'a> {
    f: Frame<'a>,
    base: &'static str,
    keys: Vec<KeyRow>,
    with_server: bool,
    all: bool,
    next: Option<String>,
}

struct ExpiryChoice<'a> {
    at: String,
    text: &'a str,
}

#[derive(Template)]
#[template(path = "key_new.html")]
struct NewKeyPage<'a> {
    f: Frame<'a>,
    server: Option<Server>,
    action: String,
    back: String,
    form: Uuid,
    name: &'a str,
    scopes: &'a str,
    expires: &'a str,
    expiries: Vec<ExpiryChoice<'a>>,
}

#[derive(Template)]
#[template(path = "secret_shown.html")]
struct SecretPage<'a> {
    f: Frame<'a>,
    title: &'a str,
    words: &'a str,
    secret: &'a str,
    key: Option<&'a Key>,
    more: Option<&'a str>,
    back: String,
    kept: &'a str,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    f: Frame<'a>,
    title: &'a str,
    subject: String,
    words: &'a str,
    action: String,
    back: String,
    hidden: Vec<(&'static str, String)>,
    overlaps: Vec<(u64, &'a str)>,
    dangerous: bool,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage<'a> {
    f: Frame<'a>,
    users: Vec<User>,
    search: String,
    next: Option<String>,
    links: bool,
    mail: bool,
    email: String,
    username: String,
    roles: String,
    by_mail: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "what a page shows, and what not")]
#[derive(Template)]
#[template(path = "user.html")]
struct UserPage<'a> {
    f: Frame<'a>,
    user: User,
    roles: String,
    enabled: bool,
    links: bool,
    mail: bool,
    sessions: Vec<SessionRow>,
    with_user: bool,
    sessions_base: &'static str,
    keys: Vec<KeyRow>,
    with_server: bool,
    all: bool,
    base: &'static str,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage<'a> {
    f: Frame<'a>,
    sessions: Vec<SessionRow>,
    with_user: bool,
    sessions_base: &'static str,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "lockouts.html")]
struct LockoutsPage<'a> {
    f: Frame<'a>,
    lockouts: Vec<Lockout>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "refusals.html")]
struct RefusalsPage<'a> {
    f: Frame<'a>,
    refusals: Vec<RefusedRequest>,
}

/// What a page says of a form that has done what it asks for.
fn notice<'t>(texts: &'t Texts, word: &str) -> Option<&'t str> {
    Some(match word {
        "password" => &texts.done_password,
        "verification" => &texts.done_verification,
        "session" => &texts.done_session,
        "others" => &texts.done_others,
        "server" => &texts.done_server,
        "rename" => &texts.done_rename,
        "delete" => &texts.done_delete,
        "owner" => &texts.done_owner,
        "revoke" => &texts.done_revoke,
        "roles" => &texts.done_roles,
        "state" => &texts.done_state,
        "verify" => &texts.done_verify,
        "sessions" => &texts.done_sessions,
        "lockout" => &texts.done_lockout,
        _ => return None,
    })
}

impl Console {
    fn frame<'a>(&'a self, page: Page, account: Option<&'a Account>) -> Frame<'a> {
        Frame {
            texts: &self.texts,
            prefix: &self.settings.prefix,
            assets: Some(&self.assets.paths),
            user: Frame::user_of(account, self.settings.administration),
            page: Some(page),
            notice: None,
            error: None,
        }
    }

    /// A file of the pages, by its name.
    #[must_use]
    pub fn asset(&self, parameters: &[String]) -> Option<Answer> {
        self.assets.find(parameters.first()?)
    }

    /// Makes a page; `None` where the row is none.
    ///
    /// # Errors
    /// When there is not what it is about, and when the store fails.
    pub async fn show(&self, row: usize, asked: PageRequest<'_>) -> Result<Option<Answer>, Error> {
        let Some(What::Page(page)) = self.rows.get(row).map(|row| row.what) else {
            return Ok(None);
        };
        let shown = self.show_page(page, asked).await?;
        // Once: it is on its page again.
        let spent = (!asked.typed.is_empty()).then(typed::forget);
        Ok(shown.map(|answer| answer.with(spent.into_iter().collect())))
    }

    async fn show_page(&self, page: Page, asked: PageRequest<'_>) -> Result<Option<Answer>, Error> {
        let mut typed = Typed { fields: asked.typed.to_vec(), ..Typed::default() };
        typed.fields.extend(asked.value("return_to").map(|to| ("return_to".to_owned(), to)));
        if let Some(form) = self.form_page(page, asked, &typed, None) {
            return form.map(Some);
        }
        let word = asked.value("done").unwrap_or_default();
        let mut f = self.frame(page, asked.account());
        // What another site's link says has not happened.
        f.notice = notice(&self.texts, &word).filter(|_| asked.from_here);
        let shown = match page {
            Page::Home => Ok(Self::redirect(&self.path("/servers"))),
            Page::Account => self.account(f, asked).await,
            Page::Servers(scope) => self.servers(f, asked, scope).await,
            Page::Server(scope) => self.server(f, asked, scope),
            Page::ServerKeys(scope) => Self::server_keys(f, asked, scope),
            Page::Keys(scope) => self.keys(f, asked, scope).await,
            Page::Users => Ok(self.users(f, asked)),
            Page::User => self.user(f, asked).await,
            Page::Sessions => {
                let request = Request::ListSessions { user: None, page: asked.span() };
                let listed = asked.list(request).await?;
                let next = listed.next.clone();
                let current = asked.principal.and_then(Principal::session);
                let sessions = data::session_rows(listed, current);
                let sessions_base = "/admin/sessions";
                let page = SessionsPage { f, sessions, with_user: true, sessions_base, next };
                Ok(html(StatusCode::OK, &page))
            }
            Page::Lockouts => {
                let listed = asked.list(Request::ListLockouts { page: asked.span() }).await?;
                let next = listed.next;
                let lockouts = listed.items.into_iter().filter_map(|record| match record {
                    Record::Lockout(lockout) => Some(lockout),
                    _ => None,
                });
                let page = LockoutsPage { f, lockouts: lockouts.collect(), next };
                Ok(html(StatusCode::OK, &page))
            }
            Page::Refusals => {
                let refusals = asked.observed.refusals(MOST_REFUSALS);
                Ok(html(StatusCode::OK, &RefusalsPage { f, refusals }))
            }
            // Those of forms, which are made above.
            Page::SignIn
            | Page::Register
            | Page::Forgotten
            | Page::Continue
            | Page::SignedOut
            | Page::Password
            | Page::NewKey(_)
            | Page::RotateKey(_)
            | Page::RevokeKey(_)
            | Page::DeleteServer(_) => return Ok(None),
        };
        shown.map(Some)
    }

    /// The page of a form that was refused, with what was typed and why it was; `None` where
    /// the form stands on a page that shows more.
    #[must_use]
    pub fn show_again(
        &self,
        asked: PageRequest<'_>,
        typed: &Typed,
        error: &PageError,
    ) -> Option<Answer> {
        let page = match self.deed(typed.row)? {
            Deed::SignIn => Page::SignIn,
            Deed::Register => Page::Register,
            Deed::SendLink => Page::Forgotten,
            Deed::ChangePassword => Page::Password,
            Deed::CreateKey(scope) => Page::NewKey(scope),
            _ => return None,
        };
        self.form_page(page, asked, typed, Some(error))?.ok()
    }

    /// Where to go on from a form that was refused: to its page, or to the list that its thing
    /// is gone from.
    #[must_use]
    pub fn way_back(&self, typed: &Typed, gone: bool) -> String {
        let list = self.deed(typed.row).filter(|_| gone).and_then(Deed::list);
        self.path(list.as_deref().unwrap_or(&typed.page))
    }

    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Pages that need nothing but memory: they can be shown again when they are refused.
    fn form_page(
        &self,
        page: Page,
        asked: PageRequest<'_>,
        typed: &Typed,
        error: Option<&PageError>,
    ) -> Option<Result<Answer, Error>> {
        let status = error.map_or(StatusCode::OK, |error| error.status);
        let mut f = self.frame(page, asked.account());
        f.error = error;
        let typed_return = typed.field("return_to");
        let return_to = if typed_return.is_empty() {
            self.path("")
        } else {
            flow::local_or_home(typed_return).to_owned()
        };
        let return_to = return_to.as_str();
        let policy = asked.core.policy();
        Some(Ok(match page {
            Page::SignIn => {
                let open = asked.core.registration() == Registering::Open;
                html(
                    status,
                    &SignInPage {
                        f,
                        return_to,
                        name: typed.field("name"),
                        insecure: !asked.keeps_cookies,
                        passwords: policy.local_accounts,
                        github: self.settings.callback.is_some(),
                        mail: self.settings.links == LinksBy::Mail,
                        registration: policy.local_accounts && open,
                    },
                )
            }
            Page::Register if asked.core.registration() == Registering::Closed => {
                return Some(Err(Error::RegistrationClosed));
            }
            Page::Register => html(
                status,
                &RegisterPage {
                    f,
                    return_to,
                    username: typed.field("username"),
                    email: typed.field("email"),
                    full_name: typed.field("full_name"),
                },
            ),
            Page::Forgotten => {
                let sent = error.is_none() && asked.from_here && asked.value("sent").is_some();
                html(status, &ForgottenPage { f, return_to, email: typed.field("email"), sent })
            }
            Page::Continue => {
                let signed_in = asked.principal.is_some();
                // Else another site's page would make this one ask for anything in its name.
                let goes_on = signed_in && asked.from_here;
                html(status, &ContinuePage { f, return_to, signed_in, goes_on })
            }
            Page::SignedOut => html(status, &SignedOutPage { f, basic: asked.basic }),
            Page::Password => {
                let username = asked.account().map_or("", |account| account.username.as_str());
                html(status, &PasswordPage { f, username })
            }
            Page::NewKey(scope) => return Some(self.new_key((f, status), asked, scope, typed)),
            Page::RotateKey(scope) => return Some(self.rotate_key(f, asked, scope)),
            Page::RevokeKey(scope) => return Some(self.revoke_key(f, asked, scope)),
            Page::DeleteServer(scope) => return Some(self.delete_server(f, asked, scope)),
            _ => return None,
        }))
    }

    async fn account(&self, f: Frame<'_>, asked: PageRequest<'_>) -> Result<Answer, Error> {
        let account = asked.account().ok_or(Error::Unknown(Entity::Account))?;
        let listed = asked.latest_sessions(Who::Id(account.id.0)).await?;
        let current = asked.principal.and_then(Principal::session);
        let standing = asked.core.standing();
        let servers = standing.servers_of(account.id);
        let keys = standing.keys(Some(account.id));
        let page = AccountPage {
            f,
            servers: servers.iter().map(|server| server.as_ref().into()).collect(),
            keys: asked.key_rows(keys.iter().map(AsRef::as_ref), Scope::Own),
            with_server: true,
            all: false,
            base: Scope::Own.base(),
            user: account.into(),
            password: account.password.is_some() && asked.core.policy().local_accounts,
            mail: self.settings.links == LinksBy::Mail,
            sessions: data::session_rows(listed, current),
            with_user: false,
            sessions_base: "/account/sessions",
        };
        Ok(html(StatusCode::OK, &page))
    }

    async fn servers(
        &self,
        f: Frame<'_>,
        asked: PageRequest<'_>,
        scope: Scope,
    ) -> Result<Answer, Error> {
        let (records, next): (Vec<Server>, _) = match scope {
            Scope::Own => {
                let own = asked.core.standing().servers_of(asked.account_id());
                (own.iter().map(|server| server.as_ref().into()).collect(), None)
            }
            Scope::All => {
                let listed = asked.list(Request::ListServers { page: asked.span() }).await?;
                let servers = listed.items.into_iter().filter_map(|record| match record {
                    Record::Server(server) => Some(server),
                    _ => None,
                });
                (servers.collect(), listed.next)
            }
        };
        let row = |record: Server| ServerRow {
            owner: self.owner_name(asked.core, &record),
            agents: asked.observed.agents(ServerId(record.id)).len(),
            record,
        };
        let name = asked.typed("name").unwrap_or_default();
        let page = ServersPage {
            f,
            servers: records.into_iter().map(row).collect(),
            all: scope == Scope::All,
            base: scope.base(),
            may_create: scope == Scope::All || self.settings.own_servers,
            name: &name,
            next,
        };
        Ok(html(StatusCode::OK, &page))
    }

    fn owner_name(&self, core: &Core, server: &Server) -> String {
        let owner = server.owner.and_then(|owner| core.standing().account(AccountId(owner)));
        owner.map_or_else(|| self.texts.nobody.clone(), |it| it.username.as_str().to_owned())
    }

    fn server(&self, f: Frame<'_>, asked: PageRequest<'_>, scope: Scope) -> Result<Answer, Error> {
        let server = asked.server(scope)?;
        let id = ServerId(server.id);
        let keys = asked.core.standing().keys_of_server(id);
        let last_seen = keys.iter().filter_map(|key| key.last_used.get()).max();
        let owner = self.owner_name(asked.core, &server);
        let name = asked.typed("name").unwrap_or_else(|| server.name.clone());
        let owned_by = if server.owner.is_some() { owner.clone() } else { String::new() };
        let owner_name = asked.typed("owner").unwrap_or(owned_by);
        let page = ServerPage {
            f,
            server: &server,
            base: scope.base(),
            tab: 0,
            owner: &owner,
            owner_name: &owner_name,
            last_seen: last_seen.map(seconds),
            agents: data::agent_rows(asked.core, asked.observed.agents(id)),
            name: &name,
            all: scope == Scope::All,
            may_delete: scope == Scope::All || self.settings.own_servers,
        };
        Ok(html(StatusCode::OK, &page))
    }

    fn server_keys(f: Frame<'_>, asked: PageRequest<'_>, scope: Scope) -> Result<Answer, Error> {
        let server = asked.server(scope)?;
        let keys = asked.core.standing().keys_of_server(ServerId(server.id));
        let page = ServerKeysPage {
            f,
            server: &server,
            base: scope.base(),
            tab: 1,
            keys: asked.key_rows(keys.iter().map(AsRef::as_ref), scope),
            with_server: false,
            all: scope == Scope::All,
        };
        Ok(html(StatusCode::OK, &page))
    }

    async fn keys(
        &self,
        f: Frame<'_>,
        asked: PageRequest<'_>,
        scope: Scope,
    ) -> Result<Answer, Error> {
        let (keys, next) = match scope {
            Scope::Own => {
                let own = asked.core.standing().keys(Some(asked.account_id()));
                (asked.key_rows(own.iter().map(AsRef::as_ref), scope), None)
            }
            Scope::All => {
                let request = Request::ListKeys { owner: None, server: None, page: asked.span() };
                let listed = asked.list(request).await?;
                let keys = listed.items.into_iter().filter_map(|record| match record {
                    Record::Key(key) => Some(data::key_row(asked.core, key, None)),
                    _ => None,
                });
                (keys.collect(), listed.next)
            }
        };
        let (base, all) = (scope.base(), scope == Scope::All);
        let page = KeysPage { f, base, keys, with_server: true, all, next };
        Ok(html(StatusCode::OK, &page))
    }

    fn new_key(
        &self,
        (f, status): (Frame<'_>, StatusCode),
        asked: PageRequest<'_>,
        scope: Scope,
        typed: &Typed,
    ) -> Result<Answer, Error> {
        let of_server = !asked.parameters.is_empty();
        let server = of_server.then(|| asked.server(scope)).transpose()?;
        let list = scope.key_list(server.as_ref().map(|server| server.id));
        let texts = &self.texts;
        let lasting = [(30, &texts.expiry_30), (90, &texts.expiry_90), (365, &texts.expiry_365)];
        let mut expiries = vec![ExpiryChoice { at: String::new(), text: &texts.expiry_never }];
        expiries.extend(lasting.map(|(days, text)| ExpiryChoice { at: days.to_string(), text }));
        let page = NewKeyPage {
            f,
            server,
            action: format!("{list}/new"),
            back: list,
            form: asked.core.new_uuid(),
            name: typed.field("name"),
            scopes: typed.field("scopes"),
            expires: typed.field("expires"),
            expiries,
        };
        Ok(html(status, &page))
    }

    fn rotate_key(
        &self,
        f: Frame<'_>,
        asked: PageRequest<'_>,
        scope: Scope,
    ) -> Result<Answer, Error> {
        let key = asked.key(scope)?;
        let server = asked.server_of(&key, scope);
        let texts = &self.texts;
        let page = ConfirmPage {
            title: &texts.rotate,
            subject: shown(&key),
            words: &texts.rotate_words,
            action: format!("{}/keys/{}/rotate", scope.base(), key.id),
            back: scope.key_list(server),
            hidden: vec![
                ("form", asked.core.new_uuid().to_string()),
                ("server", server.map(|id| id.to_string()).unwrap_or_default()),
            ],
            overlaps: vec![
                (0, &texts.overlap_0),
                (3_600, &texts.overlap_hour),
                (DAY, &texts.overlap_day),
                (7 * DAY, &texts.overlap_week),
            ],
            dangerous: false,
            f,
        };
        Ok(html(StatusCode::OK, &page))
    }

    fn revoke_key(
        &self,
        f: Frame<'_>,
        asked: PageRequest<'_>,
        scope: Scope,
    ) -> Result<Answer, Error> {
        let key = asked.key(scope)?;
        let server = asked.server_of(&key, scope);
        let page = ConfirmPage {
            title: &self.texts.revoke,
            subject: shown(&key),
            words: &self.texts.revoke_words,
            action: format!("{}/keys/{}/revoke", scope.base(), key.id),
            back: scope.key_list(server),
            hidden: vec![("server", server.map(|id| id.to_string()).unwrap_or_default())],
            overlaps: Vec::new(),
            dangerous: true,
            f,
        };
        Ok(html(StatusCode::OK, &page))
    }

    fn delete_server(
        &self,
        f: Frame<'_>,
        asked: PageRequest<'_>,
        scope: Scope,
    ) -> Result<Answer, Error> {
        let server = asked.server(scope)?;
        let back = format!("{}/servers/{}", scope.base(), server.id);
        let page = ConfirmPage {
            title: &self.texts.delete_server,
            subject: server.name,
            words: &self.texts.delete_server_words,
            action: format!("{back}/delete"),
            back,
            hidden: Vec::new(),
            overlaps: Vec::new(),
            dangerous: true,
            f,
        };
        Ok(html(StatusCode::OK, &page))
    }

    /// From memory, for a search looks at all of them.
    fn users(&self, f: Frame<'_>, asked: PageRequest<'_>) -> Answer {
        let search = asked.value("q").unwrap_or_default();
        let wanted = search.trim().to_lowercase();
        let after = asked.value("cursor").and_then(|cursor| cursor.parse().ok()).map(AccountId);
        let fits = |account: &Account| {
            let in_name = account.username.as_str().to_lowercase().contains(&wanted);
            let in_email =
                account.email.as_ref().is_some_and(|it| it.to_lowercase().contains(&wanted));
            in_name || in_email
        };
        let accounts = asked.core.standing().accounts();
        let behind = accounts.iter().filter(|account| after.is_none_or(|after| account.id > after));
        let mut found: Vec<User> = behind
            .filter(|account| fits(account))
            .take(LENGTH + 1)
            .map(|it| it.as_ref().into())
            .collect();
        let more = found.len() > LENGTH;
        found.truncate(LENGTH);
        let next = found.last().filter(|_| more).map(|user| user.id.to_string());
        let typed = |name| asked.typed(name).unwrap_or_default();
        let page = UsersPage {
            f,
            users: found,
            search,
            next,
            links: self.settings.links != LinksBy::Nothing,
            mail: self.settings.links == LinksBy::Mail,
            email: typed("email"),
            username: typed("username"),
            roles: typed("roles"),
            by_mail: asked.typed("mail").is_some(),
        };
        html(StatusCode::OK, &page)
    }

    async fn user(&self, f: Frame<'_>, asked: PageRequest<'_>) -> Result<Answer, Error> {
        let user = Who::Id(asked.id());
        let found =
            admin::perform(asked.core, Request::ShowUser { user: user.clone() }, By::Client);
        let Reply::Found(Record::User(record)) = found.await? else {
            return Err(Error::Unknown(Entity::Account));
        };
        let listed = asked.latest_sessions(user).await?;
        let current = asked.principal.and_then(Principal::session);
        let keys = asked.core.standing().keys(Some(AccountId(record.id)));
        let page = UserPage {
            f,
            roles: asked.typed("roles").unwrap_or_else(|| record.roles.join(" ")),
            enabled: record.state == crate::admin::record::State::Enabled,
            links: self.settings.links != LinksBy::Nothing,
            mail: self.settings.links == LinksBy::Mail && record.email.is_some(),
            sessions: data::session_rows(listed, current),
            with_user: false,
            sessions_base: "/admin/sessions",
            keys: asked.key_rows(keys.iter().map(AsRef::as_ref), Scope::All),
            with_server: true,
            all: false,
            base: Scope::All.base(),
            user: record,
        };
        Ok(html(StatusCode::OK, &page))
    }

    /// A key that has just been made: this once.
    pub(super) fn show_key(&self, key: &Key, text: &Secret, context: Context<'_>) -> Answer {
        let texts = &self.texts;
        let scope =
            context.typed.and_then(|typed| self.deed(typed.row)).map_or(Scope::Own, |deed| {
                match deed {
                    Deed::CreateKey(scope) | Deed::RotateKey(scope) => scope,
                    _ => Scope::Own,
                }
            });
        let page = SecretPage {
            f: self.frame_alone(),
            title: &texts.key_shown,
            words: &texts.key_shown_words,
            secret: text.expose(),
            key: Some(key),
            more: None,
            back: match context.typed {
                Some(typed) if !key.server.is_some_and(|_| self.is_new_key(typed)) => {
                    form::key_list(scope, typed)
                }
                _ => scope.key_list(key.server),
            },
            kept: &texts.key_kept,
        };
        html(StatusCode::CREATED, &page)
    }

    /// What administering has made, if it is shown once.
    pub(super) fn show_administered(&self, reply: Reply, context: Context<'_>) -> Answer {
        let texts = &self.texts;
        match reply {
            Reply::NewKey { key, text } => self.show_key(&key, &Secret::new(text.0), context),
            Reply::NewLink { user, url, mailed, .. } => {
                let page = SecretPage {
                    f: self.frame_alone(),
                    title: &texts.reset_link_shown,
                    words: &texts.reset_link_words,
                    secret: &url.0,
                    key: None,
                    more: mailed.then_some(texts.link_mailed.as_str()),
                    back: format!("/admin/users/{}", user.id),
                    kept: &texts.link_kept,
                };
                html(StatusCode::CREATED, &page)
            }
            _ => Self::redirect(&self.path("")),
        }
    }

    /// Whether a form was for a new key, rather than for a successor of one.
    fn is_new_key(&self, typed: &Typed) -> bool {
        matches!(self.deed(typed.row), Some(Deed::CreateKey(_)))
    }

    /// Of a page that nobody leaves by accident: it has no navigation.
    fn frame_alone(&self) -> Frame<'_> {
        Frame { user: None, page: None, ..self.frame(Page::Home, None) }
    }
}

fn shown(key: &Key) -> String {
    match key.name.as_str() {
        "" => key.shown.clone(),
        name => format!("{name} ({})", key.shown),
    }
}
