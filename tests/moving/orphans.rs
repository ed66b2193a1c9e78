//! A shared store in which something belongs to what is not there: called damaged, and what
//! of it is left out of an export is told.

use serde_json::json;
use uuid::Uuid;

use super::interrupted::settle;
use super::{account, done, elsewhere, export_of, refused};
use crate::support::installation::Installation;
use crate::support::redis::RedisServer;

const CHECK: [&str; 2] = ["store", "check"];

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Two accounts; the second has a key, and a session.
async fn imported(redis: &RedisServer) -> Installation {
    let mut place = elsewhere();
    let key = json!({
        "kind": "key", "v": 1, "id": id(9), "owner": id(2), "name": "", "shown": "",
        "digest": vec![0; 32], "server": null, "scopes": [], "created": 1,
    });
    let session = json!({
        "kind": "session", "v": 1, "id": id(8), "account": id(2), "created": 1,
        "expires": 4_000_000_000_000_u64,
        "current": { "access": id(3), "refresh": id(4), "issued_at": 1, "access_ttl": 1 },
    });
    let used = json!({ "kind": "key_use", "v": 1, "key": id(9), "at": 1 });
    let records = [account(1, "ann"), account(2, "bob"), session, key, used];
    place.write("moving.jsonl", &export_of(records));
    settle(&mut place, redis.address());
    done(place.run(&["store", "import", "moving.jsonl"], None).await);
    done(place.run(&CHECK, None).await);
    place
}

fn key_of(kind: &str, number: u128) -> String {
    format!("{{portcullis}}:{kind}:{}", id(number))
}

#[tokio::test]
async fn a_shared_store_in_which_a_key_is_of_no_account_is_damaged() {
    let redis = RedisServer::start().await;
    let place = imported(&redis).await;
    redis.tell(&["DEL", &key_of("account", 2)]).await;
    let checked = place.run(&CHECK, None).await;
    let belongs = format!("key {} belongs to account {}, which does not exist", id(9), id(2));
    let of = "1 session, 1 key, 1 key use";
    refused(&checked, &["the store is damaged", &belongs, of, "if gateways are at work, try"]);
    for export in [&["store", "export"][..], &["store", "backup", "--output", "saved.jsonl"]] {
        let ended = place.run(export, None).await;
        assert!(ended.status.success(), "{ended:?}");
        for words in ["left out", of, &belongs] {
            assert!(ended.stderr.contains(words), "{words}: {ended:?}");
        }
    }
    assert!(done(place.run(&["store", "check", "saved.jsonl"], None).await).contains("1 account"));

    // Sessions may be left.
    redis.tell(&["ZREM", "{portcullis}:keys", &id(9).to_string()]).await;
    let said = done(place.run(&CHECK, None).await);
    assert!(said.ends_with("1 account; left of what is gone: 1 session"), "{said}");
    let exported = place.run(&["store", "export"], None).await;
    assert!(exported.stderr.contains("left out, of what is gone: 1 session"), "{exported:?}");
}

#[tokio::test]
async fn a_shared_store_in_which_a_record_does_not_read_is_damaged() {
    for (kind, number) in [("account", 1), ("account", 2), ("key", 9), ("session", 8)] {
        let redis = RedisServer::start().await;
        let place = imported(&redis).await;
        let key = key_of(kind, number);
        assert_eq!(redis.tell(&["EXISTS", &key]).await.number(), 1, "{key}");
        redis.tell(&["SET", &key, "nonsense"]).await;
        for command in [&CHECK[..], &["store", "export"]] {
            refused(&place.run(command, None).await, &["record is damaged", &key]);
        }
    }
}
