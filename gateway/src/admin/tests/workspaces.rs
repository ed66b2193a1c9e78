//! Workspaces and their members.

use super::*;
use crate::auth::workspace::WorkspaceId;

fn set_member(workspace: Uuid, user: &str, role: &str) -> Request {
    Request::SetMember { workspace, user: named(user), role: role.to_owned() }
}

fn remove_member(workspace: Uuid, user: &str) -> Request {
    Request::RemoveMember { workspace, user: named(user) }
}

impl Bench {
    async fn members(&self, workspace: Uuid) -> Vec<(String, String)> {
        let page = self.page(Request::ListMembers { workspace, page: Span::default() }).await;
        let members = page.items.into_iter().map(|record| match record {
            Record::Member(member) => (member.username, member.role),
            other => panic!("{other:?}"),
        });
        members.collect()
    }
}

fn pair(name: &str, role: &str) -> (String, String) {
    (name.to_owned(), role.to_owned())
}

#[tokio::test]
async fn a_workspace_is_made_renamed_and_removed() {
    let bench = Bench::new();
    let id = bench.add_workspace("lab").await;
    let seen = async || match bench.ask(Request::ShowWorkspace { id }).await? {
        Reply::Found(Record::Workspace(workspace)) => Ok(workspace.name),
        other => panic!("{other:?}"),
    };
    assert_eq!(seen().await.unwrap(), "lab");
    let renamed = bench.ask(Request::RenameWorkspace { id, name: "plant".to_owned() }).await;
    match renamed {
        Ok(Reply::Found(Record::Workspace(workspace))) => {
            assert_eq!((workspace.id, workspace.name.as_str()), (id, "plant"));
            assert_eq!(workspace.created, "2027-01-15T08:00:00.000Z");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(seen().await.unwrap(), "plant");
    bench.ask(Request::RemoveWorkspace { id }).await.unwrap();
    assert_error!(seen().await, Error::Unknown(Entity::Workspace));
}

#[tokio::test]
async fn a_workspace_may_have_any_label_and_no_other_name() {
    let bench = Bench::new();
    let (id, bad) = (bench.add_workspace("lab").await, "line\nbreak");
    let added = bench.ask(Request::AddWorkspace { name: bad.to_owned() }).await;
    assert_error!(added, Error::Name(Name::Label));
    let renamed = bench.ask(Request::RenameWorkspace { id, name: bad.to_owned() }).await;
    assert_error!(renamed, Error::Name(Name::Label));
    let known = bench.core.standing().workspaces();
    assert_eq!(known.iter().map(|known| known.name.as_str()).collect::<Vec<_>>(), ["lab"]);
}

#[tokio::test]
async fn each_request_about_a_workspace_that_does_not_exist_is_refused() {
    let bench = Bench::with_ann().await;
    let removed = bench.add_workspace("lab").await;
    bench.ask(Request::RemoveWorkspace { id: removed }).await.unwrap();
    for id in [NOBODY, removed] {
        for request in [
            Request::ShowWorkspace { id },
            Request::RenameWorkspace { id, name: "plant".to_owned() },
            Request::RemoveWorkspace { id },
            Request::ListMembers { workspace: id, page: Span::default() },
            set_member(id, "ann", "dev"),
            set_member(id, "nobody", "dev"),
            remove_member(id, "ann"),
            remove_member(id, "nobody"),
        ] {
            assert_error!(bench.ask(request).await, Error::Unknown(Entity::Workspace));
        }
    }
}

#[tokio::test]
async fn a_member_is_set_with_a_role_and_set_again_with_another() {
    let bench = Bench::new();
    let ann = bench.add("ann").await;
    bench.add("ben").await;
    let (lab, plant) = (bench.add_workspace("lab").await, bench.add_workspace("plant").await);
    bench.ask(set_member(lab, "ben", "dev")).await.unwrap();
    for role in ["dev", "owner", "owner"] {
        match bench.ask(set_member(lab, "Ann@example.com", role)).await.unwrap() {
            Reply::Found(Record::Member(member)) => {
                assert_eq!((member.user_id, member.username.as_str()), (ann, "ann"));
                assert_eq!(member.role, role);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.members(lab).await, [pair("ann", role), pair("ben", "dev")]);
    }
    assert_eq!(bench.members(plant).await, []);
    assert_error!(bench.ask(set_member(lab, "ann", "")).await, Error::Name(Name::Role));
    let unknown = bench.ask(set_member(lab, "nobody", "dev")).await;
    assert_error!(unknown, Error::Unknown(Entity::Account));
    assert_eq!(bench.members(lab).await, [pair("ann", "owner"), pair("ben", "dev")]);
}

#[tokio::test]
async fn a_token_of_a_workspace_ends_with_the_membership_and_with_the_workspace() {
    for by_removal in [false, true] {
        let bench = Bench::with_ann().await;
        let (lab, plant) = (bench.add_workspace("lab").await, bench.add_workspace("plant").await);
        for workspace in [lab, plant] {
            bench.ask(set_member(workspace, "ann", "dev")).await.unwrap();
        }
        let signed_in = bench.sign_in("ann").await.unwrap();
        let principal = bench.verify(&signed_in).unwrap();
        let token = async |workspace| {
            let id = WorkspaceId(workspace);
            bench.core.switch_workspace(&principal, id, ISSUANCE).await.map(|(_, token)| token.text)
        };
        let (of_lab, of_plant) = (token(lab).await.unwrap(), token(plant).await.unwrap());
        let judge = |token: &Secret| bench.core.verify_access(token.expose()).map(drop);
        assert_eq!((judge(&of_lab), judge(&of_plant)), (Ok(()), Ok(())));
        let request = if by_removal {
            Request::RemoveWorkspace { id: lab }
        } else {
            remove_member(lab, "ann")
        };
        bench.ask(request).await.unwrap();
        assert_eq!(judge(&of_lab), Err(Refusal::WorkspaceLeft));
        assert_eq!(judge(&of_plant), Ok(()));
        assert_eq!(bench.judge(&signed_in), Ok(()));
        assert_error!(token(lab).await, Error::Unknown(Entity::Workspace));
    }
}

#[tokio::test]
async fn who_is_no_member_is_not_removed_whether_or_not_he_exists() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let lab = bench.add_workspace("lab").await;
    for name in ["ann", "ben"] {
        bench.ask(set_member(lab, name, "dev")).await.unwrap();
    }
    let removed = bench.ask(remove_member(lab, "ann")).await;
    assert!(matches!(removed, Ok(Reply::Done)), "{removed:?}");
    for name in ["ann", "nobody"] {
        let refused = bench.ask(remove_member(lab, name)).await;
        assert_error!(refused, Error::Unknown(Entity::Member));
    }
    assert_eq!(bench.members(lab).await, [pair("ben", "dev")]);
}
