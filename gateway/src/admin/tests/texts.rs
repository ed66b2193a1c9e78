//! Requests and answers as they are written: between a command and a gateway, and in logs.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn a_text_in_the_form_of_an_id_is_one_and_any_other_is_a_name() {
    let id = Uuid::from_u128(0x01a2_2337_9cf9_71cb_92ce_f076_1f7b_f079);
    for text in [id.to_string(), id.to_string().to_uppercase()] {
        assert_eq!(Who::from(text), Who::Id(id));
    }
    for text in [
        id.simple().to_string(),
        id.braced().to_string(),
        id.urn().to_string(),
        id.to_string()[1..].to_owned(),
        String::new(),
        "ann".to_owned(),
    ] {
        assert_eq!(Who::from(text.clone()), Who::Name(text));
    }
}

proptest! {
    #[test]
    fn who_is_meant_is_written_and_read_alike(text in "[0-9a-fA-F-]{36}|[ -~é]{0,40}", id: u128) {
        for who in [Who::from(text), Who::Id(Uuid::from_u128(id))] {
            prop_assert_eq!(&Who::from(String::from(who.clone())), &who);
            prop_assert_eq!(&Who::from(who.to_string()), &who);
            let written = serde_json::to_string(&who).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Who>(&written).unwrap(), &who);
        }
    }
}

/// A gateway and a command of another version understand each other.
#[test]
fn what_a_request_leaves_out_has_a_meaning() {
    let read = |text: serde_json::Value| serde_json::from_value::<Request>(text).unwrap();
    let whole = Span::<Uuid>::default();
    assert_eq!((whole.after, whole.limit), (None, 1_000));
    match read(json!({ "command": "list_users" })) {
        Request::ListUsers { page } => assert_eq!(page, whole),
        other => panic!("{other:?}"),
    }
    match read(json!({ "command": "change_server", "id": NOBODY })) {
        Request::ChangeServer { id, name: None, owner: Owner::Same } => assert_eq!(id, NOBODY),
        other => panic!("{other:?}"),
    }
    match read(json!({ "command": "change_user", "user": "ann" })) {
        Request::ChangeUser { user, roles: None, state: None, email_verified: None } => {
            assert_eq!(user, named("ann"));
        }
        other => panic!("{other:?}"),
    }
    match read(json!({ "command": "end_all_sessions" })) {
        Request::EndAllSessions { after: None, limit: None } => {}
        other => panic!("{other:?}"),
    }
    match read(json!({ "command": "invite_user", "email": "ann@example.com" })) {
        Request::InviteUser(Invitation { name: None, roles, mail: false, .. }) => {
            assert!(roles.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// Requests are logged when they fail.
#[tokio::test]
async fn no_request_and_no_answer_is_shown_with_a_secret() {
    let bench = Bench::with_ann().await;
    let hidden = || Hidden("hunter42hunter42".to_owned());
    let users = vec![Import { name: "ben".to_owned(), hash: hidden() }];
    for request in [
        Request::AddUser(NewUser { password: hidden(), ..new_user("ben") }),
        Request::ImportUsers { users, roles: Vec::new() },
        Request::SetPassword { user: named("ann"), password: hidden() },
    ] {
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter42"), "{shown}");
        assert!(serde_json::to_string(&request).unwrap().contains("hunter42"), "it is carried");
    }
    let made = bench.ask(Request::CreateKey(key_of("ann"))).await.unwrap();
    let shown = format!("{made:?}");
    let (_, text) = new_key(made);
    assert!(!shown.contains(&text), "{shown}");
    let made = bench.ask(Request::MakeResetLink { user: named("ann"), mail: false }).await;
    let shown = format!("{made:?}");
    assert!(!shown.contains("gate.example"), "{shown}");
}
