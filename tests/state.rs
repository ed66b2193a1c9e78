//! Where the gateway keeps its own files, and how commands find it from anywhere.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::{Ended, Process};
use crate::support::within;

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n";

fn installation() -> Installation {
    Installation::new().env("ADMIN_PASSWORD", ADMIN_PASSWORD)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn make(place: &Installation, name: &str) {
    std::fs::create_dir_all(place.path(name)).expect("a directory can be made");
}

/// Runs a command in a directory below the installation's.
async fn run_in(place: &Installation, directory: &str, arguments: &[&str]) -> Ended {
    place.start_in(directory, arguments, None).end().await
}

async fn stop(process: Process) -> Ended {
    process.signal(Signal::TERM);
    process.end().await
}

async fn is_ready(process: &Process) {
    let ready = |lines: &[String]| {
        lines.iter().any(|line| line.contains("\"message\":\"ready\"")).then_some(())
    };
    within("the gateway to be ready", process.stdout.find(ready)).await.expect("it runs");
}

fn succeeded(ended: &Ended) -> &str {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    &ended.stdout
}

/// Was: `run --to` in the directory that a web server serves put the secret key, the TLS key
/// and the store where every visitor could download them.
#[tokio::test]
async fn without_a_configuration_file_nothing_is_made_where_the_gateway_is_started() {
    let gateway = Gateway::builder()
        .bare()
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .file("index.html", "the site")
        .arguments(&["run", "--to", "echo", "--listen", "127.0.0.1:0"])
        .start()
        .await;
    assert_eq!(names(&gateway.path("")), [".local", "index.html"]);
    let state = gateway.installation().state("");
    for name in [".gitignore", "admin.sock", "certs", "portcullis.redb", "secret_key"] {
        assert!(names(&state).contains(&name.to_owned()), "{name} in {:?}", names(&state));
    }
    let told = gateway.wait_for_log(|line| line["message"] == "state").await;
    assert_eq!(Path::new(told["path"].as_str().expect("a path")), state.components().as_path());
}

#[tokio::test]
async fn what_is_made_is_kept_from_git_unless_other_things_lie_there() {
    let gateway = Gateway::builder()
        .bare()
        .config(&format!("{LISTENER}{ECHO}"))
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .start()
        .await;
    for made in ["data/.gitignore", "certs/.gitignore"] {
        let text = std::fs::read_to_string(gateway.path(made)).expect("it is there");
        assert_eq!(text, "*\n", "{made}");
    }
    // Somebody's project, of which git is to keep everything else.
    let config = format!("[store]\npath = \".\"\n{LISTENER}{ECHO}");
    let beside = Gateway::builder()
        .bare()
        .config(&config)
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .start()
        .await;
    assert!(beside.path("secret_key").exists(), "the store lies there");
    assert!(!beside.path(".gitignore").exists());
}

#[tokio::test]
async fn a_gateway_is_found_from_any_directory_by_each_way_to_name_its_configuration() {
    let config = format!("{LISTENER}{ECHO}");
    let mut place = installation().file("gate.toml", &config);
    make(&place, "elsewhere");
    let process = place.start(&["run", "--config", "gate.toml"], None);
    is_ready(&process).await;
    assert!(place.path("data/secret_key").exists(), "state lies beside the file");

    let absolute = place.path("gate.toml").display().to_string();
    for named in ["../gate.toml", absolute.as_str()] {
        let ended = run_in(&place, "elsewhere", &["healthcheck", "--config", named]).await;
        assert_eq!(succeeded(&ended), "healthy", "{named}");
    }
    place.set_env("PORTCULLIS_CONFIG", Some(&absolute));
    assert_eq!(succeeded(&run_in(&place, "elsewhere", &["healthcheck"]).await), "healthy");
    // Control: without a name nothing is found here, and it is said where it was looked for.
    place.set_env("PORTCULLIS_CONFIG", None);
    let ended = run_in(&place, "elsewhere", &["healthcheck"]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let state = place.state("").components().as_path().display().to_string();
    for word in
        ["no gateway is running", &state, "config.toml", "/etc/portcullis/config.toml", "--config"]
    {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_file_is_found_from_any_directory() {
    let gateway = Gateway::builder()
        .bare()
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .arguments(&["run", "--to", "echo", "--listen", "127.0.0.1:0"])
        .start()
        .await;
    let place = gateway.installation();
    make(place, "elsewhere");
    let listed = run_in(place, "elsewhere", &["user", "list", "--format", "json"]).await;
    let users: Value = serde_json::from_str(succeeded(&listed)).expect("JSON");
    assert_eq!(users[0]["username"], ADMIN);
}

/// As systemd starts it, with several directories of which the first is meant.
#[tokio::test]
async fn a_service_manager_says_where_state_lies() {
    let mut place = installation().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let directories = format!("{0}/state:{0}/other", place.path("").display());
    place.set_env("STATE_DIRECTORY", Some(&directories));
    make(&place, "state");
    let process = place.start(&["run"], None);
    is_ready(&process).await;
    assert!(place.path("state/secret_key").exists());
    assert!(place.path("state/certs/server.pem").exists());
    assert!(!place.path("data").exists() && !place.path("certs").exists());
    assert_eq!(succeeded(&place.run(&["healthcheck"], None).await), "healthy");
}

/// State of version 0.1, made where it was started, with the configuration elsewhere.
async fn former_installation() -> Installation {
    let place = installation().env("SECRET_KEY", SECRET_KEY);
    make(&place, "etc");
    place.write("etc/config.toml", &format!("{LISTENER}{ECHO}"));
    let former = format!("{LISTENER}[store]\npath = \"data\"\n{ECHO}");
    place.write("former.toml", &former);
    let process = place.start(&["run", "--config", "former.toml"], None);
    is_ready(&process).await;
    process.signal(rustix::process::Signal::TERM);
    process.end().await;
    assert!(place.path("data/portcullis.redb").exists());
    assert!(place.path("certs/server.key").exists());
    place
}

/// Has a shell do what standard error says behind a word.
fn carry_out(ended: &Ended, behind: &str) {
    let (_, rest) = ended.stderr.split_once(behind).expect("a command is named");
    let command = rest.lines().next().expect("a line");
    let done = std::process::Command::new("sh").args(["-ec", command]).output().expect("a shell");
    assert!(done.status.success(), "{command}: {done:?}");
}

#[tokio::test]
async fn state_at_its_former_place_is_neither_lost_nor_begun_anew() {
    let place = former_installation().await;
    let moved = ["--config", "etc/config.toml"];
    for (command, code) in
        [(&["run"][..], 78), (&["check"], 78), (&["user", "list"], 1), (&["store", "check"], 1)]
    {
        let ended = place.run(&[command, &moved].concat(), None).await;
        assert_eq!(ended.status.code(), Some(code), "{command:?}: {ended:?}");
        let (former, now) = (place.path("data"), place.path("etc/data"));
        for word in [former.to_str(), now.to_str(), Some("store.path"), Some("mv")] {
            let word = word.expect("a path of text");
            assert!(ended.stderr.contains(word), "{word}: {ended:?}");
        }
        assert!(!place.path("etc/data").exists(), "{command:?} has begun anew");
    }
    // The remedy that is named, as it is printed.
    let ended = place.run(&["run", "--config", "etc/config.toml"], None).await;
    carry_out(&ended, ", then: ");
    let ended = place.run(&["run", "--config", "etc/config.toml"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    for word in ["self-signed certificate", "server.key", "tls.certificate"] {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    assert!(!place.path("etc/certs").exists());
    carry_out(&ended, "move it: ");
    let process = place.start(&["run", "--config", "etc/config.toml"], None);
    is_ready(&process).await;
    let users = place.run(&["user", "list", "--config", "etc/config.toml"], None).await;
    assert!(succeeded(&users).contains(ADMIN), "{users:?}");
}

#[tokio::test]
async fn the_former_place_is_used_once_it_is_named_and_a_new_one_begun_once_that_is() {
    let place = former_installation().await;
    let absolute = place.path("data").display().to_string();
    let own = place.path("certs").display().to_string();
    for path in [absolute, place.path("etc/new").display().to_string()] {
        let config = format!(
            "{LISTENER}[store]\npath = \"{path}\"\n[tls]\ncertificate = \"{own}/server.pem\"\n\
             key = \"{own}/server.key\"\n{ECHO}"
        );
        place.write("etc/config.toml", &config);
        let process = place.start(&["run", "--config", "etc/config.toml"], None);
        is_ready(&process).await;
        assert!(Path::new(&path).join("portcullis.redb").exists(), "{path}");
    }
}

/// What lies there is its own, and `mv` would take it away.
#[tokio::test]
async fn the_state_of_another_configuration_is_not_taken_for_that_of_a_former_version() {
    let place = installation().file("config.toml", &format!("{LISTENER}{ECHO}"));
    make(&place, "other");
    place.write("other/b.toml", &format!("{LISTENER}{ECHO}"));
    let process = place.start(&["run", "--log-format", "json"], None);
    is_ready(&process).await;
    let checked = place.run(&["check", "--config", "other/b.toml"], None).await;
    succeeded(&checked);
    let process = place.start(&["run", "--config", "other/b.toml", "--log-format", "json"], None);
    is_ready(&process).await;
    assert!(place.path("other/data/portcullis.redb").exists());
    // Of this very configuration it is, wherever its state is to lie now.
    let elsewhere = place.path("elsewhere").display().to_string();
    let place = place.env("STATE_DIRECTORY", &elsewhere);
    let ended = place.run(&["check"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.contains("state exists in"), "{ended:?}");
}

/// Nothing lies beside a pipe.
#[tokio::test]
async fn a_configuration_from_a_pipe_has_its_state_where_none_has() {
    let place = installation();
    make(&place, "served");
    let config = format!("{LISTENER}{ECHO}");
    let arguments = ["run", "--config", "/dev/stdin", "--log-format", "json"];
    let process = place.start_in("served", &arguments, Some(&config));
    is_ready(&process).await;
    assert!(place.state("secret_key").exists());
    assert!(names(&place.path("served")).is_empty(), "{:?}", names(&place.path("served")));
}

#[tokio::test]
async fn a_state_directory_that_would_begin_where_the_gateway_is_started_is_refused() {
    let place = installation().env("STATE_DIRECTORY", "state");
    let ended = place.run(&["run", "--to", "echo"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.contains("STATE_DIRECTORY: expected an absolute path"), "{ended:?}");
    assert!(!place.path("state").exists());
}

/// It would choose what root reads and makes.
#[tokio::test]
async fn root_takes_no_configuration_of_others_that_only_lies_where_it_works() {
    use std::os::unix::fs::chown;
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away, and to nobody else does this apply.
        return;
    }
    let place = installation().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let file = place.path("config.toml");
    let refused = async |word: &str| {
        for command in [&["user", "list"][..], &["check"], &["run"]] {
            let ended = place.run(command, None).await;
            assert_eq!(ended.status.code(), Some(78), "{command:?} {ended:?}");
            assert!(ended.stderr.contains(word), "{ended:?}");
            assert!(ended.stderr.contains("--config config.toml"), "{ended:?}");
        }
    };
    chown(&file, Some(64_999), None).expect("root gives files away");
    refused("it belongs to user 64999").await;
    succeeded(&place.run(&["check", "--config", "config.toml"], None).await);
    chown(&file, Some(0), None).expect("root takes files");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("ours");
    refused("every user can write it").await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).expect("ours");
    chown(&file, None, Some(64_998)).expect("root may");
    refused("every user in group 64998 can write it").await;
    // Nor what somebody else's link leads to.
    std::fs::rename(&file, place.path("ours.toml")).expect("ours");
    std::fs::set_permissions(place.path("ours.toml"), std::fs::Permissions::from_mode(0o644))
        .expect("ours");
    std::os::unix::fs::symlink("ours.toml", &file).expect("a link");
    succeeded(&place.run(&["check"], None).await);
    std::os::unix::fs::lchown(&file, Some(64_999), None).expect("root gives links away");
    refused("it belongs to user 64999").await;
    assert!(!place.path("data").exists());
}

#[tokio::test]
async fn a_store_that_is_missing_beside_its_secret_key_is_warned_of_before_another_is_begun() {
    let place = Installation::new().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let codes = async || -> Vec<String> {
        let ended = place.run(&["check", "--format", "json"], None).await;
        let checked: Value = serde_json::from_str(succeeded(&ended)).expect("JSON");
        let warnings = checked["warnings"].as_array().expect("a list").iter();
        warnings.map(|warning| warning["code"].as_str().expect("a code").to_owned()).collect()
    };
    assert!(codes().await.is_empty(), "nothing has been made yet");
    let process = place.start(&["run", "--log-format", "json"], None);
    is_ready(&process).await;
    let first = stop(process).await;
    assert!(!first.stdout.contains("store_missing"), "{first:?}");
    assert!(codes().await.is_empty());
    std::fs::remove_file(place.path("data/portcullis.redb")).expect("the store is there");
    assert_eq!(codes().await, ["store_missing"]);
    let process = place.start(&["run", "--log-format", "json"], None);
    is_ready(&process).await;
    let second = stop(process).await;
    assert!(second.stdout.contains("\"store_missing\""), "{second:?}");
    assert!(codes().await.is_empty(), "there is one again");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_warned_of_and_an_empty_store_refused() {
    let mut place = Installation::new().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let checked =
        async |place: &Installation| place.run(&["check", "--config", "config.toml"], None).await;
    // Root may write everywhere.
    assert!(!checked(&place).await.stdout.contains("state_unwritable"));
    place.run_as(Some(64_999));
    let told = checked(&place).await;
    succeeded(&told);
    let here = place.path("data").display().to_string();
    assert!(told.stdout.contains("not writable for this user [state_unwritable]"), "{told:?}");
    assert!(told.stdout.contains(&here), "{told:?}");
    let refused = place.run(&["run", "--config", "config.toml"], None).await;
    assert!(refused.stderr.contains("permission denied"), "{refused:?}");
    // Nothing lies there that could be moved away.
    place.set_env("PORTCULLIS_STORE__PATH", Some("config.toml/data"));
    let refused = checked(&place).await;
    assert!(refused.stderr.contains("something on the way to it is no directory"), "{refused:?}");
    assert!(!refused.stderr.contains("move it away"), "{refused:?}");
    place.set_env("PORTCULLIS_STORE__PATH", None);
    place.run_as(None);
    std::fs::create_dir(place.path("data")).expect("there is none");
    place.write("data/portcullis.redb", "");
    let refused = checked(&place).await;
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(refused.stderr.contains("is not readable: it is empty"), "{refused:?}");
}

/// Whoever is in another directory than was thought is told where the user went.
#[tokio::test]
async fn a_command_that_makes_a_store_says_where() {
    let place = Installation::new().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let password = Some("ann has this one\n");
    let first = place.run(&["user", "add", "ann"], password).await;
    succeeded(&first);
    assert!(first.stderr.contains("a new store was made in data"), "{first:?}");
    assert_eq!(names(&place.path("data")), [".gitignore", "portcullis.redb"]);
    let second = place.run(&["user", "add", "bob"], password).await;
    assert!(!succeeded(&second).is_empty() && !second.stderr.contains("store"), "{second:?}");
}

/// Was: the name of a certificate in the working directory was read whatever lay there, and
/// state in it counted whoever had made it.
#[tokio::test]
async fn what_others_leave_where_a_gateway_is_started_neither_stops_it_nor_becomes_its_state() {
    use std::os::unix::fs::chown;
    let place = installation().file("config.toml", &format!("{LISTENER}{ECHO}"));
    for directory in ["elsewhere/certs", "elsewhere/data"] {
        make(&place, directory);
    }
    let pipe =
        std::process::Command::new("mkfifo").arg(place.path("elsewhere/certs/server.pem")).status();
    assert!(pipe.expect("mkfifo").success());
    place.write("elsewhere/data/secret_key", "a key that somebody else knows, of many bytes\n");
    chown(place.path("elsewhere/data/secret_key"), Some(64_999), None).expect("root may");
    let arguments = ["--config", "../config.toml", "--log-format", "json"];
    let checked = run_in(&place, "elsewhere", &["check", "--config", "../config.toml"]).await;
    succeeded(&checked);
    let process = place.start_in("elsewhere", &[&["run"][..], &arguments].concat(), None);
    is_ready(&process).await;
    stop(process).await;
    assert!(place.path("data/secret_key").exists());
    assert_eq!(names(&place.path("elsewhere/data")), ["secret_key"]);
}

/// A file is only lent to that name.
#[tokio::test]
async fn the_state_of_a_configuration_on_standard_input_is_not_beside_its_device() {
    let place = installation().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let file = std::fs::File::open(place.path("config.toml")).expect("it is there");
    let mut command = place.command("", &["config", "print", "--config", "/dev/stdin"]);
    let printed = Process::start_with(&mut command, file).end().await;
    assert!(!succeeded(&printed).contains("\"/dev/"), "{printed:?}");
    let state = place.state("").components().as_path().display().to_string();
    assert!(printed.stdout.contains(&format!("path = {state:?}")), "{printed:?}");
}

#[tokio::test]
async fn a_secret_file_without_an_end_is_refused() {
    let place = Installation::new()
        .file("config.toml", &format!("{LISTENER}{ECHO}"))
        .env("SECRET_KEY_FILE", "/dev/zero");
    let refused = place.run(&["check", "--config", "config.toml"], None).await;
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(refused.stderr.contains("it is larger than any such file"), "{refused:?}");
}

#[tokio::test]
async fn a_kept_secret_that_another_takes_the_place_of_is_said() {
    let mut place = Installation::new().file("config.toml", &format!("{LISTENER}{ECHO}"));
    let said = async |place: &Installation| {
        let process = place.start(&["run", "--log-format", "json"], None);
        is_ready(&process).await;
        stop(process).await.stdout.contains("stored secret key not used")
    };
    assert!(!said(&place).await);
    let kept = std::fs::read_to_string(place.path("data/secret_key")).expect("it was made");
    place.set_env("SECRET_KEY", Some(kept.trim()));
    assert!(!said(&place).await, "it is the same");
    place.set_env("SECRET_KEY", Some(SECRET_KEY));
    assert!(said(&place).await);
    place.set_env("SECRET_KEY_PREVIOUS", Some(kept.trim()));
    assert!(!said(&place).await, "its tokens are taken");
}

#[tokio::test]
async fn state_that_is_left_at_its_former_place_is_warned_of() {
    let place = former_installation().await;
    let own = "[tls]\ncertificate = \"../certs/server.pem\"\nkey = \"../certs/server.key\"\n";
    place.write("etc/config.toml", &format!("{LISTENER}{own}{ECHO}"));
    make(&place, "etc/data");
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(place.path("etc/data"), closed).expect("the directory is ours");
    let copied =
        std::fs::copy(place.path("data/portcullis.redb"), place.path("etc/data/portcullis.redb"));
    copied.expect("it can be copied");
    let check = ["check", "--config", "etc/config.toml", "--format", "json"];
    let codes = async || -> Vec<String> {
        let ended = place.run(&check, None).await;
        let checked: Value = serde_json::from_str(succeeded(&ended)).expect("JSON");
        let warnings = checked["warnings"].as_array().expect("a list").iter();
        warnings.map(|warning| warning["code"].as_str().expect("a code").to_owned()).collect()
    };
    assert_eq!(codes().await, ["state_left_behind"]);
    std::fs::remove_dir_all(place.path("data")).expect("it can be removed");
    assert!(codes().await.is_empty());
}

#[tokio::test]
async fn a_relative_path_of_a_file_is_meant_beside_it_and_a_mistake_says_so() {
    let place = installation();
    make(&place, "etc");
    place.write("key", &"k".repeat(40));
    let config = format!("{LISTENER}[auth]\nsecret_key_file = \"key\"\n{ECHO}");
    place.write("etc/config.toml", &config);
    let ended = place.run(&["check", "--config", "etc/config.toml"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    let written = format!("write \"{}\"", place.path("key").display());
    assert!(ended.stderr.contains(&written), "{written}: {ended:?}");
    std::fs::rename(place.path("key"), place.path("etc/key")).expect("mv");
    succeeded(&place.run(&["check", "--config", "etc/config.toml"], None).await);
}

#[tokio::test]
async fn a_file_that_nobody_named_is_said_to_be_read_when_it_is_wrong() {
    // Of another program, as many sites have it.
    let place = installation().file("config.toml", "baseURL = 'https://example.org/'\n");
    let ended = place.run(&["run", "--to", "echo"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.contains("config.toml was read because none was named"), "{ended:?}");
    let named = place.run(&["run", "--to", "echo", "--config", "config.toml"], None).await;
    assert!(!named.stderr.contains("because none was named"), "{named:?}");
}

#[tokio::test]
async fn a_given_password_that_is_not_used_is_said() {
    let mut gateway = Gateway::start(ECHO).await;
    gateway.set_env("ADMIN_PASSWORD", Some("another one, later"));
    gateway.restart().await;
    let unused = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("ADMIN_PASSWORD not used")
    };
    gateway.wait_for_log(unused).await;
    sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    Client::anonymous(&gateway).login(ADMIN, "another one, later").await.expect(401);
}
