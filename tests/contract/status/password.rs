//! Changing a password: what is checked, what is kept, what ends, and at which moment.

use std::path::Path;

use serde_json::json;
use tokio::sync::Barrier;

use crate::support::client::{Answer, Client, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::within;

const NEW_PASSWORD: &str = "staple, not battery";

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    let body = json!({ "current_password": current, "new_password": new });
    client.post_json("/api/change-password", &body).await
}

/// S1-20, S1-23.
#[tokio::test]
async fn after_a_change_the_new_password_works_and_the_old_one_fails() {
    let mut gateway = Gateway::start(ECHO).await;
    Client::admin(&gateway).get("/").await.expect(200);

    let answer = change(&Client::admin(&gateway), ADMIN_PASSWORD, NEW_PASSWORD).await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "success" }));

    for how in ["at once", "after a restart"] {
        let basic = Client::basic(&gateway, ADMIN, NEW_PASSWORD).get("/").await;
        assert_eq!(basic.status, 200, "{how}");
        sign_in(&gateway, ADMIN, NEW_PASSWORD).await;
        Client::admin(&gateway).get("/").await.refused(401, "INVALID_CREDENTIALS");
        let login = Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await;
        login.refused(401, "INVALID_CREDENTIALS");
        gateway.restart().await;
    }
}

/// S1-21.
#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    for caller in [Client::admin(&gateway), Client::bearer(&gateway, &token)] {
        for wrong in ["not the current one", "", &"p".repeat(73)] {
            let answer = change(&caller, wrong, NEW_PASSWORD).await;
            answer.refused(401, "INVALID_CREDENTIALS");
        }
    }
    Client::admin(&gateway).get("/").await.expect(200);
    Client::bearer(&gateway, &token).get("/").await.expect(200);
    let new = Client::basic(&gateway, ADMIN, NEW_PASSWORD).get("/").await;
    new.refused(401, "INVALID_CREDENTIALS");
}

/// S1-20: what bcrypt would cut off or stumble over is refused, never truncated.
#[tokio::test]
async fn an_unacceptable_new_password_changes_nothing() {
    let gateway = Gateway::start(ECHO).await;
    for new in ["", "seven77", &"p".repeat(73), &"é".repeat(37), "nul\0nul\0nul"] {
        let answer = change(&Client::admin(&gateway), ADMIN_PASSWORD, new).await;
        assert_eq!(answer.refusal(), (422, "PASSWORD_NOT_ACCEPTABLE".to_owned()), "{new:?}");
    }
    let mut current = ADMIN_PASSWORD.to_owned();
    for new in ["eight888", "密码密码密码密码", &"p".repeat(72)] {
        change(&Client::basic(&gateway, ADMIN, &current), &current, new).await.expect(200);
        new.clone_into(&mut current);
        sign_in(&gateway, ADMIN, &current).await;
    }
}

/// S1-22.
#[tokio::test]
async fn a_password_is_kept_as_its_bcrypt_hash_only() {
    let mut gateway = Gateway::start(ECHO).await;
    change(&Client::admin(&gateway), ADMIN_PASSWORD, NEW_PASSWORD).await.expect(200);
    assert!(gateway.stop().await.status.success());

    let stored = stored_bytes(&gateway.path("data"));
    let holds = |text: &str| stored.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(!holds(NEW_PASSWORD) && !holds(ADMIN_PASSWORD), "a password in clear");
    let hashes: Vec<&str> = stored
        .windows(60)
        .filter(|bytes| bytes.starts_with(b"$2b$04$"))
        .filter_map(|bytes| std::str::from_utf8(bytes).ok())
        .collect();
    let is_new = |hash: &&str| bcrypt::verify(NEW_PASSWORD, hash).unwrap_or(false);
    assert!(hashes.iter().any(is_new), "no hash of the new password among {hashes:?}");
}

fn stored_bytes(directory: &Path) -> Vec<u8> {
    std::fs::read_dir(directory)
        .expect("the store has a directory")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.is_file())
        .flat_map(|path| std::fs::read(path).expect("a readable file"))
        .collect()
}

/// S1-23: whoever asks with one password and then with the other finds that the
/// one works until the other does: never neither, never both.
#[tokio::test]
async fn at_every_moment_of_a_change_exactly_one_password_works() {
    const WATCHERS: usize = 4;
    let gateway = Gateway::start(&format!(
        "[limits]\nmax_login_attempts = 1000000\nuser_attempts = 1000000\n\
         requests_per_second = 1000000\nburst = 10000000\n{ECHO}"
    ))
    .await;
    let passwords = [ADMIN_PASSWORD, "the second password", "the third password"];
    for pair in passwords.windows(2) {
        let [old, new] = pair else { unreachable!("windows of two") };
        let started = Barrier::new(WATCHERS + 1);
        let changing = async {
            started.wait().await;
            change(&Client::basic(&gateway, ADMIN, old), old, new).await.expect(200);
            Client::basic(&gateway, ADMIN, new).get("/").await.expect(200);
            Client::basic(&gateway, ADMIN, old).get("/").await.expect(401);
        };
        let all = async {
            tokio::join!(
                changing,
                watch_old_then_new(&gateway, old, new, &started),
                watch_old_then_new(&gateway, old, new, &started),
                watch_new_then_old(&gateway, old, new, &started),
                watch_new_then_old(&gateway, old, new, &started),
            )
        };
        within("everybody to see the change", Box::pin(all)).await;
    }
}

async fn watch_old_then_new(gateway: &Gateway, old: &str, new: &str, started: &Barrier) {
    let callers = [old, new].map(|password| Client::basic(gateway, ADMIN, password));
    let mut rounds = 0;
    loop {
        let old_works = callers[0].get("/").await.status == 200;
        let new_works = callers[1].get("/").await.status == 200;
        assert!(old_works || new_works, "the old one failed, and the new one after it");
        rounds += 1;
        if rounds == 1 {
            started.wait().await;
        } else if !old_works {
            return;
        }
    }
}

async fn watch_new_then_old(gateway: &Gateway, old: &str, new: &str, started: &Barrier) {
    let callers = [new, old].map(|password| Client::basic(gateway, ADMIN, password));
    let mut rounds = 0;
    loop {
        let new_works = callers[0].get("/").await.status == 200;
        let old_works = callers[1].get("/").await.status == 200;
        assert!(!(new_works && old_works), "the new one worked, and the old one after it");
        rounds += 1;
        if rounds == 1 {
            started.wait().await;
        } else if new_works {
            return;
        }
    }
}

/// The presented session goes on; everything else the account had ends.
#[tokio::test]
async fn a_change_ends_every_other_session_of_the_account() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("bystander", "a password of hers", &[]).await;
    let bystander = sign_in(&gateway, "bystander", "a password of hers").await;
    let presented = sign_in_admin(&gateway).await;
    let other = sign_in_admin(&gateway).await;
    Client::bearer(&gateway, &other.access).get("/").await.expect(200);

    let caller = Client::bearer(&gateway, &presented.access);
    change(&caller, ADMIN_PASSWORD, NEW_PASSWORD).await.expect(200);

    Client::bearer(&gateway, &other.access).get("/").await.refused(401, "INVALID_TOKEN");
    Client::anonymous(&gateway).refresh(&other.refresh).await.refused(401, "INVALID_REFRESH_TOKEN");
    caller.get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&presented.refresh).await.expect(200);
    Client::bearer(&gateway, &bystander.access).get("/").await.expect(200);
}

/// With Basic no session is presented, so none goes on.
#[tokio::test]
async fn a_change_with_basic_ends_every_session() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    Client::bearer(&gateway, &pair.access).get("/").await.expect(200);

    change(&Client::admin(&gateway), ADMIN_PASSWORD, NEW_PASSWORD).await.expect(200);

    Client::bearer(&gateway, &pair.access).get("/").await.refused(401, "INVALID_TOKEN");
    Client::anonymous(&gateway).refresh(&pair.refresh).await.refused(401, "INVALID_REFRESH_TOKEN");
}

/// A key is no user: it has no password to change.
#[tokio::test]
async fn a_key_cannot_change_its_owners_password() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let caller = Client::api_key(&gateway, &key);
    caller.get("/").await.expect(200);
    change(&caller, ADMIN_PASSWORD, NEW_PASSWORD).await.refused(403, "FORBIDDEN");
    Client::admin(&gateway).get("/").await.expect(200);
}
