use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{refusal, success};
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
fn an_agent_is_told_the_server_of_its_key() {
    let account = Arc::new(account(1));
    let server = ServerId(Uuid::from_u128(7));
    let of_server = ApiKey { server: Some(server), ..key(2, &account) };
    let of_nobody = key(3, &account);
    for (proof, expected) in [
        (Proof::Key(Arc::new(of_server)), json!("00000000-0000-0000-0000-000000000007")),
        (Proof::Key(Arc::new(of_nobody)), Value::Null),
        (Proof::Password, Value::Null),
    ] {
        let frames = success(&Principal { account: Arc::clone(&account), proof, workspace: None });
        let expected = json!({
            "type": "auth_success",
            "server_id": expected,
            "message": "Connected successfully",
        });
        assert_eq!(said(&frames), (expected, &[][..]));
    }
}

#[test]
fn who_is_known_is_told_by_the_code_alone() {
    let close = [0x88, 2, 0x03, 0xf6];
    assert_eq!(refusal(&Reason::UpstreamConnect, true), close);
    let refused = refusal(&Reason::UpstreamConnect, false);
    assert_eq!(said(&refused).1, close);
}
