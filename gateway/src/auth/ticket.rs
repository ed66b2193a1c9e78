//! Single-use tickets that stand in for a credential where a client cannot send
//! one: the WebSocket upgrade of a browser (S1-24 to S1-27).

use super::Core;
use super::account::AccountId;
use super::error::{Error, Refusal};
use super::ports::{Missing, Opening};
use super::principal::{Principal, Proof};
use super::secret::Secret;
use super::time::Timestamp;
use super::token::{SessionId, TokenId};

/// What a ticket stands for. Known by the SHA-256 of its text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub account: AccountId,
    /// The account's version when it was asked for: a ticket does not outlive a
    /// change of password or state, however close the two come.
    pub version: u64,
    /// The access token it was asked with: the ticket, and what it opens, end with it.
    pub token: Option<(TokenId, SessionId, Timestamp)>,
    pub expires: Timestamp,
}

impl Ticket {
    /// Itself, if it is still good.
    #[must_use]
    pub fn redeem(self, now: Timestamp) -> Option<Self> {
        (self.expires > now).then_some(self)
    }
}

/// Bytes of randomness in a ticket.
const TICKET_BYTES: usize = 32;

impl Core {
    /// Issues a ticket for the caller (S1-24).
    ///
    /// # Errors
    /// For keys, which can be sent with the upgrade itself, and when the store fails.
    pub async fn issue_ticket(&self, principal: &Principal) -> Result<Secret, Error> {
        let token = match &principal.proof {
            Proof::AccessToken { token, session, expires } => Some((*token, *session, *expires)),
            Proof::Password => None,
            Proof::Key(_) | Proof::Ticket { .. } => return Err(Error::NotForKeys),
        };
        let text = Secret::random_hex::<TICKET_BYTES>(self.entropy.as_ref());
        let ticket = Ticket {
            account: principal.account_id(),
            version: principal.account.version,
            token,
            expires: self.clock.now().plus(self.policy.ticket_ttl),
        };
        let digest = self.signer.digest(text.expose().as_bytes());
        match self.store.issue_ticket(digest, ticket).await? {
            Opening::Opened => Ok(text),
            Opening::Stale => Err(Refusal::PasswordWrong.into()),
        }
    }

    /// Redeems a ticket: the first caller gets the principal, every other is refused.
    ///
    /// # Errors
    /// When it is unknown, used, expired or its user or token has ended, and
    /// when the store fails.
    pub async fn redeem_ticket(&self, text: &str) -> Result<Principal, Error> {
        if !is_ticket(text) {
            return Err(Refusal::CredentialMalformed.into());
        }
        let digest = self.signer.digest(text.as_bytes());
        let now = self.clock.now();
        let ticket = self.store.take_ticket(digest, now).await?.ok_or(Refusal::TicketUnknown)?;
        let mut account = self.present_account(ticket.account).await?;
        if account.version < ticket.version
            && self.store.load_missing(Missing::Account(ticket.account)).await?
        {
            account = self.standing.enabled_account(ticket.account)?;
        }
        if account.version != ticket.version {
            return Err(Refusal::TicketUnknown.into());
        }
        let principal = Principal::new(account, Proof::Ticket { token: ticket.token });
        self.standing.still_good(&principal, now)?;
        if let Some(session) = principal.session() {
            self.standing.session_uses().of(session).note(now);
        }
        Ok(principal)
    }

    /// Makes a ticket useless without asking what it stands for. What is none costs
    /// nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn spend_ticket(&self, text: &str) -> Result<(), Error> {
        if is_ticket(text) {
            let digest = self.signer.digest(text.as_bytes());
            self.store.take_ticket(digest, self.clock.now()).await?;
        }
        Ok(())
    }
}

fn is_ticket(text: &str) -> bool {
    text.len() == TICKET_BYTES * 2 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
