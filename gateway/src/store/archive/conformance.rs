//! What every archive must do. Each test gets an empty one; `conformance!` makes the
//! whole suite for one way of opening it.

use uuid::Uuid;

use super::{Archive, Clash, Entry, Kind, Written, is_empty};
use crate::auth::account::{Account, AccountId, HashedPassword, PersonName, Username};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use crate::auth::server::{Server, ServerId};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{Minted, SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::conformance::client;

/// Later than any run of these tests: a store may drop what is over.
const NOW: Timestamp = Timestamp(4_000_000_000_000);

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn account(number: u128) -> Account {
    Account {
        email: Some(format!("user{number}@example.com")),
        email_verified: true,
        name: PersonName::in_parts("A", "User"),
        github: Some(u64::try_from(number).unwrap()),
        password: Some(HashedPassword("a hash".to_owned())),
        last_sign_in: Some(NOW),
        ..Account::new(
            AccountId(id(number)),
            Username::parse(&format!("User{number}")).unwrap(),
            NOW,
        )
    }
    .known_from(Source::V4(7), NOW)
}

/// A record of each kind, for the account of this number.
pub(crate) fn one_of_each(number: u128) -> Vec<Entry> {
    let owner = AccountId(id(number));
    let (server, workspace) = (ServerId(id(number + 100)), WorkspaceId(id(number + 200)));
    let (session, key) = (SessionId(id(number + 300)), KeyId(id(number + 400)));
    let (access, refresh) = (TokenId(id(number + 500)), TokenId(id(number + 600)));
    let expires = NOW.plus(Seconds(60));
    vec![
        Entry::Account(account(number)),
        Entry::Server(Server {
            id: server,
            name: "web".to_owned(),
            owner: Some(owner),
            created: NOW,
        }),
        Entry::Workspace(Workspace { id: workspace, name: "Science".to_owned(), created: NOW }),
        Entry::Member { workspace, account: owner, role: "chair".to_owned() },
        Entry::Session(Session {
            id: session,
            account: owner,
            created: NOW,
            expires,
            current: Minted { access, refresh, issued_at: NOW, access_ttl: 60 },
            replaced: Some((TokenId(id(number + 700)), NOW)),
            client: Some(client()),
            last_used: Some(NOW),
        }),
        Entry::Key(ApiKey {
            id: key,
            owner,
            name: "ci".to_owned(),
            shown: "sk_live_".to_owned(),
            digest: [u8::try_from(number).unwrap(); 32],
            server: Some(server),
            scopes: vec!["deploy".to_owned()],
            created: NOW,
            expires: None,
            superseded: AtomicTimestamp::default(),
            last_used: AtomicTimestamp::default(),
        }),
        Entry::KeyUse { key, at: NOW },
        Entry::RevokedToken { token: TokenId(id(number + 800)), expires },
        Entry::EndedSession { session: SessionId(id(number + 900)), expires },
    ]
}

pub(crate) async fn everything(archive: &dyn Archive, limit: usize) -> Vec<Entry> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut last: Option<Entry> = None;
        loop {
            let page = archive.read(kind, last.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit && page.iter().all(|entry| entry.kind() == kind));
            all.extend(page.iter().cloned());
            let ended = page.len() < limit;
            last = page.into_iter().next_back();
            if ended {
                break;
            }
        }
    }
    all
}

/// Records of three accounts, by kind.
fn three_of_each() -> Vec<Entry> {
    let mut entries: Vec<Entry> = [1, 2, 3].into_iter().flat_map(one_of_each).collect();
    entries.sort_by_key(Entry::kind);
    entries
}

pub(crate) async fn what_is_written_is_read_in_pages_of_any_length(archive: &dyn Archive) {
    assert!(is_empty(archive).await.unwrap());
    assert_eq!(everything(archive, 2).await, []);
    let mut entries = three_of_each();
    // A second member in one workspace.
    let (workspace, role) = (WorkspaceId(id(201)), "member".to_owned());
    entries.push(Entry::Member { workspace, account: AccountId(id(3)), role });
    entries.sort_by_key(|entry| (entry.kind(), entry.id()));
    assert_eq!(archive.write(&entries).await.unwrap(), Written::Added(28));
    for limit in [1, 2, 3, 500] {
        assert_eq!(everything(archive, limit).await, entries, "in pages of {limit}");
    }
    assert!(!is_empty(archive).await.unwrap());
}

pub(crate) async fn what_is_there_is_passed_over(archive: &dyn Archive) {
    archive.write(&one_of_each(1)).await.unwrap();
    assert_eq!(archive.write(&one_of_each(1)).await.unwrap(), Written::Added(0));
    // Its account has signed in from elsewhere meanwhile.
    let later = NOW.plus(Seconds(5));
    let moved = Account { last_sign_in: Some(later), ..account(1) };
    let moved = Entry::Account(moved.known_from(Source::V4(8), later));
    assert_eq!(archive.write(&[moved]).await.unwrap(), Written::Added(0));
    // And its session was used.
    for entry in one_of_each(1) {
        if let Entry::Session(session) = entry {
            let used = Session { last_used: Some(later), ..session };
            let written = archive.write(&[Entry::Session(used)]).await.unwrap();
            assert_eq!(written, Written::Added(0));
        }
    }
    assert_eq!(archive.write(&three_of_each()).await.unwrap(), Written::Added(18));
    assert_eq!(archive.write(&three_of_each()).await.unwrap(), Written::Added(0));
    assert_eq!(everything(archive, 500).await, three_of_each());
}

pub(crate) async fn nothing_is_written_beside_what_clashes(archive: &dyn Archive) {
    archive.write(&one_of_each(1)).await.unwrap();
    let before = everything(archive, 500).await;
    let later = Timestamp(NOW.0 + 1);
    let mut clashes: Vec<(Entry, Clash)> = vec![(
        Entry::Account(Account { username: Username::parse("user1").unwrap(), ..account(4) }),
        Clash::NameTaken("user1".to_owned()),
    )];
    for entry in one_of_each(1) {
        let changed = match entry {
            Entry::Account(account) => Entry::Account(Account { version: 9, ..account }),
            Entry::Server(server) => Entry::Server(Server { created: later, ..server }),
            Entry::Workspace(known) => Entry::Workspace(Workspace { created: later, ..known }),
            Entry::Member { workspace, account, .. } => {
                Entry::Member { workspace, account, role: "other".to_owned() }
            }
            Entry::Session(session) => Entry::Session(Session { expires: later, ..session }),
            Entry::Key(key) => Entry::Key(ApiKey { created: later, ..key }),
            Entry::KeyUse { key, .. } => Entry::KeyUse { key, at: later },
            Entry::RevokedToken { token, .. } => Entry::RevokedToken { token, expires: later },
            Entry::EndedSession { session, .. } => Entry::EndedSession { session, expires: later },
            // It says nothing that could differ.
            Entry::RegistrationClosed => continue,
        };
        clashes.push((changed, Clash::Different));
    }
    for entry in one_of_each(5) {
        if let Some((kind, missing)) = entry.refers_to().first() {
            clashes.push((entry, Clash::Missing(*kind, *missing)));
        }
    }
    for (entry, clash) in clashes {
        let beside = Entry::Account(account(2));
        let written = archive.write(&[beside, entry.clone()]).await.unwrap();
        assert_eq!(written, Written::Refused { index: 1, clash }, "{entry}");
        assert_eq!(everything(archive, 500).await, before, "{entry}");
    }
}

pub(crate) async fn a_closed_registration_is_one_record(archive: &dyn Archive) {
    let closed = [Entry::RegistrationClosed];
    assert_eq!(archive.write(&closed).await.unwrap(), Written::Added(1));
    assert_eq!(archive.write(&closed).await.unwrap(), Written::Added(0));
    for limit in [1, 500] {
        assert_eq!(everything(archive, limit).await, closed, "in pages of {limit}");
    }
}

macro_rules! archive_conformance {
    ($open:expr) => {
        $crate::store::archive::conformance::archive_conformance!($open,
            what_is_written_is_read_in_pages_of_any_length,
            what_is_there_is_passed_over,
            nothing_is_written_beside_what_clashes,
            a_closed_registration_is_one_record,
        );
    };
    ($open:expr, $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let archive = $open.await;
                $crate::store::archive::conformance::$name(&archive).await;
            }
        )+
    };
}
pub(crate) use archive_conformance;
