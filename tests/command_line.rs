//! The command line beside a running gateway, without one, and asked for nonsense.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;
use crate::support::redis::RedisServer;
use crate::support::{eventually, within};

const USAGE_ERROR: Option<i32> = Some(2);
const FAILURE: Option<i32> = Some(1);
const PASSWORD: &str = "a password from elsewhere";

/// A store without a gateway.
fn installation() -> Installation {
    Installation::new().file("config.toml", &format!("[auth]\nbcrypt_cost = 4\n{ECHO}"))
}

fn succeeded(ended: &Ended) -> &str {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    &ended.stdout
}

/// `name:hash` with a hash that the binary itself has printed.
async fn htpasswd_line(name: &str, cost: &str) -> String {
    let printed = installation()
        .run(&["hash-password", "--cost", cost], Some(&format!("{PASSWORD}\n")))
        .await;
    let hash = succeeded(&printed).trim();
    assert!(hash.starts_with(&format!("$2b$0{cost}$")), "{hash}");
    // What `htpasswd -B` writes differs in this letter only.
    format!("{name}:{}\n", hash.replacen("$2b$", "$2y$", 1))
}

#[tokio::test]
async fn users_of_an_htpasswd_file_sign_in_with_the_passwords_they_have() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("bob", "bob has this one", &["user"]).await;
    let file = format!(
        "# from the old proxy\n{}{}",
        htpasswd_line("ann", "4").await,
        htpasswd_line("bob", "4").await
    );
    std::fs::write(gateway.path("htpasswd"), &file).expect("a file can be written");
    let import = ["user", "import", "htpasswd", "--role", "deploy"];
    let ended = gateway.cli(&import, None).await;
    assert_eq!(succeeded(&ended), "1 added, 1 there already");
    assert!(ended.stderr.contains("bob exists"), "{ended:?}");
    Client::basic(&gateway, "ann", PASSWORD).get("/").await.expect(200);
    Client::basic(&gateway, "bob", PASSWORD).get("/").await.expect(401);
    Client::basic(&gateway, "bob", "bob has this one").get("/").await.expect(200);
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(users.lines().any(|l| l.starts_with("ann ") && l.contains("deploy")), "{users}");
    // Once more changes nothing.
    assert_eq!(succeeded(&gateway.cli(&import, None).await), "0 added, 2 there already");
    let told = gateway.cli(&[&import[..], &["--format", "json"]].concat(), None).await;
    let told: Value = serde_json::from_str(succeeded(&told)).expect("JSON");
    assert_eq!(told, serde_json::json!({ "added": [], "present": ["ann", "bob"] }));
}

#[tokio::test]
async fn a_file_with_a_line_that_cannot_be_taken_adds_nobody() {
    let installation = installation();
    let good = htpasswd_line("ann", "4").await;
    let file = format!("{good}bob:$apr1$7pVJ7dRA$9X9JY1jvPPrWTJtdsnrxP/\ncarl\n");
    installation.write("users", &file);
    let ended = installation.run(&["user", "import", "users"], None).await;
    assert_eq!(ended.status.code(), FAILURE, "{ended:?}");
    for place in ["users:2: bob: expected a bcrypt hash", "users:3: expected name:hash"] {
        assert!(ended.stderr.contains(place), "{place:?} is not in {ended:?}");
    }
    assert!(!ended.stderr.contains("7pVJ7dRA"), "a hash is a secret: {ended:?}");
    assert!(!installation.path("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_hundred_users_and_more_come_from_standard_input_into_a_store_at_rest() {
    let installation = installation();
    let line = htpasswd_line("user", "4").await;
    let file: String = (0..250).map(|n| line.replacen("user", &format!("user{n}"), 1)).collect();
    let ended = installation.run(&["user", "import", "-"], Some(&file)).await;
    assert_eq!(succeeded(&ended), "250 added, 0 there already");
    let listed = installation.run(&["user", "list", "--format", "json"], None).await;
    let users: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(users.as_array().map(Vec::len), Some(250));
}

#[tokio::test]
async fn a_password_that_could_not_be_set_is_not_hashed() {
    for password in ["short", &"x".repeat(73)] {
        let ended = installation().run(&["hash-password"], Some(&format!("{password}\n"))).await;
        assert_eq!(ended.status.code(), FAILURE, "{ended:?}");
        assert!(ended.stdout.is_empty() && ended.stderr.contains("password must"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_generated_secret_is_new_each_time_and_fit_to_sign_with() {
    let installation = installation();
    let first = installation.run(&["secret", "generate"], None).await;
    let second = installation.run(&["secret", "generate"], None).await;
    let secret = succeeded(&first).trim().to_owned();
    assert_ne!(secret, succeeded(&second).trim());
    assert_eq!(secret.len(), 64, "256 bits");
    let check = installation.env("SECRET_KEY", &secret).run(&["check"], None).await;
    succeeded(&check);
}

#[tokio::test]
async fn status_shows_what_is_held_and_what_was_counted() {
    let mut gateway = Gateway::start(ECHO).await;
    Client::admin(&gateway).get("/").await.expect(200);
    gateway.create_key(ADMIN, &[], &[]).await;
    let json = gateway.manage(&["status", "--format", "json"], None).await;
    let status: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(status["serving"], "healthy", "{status}");
    assert_eq!(status["held"]["keys"], 1, "{status}");
    assert!(status["counters"]["connections"].as_u64() >= Some(1), "{status}");
    assert_eq!(status["counters"]["log_lines_dropped"], 0, "{status}");
    let table = gateway.manage(&["status"], None).await;
    assert!(table.lines().any(|line| line.starts_with("framing_faults ")), "{table}");
    gateway.stop().await;
    let ended = gateway.cli(&["status"], None).await;
    assert_eq!(ended.status.code(), FAILURE, "{ended:?}");
    assert!(ended.stderr.contains("no gateway is running"), "{ended:?}");
}

/// Was: whoever read that it listens and commanded it at once found no gateway.
#[tokio::test]
async fn a_gateway_that_says_it_listens_can_be_commanded() {
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    let place = Installation::new()
        .file("config.toml", &format!("{}{ECHO}", listener.repeat(100)))
        .env("ADMIN_PASSWORD", "correct horse battery");
    let gateway = place.start(&["run", "--log-format", "text"], None);
    let socket = place.path("data/admin.sock");
    let is_there = gateway
        .stdout
        .find(|lines| lines.iter().any(|line| line.contains("listening")).then(|| socket.exists()));
    assert_eq!(within("the gateway to listen", is_there).await, Some(true));
}

#[tokio::test]
async fn healthcheck_and_status_tell_how_a_shared_store_is() {
    for (required, without) in [(false, Some(0)), (true, FAILURE)] {
        let mut redis = RedisServer::start().await;
        let config = format!("[health]\nrequire_store = {required}\n{ECHO}");
        let gateway = Gateway::builder().config(&config).shared_store(&redis.url()).start().await;
        let live = gateway.cli(&["healthcheck"], None).await;
        assert_eq!(succeeded(&live).trim_end(), "healthy; the store is live");
        redis.kill();
        let status = eventually("the loss to be told", async || {
            let status = gateway.manage(&["status", "--format", "json"], None).await;
            let status: Value = serde_json::from_str(&status).expect("JSON");
            (status["store"]["state"] == "unreachable").then_some(status)
        })
        .await;
        let serving = if required { "store_unavailable" } else { "healthy" };
        assert_eq!(status["serving"], serving, "{status}");
        assert!(status["store"]["staleness_ms"].is_u64(), "{status}");
        let table = gateway.manage(&["status"], None).await;
        assert!(table.contains("store_staleness_ms ") && table.contains("unreachable"), "{table}");
        let lost = gateway.cli(&["healthcheck"], None).await;
        assert_eq!(lost.status.code(), without, "{lost:?}");
        let said = if required { &lost.stderr } else { &lost.stdout };
        assert!(said.contains("store"), "{lost:?}");
    }
}

#[tokio::test]
async fn every_reason_can_be_explained() {
    let installation = installation();
    let known = installation.run(&["explain", "TOKEN-signature"], None).await;
    let text = succeeded(&known);
    assert!(text.contains("signed with another key") && text.contains("SECRET_KEY_PREVIOUS"));
    let unknown = installation.run(&["explain", "token_sigature"], None).await;
    assert_eq!(unknown.status.code(), USAGE_ERROR, "{unknown:?}");
    assert!(unknown.stderr.contains("token_signature"), "{unknown:?}");
    // Logs of an earlier version have its names.
    let former = installation.run(&["explain", "github-nonsense"], None).await;
    let text = succeeded(&former);
    assert!(text.starts_with("github_nonsense was renamed to github_invalid_response\n"), "{text}");
    assert!(text.contains("github.base_url"), "{text}");
    let former = installation.run(&["explain", "too_many", "--format", "json"], None).await;
    let former: Value = serde_json::from_str(succeeded(&former)).expect("JSON");
    assert_eq!(former["code"], "limit_reached");
    assert_eq!(former["renamed_from"], "too_many");
    let all = installation.run(&["explain", "--format", "json"], None).await;
    let all: Value = serde_json::from_str(succeeded(&all)).expect("JSON");
    assert!(all.as_array().is_some_and(|codes| codes.len() > 60), "{all}");
}

#[tokio::test]
async fn nonsense_is_a_usage_error_and_changes_nothing() {
    let installation = installation();
    for arguments in [
        ["frobnicate"].as_slice(),
        &["user"],
        &["user", "add"],
        &["user", "add", "ann", "--password", "secret secret"],
        &["key", "create"],
        &["run", "--log-format", "xml"],
        &["run", "--log-level", "loud"],
        &["hash-password", "--cost", "31"],
        &["user", "list", "--format", "yaml"],
    ] {
        let ended = installation.run(arguments, None).await;
        assert_eq!(ended.status.code(), USAGE_ERROR, "{arguments:?}: {ended:?}");
    }
    for (length, expected) in [
        ("soon", "expected a duration like"),
        ("0.9s", "expected at least 1s"),
        ("36501d", "expected at most 36500d"),
    ] {
        let create = ["key", "create", "--owner", "admin", "--expires-in", length];
        let ended = installation.run(&create, None).await;
        assert_eq!(ended.status.code(), USAGE_ERROR, "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
    assert!(!installation.path("data").exists(), "no store was made");
}

#[tokio::test]
async fn a_store_that_does_not_exist_is_not_made_by_looking_into_it() {
    let installation = installation();
    for arguments in [["user", "list"].as_slice(), &["key", "list"], &["user", "disable", "ann"]] {
        let ended = installation.run(arguments, None).await;
        assert!(!installation.path("data").exists(), "{arguments:?}: {ended:?}");
    }
}

/// What log analysers read; everything that is no request goes elsewhere.
#[tokio::test]
async fn the_combined_format_has_one_line_for_each_request_and_no_query() {
    let listen = super::config::free_address();
    let installation =
        installation().env("ADMIN_PASSWORD", ADMIN_PASSWORD).env("SECRET_KEY", SECRET_KEY);
    let arguments = ["run", "--log-format", "combined", "--listen", &listen];
    let process = installation.start(&arguments, None);
    let stderr = &process.stderr;
    let listening =
        stderr.find(|lines| lines.iter().any(|line| line.contains("listening")).then_some(()));
    crate::support::within("the gateway to listen", listening).await.expect("it runs");
    let certificate = installation.path("certs/server.pem");
    let asked = std::process::Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
        .arg(&certificate)
        .args(["-u", &format!("{ADMIN}:{ADMIN_PASSWORD}"), "-A", "an \"agent\""])
        .args(["-e", "https://localhost/from?token=planted"])
        .arg(format!("https://localhost:{}/hello?token=planted", port(&listen)))
        .output()
        .expect("curl runs");
    assert_eq!(asked.stdout, b"200", "{asked:?}");
    let line = eventually("an access line", async || process.stdout.all().first().cloned()).await;
    let (before, after) = line.split_once('[').expect("a time");
    let (_, after) = after.split_once("] ").expect("the end of a time");
    assert_eq!(before, "127.0.0.1 - admin ");
    let (request, rest) = after.split_once("\" ").expect("a request");
    assert!(request.starts_with("\"GET /hello HTTP/"), "{line}");
    let mut words = rest.splitn(3, ' ');
    assert_eq!(words.next(), Some("200"), "{line}");
    assert!(words.next().is_some_and(|bytes| bytes.parse::<u64>().is_ok()), "{line}");
    assert_eq!(words.next(), Some(r#""https://localhost/from" "an \"agent\"""#), "{line}");
}

/// The default on a terminal. What a request brings reaches it as text only.
#[tokio::test]
async fn the_text_format_holds_no_query_and_no_control_character() {
    let listen = super::config::free_address();
    let installation =
        installation().env("ADMIN_PASSWORD", ADMIN_PASSWORD).env("SECRET_KEY", SECRET_KEY);
    let process = installation.start(&["run", "--log-format", "text", "--listen", &listen], None);
    let line_with = async |text: &'static str| {
        let found =
            process.stdout.find(|lines| lines.iter().find(|line| line.contains(text)).cloned());
        crate::support::within(text, found).await.expect("it runs")
    };
    line_with("listening").await;
    let ask = |arguments: &[&str], path: &str| {
        let url = format!("https://localhost:{}{path}", port(&listen));
        let asked = std::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--http1.1", "--path-as-is"])
            .arg("--cacert")
            .arg(installation.path("certs/server.pem"))
            .args(arguments)
            .arg(url)
            .output()
            .expect("curl runs");
        String::from_utf8(asked.stdout).expect("a status")
    };
    let user = format!("{ADMIN}:{ADMIN_PASSWORD}");
    assert_eq!(ask(&["-u", &user], "/hello?token=planted"), "200");
    let line = line_with("/hello").await;
    assert!(line.contains(" GET     200 /hello admin/basic - "), "{line}");
    assert!(!line.contains('?') && !line.contains("planted"), "{line}");
    // A terminal takes U+009B for the beginning of a control sequence.
    assert_eq!(ask(&["--request-target", "/red\u{9b}31m?token=planted"], "/"), "401");
    let line = line_with("/red").await;
    assert!(line.contains(r" 401 /red\u{9b}31m "), "{line:?}");
    assert!(!line.contains(char::is_control) && !line.contains("planted"), "{line:?}");
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("a port")
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_named_with_what_to_do() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = held.local_addr().expect("an address").to_string();
    for (address, words) in [
        (taken.as_str(), &["in use", "ss -ltnp", "--listen"][..]),
        ("192.0.2.1:8443", &["no interface of this machine"]),
    ] {
        let ended = installation().run(&["run", "--listen", address], None).await;
        assert_eq!(ended.status.code(), FAILURE, "{ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{word:?} is not in {ended:?}");
        }
    }
    drop(held);
}

/// Routes ask for one role, and a slip of it lets nobody in.
#[tokio::test]
async fn a_role_that_no_route_asks_for_is_given_and_warned_of() {
    let config = "[auth]\nbcrypt_cost = 4\n[[route]]\nupstream = \"echo\"\nroles = [\"deploy\"]\n";
    let installation = Installation::new().file("config.toml", config);
    let add = async |name: &str, role: &str| {
        let ended = installation
            .run(&["user", "add", name, "--role", role], Some("a password of hers\n"))
            .await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended.stderr
    };
    let warned = add("ann", "depoly").await;
    assert!(warned.contains("no route requires the role \"depoly\""), "{warned}");
    assert!(warned.contains("`deploy`"), "{warned}");
    for (name, role) in [("bob", "deploy"), ("eve", "user"), ("mallory", "admin")] {
        let silent = add(name, role).await;
        assert!(!silent.contains("no route requires"), "{role}: {silent}");
    }
    let roles = installation.run(&["user", "roles", "bob", "zzz"], None).await;
    assert!(roles.stderr.contains("they ask for deploy"), "{roles:?}");
}
