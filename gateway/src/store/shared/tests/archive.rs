//! A shared store's records, read and written as they are, with gateways and without.

use super::*;
use crate::auth::api_key::KeyId;
use crate::auth::token::{SessionId, TokenId};
use crate::store::archive::conformance::{account, archive_conformance, everything, one_of_each};
use crate::store::archive::{Archive, Entry, Kind, Records, Written, copy};
use crate::store::embedded::EmbeddedArchive;

async fn archive(prefix: &str) -> SharedArchive {
    let entropy = Arc::new(SystemEntropy::default());
    SharedArchive::open(settings(prefix), entropy).await.unwrap()
}

archive_conformance!(archive(&prefix()));

#[tokio::test]
async fn a_gateway_finds_what_was_imported_and_hears_what_is() {
    let prefix = prefix();
    let archive = archive(&prefix).await;
    archive.write(&one_of_each(1)).await.unwrap();
    let replica = server().replica(&prefix).await;
    let knows = |number: u128| {
        let id = |beside: u128| uuid::Uuid::from_u128(number + beside);
        let standing = &replica.standing;
        standing.account_by_name(&format!("user{number}")).is_some()
            && standing.key_by_id(KeyId(id(400))).is_some()
            && standing.check_token(TokenId(id(800)), SessionId(id(0))).is_err()
            && standing.check_token(TokenId(id(0)), SessionId(id(900))).is_err()
    };
    assert!(knows(1));
    archive.write(&one_of_each(2)).await.unwrap();
    eventually("the gateway hears of it", || knows(2)).await;
    // Made by the gateway, read by the archive.
    let added = replica.store.create_account(account(3)).await.unwrap();
    assert_eq!(added, crate::auth::ports::Creation::Created);
    let accounts = archive.read(Kind::Account, None, 500).await.unwrap();
    assert_eq!(accounts[2], Entry::Account(account(3)));
}

#[tokio::test]
async fn records_go_from_a_file_to_a_shared_store_and_back() {
    let (file, shared) = (EmbeddedArchive::scratch().unwrap(), archive(&prefix()).await);
    file.write(&one_of_each(1)).await.unwrap();
    copy(&file, &shared).await.unwrap();
    let back = EmbeddedArchive::scratch().unwrap();
    copy(&shared, &back).await.unwrap();
    assert_eq!(everything(&back, 500).await, one_of_each(1));
    assert_eq!(file.write(&everything(&back, 500).await).await.unwrap(), Written::Added(0));
}
