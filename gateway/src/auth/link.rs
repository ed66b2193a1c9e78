//! Links that prove an e-mail address or let a new password be set: made for a person by an
//! administrator, or sent to an address by mail.
//!
//! Nothing of a link is stored. Its text says what it is for and until when, sealed together
//! with what it depends on: the account's version, which grows with every change of
//! password or state, and its address. So it is good once, on every replica, over restarts,
//! and ends with whatever changes the account.

pub(super) mod kind;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Core;
use super::account::{Account, AccountId, AccountState, HashedPassword, Username, canonical_name};
use super::error::{Entity, Error, LinkFault};
use super::password::check_acceptable;
use super::ports::{
    AccountChange, AccountChanged, Administration, Message, PasswordChange, Priority, Replacement,
};
use super::secret::Secret;
use super::time::{Seconds, Timestamp};

pub use kind::{Link, LinkKind};

/// The seal's purpose: no other seal can be taken for a link's.
const PURPOSE: &str = "link";
const PAYLOAD_BYTES: usize = 1 + 16 + 8 + 8;
const SEAL_BYTES: usize = 32;

/// Where links lead to and how long they are good.
#[derive(Debug, Clone)]
pub struct LinkPolicy {
    /// What stands before a link's text.
    pub base: String,
    pub ttl: Seconds,
}

struct Payload {
    kind: LinkKind,
    account: AccountId,
    version: u64,
    expires: Timestamp,
}

impl Payload {
    fn bytes(&self) -> [u8; PAYLOAD_BYTES] {
        let mut bytes = [0; PAYLOAD_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1..17].copy_from_slice(self.account.0.as_bytes());
        bytes[17..25].copy_from_slice(&self.version.to_be_bytes());
        bytes[25..].copy_from_slice(&self.expires.0.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first()?;
        let kind = LinkKind::ALL.into_iter().find(|kind| *kind as u8 == *number)?;
        let (account, rest) = rest.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk::<8>()?;
        let expires: &[u8; 8] = rest.try_into().ok()?;
        Some(Self {
            kind,
            account: AccountId(Uuid::from_bytes(*account)),
            version: u64::from_be_bytes(*version),
            expires: Timestamp(u64::from_be_bytes(*expires)),
        })
    }
}

impl Core {
    /// Makes a link for an account. Every link made before for its password stays good
    /// until one of them is followed.
    ///
    /// # Errors
    /// [`Error::LinksDisabled`] when nobody said where links lead to.
    pub fn make_link(&self, account: &Account, kind: LinkKind) -> Result<Link, Error> {
        let policy = self.policy.links.as_ref().ok_or(Error::LinksDisabled)?;
        let expires = self.clock.now().plus(policy.ttl);
        let payload = Payload { kind, account: account.id, version: account.version, expires };
        let bytes = payload.bytes();
        let address = account.email.as_deref().unwrap_or_default();
        let seal = self.signer.seal(PURPOSE, &[&bytes, address.as_bytes()]);
        let text = URL_SAFE_NO_PAD.encode([&bytes[..], &seal[..]].concat());
        Ok(Link { url: Secret::new(format!("{}{text}", policy.base)), expires })
    }

    /// What a link is for, and whose it is, if it is good now. Changes nothing: programs
    /// that look at mails open every link in them.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn read_link(&self, text: &str) -> Result<(Arc<Account>, LinkKind), Error> {
        let refused = |fault| Error::Link(fault);
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused(LinkFault::Malformed))?;
        let (payload, seal) = bytes
            .split_last_chunk::<SEAL_BYTES>()
            .filter(|(payload, _)| payload.len() == PAYLOAD_BYTES)
            .ok_or(refused(LinkFault::Malformed))?;
        let read = Payload::read(payload).ok_or(refused(LinkFault::Malformed))?;
        let account = self.standing.account(read.account);
        let address = account.as_ref().and_then(|account| account.email.as_deref());
        let parts: [&[u8]; 2] = [payload, address.unwrap_or_default().as_bytes()];
        let genuine = self.signer.is_seal(seal, PURPOSE, &parts);
        let Some(account) = account else { return Err(refused(LinkFault::Spent)) };
        if !genuine {
            return Err(refused(LinkFault::Malformed));
        }
        if read.expires <= self.clock.now() {
            return Err(refused(LinkFault::Expired));
        }
        let done = !read.kind.sets_password() && account.email_verified;
        if done || account.version != read.version || account.state == AccountState::Disabled {
            return Err(refused(LinkFault::Spent));
        }
        if read.kind.sets_password() && !self.policy.local_accounts {
            return Err(Error::LocalAccountsDisabled);
        }
        Ok((account, read.kind))
    }

    /// Does what a link is for. A link that sets a password ends every session.
    ///
    /// # Errors
    /// Why it is not good, that the password is missing or not acceptable, or that a port
    /// fails.
    pub async fn follow_link(
        &self,
        text: &str,
        password: Option<Secret>,
    ) -> Result<(Arc<Account>, LinkKind), Error> {
        let (account, kind) = self.read_link(text)?;
        if kind.sets_password() {
            let password = password.unwrap_or_else(|| Secret::new(String::new()));
            check_acceptable(password.expose()).map_err(Error::Password)?;
            let replacement = self.hasher.hash(password, Priority::High).await?;
            self.set_by_link(&account, kind, replacement).await?;
        } else {
            let now = self.clock.now();
            let change = AccountChange::of(account.id, Administration::MustRemain, now);
            let change = AccountChange { email_verified: Some(true), ..change };
            match self.store.change_account(change).await? {
                AccountChanged::Changed(_) => {}
                AccountChanged::NoAccount | AccountChanged::LastAdministrator => {
                    return Err(Error::Link(LinkFault::Spent));
                }
            }
        }
        Ok((account, kind))
    }

    async fn set_by_link(
        &self,
        account: &Account,
        kind: LinkKind,
        replacement: HashedPassword,
    ) -> Result<(), Error> {
        let change = PasswordChange {
            account: account.id,
            expected_version: Some(account.version),
            replacement,
            former: None,
            verify_email: kind.verifies_address(),
            keep: None,
            now: self.clock.now(),
        };
        match self.store.replace_password(change).await? {
            Replacement::Replaced => Ok(()),
            Replacement::Stale => Err(Error::Link(LinkFault::Spent)),
        }
    }

    /// Sends a link for a new password to an address, if there is an account that it
    /// belongs to. Whether there is cannot be told from the outcome, nor from its time: an
    /// address without an account costs the same work.
    ///
    /// # Errors
    /// When no mail is configured.
    pub fn send_password_link(&self, address: &str) -> Result<(), Error> {
        let mailer = self.mailer.as_ref().ok_or(Error::MailDisabled)?;
        let canonical = canonical_name(address);
        let account = self.standing.account_by_name(&canonical).filter(|account| {
            let own = account.email.as_deref().map(canonical_name).as_ref() == Some(&canonical);
            own && account.state == AccountState::Enabled && self.policy.local_accounts
        });
        let known = account.is_some();
        let account = account.unwrap_or_else(|| Arc::clone(&self.nobody));
        let link = self.make_link(&account, LinkKind::Both)?;
        // Every message is counted, so that the bound tells nothing either.
        let allowed = self.mails.allow(&canonical, self.clock.now());
        let to = account.email.clone().filter(|_| known && allowed);
        // Busy is no answer here: it would come for addresses that get something, and not for
        // others.
        let name = account.username.as_str().to_owned();
        if mailer.send(Message { to, account: name, kind: LinkKind::Both, link }).is_err() {
            tracing::warn!("mail queue full, message dropped");
        }
        Ok(())
    }

    /// Sends the caller a link that verifies the account's address.
    ///
    /// # Errors
    /// When the account has no address or a verified one, no mail is configured, or too many
    /// wait to be sent.
    pub fn send_address_link(&self, account: &Account) -> Result<(), Error> {
        let mailer = self.mailer.as_ref().ok_or(Error::MailDisabled)?;
        let address = account.email.as_deref().filter(|_| !account.email_verified);
        let address = address.ok_or(Error::Unknown(Entity::Email))?;
        let link = self.make_link(account, LinkKind::Address)?;
        let to = self
            .mails
            .allow(&canonical_name(address), self.clock.now())
            .then(|| address.to_owned());
        let name = account.username.as_str().to_owned();
        mailer.send(Message { to, account: name, kind: LinkKind::Address, link })
    }

    /// Sends a link that an administrator has made, if mail is configured and the account
    /// has an address. Answers whether it is on its way: who made the link is shown it, and
    /// a full queue is no reason to lose that.
    #[must_use]
    pub fn send_link(&self, account: &Account, kind: LinkKind, link: Link) -> bool {
        let (Some(mailer), Some(address)) = (&self.mailer, &account.email) else {
            return false;
        };
        let (to, name) = (Some(address.clone()), account.username.as_str().to_owned());
        mailer.send(Message { to, account: name, kind, link }).is_ok()
    }
}

/// An account that nobody has.
///
/// # Panics
/// Never: its name is one.
pub(super) fn nobody() -> Account {
    let username = Username::parse("nobody").expect("letters are a user name");
    let nobody = Account::new(AccountId(Uuid::nil()), username, Timestamp(0));
    Account { email: Some("nobody@nowhere.invalid".to_owned()), ..nobody }
}

/// How many mails an address gets that anybody can ask for.
pub(super) struct MailLimit(moka::sync::Cache<String, Window>);

/// When it ends, and how many mails were asked for in it.
#[derive(Clone, Copy)]
struct Window {
    ends: Timestamp,
    mails: u32,
}

const MAILS_PER_ADDRESS: u32 = 3;
const MAIL_WINDOW: Seconds = Seconds(3_600);
/// Addresses counted at once; the one that was asked for least recently goes first.
const MAX_ADDRESSES: u64 = 10_000;

impl Default for MailLimit {
    fn default() -> Self {
        let hour = std::time::Duration::from_secs(MAIL_WINDOW.0);
        Self(moka::sync::Cache::builder().max_capacity(MAX_ADDRESSES).time_to_live(hour).build())
    }
}

impl MailLimit {
    /// The window does not move: who asks on and on cannot keep it from ending.
    fn allow(&self, address: &str, now: Timestamp) -> bool {
        let one_more = |known: Option<moka::Entry<String, Window>>| {
            let window = known.map(moka::Entry::into_value).filter(|window| window.ends > now);
            let Window { ends, mails } =
                window.unwrap_or(Window { ends: now.plus(MAIL_WINDOW), mails: 0 });
            Window { ends, mails: mails.saturating_add(1) }
        };
        let window = self.0.entry_by_ref(address).and_upsert_with(one_more).into_value();
        window.mails <= MAILS_PER_ADDRESS
    }
}
