//! The console in Chromium, as a person uses it.

use super::*;

const PARTS: &[&str] = &[
    "led to the sign-in and back",
    "a key is made and shown once",
    "an agent is seen, and closed with its key",
    "a lost connection is told",
    "keys are rotated and revoked",
    "a session is ended from another",
    "administrators alone administer",
    "a session is renewed for all tabs, and ends with all that it opened",
    "every page works without script",
    "a lockout is told and cleared",
    "every page fits, in both schemes",
    "done",
];

#[tokio::test]
async fn a_person_with_a_browser_gets_everything_done_in_the_console() {
    let config = "[limits]\nrequests_per_second = 1000\nburst = 1000\n\
        [client]\ntrusted_proxies = []\n\
        [console]\naccess_ttl = \"3s\"\n\
        [[route]]\nupstream = \"echo\"\n\
        [[route]]\npath = \"/agents\"\nagents = true\nupstream = \"echo\"\n\
        [[route]]\npath = \"/role\"\nroles = [\"nobody-has-it\"]\nupstream = \"echo\"\n\
        [[route]]\npath = \"/dead\"\nupstream = \"http://127.0.0.1:1\"\n";
    let gateway = Gateway::start(config).await;
    gateway.add_user("ann", "a good password", &["user"]).await;
    // Those that the README shows are made with PICTURES=gateway/console/pictures.
    let pictures = std::env::var_os("PICTURES")
        .map_or_else(|| root().join("target/console"), |it| root().join(it));
    let mut command = Command::new("timeout");
    command
        .arg(BROWSING.as_secs().to_string())
        .arg("node")
        .arg(script("console.mjs"))
        .arg(url(&gateway, "https"))
        .arg(&pictures)
        .env("MODULES", CLIENTS.join("node_modules"));
    let told = succeeds(command, &gateway).await;
    for part in PARTS {
        assert!(told.lines().any(|line| line == *part), "{part}: {told}");
    }
    // A line tells how a key begins, to recognise it by.
    let is_whole =
        |rest: &str| rest.len() > 20 && rest[..20].bytes().all(|b| b.is_ascii_alphanumeric());
    for line in gateway.log_lines() {
        let line = line.to_string();
        assert!(!line.split("sk_live_").skip(1).any(is_whole), "{line}");
    }
}
