//! New accounts: by registration (S0-02, S2-07), and by somebody else's word.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::account::{
    Account, AccountId, AccountState, PersonName, Username, canonical_name, is_plausible_email,
    is_valid_person_name,
};
use super::error::{Error, Name, Refusal, Verdict};
use super::federation::{FederatedIdentity, FederationError, Grant, Joined, Joining};
use super::login::{Issuance, TokenPair};
use super::password::PasswordRule;
use super::ports::{Creation, GithubLink, Priority, Replacement};
use super::secret::Secret;
use super::session_client::SessionClient;
use super::source::Source;
use super::time::Seconds;

/// Whether anybody may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registering {
    Open,
    Closed,
}

/// Who wants an account.
#[derive(Debug)]
pub struct Registration {
    pub email: String,
    /// `None` signs in by the e-mail address (C9).
    pub username: Option<String>,
    pub name: PersonName,
    pub password: Secret,
}

/// For so long a registration may be said again.
const REPEATABLE: Seconds = Seconds(60);
/// What the seal of an address on an account is for.
const REGISTERED: &str = "registered from";

impl Registration {
    /// What it will sign in by.
    #[must_use]
    pub fn login_name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.email)
    }
}

fn named(creation: Creation) -> Result<(), Error> {
    match creation {
        Creation::Created => Ok(()),
        Creation::NameTaken => Err(Error::Taken(Name::User)),
        Creation::EmailTaken | Creation::GithubTaken => Err(Error::Taken(Name::Email)),
    }
}

/// Whether a text is, or is shown as, the id of an account: an operator who names somebody
/// by it must not mean somebody else.
fn reads_as_id(text: &str) -> bool {
    let prefixed = text.split_once('_').is_some_and(|(prefix, rest)| {
        let known = ["usr", "user"].iter().any(|known| known.eq_ignore_ascii_case(prefix));
        known && rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    prefixed || uuid::Uuid::try_parse(text).is_ok()
}

impl Core {
    /// Makes an account and signs it in, as one change. Whoever was not told whether it was
    /// made says the same again from the same address within a minute.
    ///
    /// # Errors
    /// When registering is closed, something given is not acceptable or taken, or a
    /// port fails.
    pub async fn register(
        &self,
        new: Registration,
        client: &SessionClient,
        rule: PasswordRule,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        if !self.policy.local_accounts {
            return Err(Error::LocalAccountsDisabled);
        }
        if self.registration() == Registering::Closed {
            return Err(Error::RegistrationClosed);
        }
        let source = client.source();
        let account =
            self.unfinished_account(new.username.as_deref(), Some(new.email), new.name)?;
        rule.check(new.password.expose()).map_err(Error::Password)?;
        // Cheaply, before a hash is spent on it; the store decides.
        if let Err(taken) = self.check_free(&account) {
            return self.register_again(&account, &new.password, (client, issuance), taken).await;
        }
        let hash = self.hasher.hash(new.password.clone(), Priority::Normal).await?;
        let address = source.address().to_string();
        let seal = self.signer.seal(REGISTERED, &[account.id.0.as_bytes(), address.as_bytes()]);
        let account =
            Account { password: Some(hash), registered_from: Some(Box::new(seal)), ..account };
        // Here, and not by a change of its own.
        let account = account.known_from(source, account.created);
        let (session, pair) = self.first_session(&account, client, issuance);
        match named(self.store.register(account.clone(), session).await?) {
            Ok(()) => {
                self.note_registered(account.id).await;
                Ok((Arc::new(account), pair))
            }
            Err(taken) => {
                self.register_again(&account, &new.password, (client, issuance), taken).await
            }
        }
    }

    /// Its owner is told: who says the same again gets what anybody else does.
    async fn note_registered(&self, account: AccountId) {
        if let Err(error) = self.store.forget_registration(account).await {
            tracing::warn!(%error, "registration not marked as acknowledged, it can be repeated for a minute");
        }
    }

    /// Signs in to the account that the same registration made without being answered.
    ///
    /// # Errors
    /// `taken` when there is none such; whoever may ask and gives another password has
    /// made a guess.
    async fn register_again(
        &self,
        wanted: &Account,
        password: &Secret,
        (client, issuance): (&SessionClient, Issuance),
        taken: Error,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let found = self.store.find_account(&wanted.username.canonical()).await?;
        let Some(made) = found.filter(|made| self.is_repeatable(made, wanted, client.source()))
        else {
            return Err(taken);
        };
        if self.matches(made.password.clone(), password.clone(), Priority::Normal).await? {
            let id = made.id;
            let opened = self.open_session(Arc::new(made), client, issuance).await?;
            self.note_registered(id).await;
            return Ok(opened);
        }
        Err(match taken {
            Error::Taken(name) => Error::TakenAndGuessed(name),
            taken => taken,
        })
    }

    /// Whether a registration under this name may be one that is said again, which tries
    /// the account's password; any other is answered without a look at it.
    #[must_use]
    pub fn may_register_again(&self, name: &str, source: Source) -> bool {
        let made = self.standing.account_by_name(&canonical_name(name));
        made.is_some_and(|made| self.is_unanswered(&made, source))
    }

    fn is_repeatable(&self, made: &Account, wanted: &Account, source: Source) -> bool {
        made.login_names() == wanted.login_names()
            && made.version == wanted.version
            && made.state == AccountState::Enabled
            && self.is_unanswered(made, source)
    }

    /// Whether the account has just been registered from there, and nobody was told.
    fn is_unanswered(&self, made: &Account, source: Source) -> bool {
        let address = source.address().to_string();
        let parts = [&made.id.0.as_bytes()[..], address.as_bytes()];
        let sealed = made.registered_from.as_ref();
        self.clock.now().since(made.created) < REPEATABLE.millis()
            && sealed.is_some_and(|seal| self.signer.is_seal(seal, REGISTERED, &parts))
    }

    /// Whether anybody may make an account now: the configuration opens it, and nobody has
    /// closed it since.
    #[must_use]
    pub fn registration(&self) -> Registering {
        match (self.policy.registration, self.standing.registration()) {
            (Registering::Open, Registering::Open) => Registering::Open,
            (Registering::Closed, _) | (_, Registering::Closed) => Registering::Closed,
        }
    }

    /// What the configuration alone says.
    #[must_use]
    pub fn configured_registration(&self) -> Registering {
        self.policy.registration
    }

    /// An account whose names keep the rules, without a password yet.
    ///
    /// # Errors
    /// Which name breaks its rule.
    pub fn unfinished_account(
        &self,
        username: Option<&str>,
        email: Option<String>,
        name: PersonName,
    ) -> Result<Account, Error> {
        if email.as_deref().is_some_and(|email| !is_plausible_email(email)) {
            return Err(Error::Name(Name::Email));
        }
        let written = username.or(email.as_deref()).unwrap_or_default();
        let username = Username::parse(written).map_err(|_| Error::Name(Name::User))?;
        if reads_as_id(username.as_str()) {
            return Err(Error::Name(Name::User));
        }
        // Else one account could be waiting under the address of somebody else.
        let own = email.as_deref().map(canonical_name) == Some(username.canonical());
        if username.as_str().contains('@') && !own {
            return Err(Error::Name(Name::User));
        }
        let parts = [&name.full, &name.first, &name.last];
        if parts.into_iter().flatten().any(|part| !is_valid_person_name(part)) {
            return Err(Error::Name(Name::Person));
        }
        let id = AccountId(self.new_uuid());
        Ok(Account { email, name, ..Account::new(id, username, self.clock.now()) })
    }

    fn check_free(&self, account: &Account) -> Result<(), Error> {
        let known = |name: &str| self.standing.account_by_name(&canonical_name(name)).is_some();
        if account.email.as_deref().is_some_and(known) {
            Err(Error::Taken(Name::Email))
        } else if known(account.username.as_str()) {
            Err(Error::Taken(Name::User))
        } else {
            Ok(())
        }
    }

    /// Adds an account if its names are free.
    ///
    /// # Errors
    /// Which name is taken, or that the store fails.
    pub async fn store_account(&self, account: Account) -> Result<(), Error> {
        named(self.store.create_account(account).await?)
    }

    /// Counts a registration, whatever comes of it: a refused one tells who exists.
    ///
    /// # Errors
    /// [`Error::TooManyRegistrations`], and when it cannot be counted.
    pub async fn count_registration(&self, from: Source) -> Result<(), Error> {
        let (now, limit) = (self.clock.now(), self.policy.registrations);
        match self.store.count_registration(from, limit, now).await? {
            Verdict::Allowed => Ok(()),
            Verdict::LockedOut(until) => {
                let retry_after = Duration::from_millis(until.since(now));
                Err(Error::TooManyRegistrations { retry_after })
            }
        }
    }

    /// Redeems a code of GitHub's and signs in whom it stands for (S2-18).
    ///
    /// The number GitHub knows somebody by decides. Somebody new gets the account of
    /// their address, if GitHub has verified it, or a new one. If nobody has vouched for
    /// that account's address until now, what its password was set by may be a
    /// stranger who waited for the address's owner: password, sessions and keys end.
    /// `joined` is told what has been changed, which stays when the session fails.
    ///
    /// # Errors
    /// When GitHub refuses, nobody may register, or a port fails.
    pub async fn sign_in_with_github(
        &self,
        grant: Grant,
        client: &SessionClient,
        issuance: Issuance,
        joined: &mut Option<Joined>,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let provider = self.github.as_ref().ok_or(Error::NotFederated)?;
        let identity = provider.exchange(grant).await.map_err(Error::Federation)?;
        // A link or a new account is found in the next turn; one more when the account
        // changed or came meanwhile.
        for _ in 0..3 {
            if let Some(account) = self.standing.account_by_github(identity.subject) {
                let account = self.standing.enabled_account(account.id)?;
                return self.open_session(account, client, issuance).await;
            }
            let email = identity.email.as_deref().filter(|email| is_plausible_email(email));
            let email = email.ok_or(Error::Federation(FederationError::EmailUnverified))?;
            match self.standing.account_by_name(&canonical_name(email)) {
                Some(account) => self.link(&account, email, &identity, joined).await?,
                None => {
                    let restricted = provider.is_restricted();
                    let account = self.federated_account(email, &identity, restricted)?;
                    self.count_registration(client.source()).await?;
                    self.create_federated(account, identity.subject, joined).await?;
                }
            }
        }
        Err(Error::Taken(Name::Email))
    }

    async fn link(
        &self,
        account: &Account,
        email: &str,
        identity: &FederatedIdentity,
        joined: &mut Option<Joined>,
    ) -> Result<(), Error> {
        if account.state == AccountState::Disabled {
            return Err(Refusal::AccountDisabled.into());
        }
        // Linked since the look by number: the next one finds it.
        if account.github == Some(identity.subject) {
            return Ok(());
        }
        // Found by a user name that reads like the address, but is not its owner's.
        let own = account.email.as_deref().map(canonical_name) == Some(canonical_name(email));
        if account.github.is_some() || !own {
            return Err(Error::Taken(Name::Email));
        }
        let link = GithubLink {
            account: account.id,
            version: account.version,
            number: identity.subject,
            avatar: identity.avatar.clone(),
            takeover: !account.email_verified,
            now: self.clock.now(),
        };
        let joining = if link.takeover { Joining::TakenOver } else { Joining::Linked };
        // Linked or stale: the next look tells.
        if self.store.link_github(link).await? == Replacement::Replaced {
            *joined = Some(Joined { account: account.id, subject: identity.subject, joining });
        }
        Ok(())
    }

    fn federated_account(
        &self,
        email: &str,
        identity: &FederatedIdentity,
        restricted: bool,
    ) -> Result<Account, Error> {
        // A list of organisations says who may come in; without one, all of GitHub could.
        // Closed in an incident is closed for everybody.
        let closed = self.policy.registration == Registering::Closed && !restricted;
        if closed || self.standing.registration() == Registering::Closed {
            return Err(Error::RegistrationClosed);
        }
        let names = [identity.name.as_deref().map(str::trim), Some(identity.login.as_str())];
        let name = names.into_iter().flatten().find(|name| is_valid_person_name(name));
        let name = name.map(PersonName::whole).unwrap_or_default();
        let account = self.unfinished_account(None, Some(email.to_owned()), name)?;
        Ok(Account {
            email_verified: true,
            github: Some(identity.subject),
            avatar: identity.avatar.clone(),
            ..account
        })
    }

    async fn create_federated(
        &self,
        account: Account,
        subject: u64,
        joined: &mut Option<Joined>,
    ) -> Result<(), Error> {
        let made = Joined { account: account.id, subject, joining: Joining::Made };
        // Created or taken: the next look tells.
        if self.store.create_account(account).await? == Creation::Created {
            *joined = Some(made);
        }
        Ok(())
    }
}
