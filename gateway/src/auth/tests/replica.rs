//! What another gateway on the same store has made, of which this one's memory has not
//! heard yet.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::super::api_key::{ApiKey, KeyId, KeyRotation};
use super::super::error::{Entity, StoreError, Verdict};
use super::super::ports::{
    AccountChange, AccountChanged, Accounts, Administration, Attempts, Counted, Creation, Failure,
    FailureCount, FailureLimit, GithubLink, KeyCreation, KeyRotated, Keys, MemberChange, Missing,
    Notice, Opening, PasswordChange, Replacement, Rotated, Rotation, ServerChange, ServerChanged,
    Servers, SessionOpening, Sessions, Store, Tickets, Workspaces,
};
use super::super::principal::Principal;
use super::super::server::{Server, ServerId};
use super::super::session::Session;
use super::super::source::Source;
use super::super::ticket::Ticket;
use super::super::token::{SessionId, TokenId};
use super::super::workspace::{Workspace, WorkspaceId};
use super::*;

/// The other gateway's store, as this one uses it: nothing reaches `here` but what is asked
/// for.
struct Shared {
    store: Arc<dyn Store>,
    there: Arc<Standing>,
    here: Arc<Standing>,
    asked: Mutex<Vec<Missing>>,
}

impl Shared {
    fn bring(&self, what: Missing) -> Option<()> {
        match what {
            Missing::Account(id) => self.here.put_account((*self.there.account(id)?).clone()),
            Missing::Key(digest) => {
                let key = self.there.key(&digest)?;
                self.here.put_account((*self.there.account(key.owner)?).clone());
                self.here.put_key((*key).clone());
            }
            Missing::Member(workspace, account) => {
                let membership = self.there.membership(workspace, account)?;
                self.here.put_member(workspace, account, Some(&membership.role));
            }
        }
        Some(())
    }
}

/// What `here` asks for is the other gateway's store.
macro_rules! shared {
    ($($port:ident {
        $(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
    })*) => {$(
        #[async_trait]
        impl $port for Shared {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.store.$name($($argument),*).await
            })*
        }
    )*};
}

shared! {
    Accounts {
        fn create_account(account: Account) -> Creation;
        fn register(account: Account, session: Session) -> Creation;
        fn forget_registration(account: AccountId) -> ();
        fn list_accounts(after: Option<AccountId>, limit: usize) -> Vec<Account>;
        fn last_sign_in(account: AccountId) -> Option<Timestamp>;
        fn find_account(name: &str) -> Option<Account>;
        fn replace_password(change: PasswordChange) -> Replacement;
        fn upgrade_hash(
            account: AccountId, expected: &HashedPassword, replacement: HashedPassword
        ) -> Replacement;
        fn change_account(change: AccountChange) -> AccountChanged;
        fn delete_account(
            account: AccountId, administration: Administration, now: Timestamp
        ) -> AccountChanged;
        fn link_github(link: GithubLink) -> Replacement;
        fn record_success(account: AccountId, version: u64, from: Source, now: Timestamp) -> ();
    }
    Sessions {
        fn open_session(session: Session, version: u64) -> SessionOpening;
        fn rotate(rotation: Rotation) -> Rotated;
        fn revoke_token(token: TokenId, expires: Timestamp) -> ();
        fn end_session(session: SessionId, now: Timestamp) -> bool;
        fn end_sessions(account: AccountId, now: Timestamp) -> bool;
        fn find_session(session: SessionId, now: Timestamp) -> Option<Session>;
        fn list_sessions(
            account: Option<AccountId>, after: Option<SessionId>, limit: usize
        ) -> Vec<Session>;
        fn record_session_uses(uses: Vec<(SessionId, Timestamp)>) -> ();
    }
    Tickets {
        fn issue_ticket(digest: [u8; 32], ticket: Ticket) -> Opening;
        fn take_ticket(digest: [u8; 32], now: Timestamp) -> Option<Ticket>;
    }
    Keys {
        fn create_key(key: ApiKey) -> KeyCreation;
        fn rotate_key(rotation: KeyRotation) -> KeyRotated;
        fn record_key_uses(uses: Vec<(KeyId, Timestamp)>) -> ();
        fn find_key(key: KeyId) -> Option<Arc<ApiKey>>;
        fn list_keys(after: Option<KeyId>, limit: usize) -> Vec<Arc<ApiKey>>;
        fn delete_key(key: KeyId, owner: Option<AccountId>) -> bool;
    }
    Servers {
        fn create_server(server: Server) -> bool;
        fn change_server(change: ServerChange) -> ServerChanged;
        fn delete_server(server: ServerId) -> bool;
    }
    Workspaces {
        fn create_workspace(workspace: Workspace) -> ();
        fn rename_workspace(workspace: WorkspaceId, name: String) -> Option<Workspace>;
        fn delete_workspace(workspace: WorkspaceId) -> bool;
        fn set_member(
            workspace: WorkspaceId, account: AccountId, role: Option<String>
        ) -> MemberChange;
    }
    Attempts {
        fn count_failure(failure: Failure, limit: FailureLimit, now: Timestamp) -> Counted;
        fn count_registration(source: Source, limit: FailureLimit, now: Timestamp) -> Verdict;
        fn list_failures(now: Timestamp) -> Vec<FailureCount>;
        fn forgive(source: Source) -> bool;
    }
}

#[async_trait]
impl Store for Shared {
    async fn load_missing(&self, what: Missing) -> Result<bool, StoreError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        Ok(self.bring(what).is_some())
    }

    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError> {
        self.store.set_registration(registering).await
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        self.store.sweep(now, past).await
    }

    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError> {
        self.store.take_notice(notice).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// Two gateways with one secret and one clock.
struct Replicas {
    there: Bench,
    here: Core,
    shared: Arc<Shared>,
    workspace: WorkspaceId,
}

impl Replicas {
    /// `ann` and a workspace are known there, nothing is known here.
    async fn new() -> Self {
        let there = Bench::new().await;
        let (hasher, clock) = (Arc::clone(&there.core.hasher), Arc::clone(&there.clock));
        let mut here = core_over(hasher, clock, None);
        here.standing = Arc::new(Standing::default());
        let shared = Arc::new(Shared {
            store: Arc::clone(&there.core.store),
            there: Arc::clone(&there.core.standing),
            here: Arc::clone(&here.standing),
            asked: Mutex::default(),
        });
        here.store = Arc::clone(&shared) as Arc<dyn Store>;
        let workspace = WorkspaceId(Uuid::from_u128(7));
        let created = there.core.clock().now();
        let named = Workspace { id: workspace, name: "docs".to_owned(), created };
        there.core.store().create_workspace(named).await.unwrap();
        Self { there, here, shared, workspace }
    }

    fn ann(&self) -> Arc<Account> {
        self.there.core.standing().account_by_name("ann").unwrap()
    }

    fn learn(&self, what: Missing) {
        self.shared.bring(what).unwrap();
    }

    async fn join(&self) {
        let (store, role) = (self.there.core.store(), Some("writer".to_owned()));
        let joined = store.set_member(self.workspace, self.ann().id, role).await.unwrap();
        assert_eq!(joined, MemberChange::Done);
    }

    /// What this gateway has asked the store for since the last look.
    fn asked(&self) -> Vec<Missing> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn sign_in_there(&self) -> (TokenPair, Arc<Principal>) {
        let pair = self.there.login().await;
        let principal = self.there.core.verify_access(pair.access.text.expose()).unwrap();
        (pair, principal)
    }
}

#[tokio::test]
async fn an_account_made_elsewhere_is_asked_for_once() {
    let replicas = Replicas::new().await;
    let (pair, _) = replicas.sign_in_there().await;
    let ann = replicas.ann().id;
    for asked in [vec![Missing::Account(ann)], vec![]] {
        let judged = replicas.here.verify_or_load_access(pair.access.text.expose()).await.unwrap();
        assert_eq!(judged.account_id(), ann);
        assert_eq!(replicas.asked(), asked);
    }
}

#[tokio::test]
async fn the_account_of_a_refresh_token_is_asked_for_when_memory_lacks_it() {
    let replicas = Replicas::new().await;
    let (pair, _) = replicas.sign_in_there().await;
    let (_, renewed) = replicas.here.refresh(pair.refresh.expose(), ROTATING).await.unwrap();
    assert_eq!(replicas.asked(), [Missing::Account(replicas.ann().id)]);
    replicas.here.refresh(renewed.refresh.expose(), ROTATING).await.unwrap();
    assert_eq!(replicas.asked(), []);
}

#[tokio::test]
async fn an_account_that_no_gateway_knows_is_refused() {
    let replicas = Replicas::new().await;
    let (pair, _) = replicas.sign_in_there().await;
    let (store, now) = (replicas.there.core.store(), replicas.here.clock().now());
    let ann = replicas.ann().id;
    store.delete_account(ann, Administration::MayEnd, now).await.unwrap();
    let judged = replicas.here.verify_or_load_access(pair.access.text.expose()).await;
    assert_eq!(refusal(judged), Some(Refusal::UserUnknown));
    let refreshed = replicas.here.refresh(pair.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(refreshed), Some(Refusal::UserUnknown));
    assert_eq!(replicas.asked(), [Missing::Account(ann); 2]);
}

/// Both, or either, may be new.
#[tokio::test]
async fn a_membership_made_elsewhere_is_asked_for() {
    let replicas = Replicas::new().await;
    replicas.join().await;
    let (_, principal) = replicas.sign_in_there().await;
    let switched = replicas.there.core.switch_workspace(&principal, replicas.workspace, ROTATING);
    let (ann, scoped) = switched.await.unwrap();
    let member = Missing::Member(replicas.workspace, ann.id);
    let text = scoped.text.expose();
    replicas.here.verify_or_load_access(text).await.unwrap();
    assert_eq!(replicas.asked(), [Missing::Account(ann.id), member]);
    replicas.here.standing.put_member(replicas.workspace, ann.id, None);
    let judged = replicas.here.verify_or_load_access(text).await.unwrap();
    assert_eq!(judged.workspace.as_ref().map(|known| &*known.role), Some("writer"));
    assert_eq!(replicas.asked(), [member]);
}

#[tokio::test]
async fn a_token_scoped_to_a_workspace_that_was_left_is_refused_wherever_it_was_left() {
    let replicas = Replicas::new().await;
    replicas.join().await;
    let (_, principal) = replicas.sign_in_there().await;
    let switched = replicas.there.core.switch_workspace(&principal, replicas.workspace, ROTATING);
    let (ann, scoped) = switched.await.unwrap();
    let store = replicas.there.core.store();
    store.set_member(replicas.workspace, ann.id, None).await.unwrap();
    for _ in 0..2 {
        let judged = replicas.here.verify_or_load_access(scoped.text.expose()).await;
        assert_eq!(refusal(judged), Some(Refusal::WorkspaceLeft));
    }
}

#[tokio::test]
async fn a_token_is_scoped_to_a_workspace_that_was_joined_elsewhere() {
    let replicas = Replicas::new().await;
    let (_, principal) = replicas.sign_in_there().await;
    let ann = principal.account_id();
    replicas.learn(Missing::Account(ann));
    let switch = || replicas.here.switch_workspace(&principal, replicas.workspace, ROTATING);
    let early = switch().await;
    assert!(matches!(early, Err(Error::Unknown(Entity::Workspace))), "{early:?}");
    replicas.join().await;
    switch().await.unwrap();
    let member = Missing::Member(replicas.workspace, ann);
    assert_eq!(replicas.asked(), [member; 2]);
    switch().await.unwrap();
    assert_eq!(replicas.asked(), [], "it is known now");
}

#[tokio::test]
async fn a_ticket_on_an_account_as_memory_has_it_asks_for_nothing() {
    let replicas = Replicas::new().await;
    let by_password =
        replicas.there.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    replicas.learn(Missing::Account(by_password.account_id()));
    let ticket = replicas.there.core.issue_ticket(&by_password).await.unwrap();
    replicas.here.redeem_ticket(ticket.expose()).await.unwrap();
    assert_eq!(replicas.asked(), []);
}

#[tokio::test]
async fn a_ticket_issued_after_a_change_that_memory_has_not_heard_of_is_redeemed() {
    let replicas = Replicas::new().await;
    let ann = replicas.ann().id;
    replicas.learn(Missing::Account(ann));
    replicas.there.core.reset_password(ann, "set by an administrator".into()).await.unwrap();
    let new = Secret::from("set by an administrator");
    let by_password = replicas.there.core.verify_basic("ann", &new, HERE).await.unwrap();
    let ticket = replicas.there.core.issue_ticket(&by_password).await.unwrap();
    let redeemed = replicas.here.redeem_ticket(ticket.expose()).await.unwrap();
    assert_eq!(redeemed.account.version, replicas.ann().version);
    assert_eq!(replicas.asked(), [Missing::Account(ann)]);
}

/// Memory can hear of a change before the store has dropped the ticket.
#[tokio::test]
async fn a_ticket_from_before_a_change_that_memory_knows_is_refused_without_asking() {
    let replicas = Replicas::new().await;
    let by_password =
        replicas.there.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ticket = replicas.there.core.issue_ticket(&by_password).await.unwrap();
    let ann = replicas.ann();
    replicas.here.standing.put_account(Account { version: ann.version + 1, ..(*ann).clone() });
    let redeemed = replicas.here.redeem_ticket(ticket.expose()).await;
    assert_eq!(refusal(redeemed), Some(Refusal::TicketUnknown));
    assert_eq!(replicas.asked(), []);
}

#[tokio::test]
async fn a_key_made_elsewhere_is_asked_for_by_its_digest() {
    let replicas = Replicas::new().await;
    let owner = replicas.ann().id;
    let new = NewKey { owner, name: "ci".into(), server: None, scopes: Vec::new(), expires: None };
    let (key, text) = replicas.there.core.create_key(new).await.unwrap();
    for asked in [vec![Missing::Key(key.digest)], vec![]] {
        replicas.here.verify_or_load_key(text.expose()).await.unwrap();
        assert_eq!(replicas.asked(), asked);
    }
    replicas.there.core.store().delete_key(key.id, None).await.unwrap();
    replicas.here.standing.remove_key(&key.digest);
    let judged = replicas.here.verify_or_load_key(text.expose()).await;
    assert_eq!(refusal(judged), Some(Refusal::KeyUnknown));
}
