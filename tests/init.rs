//! `portcullis init`: a configuration to begin with.

use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::installation::Installation;

#[tokio::test]
async fn what_init_writes_has_nothing_to_warn_of_and_runs_with_registration_closed() {
    let installation = Installation::new();
    let written = installation.run(&["init"], None).await;
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    assert!(written.stdout.contains("config.toml written"), "{written:?}");
    let checked = installation.run(&["check", "--strict"], None).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(checked.stdout.starts_with("the configuration is good\n"), "{checked:?}");

    let text = std::fs::read_to_string(installation.path("config.toml")).expect("it is there");
    assert!(text.lines().any(|line| line.starts_with("registration = \"closed\"")), "{text}");
    let gateway = Gateway::builder()
        .bare()
        .config(&text)
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .arguments(&["run", "--listen", "127.0.0.1:0"])
        .start()
        .await;
    sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let member = serde_json::json!({
        "email": "ann@example.com", "firstName": "A", "lastName": "B", "password": "password123@"
    });
    let made = Client::anonymous(&gateway).post_json("/api/auth/register", &member).await;
    made.expect(403);
}

#[tokio::test]
async fn init_never_writes_over_a_file() {
    let installation = Installation::new().file("config.toml", "# mine\n");
    let refused = installation.run(&["init"], None).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("config.toml exists"), "{refused:?}");
    let kept = std::fs::read_to_string(installation.path("config.toml")).expect("it is there");
    assert_eq!(kept, "# mine\n");
    // Control: somewhere else it is written, and how to start with it is said.
    let elsewhere = installation.run(&["init", "--config", "gate.toml"], None).await;
    assert_eq!(elsewhere.status.code(), Some(0), "{elsewhere:?}");
    assert!(elsewhere.stdout.contains("portcullis --config gate.toml run"), "{elsewhere:?}");
    assert!(installation.path("gate.toml").exists());
    let nowhere = installation.run(&["init", "--config", "no/gate.toml"], None).await;
    assert!(nowhere.stderr.contains("there is no such directory"), "{nowhere:?}");
    let named = installation.env("PORTCULLIS_CONFIG", "named.toml");
    let written = named.run(&["init"], None).await;
    assert!(written.stdout.contains("named.toml written; portcullis run"), "{written:?}");
    assert!(named.path("named.toml").exists());
}

#[tokio::test]
async fn init_sends_everything_to_the_url_it_is_given() {
    let installation = Installation::new();
    for wrong in ["app", "ftp://127.0.0.1", "http://h\"\n[auth]"] {
        let refused = installation.run(&["init", "--to", wrong], None).await;
        assert_eq!(refused.status.code(), Some(78), "{wrong}: {refused:?}");
        assert!(!installation.path("config.toml").exists(), "{wrong}");
    }
    let written = installation.run(&["init", "--to", "http://127.0.0.1:3000"], None).await;
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    let text = std::fs::read_to_string(installation.path("config.toml")).expect("it is there");
    assert!(text.contains("upstream = \"http://127.0.0.1:3000\""), "{text}");
    let checked = installation.run(&["check", "--strict"], None).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
