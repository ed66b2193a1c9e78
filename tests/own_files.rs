//! What the gateway keeps for itself is neither read nor written where somebody else could
//! have put it, and a first start that was cut short is finished by the next. These tests
//! are root's: they give files to others.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use tempfile::TempDir;

use crate::support::gateway::ECHO;
use crate::support::installation::Installation;
use crate::support::process::{Ended, Process};
use crate::support::within;

/// Someone who is neither root nor anybody that the machine knows.
const STRANGER: u32 = 64_999;

/// A name for each file that is ours, under `data` and `certs`.
const FILES: [&str; 9] = [
    "data/secret_key",
    "data/secret_key.partial",
    "data/portcullis.redb",
    "data/portcullis.partial",
    "data/admin.sock",
    "certs/server.key",
    "certs/server.key.partial",
    "certs/server.pem",
    "certs/server.pem.partial",
];

/// Where the files of the directory are not looked at by commands.
const CERTIFICATES: &str = "certs";

fn installation() -> Installation {
    Installation::new()
        .file("config.toml", &format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}"))
        .env("ADMIN_PASSWORD", "correct horse battery")
}

fn make_directory(place: &Installation, name: &str) {
    std::fs::create_dir(place.path(name)).expect("a directory can be made");
    set_mode(&place.path(name), 0o700);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("root may");
}

fn give_away(path: &Path) {
    chown(path, Some(STRANGER), Some(STRANGER)).expect("root may");
}

/// Waits until it listens.
async fn starts(place: &Installation) -> Process {
    let process = place.start(&["run"], None);
    let listening = process
        .stdout
        .find(|lines| lines.iter().any(|line| line.contains("\"ready\"")).then_some(()));
    match within("the gateway to listen", listening).await {
        Some(()) => process,
        None => panic!("it does not start: {:?}", process.end().await),
    }
}

#[track_caller]
fn refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(code), "{words:?}: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

/// `run`, `check`, and the commands if the place is one of theirs.
async fn refused_by_all(place: &Installation, name: &str, words: &[&str]) {
    let words = [&[name], words].concat();
    refused(&place.run(&["run"], None).await, 78, &words);
    refused(&place.run(&["check"], None).await, 78, &words);
    if name.starts_with(CERTIFICATES) {
        return;
    }
    for command in [
        &["user", "add", "ann"][..],
        &["status"],
        &["healthcheck"],
        &["store", "check"],
        &["store", "export"],
        &["store", "backup", "--output", "backup.jsonl"],
        &["store", "import", "-"],
    ] {
        refused(&place.run(command, Some("correct horse battery")).await, 1, &words);
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_a_directory_or_a_file_of_ours_is_refused_and_not_followed() {
    for name in ["data", "certs"] {
        let place = installation();
        make_directory(&place, "elsewhere");
        symlink(place.path("elsewhere"), place.path(name)).expect("a link can be made");
        refused_by_all(&place, name, &["is a symbolic link"]).await;
        let left = std::fs::read_dir(place.path("elsewhere")).expect("it is a directory");
        assert_eq!(left.count(), 0, "{name}");
    }
    // A slash behind it does not make it less of a link.
    let place = installation();
    make_directory(&place, "elsewhere");
    symlink("elsewhere", place.path("data")).expect("a link can be made");
    place.write("config.toml", &format!("[store]\npath = \"data/\"\n{ECHO}"));
    refused_by_all(&place, "data", &["is a symbolic link"]).await;
    for name in FILES {
        for target in ["precious", "nothing"] {
            let place = installation().file("precious", "root's own");
            make_directory(&place, "data");
            make_directory(&place, "certs");
            symlink(place.path(target), place.path(name)).expect("a link can be made");
            refused_by_all(&place, name, &["is a symbolic link"]).await;
            let kept = std::fs::read_to_string(place.path("precious"));
            assert_eq!(kept.expect("it is there"), "root's own", "{name}");
            assert!(!place.path("nothing").exists(), "{name}");
        }
    }
}

/// As Kubernetes mounts a secret; whoever has such a pair may go on using it there.
#[tokio::test]
async fn a_pair_of_the_operators_where_ours_would_be_is_used_once_it_is_named() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    for linked in [true, false] {
        let mut place = installation();
        make_directory(&place, "certs");
        make_directory(&place, "certs/..data");
        for (name, text) in
            [("server.pem", pair.cert.pem()), ("server.key", pair.signing_key.serialize_pem())]
        {
            if linked {
                place.write(&format!("certs/..data/{name}"), &text);
                let link = place.path(format!("certs/{name}"));
                symlink(format!("..data/{name}"), link).expect("a link can be made");
            } else {
                place.write(&format!("certs/{name}"), &text);
                give_away(&place.path(format!("certs/{name}")));
            }
        }
        let remedy = ["tls.certificate and tls.key", "be it these"];
        refused_by_all(&place, "certs/server.key", &remedy).await;
        place.set_env("PORTCULLIS_TLS__CERTIFICATE", Some("certs/server.pem"));
        place.set_env("PORTCULLIS_TLS__KEY", Some("certs/server.key"));
        starts(&place).await;
    }
}

#[tokio::test]
async fn what_belongs_to_another_user_is_refused() {
    for name in ["data", "certs"] {
        let place = installation();
        make_directory(&place, name);
        give_away(&place.path(name));
        refused_by_all(&place, name, &["belongs to user 64999", "chown -R 0"]).await;
    }
    for name in FILES.into_iter().filter(|name| *name != "data/admin.sock") {
        let place = installation();
        make_directory(&place, "data");
        make_directory(&place, "certs");
        place.write(name, &"a secret that somebody else knows\n".repeat(2));
        set_mode(&place.path(name), 0o600);
        give_away(&place.path(name));
        refused_by_all(&place, name, &["belongs to user 64999"]).await;
    }
}

#[tokio::test]
async fn a_directory_in_which_others_can_write_is_refused_whatever_keeps_them_from_removing() {
    for name in ["data", "certs"] {
        for (mode, shown) in [(0o777, "0777"), (0o770, "0770"), (0o1777, "1777"), (0o702, "0702")] {
            let place = installation();
            make_directory(&place, name);
            set_mode(&place.path(name), mode);
            let command = format!("chmod go-w {name}");
            refused_by_all(&place, name, &[&format!("mode {shown}"), &command]).await;
            set_mode(&place.path(name), mode & !0o022);
            starts(&place).await;
        }
    }
}

#[tokio::test]
async fn a_directory_of_ours_inside_one_where_all_can_write_is_ours() {
    let place = installation().env("PORTCULLIS_STORE__PATH", "shared/data");
    make_directory(&place, "shared");
    set_mode(&place.path("shared"), 0o1777);
    starts(&place).await;
    assert!(place.path("shared/data/secret_key").exists());
}

#[tokio::test]
async fn a_file_of_ours_that_others_can_write_is_refused() {
    let place = installation();
    drop(starts(&place).await);
    for name in ["data/secret_key", "data/portcullis.redb", "certs/server.key", "certs/server.pem"]
    {
        let path = place.path(name);
        let before = path.metadata().expect("it is there").permissions();
        set_mode(&path, 0o646);
        refused_by_all(&place, name, &["mode 0646", &format!("chmod go-w {name}")]).await;
        std::fs::set_permissions(&path, before).expect("root may");
    }
    starts(&place).await;
}

/// It would be sent a password.
#[tokio::test]
async fn a_socket_that_somebody_else_planted_is_not_spoken_to() {
    let place = installation();
    make_directory(&place, "data");
    let planted = UnixListener::bind(place.path("data/admin.sock")).expect("a socket");
    planted.set_nonblocking(true).expect("it can be asked");
    give_away(&place.path("data/admin.sock"));
    refused_by_all(&place, "data/admin.sock", &["belongs to user 64999"]).await;
    let came = planted.accept().expect_err("nobody has come");
    assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock);
}

/// The socket looks like ours, and somebody else listens.
#[tokio::test]
async fn a_listener_of_another_user_is_told_nothing() {
    let mut place = installation();
    for name in ["data", "certs"] {
        make_directory(&place, name);
        give_away(&place.path(name));
    }
    place.run_as(Some(STRANGER));
    let theirs = starts(&place).await;
    let status = place.run(&["status"], None).await;
    assert!(status.status.success(), "control: {status:?}");
    place.run_as(None);
    for name in ["data", "data/admin.sock", "data/secret_key", "data/portcullis.redb"] {
        chown(place.path(name), Some(0), Some(0)).expect("root may");
    }
    let added = place.run(&["user", "add", "ann"], Some("correct horse battery")).await;
    refused(&added, 1, &["data/admin.sock belongs to user 64999"]);
    drop(theirs);
}

/// As systemd links a unit's `StateDirectory` where its user is made for it.
#[tokio::test]
async fn a_link_that_root_has_placed_for_another_user_is_followed() {
    let mut place = installation();
    for name in ["private", "certs"] {
        make_directory(&place, name);
        give_away(&place.path(name));
    }
    symlink("private", place.path("data")).expect("a link can be made");
    place.run_as(Some(STRANGER));
    starts(&place).await;
    assert!(place.path("private/secret_key").exists());
    // Where the link lies, others could have made it.
    set_mode(&place.path(""), 0o777);
    refused_by_all(&place, "data", &["is a symbolic link"]).await;
}

/// Nobody but root can have put the directory where it is, so root's commands may go there;
/// they make nothing in it that its owner could not use.
#[tokio::test]
async fn root_commands_the_gateway_of_a_user_it_has_given_a_directory() {
    let given = TempDir::with_prefix_in("portcullis-", "/var/lib").expect("root may");
    set_mode(given.path(), 0o755);
    let (private, link) = (given.path().join("private"), given.path().join("linked"));
    std::fs::create_dir(&private).expect("a directory can be made");
    set_mode(&private, 0o700);
    give_away(&private);
    symlink("private", &link).expect("a link can be made");
    let path = link.to_str().expect("its name is text");
    let mut place = installation().env("PORTCULLIS_STORE__PATH", path);
    make_directory(&place, "certs");
    give_away(&place.path("certs"));
    place.run_as(Some(STRANGER));
    let gateway = starts(&place).await;
    place.run_as(None);
    for command in [&["status"][..], &["user", "add", "ann"], &["store", "export"]] {
        let ended = place.run(command, Some("correct horse battery")).await;
        assert!(ended.status.success(), "{command:?}: {ended:?}");
    }
    drop(gateway);
    let checked = place.run(&["store", "check"], None).await;
    assert!(checked.stdout.contains("2 accounts"), "{checked:?}");
    // What it would make there would be root's.
    std::fs::remove_file(private.join("portcullis.redb")).expect("it is there");
    place.set_env("PORTCULLIS_STORE__PATH", private.to_str());
    for (command, code) in [(&["run"][..], 78), (&["user", "add", "ben"], 1)] {
        let ended = place.run(command, Some("correct horse battery")).await;
        refused(&ended, code, &["belongs to user 64999", "run it as the owner"]);
    }
    // Others could have put it where it is, if only before root looked.
    set_mode(given.path(), 0o777);
    refused(&place.run(&["status"], None).await, 1, &["belongs to user 64999"]);
}

/// As Kubernetes gives a volume to a pod's `fsGroup`.
#[tokio::test]
async fn a_directory_of_roots_is_writable_for_a_group_that_only_we_are_in() {
    let mut place = installation();
    for name in ["data", "certs"] {
        make_directory(&place, name);
        chown(place.path(name), Some(0), Some(STRANGER)).expect("root may");
        set_mode(&place.path(name), 0o2775);
    }
    place.run_as(Some(STRANGER));
    starts(&place).await;
    set_mode(&place.path("data"), 0o2777);
    refused_by_all(&place, "data", &["mode 2777", "name a directory inside it"]).await;
}

#[tokio::test]
async fn a_secret_file_that_is_empty_or_too_short_is_refused_with_the_remedy() {
    for (text, found) in [
        (&b""[..], "0 bytes"),
        (b"\n", "0 bytes"),
        (b"a beginning of one", "18 bytes"),
        (&[0xff; 64], "bytes that are no text"),
    ] {
        let place = installation();
        make_directory(&place, "data");
        std::fs::write(place.path("data/secret_key"), text).expect("the directory is ours");
        set_mode(&place.path("data/secret_key"), 0o600);
        let words = ["data/secret_key holds no secret", found, "restore it", "remove it"];
        refused(&place.run(&["run"], None).await, 78, &words);
        refused(&place.run(&["check"], None).await, 78, &words);
        assert!(!place.path("data/portcullis.redb").exists(), "nothing is made");
        assert!(!place.path("certs").exists(), "nothing is made");
    }
}

#[tokio::test]
async fn a_path_too_long_for_the_socket_is_a_mistake_in_the_configuration_and_nothing_is_made() {
    for (length, fits) in [(97, true), (98, false)] {
        let place = installation();
        let path = place.path("");
        let path = format!("{}d", path.display()).trim_end_matches('d').to_owned();
        let path = format!("{}{}", path, "d".repeat(length - path.len() - 1));
        assert_eq!(path.len(), length - 1);
        place.write(
            "config.toml",
            &format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[store]\npath = \"{path}\"\n{ECHO}"),
        );
        if fits {
            starts(&place).await;
            continue;
        }
        for command in [&["run"][..], &["check"], &["user", "add", "ann"], &["status"]] {
            let ended = place.run(command, Some("correct horse battery")).await;
            refused(&ended, 78, &["store.path", "108 bytes", "at most 107"]);
        }
        assert!(!Path::new(&path).exists() && !place.path("certs").exists());
    }
}

/// The directory as it is after each step of the making of a file: begun under another
/// name, written in part, written, and renamed.
fn steps(name: &str, whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let partial = format!("{name}.partial");
    let lengths = [0, 1, whole.len() / 2, whole.len() - 1, whole.len()];
    let mut steps: Vec<(String, Vec<u8>)> =
        lengths.map(|length| (partial.clone(), whole[..length].to_vec())).to_vec();
    steps.push((name.to_owned(), whole.to_vec()));
    steps
}

#[tokio::test]
async fn a_first_start_that_was_killed_at_any_step_is_finished_by_the_next() {
    let made = installation();
    drop(starts(&made).await);
    let read = |name: &str| std::fs::read(made.path(name)).expect("it was made");
    let [secret, store, key, certificate] =
        ["data/secret_key", "data/portcullis.redb", "certs/server.key", "certs/server.pem"]
            .map(read);
    // In the order in which they are made, each beside those before it.
    let mut moments: Vec<Vec<(String, Vec<u8>)>> = vec![Vec::new()];
    let mut whole: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, bytes) in [
        ("data/secret_key", secret.clone()),
        ("certs/server.key", key.clone()),
        ("certs/server.pem", certificate),
    ] {
        for step in steps(name, &bytes) {
            moments.push([whole.clone(), vec![step]].concat());
        }
        whole.push((name.to_owned(), bytes));
    }
    for length in [0, 4096, store.len()] {
        let partial = ("data/portcullis.partial".to_owned(), store[..length].to_vec());
        moments.push([whole.clone(), vec![partial]].concat());
    }
    for moment in moments {
        let place = installation();
        let names: Vec<(&str, usize)> =
            moment.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        for (name, bytes) in &moment {
            let (directory, _) = name.split_once('/').expect("it lies in a directory");
            if !place.path(directory).exists() {
                make_directory(&place, directory);
            }
            std::fs::write(place.path(name), bytes).expect("a file");
            set_mode(&place.path(name), 0o600);
        }
        let checked = place.run(&["check"], None).await;
        assert!(checked.status.success(), "{names:?}: {checked:?}");
        drop(starts(&place).await);
        for (name, bytes) in &moment {
            match name.strip_suffix("partial") {
                None => assert_eq!(&std::fs::read(place.path(name)).expect("it stays"), bytes),
                Some(_) => assert!(!place.path(name).exists(), "{names:?}: left behind"),
            }
        }
        drop(starts(&place).await);
    }
}

#[tokio::test]
async fn a_file_of_the_pair_that_is_damaged_is_named_with_what_to_do() {
    let place = installation();
    drop(starts(&place).await);
    for (name, wanted) in
        [("certs/server.key", "no private key"), ("certs/server.pem", "no certificate")]
    {
        let whole = std::fs::read(place.path(name)).expect("it was made");
        for length in [0, whole.len() / 2] {
            std::fs::write(place.path(name), &whole[..length]).expect("a file");
            let words = [name, wanted, &format!("({length} bytes)"), "remove it"];
            refused(&place.run(&["run"], None).await, 78, &words);
            refused(&place.run(&["check"], None).await, 78, &words);
        }
        // What the remedy says.
        std::fs::remove_file(place.path(name)).expect("it is there");
        drop(starts(&place).await);
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_else_without_its_key_is_left_as_it_is() {
    let place = installation();
    make_directory(&place, "certs");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    place.write("certs/server.pem", &pair.cert.pem());
    let words = ["certs/server.pem has no key beside it", "certs/server.key"];
    refused(&place.run(&["run"], None).await, 78, &words);
    refused(&place.run(&["check"], None).await, 78, &words);
    let kept = std::fs::read_to_string(place.path("certs/server.pem")).expect("it stays");
    assert_eq!(kept, pair.cert.pem());
    place.write("certs/server.key", &pair.signing_key.serialize_pem());
    set_mode(&place.path("certs/server.key"), 0o600);
    starts(&place).await;
}
