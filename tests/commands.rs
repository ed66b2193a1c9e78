//! What commands take, what they ask before, and what becomes of what they print.

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::client::{Client, Pair, sign_in};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;

const FAILURE: Option<i32> = Some(1);
const USAGE_ERROR: Option<i32> = Some(2);

fn fails(ended: &Ended, code: Option<i32>, words: &[&str]) {
    assert_eq!(ended.status.code(), code, "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in {ended:?}");
    }
}

/// Was: no command worked beside a gateway whose secrets were in its environment alone.
#[tokio::test]
async fn a_command_needs_no_secret_that_only_the_gateway_uses() {
    let config = format!(
        "[github]\nclient_id = \"Iv1.abc\"\n\
         [links]\npublic_url = \"https://gate.example\"\n\
         [mail]\nurl = \"smtp://gate@127.0.0.1:1\"\nfrom = \"gate@example.com\"\n{ECHO}"
    );
    let builder = Gateway::builder().config(&config).env("MAIL_PASSWORD", "of the mail server");
    let mut gateway = builder.env("GITHUB_CLIENT_SECRET", "of-GitHub").start().await;
    for name in ["MAIL_PASSWORD", "GITHUB_CLIENT_SECRET"] {
        gateway.set_env(name, None);
    }
    gateway.manage(&["user", "list"], None).await;
    gateway.manage(&["registration", "close"], None).await;
    let export = gateway.manage(&["store", "export"], None).await;
    assert!(export.contains("admin"), "{export}");
    let checked = gateway.cli(&["check"], None).await;
    for why in ["GITHUB_CLIENT_SECRET", "MAIL_PASSWORD"] {
        assert!(checked.stderr.contains(why), "what the gateway needs is told: {checked:?}");
    }
}

#[tokio::test]
async fn an_option_before_the_command_counts_or_is_a_mistake() {
    let builder = || Gateway::builder().bare().env("ADMIN_PASSWORD", ADMIN_PASSWORD);
    for arguments in [
        &["--to", "echo", "--listen", "127.0.0.1:0", "run"][..],
        &["--listen", "127.0.0.1:0", "run", "--to", "echo"],
        &["--to", "echo", "--listen", "127.0.0.1:0"],
    ] {
        let gateway = builder().arguments(arguments).start().await;
        assert_eq!(gateway.address().ip().to_string(), "127.0.0.1", "{arguments:?}");
        Client::basic(&gateway, ADMIN, ADMIN_PASSWORD).get("/any").await.expect(200);
    }
    let place = Installation::new().file("config.toml", ECHO);
    for (arguments, word) in [
        (&["--to", "echo", "run", "--to", "echo"][..], "set it once"),
        (&["--to", "echo", "user", "list"], "options of run and check"),
        (&["--log-level", "debug", "init"], "options of run and check"),
        (&["--format", "json", "user", "list"], "--format"),
        (&["run", "--format", "json"], "--format"),
        (&["store", "check", "--format", "json"], "--format"),
        (&["status", "--format", "junit"], "junit"),
    ] {
        fails(&place.run(arguments, None).await, USAGE_ERROR, &[word]);
    }
    // Control: the same options where they belong.
    let checked = place.run(&["--to", "http://127.0.0.1:9", "check"], None).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(checked.stdout.contains("http://127.0.0.1:9"), "{checked:?}");
}

#[tokio::test]
async fn a_user_who_is_not_there_is_named_before_a_password_is_read() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("annabel", "annabel has this one", &[]).await;
    for command in [
        &["user", "passwd", "anabel"][..],
        &["user", "remove", "anabel"],
        &["user", "disable", "anabel"],
        &["key", "create", "--owner", "anabel"],
        &["session", "end", "--user", "anabel"],
        &["server", "add", "build", "--owner", "anabel"],
    ] {
        let ended = gateway.cli(command, None).await;
        fails(
            &ended,
            FAILURE,
            &["no user has the name, e-mail address or id \"anabel\"", "`annabel`"],
        );
    }
    let id = "usr_00000000000000000000000000000001";
    fails(&gateway.cli(&["user", "show", id], None).await, FAILURE, &["no user has", "user list"]);
}

#[tokio::test]
async fn whoever_takes_the_last_administrator_is_told() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "ann has this one", &["admin"]).await;
    let said = gateway.cli(&["user", "roles", ADMIN, "user"], None).await;
    assert!(!said.stderr.contains("warning"), "{said:?}");
    for command in [&["user", "disable", "ann"][..], &["user", "roles", "ann", "user"]] {
        gateway.manage(&["user", "enable", "ann"], None).await;
        let said = gateway.cli(command, None).await;
        assert_eq!(said.status.code(), Some(0), "{said:?}");
        assert!(said.stderr.contains("no enabled user has the role admin"), "{command:?} {said:?}");
        gateway.manage(&["user", "roles", "ann", "admin"], None).await;
    }
}

#[tokio::test]
async fn a_credential_that_is_given_for_a_name_is_repeated_by_no_message() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &["--name", "ci"]).await;
    for credential in [&pair.access, &key] {
        for command in [
            &["user", "show", credential][..],
            &["user", "remove", credential],
            &["key", "revoke", "--owner", credential],
            &["key", "create", "--owner", credential],
            &["session", "end", credential],
            &["session", "list", "--user", credential],
        ] {
            let ended = gateway.cli(command, None).await;
            fails(&ended, FAILURE, &["credential"]);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains(credential.as_str()), "{said}");
        }
    }
}

/// A closed standard output is the null device by the time that anything is written.
#[tokio::test]
async fn what_is_shown_once_is_not_made_for_nobody() {
    let gateway = Gateway::start(ECHO).await;
    for redirection in [">&-", ">/dev/null"] {
        for command in ["key create --owner admin --name lost", "secret generate"] {
            let binary = env!("CARGO_BIN_EXE_portcullis");
            let line = format!("exec {binary} {command} --config config.toml {redirection}");
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]).current_dir(gateway.path("")).env_clear();
            shell.env("SECRET_KEY", SECRET_KEY).env("HOME", gateway.path(""));
            let ended = shell.output().expect("a shell");
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(1), "{line}: {said}");
            assert!(said.contains("closed or /dev/null"), "{line}: {said}");
        }
    }
    let keys = gateway.manage(&["key", "list", "--format", "json"], None).await;
    assert_eq!(keys.trim(), "[]");
}

#[tokio::test]
async fn a_password_without_an_end_is_not_waited_for() {
    let place = Installation::new().file("config.toml", ECHO);
    let mut shell = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_portcullis");
    let line = format!("ulimit -v 4000000; tr '\\0' a </dev/zero | {binary} hash-password");
    shell.args(["-c", &line]).current_dir(place.path("")).env_clear().env("PATH", "/usr/bin:/bin");
    let ended = tokio::task::spawn_blocking(move || shell.output()).await;
    let ended = ended.expect("it ends").expect("a shell");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("password must"), "{said}");
}

#[tokio::test]
async fn opening_what_the_configuration_closes_says_that_it_stays_closed() {
    let closed = Gateway::start(&format!("[auth]\nregistration = \"closed\"\n{ECHO}")).await;
    let said = closed.manage(&["registration", "open"], None).await;
    assert!(said.contains("closed by the configuration (auth.registration)"), "{said}");
    let open = Gateway::start(&format!("[auth]\nregistration = \"open\"\n{ECHO}")).await;
    open.manage(&["registration", "close"], None).await;
    let said = open.manage(&["registration", "open"], None).await;
    assert!(said.contains("registration is open"), "{said}");
}

#[tokio::test]
async fn a_command_on_a_store_that_is_not_there_says_where_it_looked() {
    let place = Installation::new().file("config.toml", ECHO);
    let directory = place.path("data").display().to_string();
    for command in
        [&["store", "check"][..], &["user", "list"], &["store", "backup", "--output", "b.jsonl"]]
    {
        let ended = place.run(command, None).await;
        fails(&ended, FAILURE, &["there is no store yet", &directory, "--config FILE"]);
    }
}

#[tokio::test]
async fn what_removes_asks_first_and_a_script_says_that_it_means_it() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "ann has this one", &[]).await;
    let (key, _) = gateway.create_key("ann", &[], &["--name", "ci"]).await;
    let server = gateway.manage(&["server", "add", "build"], None).await;
    let workspace = gateway.manage(&["workspace", "add", "lab"], None).await;
    for command in [
        &["key", "revoke", &key][..],
        &["key", "revoke", "--owner", "ann"],
        &["server", "remove", &server],
        &["workspace", "remove", &workspace],
        &["user", "remove", "ann"],
        &["session", "end", "--all"],
    ] {
        // Nobody can be asked, whatever stands on standard input.
        fails(&gateway.cli(command, Some("y\n")).await, USAGE_ERROR, &["?", "--yes"]);
    }
    Client::basic(&gateway, "ann", "ann has this one").get("/").await.expect(200);
    for list in ["key", "server", "workspace"] {
        let listed = gateway.manage(&[list, "list", "--format", "json"], None).await;
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{list}");
    }
    for command in [&["key", "revoke", &key, "--yes"][..], &["user", "remove", "ann", "-y"]] {
        gateway.manage(command, None).await;
    }
    Client::basic(&gateway, "ann", "ann has this one").get("/").await.expect(401);
}

#[tokio::test]
async fn a_thing_is_named_by_its_name_if_only_it_has_that() {
    let gateway = Gateway::start(ECHO).await;
    let server = gateway.manage(&["server", "add", "build"], None).await;
    gateway.manage(&["server", "rename", "build", "build-7"], None).await;
    let (key, text) =
        gateway.create_key(ADMIN, &[], &["--name", "ci", "--server", "build-7"]).await;
    let keys =
        gateway.manage(&["key", "list", "--server", "build-7", "--format", "json"], None).await;
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    assert_eq!((&keys[0]["id"], &keys[0]["server"]), (&key.into(), &server.clone().into()));
    drop(text);

    gateway.manage(&["server", "add", "twin"], None).await;
    let added = gateway.cli(&["server", "add", "twin"], None).await;
    assert!(added.stderr.contains("another server has the name \"twin\" too"), "{added:?}");
    let create = ["key", "create", "--owner", ADMIN, "--name", "twin"];
    let first = gateway.cli(&create, None).await;
    assert!(!first.stderr.contains("another key"), "{first:?}");
    let second = gateway.cli(&create, None).await;
    assert!(second.stderr.contains("another key has the name \"twin\" too"), "{second:?}");
    let twin = added.stdout.trim().to_owned();
    let unnamed = gateway.cli(&["workspace", "add", ""], None).await;
    fails(&unnamed, USAGE_ERROR, &["<NAME>"]);
    let both = gateway.cli(&["server", "remove", "twin", "--yes"], None).await;
    fails(&both, FAILURE, &["2 servers have the name \"twin\"", &twin]);
    let near = gateway.cli(&["server", "remove", "biuld-7", "--yes"], None).await;
    fails(&near, FAILURE, &["no server has the id or name \"biuld-7\"", "`build-7`"]);
    // A key that was rotated has its name beside the new one for a while.
    let rotated = gateway.cli(&["key", "rotate", "ci", "--overlap", "1h"], None).await;
    assert!(rotated.stderr.contains("the old key stays valid until 20"), "{rotated:?}");
    let both = gateway.cli(&["key", "revoke", "ci", "--yes"], None).await;
    fails(&both, FAILURE, &["2 keys have the name \"ci\"", "(until 20"]);
    let leaked = gateway.create_key(ADMIN, &[], &["--name", "leaked"]).await.1;
    let rotated = gateway.cli(&["key", "rotate", "leaked", "--overlap", "0s"], None).await;
    assert!(rotated.stderr.contains("the old key is refused from now on"), "{rotated:?}");
    Client::api_key(&gateway, &leaked).get("/").await.expect(401);
    let none = gateway.cli(&["key", "rotate", "zzz"], None).await;
    fails(&none, FAILURE, &["no key has the id or name", "portcullis key list"]);

    gateway.manage(&["workspace", "add", "lab"], None).await;
    gateway.manage(&["workspace", "join", "lab", ADMIN], None).await;
    assert!(gateway.manage(&["workspace", "members", "lab"], None).await.contains(ADMIN));
    gateway.manage(&["workspace", "remove", "lab", "--yes"], None).await;
    gateway.manage(&["server", "remove", "build-7", "--yes"], None).await;
}

/// As each contract writes them.
#[tokio::test]
async fn an_id_is_taken_in_every_form_that_the_gateway_writes() {
    let gateway = Gateway::start(ECHO).await;
    let Pair { access, .. } = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let client = Client::bearer(&gateway, &access);
    let made = client.post_json("/api/v1/auth/keys", &serde_json::json!({ "name": "ci" })).await;
    let id = made.json()["keyId"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("key_"), "{id}");
    gateway.manage(&["key", "rotate", &id, "--overlap", "1h"], None).await;
    let me = client.get("/api/auth/me").await.json();
    let user = me["data"]["id"].as_str().expect("an id").to_owned();
    assert!(user.starts_with("usr_"), "{user}");
    assert!(gateway.manage(&["user", "show", &user], None).await.contains(ADMIN));
    let keys = gateway.manage(&["key", "list", "--owner", &user, "--format", "json"], None).await;
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    assert_eq!(keys.as_array().map(Vec::len), Some(2), "the old one and the new one");
    let nonsense = gateway.cli(&["session", "end", "nonsense"], None).await;
    fails(&nonsense, FAILURE, &["expected the id of a session", "session list", "nonsense"]);
}

/// Runs a command with its standard output on a full device.
fn into_nothing(place: &Installation, arguments: &[&str]) -> (Option<i32>, String) {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let ended = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(place.path(""))
        .env_clear()
        .env("HOME", place.path(""))
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .expect("the binary runs");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[tokio::test]
async fn output_that_cannot_be_written_is_an_exit_code() {
    let gateway = Gateway::start(ECHO).await;
    let place = gateway.installation();
    for arguments in [
        &["user", "list"][..],
        &["status"],
        &["healthcheck"],
        &["check"],
        &["check", "--format", "json"],
        &["check", "--path", "/"],
        &["explain"],
        &["explain", "ok"],
        &["explain", "403"],
        &["secret", "generate"],
        &["store", "export"],
        &["conform", "--list"],
        &["completions", "bash"],
        &["man"],
        &["version"],
        &["server", "add", "build"],
    ] {
        let (code, told) = into_nothing(place, arguments);
        assert_eq!(code, FAILURE, "{arguments:?}: {told}");
        assert!(told.contains("No space left"), "{arguments:?}: {told}");
    }
}

/// Was: a key in use that nobody had, since its text had gone nowhere.
#[tokio::test]
async fn a_key_whose_text_could_not_be_written_is_revoked() {
    let gateway = Gateway::start(ECHO).await;
    let create = ["key", "create", "--owner", ADMIN, "--name", "lost"];
    let (code, told) = into_nothing(gateway.installation(), &create);
    assert_eq!(code, FAILURE, "{told}");
    assert!(told.contains("the key is revoked"), "{told}");
    let keys = gateway.manage(&["key", "list", "--format", "json"], None).await;
    assert_eq!(serde_json::from_str::<Value>(&keys).expect("JSON"), serde_json::json!([]));
    // The end of the key that was to be replaced stays.
    let (former, _) = gateway.create_key(ADMIN, &[], &[]).await;
    let rotate = ["key", "rotate", &former, "--overlap", "1h"];
    let (code, told) = into_nothing(gateway.installation(), &rotate);
    assert_eq!(code, FAILURE, "{told}");
    assert!(told.contains("revoked; the old key stays valid until"), "{told}");
    assert!(told.contains("make another in its place"), "{told}");
}

#[tokio::test]
async fn a_reader_that_has_left_is_no_noise_but_an_exit_code() {
    let place = Installation::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("explain")
        .current_dir(place.path(""))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn();
    let ended = child.expect("the binary").wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), FAILURE, "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[tokio::test]
async fn shells_and_man_are_told_the_command_line() {
    let place = Installation::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = place.run(&["completions", shell], None).await;
        assert_eq!(ended.status.code(), Some(0), "{shell}: {ended:?}");
        for word in ["healthcheck", "hash-password", "--log-format"] {
            // Fish and others write an option without its dashes.
            let word = word.trim_start_matches('-');
            assert!(ended.stdout.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            place.write("completions", &ended.stdout);
            let read = Command::new("bash").arg("-n").arg(place.path("completions")).status();
            assert!(read.expect("bash").success());
        }
    }
    let page = place.run(&["man"], None).await;
    for word in [".TH", "portcullis [OPTIONS] [COMMAND]", "explain", ".SH EXAMPLES"] {
        assert!(page.stdout.contains(word), "{word}: {page:?}");
    }
    let pages = place.run(&["man", "--output", "pages"], None).await;
    assert_eq!(pages.status.code(), Some(0), "{pages:?}");
    for page in ["portcullis.1", "portcullis-user.1", "portcullis-run.1"] {
        let text = std::fs::read_to_string(place.path("pages").join(page)).expect(page);
        assert!(text.contains(".SH"), "{page}");
        // What follows `.nf` stays in lines.
        let (_, examples) = text.split_once(".SH EXAMPLES\n.nf\n").expect("examples");
        assert!(examples.starts_with("\\&portcullis "), "{page}: {examples}");
    }
    place.write("file", "");
    fails(&place.run(&["man", "--output", "file"], None).await, FAILURE, &["file: the manual"]);
}

#[tokio::test]
async fn a_status_is_explained_by_all_that_is_answered_so() {
    let place = Installation::new();
    let codes = async |status: &str| -> Vec<String> {
        let ended = place.run(&["explain", status, "--format", "json"], None).await;
        let listed: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let listed = listed.as_array().expect("a list").iter();
        listed.map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
    };
    for (status, code) in [
        ("401", "credential_missing"),
        ("403", "role_missing"),
        ("404", "route_unknown"),
        ("421", "misdirected"),
        ("429", "rate_limited"),
        ("499", "client_left"),
        ("502", "upstream_connect"),
        ("503", "store_unavailable"),
        ("504", "upstream_timeout"),
    ] {
        let codes = codes(status).await;
        assert!(codes.contains(&code.to_owned()), "{status}: {codes:?}");
    }
    assert!(!codes("401").await.contains(&"role_missing".to_owned()));
    // Whoever has only the body's code knows as much.
    let named = codes("AUTHENTICATION_REQUIRED").await;
    assert!(named.contains(&"credential_missing".to_owned()), "{named:?}");
    let told = place.run(&["explain", "403"], None).await;
    assert!(told.stdout.contains("role_missing\n\n  cause"), "{told:?}");
    assert!(told.stdout.contains("  remedy  "), "{told:?}");
    fails(&place.run(&["explain", "418"], None).await, USAGE_ERROR, &["the upstream"]);
}

#[tokio::test]
async fn a_request_is_explained_by_the_id_that_its_client_was_told() {
    let config = "[[route]]\npath = \"/\"\nupstream = \"echo\"\nroles = [\"deploy\"]\n";
    let mut gateway = Gateway::start(config).await;
    let refused = Client::admin(&gateway).get("/some/path?token=planted").await.expect(403);
    let id = refused.field("x-request-id").to_owned();
    let logged = gateway
        .wait_for_log(|line| line["type"] == "access" && line["request_id"] == id.as_str())
        .await;
    let told = gateway.manage(&["explain", &format!("id={id}")], None).await;
    for word in ["/some/path", "role_missing", "remedy", ADMIN] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!told.contains("planted"), "{told}");
    let as_json = gateway.manage(&["explain", &id, "--format", "json"], None).await;
    let as_json: Value = serde_json::from_str(&as_json).expect("JSON");
    assert_eq!(as_json["request"], logged);
    assert_eq!(as_json["explanation"]["code"], "role_missing");

    // One that went well is not kept, and a log on standard input says what became of it.
    let other = "00000000-0000-7000-8000-000000000000";
    fails(&gateway.cli(&["explain", other], None).await, FAILURE, &["does not remember"]);
    let log = format!("{logged}\n");
    let ended = gateway.stop().await;
    assert!(ended.status.success(), "{ended:?}");
    fails(&gateway.cli(&["explain", &id], None).await, FAILURE, &["no gateway is running"]);
    let by_log = gateway.cli(&["explain", &id], Some(&log)).await;
    assert_eq!(by_log.status.code(), Some(0), "{by_log:?}");
    assert!(by_log.stdout.contains("role_missing"), "{by_log:?}");
}

/// Was: `--output data/portcullis.redb` replaced the store under its running gateway, which
/// went on acknowledging changes that were lost.
#[tokio::test]
async fn an_export_takes_the_place_of_nothing_but_an_export() {
    let gateway = Gateway::start(ECHO).await;
    let place = gateway.installation();
    let read = |name: &str| std::fs::read(place.path(name)).expect("the file is there");
    let store = place.path("data/portcullis.redb").metadata().expect("the store is there");
    for name in ["data/portcullis.redb", "config.toml", "server.key"] {
        let before = read(name);
        let ended = gateway.cli(&["store", "backup", "--output", name], None).await;
        fails(&ended, FAILURE, &[name, "is not an export", "name another file"]);
        assert!(name.starts_with("data/") || read(name) == before, "{name}");
    }
    fails(
        &gateway.cli(&["store", "backup", "--output", "."], None).await,
        FAILURE,
        &["this is a directory"],
    );
    let still = place.path("data/portcullis.redb").metadata().expect("the store is there");
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&still),
        std::os::unix::fs::MetadataExt::ino(&store)
    );
    // Control: an export, an empty file, a link to one, standard output and a device.
    std::fs::write(place.path("empty"), "").expect("a file");
    std::os::unix::fs::symlink("empty", place.path("link")).expect("a link");
    for _ in 0..2 {
        gateway.manage(&["store", "backup", "--output", "link"], None).await;
    }
    assert!(place.path("link").is_symlink() && !read("empty").is_empty());
    let printed = gateway.manage(&["store", "export", "--output", "-"], None).await;
    assert!(printed.starts_with("{\"format\":\"portcullis-export\""), "{printed}");
    gateway.manage(&["store", "export", "--output", "/dev/null"], None).await;
    let null = std::fs::symlink_metadata("/dev/null").expect("Linux has it");
    assert!(!null.is_file(), "a device is written and not replaced");
}

/// In an incident it is what was found in a repository that is at hand.
#[tokio::test]
async fn a_key_is_revoked_by_its_text_which_goes_into_no_message() {
    let gateway = Gateway::start(ECHO).await;
    let (_, text) = gateway.create_key(ADMIN, &[], &["--name", "leaked"]).await;
    let unknown = format!("sk_live_{}", "0".repeat(49));
    for arguments in [
        &["key", "revoke", &unknown, "--yes"][..],
        &["key", "rotate", &unknown],
        &["server", "remove", &text, "--yes"],
        &["explain", &text],
    ] {
        let ended = gateway.cli(arguments, None).await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!ended.status.success() && said.contains("text of a credential"), "{said}");
        assert!(!said.contains(&text) && !said.contains(&unknown), "{said}");
    }
    let revoked = gateway.cli(&["key", "revoke", &text, "--yes"], None).await;
    assert_eq!(revoked.status.code(), Some(0), "{revoked:?}");
    assert!(!revoked.stdout.contains(&text), "{revoked:?}");
    Client::api_key(&gateway, &text).get("/").await.expect(401);
}

#[tokio::test]
async fn a_gateway_that_stands_still_is_not_waited_for() {
    let gateway = Gateway::start(ECHO).await;
    gateway.signal(rustix::process::Signal::STOP);
    for arguments in [
        &["healthcheck"][..],
        &["user", "list"],
        &["status"],
        &["store", "backup", "--output", "backup"],
    ] {
        let ended = gateway.cli(arguments, None).await;
        fails(&ended, FAILURE, &["does not respond in time"]);
    }
    gateway.signal(rustix::process::Signal::CONT);
    gateway.manage(&["healthcheck"], None).await;
}

#[tokio::test]
async fn input_without_an_end_is_refused_and_not_kept() {
    let place = Installation::new().file("config.toml", ECHO);
    for (arguments, word) in [
        (&["check", "--config", "/dev/zero"][..], "larger than 1 MiB"),
        (&["user", "import", "/dev/zero"], "larger than 64 MiB"),
    ] {
        let ended = place.run(arguments, None).await;
        assert!(!ended.status.success() && ended.stderr.contains(word), "{ended:?}");
    }
}

/// A template that leaves a list empty must not let everybody in.
#[tokio::test]
async fn a_route_that_asks_for_none_of_the_roles_is_a_mistake() {
    for list in ["roles", "scopes"] {
        let config = format!("{ECHO}{list} = []\n");
        let ended = Installation::new().file("config.toml", &config).run(&["check"], None).await;
        fails(&ended, Some(78), &[list, "names none", "leave it out"]);
    }
}
