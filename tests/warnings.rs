//! Settings that are allowed and seldom meant: printed by `check`, logged by a start.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;

fn installation(config: &str) -> Installation {
    Installation::new().file("config.toml", config).env("SECRET_KEY", SECRET_KEY)
}

/// The warnings that `check` gives, each as its members.
async fn warnings(installation: &Installation, more: &[&str]) -> Vec<Value> {
    let ended = installation.run(&[&["check", "--format", "json"], more].concat(), None).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let checked: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    checked["warnings"].as_array().expect("a list of warnings").clone()
}

/// A configuration on loopback that nothing is wrong with, in front of the built-in upstream.
const QUIET: &str = "[[listener]]\naddress = \"127.0.0.1:8443\"\n";

/// The text with a `^` before the place of what is warned of, and the warning's code; no
/// code where the neighbouring setting is fine.
type Case = (&'static str, Option<&'static str>);

const CASES: &[Case] = &[
    ("[auth]\nbcrypt_cost = ^9\n", Some("bcrypt_cost_low")),
    ("[auth]\nbcrypt_cost = 10\n", None),
    // Listeners without TLS.
    (
        "[admin]\nnetworks = [\"::1\"]\n[[listener]]\naddress = \"[::]:8080\"\ntls = ^false\n",
        Some("listener_clear"),
    ),
    ("[[listener]]\naddress = \"127.0.0.1:8080\"\ntls = false\n", None),
    ("[[listener]]\naddress = \"10.1.2.3:8080\"\ntls = false\n", None),
    (
        "[client]\ntrusted_proxies = [\"10.0.0.7\"]\n[admin]\nnetworks = [\"::1\"]\n\
         [[listener]]\naddress = \"0.0.0.0:8080\"\ntls = false\nproxy_protocol = true\n",
        None,
    ),
    // The admin API.
    ("[admin]\nenabled = false\n[[listener]]\naddress = \"192.0.2.1:8080\"\n", None),
    (
        "^[admin]\nprefix = \"/adm\"\n[[listener]]\naddress = \"192.0.2.1:8080\"\n",
        Some("admin_public"),
    ),
    ("[admin]\nnetworks = [\"10.0.0.0/8\"]\n[[listener]]\naddress = \"192.0.2.1:8080\"\n", None),
    // Routes by our cookies alone.
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\nschemes = ^[\"cookie\"]\n",
        Some("cookies_not_given"),
    ),
    ("[[route]]\npath = \"/app\"\nupstream = \"echo\"\nschemes = [\"cookie\", \"basic\"]\n", None),
    (
        "[dialect.status]\ndelivery = \"cookie\"\n[[route]]\npath = \"/app\"\nupstream = \"echo\"\nschemes = [\"cookie\"]\n",
        None,
    ),
    // Open registration: what matters is whether a new account gets anywhere.
    ("[auth]\nregistration = \"open\"\n", None),
    (
        "[auth]\nregistration = ^\"open\"\n[[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\n",
        Some("registration_open"),
    ),
    (
        "[auth]\nregistration = ^\"open\"\n[[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\nroles = [\"user\", \"ops\"]\n",
        Some("registration_open"),
    ),
    (
        "[auth]\nregistration = \"open\"\n[[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\nroles = [\"ops\"]\n",
        None,
    ),
    (
        "[auth]\nregistration = \"open\"\n[[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\npublic = true\n",
        None,
    ),
    (
        "[auth]\nregistration = \"open\"\n[dialect]\nform = { enabled = false }\nenvelope = { enabled = false }\n\
         [[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\n",
        None,
    ),
    // Who is believed about addresses.
    ("[client]\ntrusted_proxies = ^[\"0.0.0.0/0\"]\n", Some("trusted_proxies_wide")),
    ("[client]\ntrusted_proxies = ^[\"10.0.0.7\", \"::/0\"]\n", Some("trusted_proxies_wide")),
    ("[client]\ntrusted_proxies = ^[\"64.0.0.0/7\"]\n", Some("trusted_proxies_wide")),
    (
        "[client]\ntrusted_proxies = ^[\"64.0.0.0/8\", \"65.0.0.0/8\"]\n",
        Some("trusted_proxies_wide"),
    ),
    ("[client]\ntrusted_proxies = [\"10.0.0.0/8\", \"104.16.0.0/13\", \"fc00::/7\"]\n", None),
    // A shared store.
    ("[store]\nurl = ^\"rediss://192.0.2.9\"\n", Some("store_without_password")),
    (
        "[store]\nurl = ^\"redis://redis.internal\"\npassword_file = \"secret\"\n",
        Some("store_clear"),
    ),
    (
        "[store]\nurl = ^\"redis+sentinel://127.0.0.1,192.0.2.9/m\"\npassword_file = \"secret\"\n",
        Some("store_clear"),
    ),
    ("[store]\nurl = \"rediss://redis.internal\"\npassword_file = \"secret\"\n", None),
    ("[store]\nurl = \"redis://localhost\"\n", None),
    // What needs HTTP/1.1, to an upstream of HTTP/2 alone.
    (
        "[upstream.h2]\nurl = \"http://127.0.0.1:3000\"\nprotocol = \"http2\"\n[[route]]\npath = \"/ws\"\nupstream = \"h2\"\nagents = ^true\n",
        Some("upgrade_over_http2"),
    ),
    (
        "[upstream.h2]\nurl = \"http://127.0.0.1:3000\"\nprotocol = \"http2\"\n[[route]]\npath = \"/ws\"\nupstream = \"h2\"\nws_token = ^true\n",
        Some("upgrade_over_http2"),
    ),
    (
        "[upstream.h2]\nurl = \"http://127.0.0.1:3000\"\nprotocol = \"http2\"\n[[route]]\npath = \"/ws\"\nupstream = \"h2\"\nupgrades = ^[\"tcp\"]\n",
        Some("upgrade_over_http2"),
    ),
    (
        "[upstream.h2]\nurl = \"http://127.0.0.1:3000\"\nprotocol = \"http2\"\n[[route]]\npath = \"/ws\"\nupstream = \"h2\"\n",
        None,
    ),
    (
        "[upstream.h2]\nurl = \"http://127.0.0.1:3000\"\n[[route]]\npath = \"/ws\"\nupstream = \"h2\"\nagents = true\nws_token = true\nupgrades = [\"tcp\"]\n",
        None,
    ),
    // Agents, of which each takes a connection.
    (
        "[limits]\nagents_per_owner = ^513\n[[route]]\npath = \"/ws\"\nagents = true\nupstream = \"http://127.0.0.1:3000\"\n",
        Some("agents_over_share"),
    ),
    (
        "[limits]\nagents_per_owner = 512\n[[route]]\npath = \"/ws\"\nagents = true\nupstream = \"http://127.0.0.1:3000\"\n",
        None,
    ),
    (
        "[limits]\nagents_per_owner = 513\n[upstream.app]\nurl = \"http://127.0.0.1:3000\"\nmax_connections_per_account = 513\n\
         [[route]]\npath = \"/ws\"\nagents = true\nupstream = \"app\"\n",
        None,
    ),
    (
        "[limits]\nagents_per_owner = 513\n[[route]]\npath = \"/app\"\nupstream = \"http://127.0.0.1:3000\"\n",
        None,
    ),
    ("[[route]]\npath = \"/ws\"\nagents = true\nupstream = \"http://127.0.0.1:3000\"\n", None),
    // Pages of other origins.
    ("[cors]\norigins = ^[\"https://*.example\"]\n", Some("cors_wildcard_wide")),
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\ncors = { origins = ^[\"https://*.com\"] }\n",
        Some("cors_wildcard_wide"),
    ),
    ("[cors]\norigins = [\"https://*.app.example\", \"http://*.localhost:3000\", \"*\"]\n", None),
    (
        "[client]\norigins = [\"https://a.example\"]\n\
         [cors]\norigins = ^[\"https://a.example\", \"https://b.example\"]\n",
        Some("cors_origin_cannot_act"),
    ),
    (
        "[client]\norigins = [\"https://a.example\"]\n[cors]\norigins = [\"https://a.example\"]\n",
        None,
    ),
    ("[cors]\norigins = [\"https://a.example\"]\nmethods = [\"GET\"]\n", None),
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\n\
         cors = { credentials = true, origins = ^[\"https://a.example\"] }\n",
        Some("cors_origin_cannot_act"),
    ),
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\norigins = [\"https://a.example\"]\n\
         cors = { credentials = true, origins = [\"https://a.example\"] }\n",
        None,
    ),
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\nmethods = [\"GET\"]\n\
         cors = { credentials = true, origins = [\"https://a.example\"] }\n",
        None,
    ),
    (
        "[[route]]\npath = \"/app\"\nupstream = \"echo\"\ncors = { origins = [\"https://a.example\"] }\n",
        None,
    ),
];

#[tokio::test]
async fn what_is_seldom_meant_is_warned_of_at_its_place() {
    for (written, code) in CASES {
        let text = format!("{QUIET}{written}{ECHO}");
        let at = text.find('^');
        let place = at.map(|at| {
            let before = &text[..at];
            let column = before.rsplit('\n').next().unwrap_or_default().len() + 1;
            format!("config.toml:{}:{column}", before.matches('\n').count() + 1)
        });
        let installation = installation(&text.replace('^', "")).file("secret", "a password\n");
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(installation.path("secret"), own).expect("it is ours");
        let found = warnings(&installation, &[]).await;
        let found: Vec<_> =
            found.iter().map(|w| (w["code"].as_str(), w["place"].as_str())).collect();
        match code {
            Some(_) => assert_eq!(found, [(*code, place.as_deref())], "{written}"),
            None => assert!(found.is_empty(), "{written}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_warning_is_printed_with_its_line_and_remedy_and_is_strictly_a_failure() {
    let installation = installation(&format!("{QUIET}[auth]\nbcrypt_cost = 4\n{ECHO}"));
    let checked = installation.run(&["check"], None).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    for part in [
        "warning: config.toml:4:15: auth.bcrypt_cost: ",
        "[bcrypt_cost_low]",
        "    4 | bcrypt_cost = 4",
        "      = Leave `auth.bcrypt_cost` out",
        "good, with 1 warning",
    ] {
        assert!(checked.stdout.contains(part), "{part:?} is not in {checked:?}");
    }
    let strict = installation.run(&["check", "--strict"], None).await;
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
    // Control: without a warning it is no failure.
    installation.write("config.toml", &format!("{QUIET}{ECHO}"));
    let strict = installation.run(&["check", "--strict"], None).await;
    assert_eq!(strict.status.code(), Some(0), "{strict:?}");
}

#[tokio::test]
async fn a_variable_is_named_as_the_place_of_what_it_sets() {
    let installation =
        installation(&format!("{QUIET}{ECHO}")).env("PORTCULLIS_AUTH__BCRYPT_COST", "4");
    let found = warnings(&installation, &[]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["place"], "environment variable PORTCULLIS_AUTH__BCRYPT_COST");
}

#[tokio::test]
async fn a_start_logs_each_warning_once_and_explain_knows_its_code() {
    let gateway = Gateway::start(ECHO).await;
    let is_warning = |line: &Value| line["message"] == "configuration warning";
    let line = gateway.wait_for_log(|line| line["code"] == "bcrypt_cost_low").await;
    assert!(is_warning(&line) && line["level"] == "warn", "{line}");
    assert_eq!(line["key"], "auth.bcrypt_cost", "{line}");
    assert!(line["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{line}");
    let codes: Vec<String> = gateway.log_lines().iter().map(|l| l["code"].to_string()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "\"bcrypt_cost_low\"").count(), 1);
    let explained = gateway.manage(&["explain", "bcrypt-cost-low"], None).await;
    assert!(explained.contains("remedy"), "{explained}");
}

/// What the file opens, it opens for its own routes.
#[tokio::test]
async fn with_one_option_in_place_of_routes_registration_is_closed() {
    let config = format!("{QUIET}[auth]\nregistration = \"open\"\n{ECHO}");
    let installation = installation(&config);
    let found = warnings(&installation, &["--to", "http://127.0.0.1:3000"]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["code"], "registration_closed_by_to");
    // Control: whoever starts it can say otherwise, and is warned of that.
    let installation = installation.env("PORTCULLIS_AUTH__REGISTRATION", "open");
    let found = warnings(&installation, &["--to", "http://127.0.0.1:3000"]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["code"], "registration_open");

    let member = serde_json::json!({
        "email": "ann@example.com", "firstName": "A", "lastName": "B", "password": "password123@"
    });
    for (arguments, status) in [(["run"].as_slice(), 201), (&["run", "--to", "echo"], 403)] {
        let config = format!("[auth]\nregistration = \"open\"\n{ECHO}");
        let gateway = Gateway::builder().config(&config).arguments(arguments).start().await;
        let made = Client::anonymous(&gateway).post_json("/api/auth/register", &member).await;
        made.expect(status);
    }
}

#[tokio::test]
async fn the_shipped_configuration_has_nothing_to_warn_of() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../config.toml");
    let shipped = std::fs::read_to_string(shipped).expect("config.toml");
    let ended = installation(&shipped).run(&["check", "--strict"], None).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
