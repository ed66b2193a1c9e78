//! Accounts: what becomes of one, and of what it has opened.

use proptest::prelude::*;

use super::*;
use crate::auth::password::Unacceptable;

fn remove(name: &str) -> Request {
    Request::RemoveUser { user: named(name) }
}

fn set_password(name: &str, password: &str) -> Request {
    Request::SetPassword { user: named(name), password: Hidden(password.to_owned()) }
}

fn import(names: &[&str], roles: &[&str]) -> Request {
    let import = |name: &&str| Import { name: (*name).to_owned(), hash: Hidden(HASH.to_owned()) };
    Request::ImportUsers { users: names.iter().map(import).collect(), roles: texts(roles) }
}

#[tokio::test]
async fn a_user_who_is_added_signs_in_by_the_name_and_by_the_address() {
    let bench = Bench::with_ann().await;
    for name in ["ann", "ANN", "ann@example.com", "Ann@Example.com"] {
        bench.sign_in(name).await.unwrap();
    }
    let ann = bench.show("ann").await;
    assert_eq!((ann.username.as_str(), ann.email.as_deref()), ("ann", Some("ann@example.com")));
    assert_eq!((ann.roles, ann.state), (texts(&["user"]), State::Enabled));
}

/// Whoever enters an address answers for it.
#[tokio::test]
async fn the_address_of_an_added_user_is_verified_if_there_is_one() {
    let bench = Bench::new();
    for (name, email, expected) in [
        ("ann", Some("ann@example.com"), Some("ann@example.com")),
        ("ben", None, None),
        ("cat@example.com", None, Some("cat@example.com")),
    ] {
        let email = email.map(str::to_owned);
        let added = bench.ask(Request::AddUser(NewUser { email, ..new_user(name) })).await;
        let user = made_user(added.unwrap());
        assert_eq!(user.email.as_deref(), expected, "{name}");
        assert_eq!(user.email_verified, expected.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_user_is_added_with_the_roles_and_the_names_that_are_given() {
    let bench = Bench::new();
    let new = NewUser {
        roles: texts(&["ops", "admin"]),
        full_name: Some("Ann Lee".to_owned()),
        first_name: Some("Ann".to_owned()),
        last_name: Some("Lee".to_owned()),
        ..new_user("ann")
    };
    let made = made_user(bench.ask(Request::AddUser(new)).await.unwrap());
    assert_eq!(made.roles, ["ops", "admin"]);
    assert_eq!(made.full_name.as_deref(), Some("Ann Lee"));
    assert_eq!(made.first_name.as_deref(), Some("Ann"));
    assert_eq!(made.last_name.as_deref(), Some("Lee"));
    assert_eq!(bench.account("ann").roles, ["ops", "admin"]);
}

#[tokio::test]
async fn a_name_or_an_address_that_somebody_has_is_given_to_nobody_else() {
    let bench = Bench::with_ann().await;
    for (name, email, taken) in [
        ("ann", None, Name::User),
        ("ANN", Some("other@example.com"), Name::User),
        ("other", Some("Ann@example.com"), Name::Email),
        ("ann@example.com", None, Name::Email),
    ] {
        let email = email.map(str::to_owned);
        let added = bench.ask(Request::AddUser(NewUser { email, ..new_user(name) })).await;
        match added {
            Err(Error::Taken(said)) => assert_eq!(said, taken, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(bench.core.standing().accounts().len(), 1);
}

#[tokio::test]
async fn a_user_who_breaks_a_rule_is_not_added() {
    let bench = Bench::new();
    let add = async |new| bench.ask(Request::AddUser(new)).await;
    let some = |text: &str| Some(text.to_owned());
    for name in ["", "a:b", "a b", "other@example.com", "01a22337-9cf9-71cb-92ce-f0761f7bf079"] {
        let new = NewUser { email: some("ann@example.com"), ..new_user(name) };
        assert_error!(add(new).await, Error::Name(Name::User));
    }
    let new = NewUser { email: some("ann@localhost"), ..new_user("ann") };
    assert_error!(add(new).await, Error::Name(Name::Email));
    let new = NewUser { full_name: some("Ann\nLee"), ..new_user("ann") };
    assert_error!(add(new).await, Error::Name(Name::Person));
    let new = NewUser { roles: texts(&["ops", "with space"]), ..new_user("ann") };
    assert_error!(add(new).await, Error::Name(Name::Role));
    let new = NewUser { password: Hidden("1234567".to_owned()), ..new_user("ann") };
    assert_error!(add(new).await, Error::Password(Unacceptable::TooShort));
    assert!(bench.core.standing().accounts().is_empty());
    add(new_user("ann")).await.unwrap();
}

#[tokio::test]
async fn a_user_is_found_by_id_name_and_address_and_else_not() {
    let bench = Bench::new();
    let ann = bench.add("ann").await;
    let names = [ann.to_string(), "ann".into(), "ANN".into(), "ann@example.com".into()];
    for who in names.map(Who::from) {
        match bench.ask(Request::ShowUser { user: who.clone() }).await {
            Ok(Reply::Found(Record::User(user))) => assert_eq!(user.id, ann, "{who}"),
            other => panic!("{who}: {other:?}"),
        }
    }
    for user in [Who::Id(NOBODY), named("nobody"), named("")] {
        assert_error!(bench.ask(Request::ShowUser { user }).await, Error::Unknown(Entity::Account));
    }
}

#[tokio::test]
async fn each_request_about_a_user_who_does_not_exist_is_refused() {
    let bench = Bench::with_ann().await;
    let user = || named("nobody");
    for request in [
        Request::ShowUser { user: user() },
        change_state("nobody", State::Disabled),
        set_password("nobody", "another horse"),
        remove("nobody"),
        Request::MakeResetLink { user: user(), mail: false },
        Request::ListSessions { user: Some(user()), page: Span::default() },
        Request::EndSessions { user: user() },
        Request::CreateKey(key_of("nobody")),
        Request::ListKeys { owner: Some(user()), server: None, page: Span::default() },
        Request::RevokeKeys { owner: user() },
        Request::AddServer { name: "web".to_owned(), owner: Some(user()) },
    ] {
        let said = format!("{request:?}");
        match bench.ask(request).await {
            Err(Error::Unknown(Entity::Account)) => {}
            other => panic!("{said}: {other:?}"),
        }
    }
    assert!(bench.core.standing().servers().is_empty());
}

/// As another gateway on the store has removed him just now.
#[tokio::test]
async fn a_user_whom_memory_alone_still_has_does_not_exist() {
    let bench = Bench::with_ann().await;
    let username = crate::auth::account::Username::parse("ben").unwrap();
    let ben = Account::new(AccountId(NOBODY), username, bench.core.clock().now());
    bench.core.standing().put_account(ben);
    let server = bench.add_server("web", None).await;
    let workspace = bench.add_workspace("lab").await;
    for request in [
        change_state("ben", State::Disabled),
        set_password("ben", "another horse"),
        remove("ben"),
        Request::EndSessions { user: named("ben") },
        Request::CreateKey(key_of("ben")),
        Request::AddServer { name: "db".to_owned(), owner: Some(named("ben")) },
        Request::ChangeServer { id: server, name: None, owner: Owner::User(named("ben")) },
        Request::SetMember { workspace, user: named("ben"), role: "dev".to_owned() },
    ] {
        let said = format!("{request:?}");
        match bench.ask(request).await {
            Err(Error::Unknown(Entity::Account)) => {}
            other => panic!("{said}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn everything_of_a_disabled_user_is_refused_from_that_moment() {
    let bench = Bench::with_ann().await;
    let ben = bench.add("ben").await;
    let (pair, others) = (bench.sign_in("ann").await.unwrap(), bench.sign_in("ben").await.unwrap());
    let (key, text) = bench.add_key("ann", None).await;
    let principal = bench.verify(&pair).unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    bench.basic("ann", PASSWORD).await.unwrap();
    bench.judge_key(&text).unwrap();
    bench.ask(change_state("ann", State::Disabled)).await.unwrap();
    assert_eq!(bench.judge(&pair), Err(Refusal::SessionEnded));
    assert_eq!(refusal(bench.refresh(&pair).await), Refusal::AccountDisabled);
    assert_eq!(bench.judge_key(&text), Err(Refusal::AccountDisabled));
    assert_eq!(refusal(bench.basic("ann", PASSWORD).await), Refusal::AccountDisabled);
    assert_eq!(refusal(bench.sign_in("ann").await.map(drop)), Refusal::AccountDisabled);
    bench.core.redeem_ticket(ticket.expose()).await.unwrap_err();
    assert_eq!(bench.judge(&others), Ok(()));
    let left: Vec<Uuid> = bench.sessions().await.iter().map(|session| session.user_id).collect();
    assert_eq!(left, [ben]);
    // Who is enabled again signs in anew, and has the keys.
    bench.ask(change_state("ann", State::Enabled)).await.unwrap();
    assert_eq!(bench.judge(&pair), Err(Refusal::SessionEnded));
    bench.judge_key(&text).unwrap();
    bench.sign_in("ann").await.unwrap();
    assert!(bench.core.standing().key_by_id(crate::auth::api_key::KeyId(key.id)).is_some());
}

#[tokio::test]
async fn disabling_or_enabling_twice_changes_nothing_more() {
    let bench = Bench::with_ann().await;
    bench.ask(change_state("ann", State::Disabled)).await.unwrap();
    let version = bench.account("ann").version;
    bench.ask(change_state("ann", State::Disabled)).await.unwrap();
    assert_eq!(bench.account("ann").version, version);
    bench.ask(change_state("ann", State::Enabled)).await.unwrap();
    let pair = bench.sign_in("ann").await.unwrap();
    bench.ask(change_state("ann", State::Enabled)).await.unwrap();
    assert_eq!(bench.judge(&pair), Ok(()));
}

#[tokio::test]
async fn what_a_change_does_not_name_stays() {
    let bench = Bench::new();
    bench.add_as("ann", &["ops"]).await;
    let pair = bench.sign_in("ann").await.unwrap();
    let seen = || {
        let ann = bench.account("ann");
        (ann.roles.join(" "), State::from(ann.state), ann.email_verified)
    };
    let nothing =
        Request::ChangeUser { user: named("ann"), roles: None, state: None, email_verified: None };
    bench.ask(nothing).await.unwrap();
    assert_eq!(seen(), ("ops".to_owned(), State::Enabled, true));
    bench.ask(change_verified("ann", false)).await.unwrap();
    assert_eq!(seen(), ("ops".to_owned(), State::Enabled, false));
    bench.ask(change_roles("ann", &["dev", "qa"])).await.unwrap();
    assert_eq!(seen(), ("dev qa".to_owned(), State::Enabled, false));
    assert_eq!(bench.judge(&pair), Ok(()), "no sign-in ends with these");
    bench.ask(change_state("ann", State::Disabled)).await.unwrap();
    assert_eq!(seen(), ("dev qa".to_owned(), State::Disabled, false));
    bench.ask(change_roles("ann", &[])).await.unwrap();
    assert_eq!(seen(), (String::new(), State::Disabled, false), "none is not the default one");
}

#[tokio::test]
async fn a_change_tells_what_is_now_and_which_roles_were() {
    let bench = Bench::new();
    bench.add_as("ann", &["ops"]).await;
    bench.sign_in("ann").await.unwrap();
    for (roles, former) in [(["dev"], "ops"), (["qa"], "dev")] {
        match bench.ask(change_roles("ann", &roles)).await.unwrap() {
            Reply::Changed { user: Record::User(user), former_roles } => {
                assert_eq!(
                    (user.roles.as_slice(), former_roles),
                    (&texts(&roles)[..], texts(&[former]))
                );
                assert_eq!(user.last_sign_in.as_deref(), Some("2027-01-15T08:00:00.000Z"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_changes_nothing() {
    let bench = Bench::with_ann().await;
    let change = Request::ChangeUser {
        user: named("ann"),
        roles: Some(texts(&["ops", "with space"])),
        state: Some(State::Disabled),
        email_verified: Some(false),
    };
    assert_error!(bench.ask(change).await, Error::Name(Name::Role));
    bench.ask(Request::AddUser(new_user("ben"))).await.unwrap();
    let change = Request::ChangeUser {
        user: named("ben"),
        roles: None,
        state: Some(State::Disabled),
        email_verified: Some(true),
    };
    assert_error!(bench.ask(change).await, Error::Unknown(Entity::Email));
    for name in ["ann", "ben"] {
        assert_eq!(bench.show(name).await.state, State::Enabled, "{name}");
    }
    // That nobody vouches for no address is true already.
    bench.ask(change_verified("ben", false)).await.unwrap();
}

/// Whom a client locks out with himself, nobody lets in again.
#[tokio::test]
async fn a_client_cannot_end_the_last_administrator_and_an_operator_can() {
    let bench = Bench::new();
    bench.add_as("ann", &["admin"]).await;
    bench.add_as("ben", &["admin"]).await;
    bench.add("cat").await;
    bench.ask_as_client(change_state("ben", State::Disabled)).await.unwrap();
    let ends =
        || [change_state("ann", State::Disabled), change_roles("ann", &["user"]), remove("ann")];
    for request in ends() {
        assert_error!(bench.ask_as_client(request).await, Error::LastAdministrator);
    }
    let ann = bench.account("ann");
    assert!(ann.administers());
    // What leaves her one is not refused, nor what ends somebody else.
    bench.ask_as_client(change_roles("ann", &["ops", "admin"])).await.unwrap();
    bench.ask_as_client(change_state("cat", State::Disabled)).await.unwrap();
    bench.ask_as_client(remove("cat")).await.unwrap();
    bench.ask_as_client(change_state("ben", State::Enabled)).await.unwrap();
    bench.ask_as_client(change_roles("ann", &["user"])).await.unwrap();
    bench.ask_as_client(remove("ann")).await.unwrap();
    assert_error!(bench.ask_as_client(remove("ben")).await, Error::LastAdministrator);
    bench.ask(change_roles("ben", &["user"])).await.unwrap();
    bench.ask(change_roles("ben", &["admin"])).await.unwrap();
    bench.ask(change_state("ben", State::Disabled)).await.unwrap();
    bench.ask(change_state("ben", State::Enabled)).await.unwrap();
    bench.ask(remove("ben")).await.unwrap();
    assert!(bench.core.standing().accounts().is_empty());
}

#[tokio::test]
async fn addresses_are_verified_of_all_who_have_one_and_each_is_told_once() {
    let bench = Bench::new();
    let (ann, ben, cat) = (bench.add("ann").await, bench.add("ben").await, bench.add("cat").await);
    bench.ask(Request::AddUser(new_user("dan"))).await.unwrap();
    let dan = bench.account("dan").id.0;
    for name in ["ann", "ben"] {
        bench.ask(change_verified(name, false)).await.unwrap();
    }
    for expected in [&["ann", "ben"][..], &[]] {
        let users = vec![ben, ann, cat, dan, NOBODY];
        match bench.ask(Request::VerifyUsers { users }).await.unwrap() {
            Reply::Verified { users } => assert_eq!(users, expected),
            other => panic!("{other:?}"),
        }
    }
    for (name, verified) in [("ann", true), ("ben", true), ("cat", true), ("dan", false)] {
        assert_eq!(bench.account(name).email_verified, verified, "{name}");
    }
}

#[tokio::test]
async fn a_password_that_is_set_ends_all_sessions_of_that_user_and_no_key() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let pairs = [bench.sign_in("ann").await.unwrap(), bench.sign_in("ann").await.unwrap()];
    let other = bench.sign_in("ben").await.unwrap();
    let (_, key) = bench.add_key("ann", None).await;
    bench.basic("ann", PASSWORD).await.unwrap();
    let set = bench.ask(set_password("ann", "another horse")).await;
    assert!(matches!(set, Ok(Reply::Done)), "{set:?}");
    for pair in &pairs {
        assert_eq!(bench.judge(pair), Err(Refusal::SessionEnded));
        assert_eq!(refusal(bench.refresh(pair).await), Refusal::SessionEnded);
    }
    assert_eq!(refusal(bench.basic("ann", PASSWORD).await), Refusal::PasswordWrong);
    bench.basic("ann", "another horse").await.unwrap();
    bench.judge_key(&key).unwrap();
    assert_eq!(bench.judge(&other), Ok(()));
}

#[tokio::test]
async fn a_password_that_may_not_be_set_leaves_the_old_one() {
    let bench = Bench::with_ann().await;
    let pair = bench.sign_in("ann").await.unwrap();
    for (password, why) in [
        ("1234567", Unacceptable::TooShort),
        (&"x".repeat(73), Unacceptable::TooLong),
        ("12345678\0", Unacceptable::HoldsNul),
    ] {
        match bench.ask(set_password("ann", password)).await {
            Err(Error::Password(said)) => assert_eq!(said, why),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.judge(&pair), Ok(()));
    bench.basic("ann", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn with_a_user_go_sessions_keys_and_memberships_and_no_server() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let server = bench.add_server("web", Some("ann")).await;
    let workspace = bench.add_workspace("lab").await;
    for name in ["ann", "ben"] {
        let (user, role) = (named(name), "dev".to_owned());
        bench.ask(Request::SetMember { workspace, user, role }).await.unwrap();
    }
    let pair = bench.sign_in("ann").await.unwrap();
    let (mine, mine_text) = bench.add_key("ann", Some(server)).await;
    let (_, other) = bench.add_key("ben", Some(server)).await;
    let removed = bench.ask(remove("ann")).await;
    assert!(matches!(removed, Ok(Reply::Done)), "{removed:?}");
    bench.judge(&pair).unwrap_err();
    bench.refresh(&pair).await.unwrap_err();
    assert_eq!(bench.judge_key(&mine_text), Err(Refusal::KeyUnknown));
    assert_eq!(refusal(bench.basic("ann", PASSWORD).await), Refusal::UserUnknown);
    assert_error!(bench.ask(Request::ShowKey { id: mine.id }).await, Error::Unknown(Entity::Key));
    assert!(bench.sessions().await.is_empty());
    bench.judge_key(&other).unwrap();
    let servers = bench.core.standing().servers();
    let [left] = servers.as_slice() else { panic!("{servers:?}") };
    assert_eq!((left.id.0, left.owner), (server, None), "it is nobody's now");
    let members = bench.page(Request::ListMembers { workspace, page: Span::default() }).await;
    let [Record::Member(member)] = &members.items[..] else { panic!("{members:?}") };
    assert_eq!(member.username, "ben");
    assert_error!(bench.ask(remove("ann")).await, Error::Unknown(Entity::Account));
}

#[tokio::test]
async fn the_name_of_a_user_who_was_removed_is_free_and_opens_nothing_of_the_former() {
    let bench = Bench::new();
    let former = bench.add("ann").await;
    let pair = bench.sign_in("ann").await.unwrap();
    bench.ask(remove("ann")).await.unwrap();
    let now = bench.add("ann").await;
    assert_ne!(former, now);
    bench.judge(&pair).unwrap_err();
    bench.refresh(&pair).await.unwrap_err();
    assert_eq!(bench.show("ann").await.last_sign_in, None);
}

#[tokio::test]
async fn who_is_imported_keeps_the_hash_and_who_is_there_already_everything() {
    let bench = Bench::with_ann().await;
    let before = bench.account("ann");
    let request = import(&["cat@example.com", "ANN", "ben", "ann@example.com", "Ben"], &[]);
    match bench.ask(request).await.unwrap() {
        Reply::Imported { added, present } => {
            assert_eq!(added.len(), 2, "{added:?}");
            assert_eq!(added[1], "cat@example.com");
            assert!(added[0].eq_ignore_ascii_case("ben"), "{added:?}");
            assert_eq!(present.len(), 3);
            assert!(present.is_sorted() && added.is_sorted());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(*bench.account("ann"), *before);
    let (ben, cat) = (bench.account("ben"), bench.account("cat@example.com"));
    for account in [&ben, &cat] {
        assert_eq!(account.password.as_ref().map(|hash| hash.0.as_str()), Some(HASH));
        assert_eq!(account.roles, ["user"]);
    }
    assert_eq!((ben.email.as_deref(), ben.email_verified), (None, false));
    assert_eq!((cat.email.as_deref(), cat.email_verified), (Some("cat@example.com"), true));
}

#[tokio::test]
async fn who_is_imported_gets_the_roles_that_are_given() {
    let bench = Bench::new();
    bench.ask(import(&["ann", "ben"], &["ops", "dev"])).await.unwrap();
    assert_eq!(bench.account("ann").roles, ["ops", "dev"]);
    assert_eq!(bench.account("ben").roles, ["ops", "dev"]);
}

#[tokio::test]
async fn one_that_cannot_be_imported_keeps_all_out() {
    let bench = Bench::new();
    let nobody = || assert!(bench.core.standing().accounts().is_empty());
    assert_error!(bench.ask(import(&["ann"], &["with space"])).await, Error::Name(Name::Role));
    nobody();
    assert_error!(bench.ask(import(&["ann", "a:b"], &[])).await, Error::Name(Name::User));
    nobody();
    let entry = |name: &str, hash: &str| Import { name: name.into(), hash: Hidden(hash.into()) };
    for hash in ["", PASSWORD, "$6$salt$hash", "{SHA}hash", &HASH[..40]] {
        let users = vec![entry("ann", HASH), entry("ben", hash)];
        let imported = bench.ask(Request::ImportUsers { users, roles: Vec::new() }).await;
        assert_error!(imported, Error::Password(Unacceptable::ForeignHash));
        nobody();
    }
    bench.ask(import(&["ann"], &[])).await.unwrap();
}

#[tokio::test]
async fn a_user_is_shown_with_the_last_sign_in_and_known_addresses() {
    let bench = Bench::with_ann().await;
    let ann = bench.show("ann").await;
    assert_eq!((ann.last_sign_in, ann.known_addresses, ann.last_noted), (None, None, None));
    bench.pass(60);
    bench.sign_in("ann").await.unwrap();
    bench.core.record_success(&bench.account("ann"), HERE).await;
    bench.pass(60);
    let ann = bench.show("ann").await;
    let at = Some("2027-01-15T08:01:00.000Z");
    assert_eq!((ann.last_sign_in.as_deref(), ann.last_noted.as_deref()), (at, at));
    assert_eq!(ann.known_addresses, Some(1));
    // A month later that address is one of a stranger.
    bench.pass(30 * 86_400);
    let ann = bench.show("ann").await;
    assert_eq!((ann.known_addresses, ann.last_noted), (None, None));
}

#[tokio::test]
async fn users_are_listed_from_memory_while_the_store_does_not_answer() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    bench.sign_in("ann").await.unwrap();
    let sign_ins = async || {
        let page = bench.page(Request::ListUsers { page: Span::default() }).await;
        let shown = page.items.into_iter().map(|record| match record {
            Record::User(user) => (user.username, user.last_sign_in.is_some()),
            other => panic!("{other:?}"),
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(sign_ins().await, [("ann".to_owned(), true), ("ben".to_owned(), false)]);
    bench.store.lose(true);
    assert_eq!(sign_ins().await, [("ann".to_owned(), false), ("ben".to_owned(), false)]);
    assert_eq!(bench.show("ann").await.last_sign_in, None);
}

#[tokio::test]
async fn nothing_is_changed_while_the_store_takes_no_changes() {
    let bench = Bench::with_ann().await;
    let pair = bench.sign_in("ann").await.unwrap();
    bench.store.refuse_changes(true);
    for request in [
        Request::AddUser(new_user("ben")),
        import(&["ben"], &[]),
        change_state("ann", State::Disabled),
        set_password("ann", "another horse"),
        remove("ann"),
        Request::EndSessions { user: named("ann") },
        Request::CreateKey(key_of("ann")),
        Request::SetRegistration { state: Registering::Closed },
    ] {
        let said = format!("{request:?}");
        match bench.ask(request).await {
            Err(Error::Store(crate::auth::error::StoreError::Unavailable(_))) => {}
            other => panic!("{said}: {other:?}"),
        }
    }
    bench.store.refuse_changes(false);
    assert_eq!(bench.judge(&pair), Ok(()));
    bench.basic("ann", PASSWORD).await.unwrap();
    assert!(bench.core.standing().account_by_name("ben").is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Add(String, Option<String>),
    Import(Vec<String>),
    Invite(String, Option<String>),
    Remove(String),
    State(String, bool),
}

/// Few names in either case, so that they meet.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || "[abAB](@e\\.x)?";
    let email = || "[abAB]@e\\.x";
    let step = prop_oneof![
        (name(), proptest::option::of(email())).prop_map(|(name, email)| Step::Add(name, email)),
        proptest::collection::vec(name(), 1..4).prop_map(Step::Import),
        (email(), proptest::option::of(name())).prop_map(|(email, name)| Step::Invite(email, name)),
        name().prop_map(Step::Remove),
        (name(), any::<bool>()).prop_map(|(name, disabled)| Step::State(name, disabled)),
    ];
    proptest::collection::vec(step, 1..24)
}

async fn take(bench: &Bench, step: Step) -> Result<Reply, Error> {
    let request = match step {
        Step::Add(name, email) => Request::AddUser(NewUser { email, ..new_user(&name) }),
        Step::Import(names) => {
            import(&names.iter().map(String::as_str).collect::<Vec<_>>(), &["ops"])
        }
        Step::Invite(email, name) => {
            Request::InviteUser(Invitation { email, name, roles: Vec::new(), mail: false })
        }
        Step::Remove(name) => remove(&name),
        Step::State(name, true) => change_state(&name, State::Disabled),
        Step::State(name, false) => change_state(&name, State::Enabled),
    };
    bench.ask(request).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_done_with_users_no_two_have_a_name_and_each_is_found_by_his(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            for step in steps {
                let before = bench.core.standing().accounts().len();
                let outcome = take(&bench, step).await;
                let after = bench.core.standing().accounts();
                if outcome.is_err() {
                    prop_assert_eq!(before, after.len());
                }
                let mut seen = BTreeMap::new();
                for account in &after {
                    for name in account.login_names() {
                        prop_assert_eq!(seen.insert(name.clone(), account.id), None, "{}", name);
                        let found = bench.core.standing().account_by_name(&name);
                        prop_assert_eq!(found.map(|found| found.id), Some(account.id));
                    }
                }
                let stored = bench.core.store().list_accounts(None, 99).await.unwrap();
                let stored: Vec<_> = stored.into_iter().map(|account| account.id).collect();
                prop_assert_eq!(stored, after.iter().map(|it| it.id).collect::<Vec<_>>());
            }
            Ok(())
        })?;
    }
}
