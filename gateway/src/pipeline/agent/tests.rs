use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use uuid::Uuid;

use super::first_message::{Credential, Fault};
use super::{End, Identity, close_code, listen, refusal, success};
use crate::auth::api_key::ApiKey;
use crate::auth::principal::{Principal, Proof};
use crate::auth::server::ServerId;
use crate::pipeline::reason::Reason;
use crate::store::conformance::{account, key};

/// What a text frame says, and the frames behind it.
fn said(frames: &[u8]) -> (Value, &[u8]) {
    let length = usize::from(frames[1]);
    assert!(frames[0] == 0x81 && length < 126, "{frames:?}");
    let (text, rest) = frames[2..].split_at(length);
    (serde_json::from_slice(text).unwrap(), rest)
}

#[test]
fn an_agent_is_told_the_server_of_its_key_or_the_user_of_its_token() {
    let account = Arc::new(account(1));
    let server = ServerId(Uuid::from_u128(7));
    let of_server = ApiKey { server: Some(server), ..key(2, &account) };
    let of_nobody = key(3, &account);
    for (proof, expected) in [
        (Proof::Key(Arc::new(of_server)), Ok(("server_id", Uuid::from_u128(7)))),
        (Proof::Key(Arc::new(of_nobody)), Err(Reason::KeyNotBound)),
        (Proof::Password, Ok(("user_id", account.id.0))),
    ] {
        let principal = Principal { account: Arc::clone(&account), proof, workspace: None };
        let told = Identity::of(&principal).map(|identity| said(&success(identity)).0);
        let expected = expected.map(|(member, id)| {
            json!({ "type": "auth_success", member: id, "message": "Connected successfully" })
        });
        assert_eq!(told, expected);
    }
}

#[test]
fn who_is_known_is_told_by_the_code_alone() {
    let close = [0x88, 2, 0x03, 0xf6];
    assert_eq!(refusal(&Reason::UpstreamConnect, true), close);
    let refused = refusal(&Reason::UpstreamConnect, false);
    assert_eq!(said(&refused).1, close);
}

#[test]
fn an_agent_learns_from_the_code_whether_it_may_come_again() {
    for (reason, code) in [
        (Reason::CredentialMissing, 4401),
        (Reason::RoleMissing, 4401),
        (Reason::FirstMessage(Fault::TooLarge), 1009),
        (Reason::Stopping, 1001),
        (Reason::AttemptsQueued, 1013),
        (Reason::UserAttemptsQueued { retry_after: Duration::ZERO }, 1013),
        (Reason::StoreBusy, 1013),
        (Reason::StoreUnavailable, 1013),
        (Reason::UpstreamSaturated, 1013),
        (Reason::Internal, 1013),
        (Reason::UpstreamConnect, 1014),
        (Reason::UpstreamConnectTimeout, 1014),
        (Reason::UpstreamTls, 1014),
        (Reason::UpstreamTimeout, 1014),
        (Reason::UpstreamClosed, 1014),
        (Reason::UpstreamProtocol, 1014),
        (Reason::UpstreamUpgrade, 1014),
    ] {
        assert_eq!(close_code(&reason), code, "{reason:?}");
    }
}

/// A client's frame with this first byte; a mask of zeros changes nothing.
fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn pings_are_answered_until_the_credential_comes() {
    let (mut agent, mut client) = tokio::io::duplex(1 << 10);
    let message = br#"{"type":"auth","api_key":"k"}"#;
    let bytes = [sent(0x89, b"ping"), sent(0x81, message), b"behind".to_vec()].concat();
    agent.write_all(&bytes).await.unwrap();
    let Ok((Credential::Key(key), rest)) = listen(&mut client).await else {
        panic!("it brings a key")
    };
    assert_eq!((key.expose(), &rest[..]), ("k", &b"behind"[..]));
    drop(client);
    let mut answered = Vec::new();
    agent.read_to_end(&mut answered).await.unwrap();
    assert_eq!(answered, b"\x8a\x04ping");
}

#[tokio::test]
async fn who_closes_is_answered_and_who_leaves_is_let_go() {
    for (bytes, expected) in [(sent(0x88, b""), &b"\x88\x02\x03\xe8"[..]), (Vec::new(), b"")] {
        let (mut agent, mut client) = tokio::io::duplex(1 << 10);
        agent.write_all(&bytes).await.unwrap();
        agent.shutdown().await.unwrap();
        let listened = timeout(Duration::from_secs(10), listen(&mut client)).await;
        assert!(matches!(listened, Ok(Err(End::Left))), "{bytes:?}");
        drop(client);
        let mut answered = Vec::new();
        agent.read_to_end(&mut answered).await.unwrap();
        assert_eq!(answered, expected);
    }
}
