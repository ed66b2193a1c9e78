//! Lists, part by part.

use serde_json::{Value, json};

use super::{Caller, id, start};
use crate::support::client::Client;
use crate::support::gateway::ADMIN;

/// The ids of a list that is read in parts of `limit`, and how long the parts were.
async fn read(admin: &Caller, list: &str, limit: usize, member: &str) -> (Vec<String>, Vec<usize>) {
    let separator = if list.contains('?') { '&' } else { '?' };
    let first = format!("{list}{separator}limit={limit}");
    let (mut path, mut ids, mut lengths) = (first.clone(), Vec::new(), Vec::new());
    loop {
        let page = admin.get(&path).await;
        let items = page["items"].as_array().expect("items");
        lengths.push(items.len());
        ids.extend(items.iter().map(|item| item[member].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(cursor) => path = format!("{first}&cursor={cursor}"),
            None => return (ids, lengths),
        }
    }
}

#[tokio::test]
async fn every_list_comes_in_parts_in_the_order_of_creation() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let first = admin.get("/users").await["items"][0].clone();
    let work = admin.post("/workspaces", json!({ "name": "first" })).await;
    let web = admin.post("/servers", json!({ "name": "first" })).await;
    let (mut users, mut works) = (vec![id(&first).to_owned()], vec![id(&work).to_owned()]);
    let (mut webs, mut keys, mut bound) = (vec![id(&web).to_owned()], Vec::new(), Vec::new());
    let mut members = Vec::new();
    for number in 0..6 {
        let name = format!("user{}", 9 - number);
        let user = admin.add_user(&name).await;
        users.push(id(&user).to_owned());
        let member = format!("/workspaces/{}/members/{}", id(&work), id(&user));
        admin.call("PUT", &member, json!({ "role": "member" })).await.expect(200);
        members.push(id(&user).to_owned());
        works.push(id(&admin.post("/workspaces", json!({ "name": name })).await).to_owned());
        webs.push(id(&admin.post("/servers", json!({ "name": name })).await).to_owned());
        let new = json!({ "owner": id(&first), "server": (number % 2 == 0).then(|| id(&web)) });
        let key = id(&admin.post("/keys", new).await).to_owned();
        if number % 2 == 0 {
            bound.push(key.clone());
        }
        keys.push(key);
        Client::anonymous(&gateway).login(&name, super::PASSWORD).await.expect(200);
    }
    let check = async |list: String, expected: &[String], member: &str| {
        for limit in [1, 3, expected.len(), 200] {
            let (found, lengths) = read(&admin, &list, limit, member).await;
            assert_eq!(found, expected, "{list} by {limit}");
            let parts: Vec<usize> = expected.chunks(limit).map(<[String]>::len).collect();
            assert_eq!(lengths, parts, "{list} by {limit}");
        }
    };
    let (owner, server) = (id(&first), id(&web));
    check("/users".to_owned(), &users, "id").await;
    check("/workspaces".to_owned(), &works, "id").await;
    check(format!("/workspaces/{}/members", id(&work)), &members, "user_id").await;
    check("/servers".to_owned(), &webs, "id").await;
    check("/keys".to_owned(), &keys, "id").await;
    check(format!("/keys?owner={owner}"), &keys, "id").await;
    check(format!("/keys?server={server}"), &bound, "id").await;
    check(format!("/keys?owner={owner}&server={server}"), &bound, "id").await;
    let others = admin.get(&format!("/keys?owner={}", users[1])).await;
    assert_eq!(others, json!({ "items": [], "next": null }));
    check("/sessions".to_owned(), &users[1..], "user_id").await;
    let (of_one, _) = read(&admin, &format!("/sessions?user={}", users[2]), 1, "user_id").await;
    assert_eq!(of_one, users[2..3]);
}

#[tokio::test]
async fn a_list_without_a_limit_is_cut_after_fifty() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    for number in 0..51 {
        admin.post("/workspaces", json!({ "name": number.to_string() })).await;
    }
    let page = admin.get("/workspaces").await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(50));
    assert_eq!(page["next"], page["items"][49]["id"], "the cursor is opaque, but stable");
}

/// A part begins after the last one, whatever has come and gone meanwhile.
#[tokio::test]
async fn what_comes_and_goes_while_a_list_is_read_moves_nothing_else() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let mut ids = Vec::new();
    for number in 0..9 {
        ids.push(id(&admin.add_user(&format!("user{number}")).await).to_owned());
    }
    let first = admin.get("/users?limit=4").await;
    let cursor = first["next"].as_str().expect("there are more").to_owned();
    // The one the cursor names, one before it, one behind it, and new ones.
    for gone in [&ids[2], &ids[0], &ids[5]] {
        admin.delete(&format!("/users/{gone}")).await;
    }
    for number in 10..14 {
        ids.push(id(&admin.add_user(&format!("user{number}")).await).to_owned());
    }
    let rest = admin.get(&format!("/users?limit=200&cursor={cursor}")).await;
    let found: Vec<&str> = rest["items"].as_array().expect("items").iter().map(id).collect();
    let expected: Vec<&str> =
        ids[3..].iter().filter(|id| **id != ids[5]).map(String::as_str).collect();
    assert_eq!(found, expected);
    assert_eq!(rest["next"], Value::Null);
}

#[tokio::test]
async fn lockouts_come_in_parts_in_the_order_of_their_addresses() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    for last in [9, 3, 7, 1, 5] {
        let failing = Client::anonymous(&gateway).from_address(&format!("192.0.2.{last}"));
        failing.login(ADMIN, "wrong wrong").await.expect(401);
    }
    let (found, lengths) = read(&admin, "/lockouts", 2, "address").await;
    assert_eq!(found, ["192.0.2.1", "192.0.2.3", "192.0.2.5", "192.0.2.7", "192.0.2.9"]);
    assert_eq!(lengths, [2, 2, 1]);
}
