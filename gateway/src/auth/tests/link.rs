//! Links: good once, for what they were made for, until something changes.

use proptest::prelude::*;

use super::super::account::PersonName;
use super::super::error::{Entity, LinkFault, Name};
use super::super::link::LinkKind;
use super::*;

const NEW: &str = "a new password";

fn new_key(owner: AccountId) -> NewKey {
    NewKey { owner, name: "sleeper".to_owned(), server: None, scopes: Vec::new(), expires: None }
}

impl Bench {
    /// The account `bea`, who registered herself.
    async fn with_bea() -> (Self, Arc<Account>) {
        let bench = Self::new().await;
        let bea = Account {
            email: Some("bea@example.com".to_owned()),
            password: Some(HashedPassword("old password".to_owned())),
            ..Account::new(
                AccountId(bench.core.new_uuid()),
                Username::parse("bea").unwrap(),
                bench.core.clock.now(),
            )
        };
        bench.core.store_account(bea.clone()).await.unwrap();
        (bench, Arc::new(bea))
    }

    fn link(&self, account: &Account, kind: LinkKind) -> String {
        let made = self.core.make_link(account, kind).unwrap();
        made.url.expose().strip_prefix("https://gate.example/").unwrap().to_owned()
    }

    fn fault(&self, text: &str) -> Option<LinkFault> {
        match self.core.read_link(text) {
            Ok(_) => None,
            Err(Error::Link(fault)) => Some(fault),
            Err(other) => panic!("{other}"),
        }
    }

    async fn follow(&self, text: &str) -> Result<LinkKind, Error> {
        let followed = self.core.follow_link(text, Some(NEW.into())).await;
        followed.map(|(_, kind)| kind)
    }
}

#[tokio::test]
async fn a_link_sets_a_password_once() {
    let (bench, bea) = Bench::with_bea().await;
    let (link, other) =
        (bench.link(&bea, LinkKind::Password), bench.link(&bea, LinkKind::Password));
    assert_eq!(bench.follow(&link).await.unwrap(), LinkKind::Password);
    bench.core.login("bea", &NEW.into(), &CLIENT, ROTATING).await.unwrap();
    for spent in [link, other] {
        let again = bench.follow(&spent).await;
        assert!(matches!(again, Err(Error::Link(LinkFault::Spent))), "{again:?}");
    }
    assert!(!bench.core.standing.account(bea.id).unwrap().email_verified);
}

#[tokio::test]
async fn of_many_who_follow_a_link_at_once_one_sets_the_password() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Password);
    let attempts =
        (0..8).map(|number| {
            let (link, core) = (link.clone(), &bench.core);
            async move {
                core.follow_link(&link, Some(format!("password {number}").as_str().into())).await
            }
        });
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_invitation_sets_the_password_and_verifies_the_address() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Both);
    assert_eq!(bench.follow(&link).await.unwrap(), LinkKind::Both);
    assert!(bench.core.standing.account(bea.id).unwrap().email_verified);
}

#[tokio::test]
async fn an_address_is_verified_once_and_the_password_stays() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Address);
    assert_eq!(bench.follow(&link).await.unwrap(), LinkKind::Address);
    assert!(bench.core.standing.account(bea.id).unwrap().email_verified);
    assert_eq!(bench.fault(&link), Some(LinkFault::Spent));
    bench.core.login("bea", &"old password".into(), &CLIENT, ROTATING).await.unwrap();
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_its_account() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Password);
    bench.clock.0.fetch_add(86_400_000 - 1, Ordering::SeqCst);
    assert_eq!(bench.fault(&link), None);
    bench.clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(bench.fault(&link), Some(LinkFault::Expired));
    let link = bench.link(&bea, LinkKind::Password);
    let now = bench.core.clock.now();
    bench.core.store.set_state(bea.id, AccountState::Disabled, now).await.unwrap();
    assert_eq!(bench.fault(&link), Some(LinkFault::Spent));
    bench.core.store.set_state(bea.id, AccountState::Enabled, now).await.unwrap();
    assert_eq!(bench.fault(&link), Some(LinkFault::Spent));
    let administration = super::super::ports::Administration::MayEnd;
    bench.core.store.delete_account(bea.id, administration, now).await.unwrap();
    assert_eq!(bench.fault(&link), Some(LinkFault::Spent));
}

/// Whoever set up the account need not be who the address belongs to.
#[tokio::test]
async fn a_link_that_came_to_an_address_ends_the_keys_made_before_it_was_verified() {
    for (kind, left) in [(LinkKind::Password, 1), (LinkKind::Both, 0)] {
        let (bench, bea) = Bench::with_bea().await;
        let (key, text) = bench.core.create_key(new_key(bea.id)).await.unwrap();
        bench.core.verify_or_load_key(text.expose()).await.unwrap();
        bench.follow(&bench.link(&bea, kind)).await.unwrap();
        assert_eq!(
            bench.core.verify_or_load_key(text.expose()).await.is_ok(),
            left == 1,
            "{kind:?}"
        );
        assert_eq!(bench.core.standing.keys(Some(key.owner)).len(), left);
    }
}

#[tokio::test]
async fn an_address_that_is_no_longer_vouched_for_is_not_verified_by_the_same_link() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Address);
    bench.follow(&link).await.unwrap();
    let now = bench.core.clock.now();
    let administration = super::super::ports::Administration::MayEnd;
    let change = super::super::ports::AccountChange::of(bea.id, administration, now);
    let doubted = super::super::ports::AccountChange { email_verified: Some(false), ..change };
    bench.core.store.change_account(doubted).await.unwrap();
    assert_eq!(bench.fault(&link), Some(LinkFault::Spent));
}

#[tokio::test]
async fn a_name_that_reads_as_an_id_is_nobodys() {
    let bench = Bench::new().await;
    let names = [
        "01a22337-9cf9-71cb-92ce-f0761f7bf079",
        "usr_agrcgn447fy4xewo6b3b667qpe",
        "USER_AGRCGN447FY4XEWO6B3B667QPE",
    ];
    for name in names {
        let refused = bench.core.unfinished_account(Some(name), None, PersonName::default());
        assert!(matches!(refused, Err(Error::Name(Name::User))), "{name}");
    }
    bench.core.unfinished_account(Some("usr_bea"), None, PersonName::default()).unwrap();
}

#[tokio::test]
async fn an_unacceptable_password_leaves_the_link_good() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Password);
    for password in [None, Some(Secret::from("short"))] {
        let refused = bench.core.follow_link(&link, password).await;
        assert!(matches!(refused, Err(Error::Password(Unacceptable::TooShort))), "{refused:?}");
    }
    bench.follow(&link).await.unwrap();
}

#[tokio::test]
async fn a_link_is_no_token() {
    let (bench, bea) = Bench::with_bea().await;
    let link = bench.link(&bea, LinkKind::Password);
    assert!(bench.core.verify_access(&link).is_err());
    let (_, pair) =
        bench.core.login("bea", &"old password".into(), &CLIENT, ROTATING).await.unwrap();
    assert_eq!(bench.fault(pair.access.text.expose()), Some(LinkFault::Malformed));
}

#[test]
fn no_other_text_than_the_link_itself_is_good() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, bea) = runtime.block_on(Bench::with_bea());
    let link = bench.link(&bea, LinkKind::Address);
    assert_eq!(bench.fault(&link), None);
    proptest!(|(at in 0..link.len(), byte in "[A-Za-z0-9_-]")| {
        let mut changed = link.clone();
        changed.replace_range(at..=at, &byte);
        if changed != link {
            prop_assert!(bench.fault(&changed).is_some());
        }
    });
    for text in ["", "AQID", &link[1..], &link[..link.len() - 1], &format!("{link}A")] {
        assert_eq!(bench.fault(text), Some(LinkFault::Malformed), "{text}");
    }
}

/// An unknown address costs the same and gets nothing.
#[tokio::test]
async fn a_message_is_handed_over_whether_or_not_the_address_is_known() {
    let (bench, _) = Bench::with_bea().await;
    for address in ["bea@example.com", "eve@example.com", "bea"] {
        bench.core.send_password_link(address).unwrap();
    }
    let sent = std::mem::take(&mut *bench.mails.0.lock().unwrap());
    let to: Vec<_> = sent.iter().map(|message| message.to.as_deref()).collect();
    assert_eq!(to, [Some("bea@example.com"), None, None]);
}

#[tokio::test]
async fn an_address_gets_three_messages_an_hour() {
    let (bench, _) = Bench::with_bea().await;
    let ask = || {
        bench.core.send_password_link("BEA@example.com").unwrap();
        bench.mails.0.lock().unwrap().pop().unwrap().to.is_some()
    };
    assert_eq!([ask(), ask(), ask(), ask()], [true, true, true, false]);
    bench.clock.0.fetch_add(3_600_000, Ordering::SeqCst);
    assert!(ask());
}

/// A queue that is full.
struct Full;

impl Mailer for Full {
    fn send(&self, _: Message) -> Result<(), Error> {
        Err(Error::MailBusy)
    }
}

/// Who made the link hands it over otherwise.
#[tokio::test]
async fn whether_a_link_of_an_administrator_is_on_its_way_is_told() {
    let (bench, bea) = Bench::with_bea().await;
    let send = |core: &Core, account: &Account| {
        let link = core.make_link(account, LinkKind::Password).unwrap();
        core.send_link(account, LinkKind::Password, link)
    };
    assert!(send(&bench.core, &bea));
    let sent = std::mem::take(&mut *bench.mails.0.lock().unwrap());
    let [message] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((message.to.as_deref(), &*message.account), (Some("bea@example.com"), "bea"));
    assert_eq!(message.kind, LinkKind::Password);
    let without = Account { email: None, ..(*bea).clone() };
    assert!(!send(&bench.core, &without));
    assert!(bench.mails.0.lock().unwrap().is_empty());
    for mailer in [None, Some(Arc::new(Full) as Arc<dyn Mailer>)] {
        let hasher = Arc::<Counting>::default();
        assert!(!send(&core_over(hasher, Arc::clone(&bench.clock), mailer), &bea));
    }
}

#[tokio::test]
async fn an_account_asks_for_a_link_to_its_own_unverified_address() {
    let (bench, bea) = Bench::with_bea().await;
    let taken = |bench: &Bench| std::mem::take(&mut *bench.mails.0.lock().unwrap());
    bench.core.send_address_link(&bea).unwrap();
    let sent = taken(&bench);
    let [message] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((message.to.as_deref(), message.kind), (Some("bea@example.com"), LinkKind::Address));
    let url = message.link.url.expose();
    assert_eq!(bench.fault(url.strip_prefix("https://gate.example/").unwrap()), None);
    for nothing_to_verify in [
        Account { email_verified: true, ..(*bea).clone() },
        Account { email: None, ..(*bea).clone() },
    ] {
        let refused = bench.core.send_address_link(&nothing_to_verify);
        assert!(matches!(refused, Err(Error::Unknown(Entity::Email))), "{refused:?}");
    }
    assert!(taken(&bench).is_empty());
    for (mailer, busy) in [(None, false), (Some(Arc::new(Full) as Arc<dyn Mailer>), true)] {
        let core = core_over(Arc::<Counting>::default(), Arc::clone(&bench.clock), mailer);
        match core.send_address_link(&bea) {
            Err(Error::MailDisabled) => assert!(!busy),
            Err(Error::MailBusy) => assert!(busy),
            other => panic!("{other:?}"),
        }
    }
}
