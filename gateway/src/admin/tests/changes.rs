//! What is audited: one line for each change, about whom, and what of it.

use super::super::change::Change;
use super::*;
use crate::telemetry::audit::Event;

type Line = (Event, Option<String>, Option<String>);

fn lines(changes: Vec<Change>) -> Vec<Line> {
    let name = |account: Arc<Account>| account.username.as_str().to_owned();
    changes.into_iter().map(|it| (it.event, it.account.map(name), it.detail)).collect()
}

fn line(event: Event, account: Option<&str>, detail: Option<String>) -> Line {
    (event, account.map(str::to_owned), detail)
}

impl Bench {
    /// What is said of a request when it is done, and what would be if it failed.
    async fn audited(&self, request: Request) -> (Vec<Line>, Vec<Line>) {
        let before = Change::of(&self.core, &request).await;
        let failed = lines(Change::of(&self.core, &request).await);
        let reply = self.ask(request).await.unwrap();
        let done = before.into_iter().flat_map(|change| change.done(&self.core, &reply));
        (lines(done.collect()), failed)
    }

    async fn check(&self, request: Request, expected: &[Line]) {
        let said = format!("{request:?}");
        assert_eq!(self.audited(request).await.0, expected, "{said}");
    }
}

#[tokio::test]
async fn what_only_looks_is_not_audited() {
    let bench = Bench::with_ann().await;
    let (server, workspace) =
        (bench.add_server("web", None).await, bench.add_workspace("lab").await);
    let (key, _) = bench.add_key("ann", None).await;
    let page = Span::default();
    for request in [
        Request::ListUsers { page },
        Request::ShowUser { user: named("ann") },
        Request::ListSessions { user: None, page },
        Request::ListKeys { owner: None, server: None, page },
        Request::ShowKey { id: key.id },
        Request::ListServers { page },
        Request::ShowServer { id: server },
        Request::ListWorkspaces { page },
        Request::ShowWorkspace { id: workspace },
        Request::ListMembers { workspace, page },
        Request::ListLockouts { page: Span::default() },
        Request::ShowRegistration,
    ] {
        bench.check(request, &[]).await;
    }
}

#[tokio::test]
async fn who_is_added_invited_or_imported_is_named_with_the_roles() {
    let bench = Bench::new();
    let of =
        |event, name: &str, roles: &str| line(event, Some(name), Some(format!("roles +{roles}")));
    let new = NewUser { roles: texts(&["ops", "dev"]), ..new_user("ann") };
    bench.check(Request::AddUser(new), &[of(Event::UserAdd, "ann", "ops,dev")]).await;
    let email = "ben@example.com".to_owned();
    let new = Invitation { email, name: Some("ben".to_owned()), roles: Vec::new(), mail: false };
    bench.check(Request::InviteUser(new), &[of(Event::UserInvite, "ben", "user")]).await;
    let import = |name: &str| Import { name: name.to_owned(), hash: Hidden(HASH.to_owned()) };
    let request = || Request::ImportUsers {
        users: vec![import("dan"), import("ANN"), import("Cat")],
        roles: texts(&["ops"]),
    };
    let added = [of(Event::UserAdd, "Cat", "ops"), of(Event::UserAdd, "dan", "ops")];
    bench.check(request(), &added).await;
    bench.check(request(), &[]).await;
    // What fails names nobody: what was typed may be a password.
    let failed = lines(Change::of(&bench.core, &Request::AddUser(new_user("eve"))).await);
    assert_eq!(failed, [line(Event::UserAdd, None, None)]);
}

#[tokio::test]
async fn each_part_of_a_change_of_a_user_has_a_line_of_its_own() {
    let bench = Bench::new();
    bench.add_as("ann", &["ops", "dev"]).await;
    let of = |event, detail: Option<&str>| line(event, Some("ann"), detail.map(str::to_owned));
    let change = Request::ChangeUser {
        user: named("ann"),
        roles: Some(texts(&["dev", "qa"])),
        state: Some(State::Disabled),
        email_verified: Some(false),
    };
    let expected = [
        of(Event::UserRoles, Some("roles +qa -ops")),
        of(Event::UserDisable, None),
        of(Event::UserUnverify, None),
    ];
    let (done, failed) = bench.audited(change).await;
    assert_eq!((&done[..], &failed[..]), (&expected[..], &expected[..]));
    bench.check(change_state("ann", State::Enabled), &[of(Event::UserEnable, None)]).await;
    bench.check(change_verified("ann", true), &[of(Event::UserVerify, None)]).await;
    bench.check(change_roles("ann", &["qa", "dev"]), &[of(Event::UserRoles, None)]).await;
    let nothing =
        Request::ChangeUser { user: named("ann"), roles: None, state: None, email_verified: None };
    bench.check(nothing, &[]).await;
    let unknown = lines(Change::of(&bench.core, &change_roles("eve", &["ops"])).await);
    assert_eq!(unknown, [line(Event::UserRoles, None, Some("roles +ops".to_owned()))]);
}

/// Another gateway may have changed them between the look and the change.
#[tokio::test]
async fn the_roles_that_were_taken_are_those_that_the_store_had() {
    let bench = Bench::new();
    bench.add_as("ann", &["ops"]).await;
    let request = change_roles("ann", &["dev"]);
    let before = Change::of(&bench.core, &request).await;
    bench.ask(change_roles("ann", &["qa"])).await.unwrap();
    let reply = bench.ask(request).await.unwrap();
    let done = before.into_iter().flat_map(|change| change.done(&bench.core, &reply));
    let expected = line(Event::UserRoles, Some("ann"), Some("roles +dev -qa".to_owned()));
    assert_eq!(lines(done.collect()), [expected]);
}

#[tokio::test]
async fn whose_addresses_are_verified_is_named_each() {
    let bench = Bench::new();
    let (ann, ben, cat) = (bench.add("ann").await, bench.add("ben").await, bench.add("cat").await);
    for name in ["ann", "cat"] {
        bench.ask(change_verified(name, false)).await.unwrap();
    }
    let of = |name| line(Event::UserVerify, Some(name), None);
    bench.check(Request::VerifyUsers { users: vec![cat, ben, ann] }, &[of("ann"), of("cat")]).await;
}

#[tokio::test]
async fn who_is_removed_is_named_as_he_was() {
    let bench = Bench::with_ann().await;
    let user = || named("ANN@example.com");
    let password = Hidden("another horse".to_owned());
    let of = |event| line(event, Some("ann"), None);
    bench.check(Request::SetPassword { user: user(), password }, &[of(Event::UserPassword)]).await;
    let reset = Request::MakeResetLink { user: user(), mail: false };
    bench.check(reset, &[of(Event::ResetLink)]).await;
    bench.check(Request::EndSessions { user: user() }, &[of(Event::SessionEnd)]).await;
    bench.check(Request::RemoveUser { user: user() }, &[of(Event::UserDelete)]).await;
}

#[tokio::test]
async fn a_session_that_ends_is_named_with_its_user() {
    let bench = Bench::with_ann().await;
    bench.sign_in("ann").await.unwrap();
    let id = bench.sessions().await.remove(0).id;
    let detail = Some(format!("session {id}"));
    let of = line(Event::SessionEnd, Some("ann"), detail.clone());
    bench.check(Request::EndSession { id }, &[of]).await;
    let gone = lines(Change::of(&bench.core, &Request::EndSession { id }).await);
    assert_eq!(gone, [line(Event::SessionEnd, None, detail)]);
    for (after, detail) in
        [(None, "all users".to_owned()), (Some(NOBODY), format!("all users after {NOBODY}"))]
    {
        let request = Request::EndAllSessions { after, limit: None };
        bench.check(request, &[line(Event::SessionEnd, None, Some(detail))]).await;
    }
}

#[tokio::test]
async fn a_key_is_named_with_its_owner_and_of_many_each() {
    let bench = Bench::with_ann().await;
    let of = |event, id: Uuid| line(event, Some("ann"), Some(format!("key {id}")));
    let (done, _) = bench.audited(Request::CreateKey(key_of("ann"))).await;
    let id = bench.core.standing().keys(None)[0].id.0;
    assert_eq!(done, [of(Event::KeyCreate, id)]);
    let (done, failed) = bench.audited(Request::RotateKey { id, overlap: 60 }).await;
    let successor = bench.core.standing().keys(None)[1].id.0;
    assert_eq!(failed, [of(Event::KeyRotate, id)]);
    assert_eq!(done, [of(Event::KeyRotate, successor)]);
    bench.check(Request::RevokeKey { id }, &[of(Event::KeyRevoke, id)]).await;
    let (third, _) = bench.add_key("ann", None).await;
    bench.add("ben").await;
    bench.add_key("ben", None).await;
    let revoked = [of(Event::KeyRevoke, successor), of(Event::KeyRevoke, third.id)];
    bench.check(Request::RevokeKeys { owner: named("ann") }, &revoked).await;
    bench.check(Request::RevokeKeys { owner: named("ann") }, &[]).await;
    let gone = lines(Change::of(&bench.core, &Request::RevokeKey { id }).await);
    assert_eq!(gone, [line(Event::KeyRevoke, None, Some(format!("key {id}")))]);
}

#[tokio::test]
async fn servers_workspaces_and_memberships_are_named_by_their_ids() {
    let bench = Bench::with_ann().await;
    let (name, owner) = ("web".to_owned(), Some(named("ann")));
    let (done, failed) = bench.audited(Request::AddServer { name: name.clone(), owner }).await;
    let id = bench.core.standing().servers()[0].id.0;
    let of = |event| line(event, None, Some(format!("server {id}")));
    assert_eq!(
        (done, failed),
        (vec![of(Event::ServerAdd)], vec![line(Event::ServerAdd, None, None)])
    );
    let change = Request::ChangeServer { id, name: None, owner: Owner::Nobody };
    bench.check(change, &[of(Event::ServerChange)]).await;
    bench.check(Request::RemoveServer { id }, &[of(Event::ServerDelete)]).await;
    let (done, _) = bench.audited(Request::AddWorkspace { name: name.clone() }).await;
    let id = bench.core.standing().workspaces()[0].id.0;
    let of = |event, user| line(event, user, Some(format!("workspace {id}")));
    assert_eq!(done, [of(Event::WorkspaceAdd, None)]);
    bench.check(Request::RenameWorkspace { id, name }, &[of(Event::WorkspaceChange, None)]).await;
    let set = Request::SetMember { workspace: id, user: named("ann"), role: "dev".to_owned() };
    bench.check(set, &[of(Event::MemberSet, Some("ann"))]).await;
    let remove = Request::RemoveMember { workspace: id, user: named("ann") };
    bench.check(remove, &[of(Event::MemberDelete, Some("ann"))]).await;
    bench.check(Request::RemoveWorkspace { id }, &[of(Event::WorkspaceDelete, None)]).await;
}

#[tokio::test]
async fn registration_and_lockouts_are_audited_by_what_becomes_of_them() {
    use crate::auth::ports::{Failure, FailureLimit};
    let bench = Bench::new();
    for (state, event) in [
        (Registering::Closed, Event::RegistrationClose),
        (Registering::Open, Event::RegistrationOpen),
    ] {
        bench.check(Request::SetRegistration { state }, &[line(event, None, None)]).await;
    }
    let limit = FailureLimit { attempts: 9, user_attempts: 9, window: Seconds(300) };
    let failure = Failure { source: HERE, user: None };
    bench.core.store().count_failure(failure, limit, bench.core.clock().now()).await.unwrap();
    let detail = Some("address 203.0.113.7".to_owned());
    let clear = Request::ClearLockout { address: HERE.address() };
    bench.check(clear, &[line(Event::LockoutClear, None, detail)]).await;
}

/// The account in it is whole.
#[tokio::test]
async fn no_change_is_shown_with_a_hash() {
    let bench = Bench::with_ann().await;
    let request = Request::RemoveUser { user: named("ann") };
    let shown = format!("{:?}", Change::of(&bench.core, &request).await);
    assert!(shown.contains("ann") && !shown.contains(PASSWORD), "{shown}");
}
