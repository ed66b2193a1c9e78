//! How entities are written down. Core types carry no serialization of their
//! own, so that a stored form can change without the core noticing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::auth::account::ended::EndedSessions;
use crate::auth::account::former::FormerPassword;
use crate::auth::account::known::{KnownAddresses, MAX_KNOWN};
use crate::auth::account::{
    Account, AccountId, AccountState, HashedPassword, PersonName, Username, is_plausible_email,
    is_valid_role,
};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use crate::auth::error::StoreError;
use crate::auth::server::{Server, ServerId, is_storable_label};
use crate::auth::session::Session;
use crate::auth::session_client::{SessionClient, UserAgent};
use crate::auth::source::Source;
use crate::auth::ticket::Ticket;
use crate::auth::time::Timestamp;
use crate::auth::token::{Minted, SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};

/// An entity with a stored form.
pub(super) trait Record: Sized {
    type Stored: Serialize + DeserializeOwned;

    fn to_stored(&self) -> Self::Stored;
    fn from_stored(stored: Self::Stored) -> Option<Self>;

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        self.check_storable()?;
        serde_json::to_vec(&self.to_stored())
            .map_err(|error| StoreError::Damaged(error.to_string()))
    }

    /// The last door: what could not be read again is not written.
    fn check_storable(&self) -> Result<(), StoreError> {
        decode_as::<Self>(self.to_stored(), "record").map(drop)
    }

    /// Like [`Self::encode`], with the members of `before` that this version does not
    /// know: a later one wrote them and wants them back.
    fn encode_over(&self, before: Option<&[u8]>) -> Result<Vec<u8>, StoreError> {
        type Members = serde_json::Map<String, serde_json::Value>;
        let members = |record: &Self| match serde_json::to_value(record.to_stored()) {
            Ok(serde_json::Value::Object(members)) => Ok(members),
            Ok(_) => Ok(Members::new()),
            Err(error) => Err(StoreError::Damaged(error.to_string())),
        };
        self.check_storable()?;
        let Some(before) = before else { return self.encode() };
        let Ok(mut unknown) = serde_json::from_slice::<Members>(before) else {
            return self.encode();
        };
        for known in members(&Self::decode(before, "record")?)?.keys() {
            unknown.remove(known);
        }
        let mut written = members(self)?;
        for (name, value) in unknown {
            if !value.is_null() {
                written.entry(name).or_insert(value);
            }
        }
        serde_json::to_vec(&written).map_err(|error| StoreError::Damaged(error.to_string()))
    }

    /// `what` names the record in the error.
    fn decode(bytes: &[u8], what: &str) -> Result<Self, StoreError> {
        let stored = serde_json::from_slice(bytes)
            .map_err(|error| StoreError::Damaged(format!("{what}: {error}")))?;
        Self::from_stored(stored)
            .ok_or_else(|| StoreError::Damaged(format!("{what}: a value is out of its range")))
    }
}

/// An entity from its stored form.
pub(super) fn decode_as<T: Record>(stored: T::Stored, what: &str) -> Result<T, StoreError> {
    T::from_stored(stored)
        .ok_or_else(|| StoreError::Damaged(format!("{what}: a value is out of its range")))
}

/// What an account is in a workspace, as it is stored.
pub(super) fn check_member_role(role: &str) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged("member: the role is out of its range".to_owned());
    if is_valid_role(role) { Ok(()) } else { Err(damaged()) }
}

/// Roles or scopes. One that is none could not be told to an upstream.
fn sound_words(words: Vec<String>) -> Option<Vec<String>> {
    words.iter().all(|word| is_valid_role(word)).then_some(words)
}

fn sound_label(name: String) -> Option<String> {
    is_storable_label(&name).then_some(name)
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredAccount {
    pub(super) id: Uuid,
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    email_verified: bool,
    /// The former name, and the only one that earlier versions read: a replica of one
    /// would end the password of an account at its first sign-in by GitHub.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    email_proven: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    github: Option<u64>,
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<StoredFormer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<StoredAddresses>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registered_from: Option<Box<[u8; 32]>>,
    disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<StoredEnded>,
    created: u64,
    /// In exports only: engines keep it beside the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_sign_in: Option<u64>,
    version: u64,
}

/// Sessions that ended at once.
#[derive(Serialize, Deserialize)]
struct StoredEnded {
    up_to: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    but: Option<Uuid>,
}

/// Of the password before, for a while.
#[derive(Serialize, Deserialize)]
struct StoredFormer {
    mac: [u8; 32],
    ends: u64,
}

/// Addresses from which an account has signed in, and when.
#[derive(Serialize, Deserialize)]
struct StoredAddresses {
    version: u64,
    addresses: Vec<(IpAddr, u64)>,
}

impl StoredAddresses {
    /// `None` when there are none.
    fn of(known: &KnownAddresses) -> Option<Self> {
        let stored = |(source, at): &(Source, Timestamp)| (source.address(), at.0);
        let addresses: Vec<_> = known.addresses.iter().map(stored).collect();
        (!addresses.is_empty()).then_some(Self { version: known.version, addresses })
    }
}

impl From<StoredAddresses> for KnownAddresses {
    fn from(stored: StoredAddresses) -> Self {
        let known = |(address, at)| (Source::of(address), Timestamp(at));
        let addresses = stored.addresses.into_iter().take(MAX_KNOWN).map(known).collect();
        Self { version: stored.version, addresses }
    }
}

impl From<&FormerPassword> for StoredFormer {
    fn from(former: &FormerPassword) -> Self {
        Self { mac: former.mac, ends: former.ends.0 }
    }
}

impl From<StoredFormer> for FormerPassword {
    fn from(stored: StoredFormer) -> Self {
        Self { mac: stored.mac, ends: Timestamp(stored.ends) }
    }
}

impl Account {
    /// The stored form together with what engines keep beside the record.
    pub(super) fn to_exported(&self) -> StoredAccount {
        let last_sign_in = self.last_sign_in.map(|at| at.0);
        StoredAccount { last_sign_in, ..self.to_stored() }
    }
}

impl Record for Account {
    type Stored = StoredAccount;

    fn to_stored(&self) -> StoredAccount {
        StoredAccount {
            id: self.id.0,
            username: self.username.as_str().to_owned(),
            email: self.email.clone(),
            email_verified: self.email_verified,
            email_proven: self.email_verified,
            full_name: self.name.full.clone(),
            first_name: self.name.first.clone(),
            last_name: self.name.last.clone(),
            avatar: self.avatar.clone(),
            github: self.github,
            roles: self.roles.clone(),
            password: self.password.as_ref().map(|password| password.0.clone()),
            former: self.former.as_ref().map(StoredFormer::from),
            known: StoredAddresses::of(&self.known),
            registered_from: self.registered_from.clone(),
            disabled: self.state == AccountState::Disabled,
            ended: self.ended.map(|ended| StoredEnded {
                up_to: ended.up_to.0,
                but: ended.but.map(|session| session.0),
            }),
            created: self.created.0,
            last_sign_in: None,
            version: self.version,
        }
    }

    fn from_stored(stored: StoredAccount) -> Option<Self> {
        if stored.email.as_deref().is_some_and(|email| !is_plausible_email(email)) {
            return None;
        }
        Some(Self {
            id: AccountId(stored.id),
            username: Username::parse(&stored.username).ok()?,
            email: stored.email,
            email_verified: stored.email_verified || stored.email_proven,
            name: PersonName {
                full: stored.full_name,
                first: stored.first_name,
                last: stored.last_name,
            },
            avatar: stored.avatar,
            github: stored.github,
            roles: sound_words(stored.roles)?,
            password: stored.password.map(HashedPassword),
            former: stored.former.map(FormerPassword::from),
            known: stored.known.map(KnownAddresses::from).unwrap_or_default(),
            registered_from: stored.registered_from,
            state: if stored.disabled { AccountState::Disabled } else { AccountState::Enabled },
            ended: stored.ended.map(|ended| EndedSessions {
                up_to: SessionId(ended.up_to),
                but: ended.but.map(SessionId),
            }),
            created: Timestamp(stored.created),
            last_sign_in: stored.last_sign_in.map(Timestamp),
            version: stored.version,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredSession {
    id: Uuid,
    account: Uuid,
    created: u64,
    expires: u64,
    current: StoredMinted,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<(Uuid, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// In exports only: engines keep it beside the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredMinted {
    access: Uuid,
    refresh: Uuid,
    issued_at: u64,
    access_ttl: u64,
}

impl Session {
    /// The stored form together with what engines keep beside the record.
    pub(super) fn to_exported(&self) -> StoredSession {
        StoredSession { last_used: self.last_used.map(|at| at.0), ..self.to_stored() }
    }
}

impl Record for Session {
    type Stored = StoredSession;

    fn to_stored(&self) -> StoredSession {
        StoredSession {
            id: self.id.0,
            account: self.account.0,
            created: self.created.0,
            expires: self.expires.0,
            current: StoredMinted {
                access: self.current.access.0,
                refresh: self.current.refresh.0,
                issued_at: self.current.issued_at.0,
                access_ttl: self.current.access_ttl,
            },
            replaced: self.replaced.map(|(token, at)| (token.0, at.0)),
            address: self.client.as_ref().map(|client| client.address),
            user_agent: self
                .client
                .as_ref()
                .and_then(|client| client.user_agent.as_ref().map(|name| name.as_str().to_owned())),
            last_used: None,
        }
    }

    fn from_stored(stored: StoredSession) -> Option<Self> {
        let user_agent = stored.user_agent;
        Some(Self {
            id: SessionId(stored.id),
            account: AccountId(stored.account),
            created: Timestamp(stored.created),
            expires: Timestamp(stored.expires),
            current: Minted {
                access: TokenId(stored.current.access),
                refresh: TokenId(stored.current.refresh),
                issued_at: Timestamp(stored.current.issued_at),
                access_ttl: stored.current.access_ttl,
            },
            replaced: stored.replaced.map(|(token, at)| (TokenId(token), Timestamp(at))),
            client: stored.address.map(|address| SessionClient {
                address,
                user_agent: user_agent.and_then(|name| UserAgent::read(name.as_bytes())),
            }),
            last_used: stored.last_used.map(Timestamp),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredTicket {
    account: Uuid,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<(Uuid, Uuid, u64)>,
    expires: u64,
}

impl Record for Ticket {
    type Stored = StoredTicket;

    fn to_stored(&self) -> StoredTicket {
        StoredTicket {
            account: self.account.0,
            version: self.version,
            token: self.token.map(|(token, session, expires)| (token.0, session.0, expires.0)),
            expires: self.expires.0,
        }
    }

    fn from_stored(stored: StoredTicket) -> Option<Self> {
        Some(Self {
            account: AccountId(stored.account),
            version: stored.version,
            token: stored.token.map(|(token, session, expires)| {
                (TokenId(token), SessionId(session), Timestamp(expires))
            }),
            expires: Timestamp(stored.expires),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredKey {
    pub(super) id: Uuid,
    owner: Uuid,
    name: String,
    shown: String,
    pub(super) digest: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<Uuid>,
    scopes: Vec<String>,
    created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    superseded: Option<u64>,
}

impl Record for ApiKey {
    type Stored = StoredKey;

    fn to_stored(&self) -> StoredKey {
        StoredKey {
            id: self.id.0,
            owner: self.owner.0,
            name: self.name.clone(),
            shown: self.shown.clone(),
            digest: self.digest,
            server: self.server.map(|server| server.0),
            scopes: self.scopes.clone(),
            created: self.created.0,
            expires: self.expires.map(|expires| expires.0),
            superseded: self.superseded.get().map(|at| at.0),
        }
    }

    fn from_stored(stored: StoredKey) -> Option<Self> {
        Some(Self {
            id: KeyId(stored.id),
            owner: AccountId(stored.owner),
            name: sound_label(stored.name)?,
            shown: stored.shown,
            digest: stored.digest,
            server: stored.server.map(ServerId),
            scopes: sound_words(stored.scopes)?,
            created: Timestamp(stored.created),
            expires: stored.expires.map(Timestamp),
            superseded: AtomicTimestamp::at(stored.superseded.map(Timestamp)),
            // Written down apart, for it changes all the time.
            last_used: AtomicTimestamp::default(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredServer {
    pub(super) id: Uuid,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Uuid>,
    created: u64,
}

impl Record for Server {
    type Stored = StoredServer;

    fn to_stored(&self) -> StoredServer {
        StoredServer {
            id: self.id.0,
            name: self.name.clone(),
            owner: self.owner.map(|owner| owner.0),
            created: self.created.0,
        }
    }

    fn from_stored(stored: StoredServer) -> Option<Self> {
        Some(Self {
            id: ServerId(stored.id),
            name: sound_label(stored.name)?,
            owner: stored.owner.map(AccountId),
            created: Timestamp(stored.created),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredWorkspace {
    pub(super) id: Uuid,
    name: String,
    created: u64,
}

impl Record for Workspace {
    type Stored = StoredWorkspace;

    fn to_stored(&self) -> StoredWorkspace {
        StoredWorkspace { id: self.id.0, name: self.name.clone(), created: self.created.0 }
    }

    fn from_stored(stored: StoredWorkspace) -> Option<Self> {
        Some(Self {
            id: WorkspaceId(stored.id),
            name: sound_label(stored.name)?,
            created: Timestamp(stored.created),
        })
    }
}

#[cfg(test)]
mod tests;
