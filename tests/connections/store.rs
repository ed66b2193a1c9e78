//! The shared store, tried from here: what is said of a good one, of one that may lose
//! what it should keep, and of one that cannot be used.

use tokio::io::AsyncWriteExt as _;

use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;
use crate::support::redis::talk::Reply;
use crate::support::redis::{PASSWORD, RedisServer, USER};
use crate::support::upstream::{Refusing, Upstream};

const FAST: &str = "durability = \"fast\"";

async fn check(url: &str, lines: &str, password: &str) -> Ended {
    let config = format!("[store]\nurl = \"{url}\"\n{lines}\n{ECHO}");
    let installation = Installation::new()
        .file("config.toml", &config)
        .env("SECRET_KEY", SECRET_KEY)
        .env("STORE_PASSWORD", password);
    let ended = installation.run(&["check", "--connect"], None).await;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains(PASSWORD) && !said.contains(SECRET_KEY), "{said}");
    ended
}

/// The lines about the store, by their state.
fn lines<'a>(ended: &'a Ended, state: &str) -> Vec<&'a str> {
    let of_store = |line: &&str| line.split_whitespace().take(2).eq(["store", state]);
    ended.stdout.lines().filter(of_store).collect()
}

#[track_caller]
fn is_good(ended: &Ended, words: &[&str], warnings: &[&str]) {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let [line] = lines(ended, "good")[..] else { panic!("{ended:?}") };
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    let warned = lines(ended, "warning");
    assert_eq!(warned.len(), warnings.len(), "{ended:?}");
    for (line, words) in warned.iter().zip(warnings) {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
}

#[track_caller]
fn is_failed(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("1 of 1 cannot be used"), "{ended:?}");
    let [line] = lines(ended, "failed")[..] else { panic!("{ended:?}") };
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

#[tokio::test]
async fn what_a_store_is_and_holds_is_told_and_nothing_is_changed_in_it() {
    let redis = RedisServer::start().await;
    let ended = check(&redis.url(), FAST, PASSWORD).await;
    let address = redis.address().to_string();
    is_good(&ended, &[&address, "version 7.", "nothing under the prefix \"portcullis\" yet"], &[]);
    assert_eq!(redis.tell(&["DBSIZE"]).await, Reply::Number(0));
    drop(Gateway::builder().config(ECHO).shared_store(&redis.url()).start().await);
    is_good(&check(&redis.url(), FAST, PASSWORD).await, &["schema 1"], &[]);
}

#[tokio::test]
async fn a_store_that_may_lose_what_it_acknowledged_is_warned_of() {
    let builder = RedisServer::builder;
    for (server, lines, warnings) in [
        (
            builder().set("maxmemory 100mb").set("maxmemory-policy allkeys-lru"),
            FAST,
            &["maxmemory-policy is allkeys-lru"][..],
        ),
        (builder().set("maxmemory 100mb").set("maxmemory-policy noeviction"), FAST, &[]),
        // Without a limit nothing is dropped.
        (builder().set("maxmemory 0").set("maxmemory-policy allkeys-lru"), FAST, &[]),
        (builder().set("appendonly no"), FAST, &["appendonly is no"]),
        (builder().set("appendfsync everysec"), FAST, &["appendfsync is everysec"]),
        (builder(), "durability = \"replicated\"", &["0 replicas and changes wait for 1"]),
        // Each change waits for the disk, whenever the server writes to it.
        (builder().valkey().set("appendfsync everysec"), "", &[]),
    ] {
        let server = server.start().await;
        is_good(&check(&server.url(), lines, PASSWORD).await, &[], warnings);
    }
}

#[tokio::test]
async fn a_store_that_is_not_what_the_configuration_says_is_named_with_what_to_change() {
    let redis = RedisServer::start().await;
    let address = redis.address();
    let forgetful = RedisServer::builder().valkey().set("appendonly no").start().await;
    let foreign = RedisServer::start().await;
    foreign.tell(&["SET", "{portcullis}:meta", "something"]).await;
    let newer = RedisServer::start().await;
    drop(Gateway::builder().config(ECHO).shared_store(&newer.url()).start().await);
    newer.tell(&["HSET", "{portcullis}:meta", "schema", "7", "reads", "7"]).await;
    for (url, lines, password, words) in [
        (redis.url(), FAST, "wrong", &["the password", "STORE_PASSWORD"][..]),
        (redis.url(), "", PASSWORD, &["version 7.0", "7.2 or later is needed", "durability"]),
        (forgetful.url(), "", PASSWORD, &["set `appendonly yes`"]),
        (foreign.url(), FAST, PASSWORD, &["another program", "`store.prefix`"]),
        (newer.url(), FAST, PASSWORD, &["schema 7", "run a later version"]),
        (
            format!("redis://{USER}@{address}/99"),
            FAST,
            PASSWORD,
            &["no such database", "`store.url`"],
        ),
        (
            format!("redis+sentinel://{USER}@{address}/main"),
            FAST,
            PASSWORD,
            &["is not a Sentinel", "redis://"],
        ),
        (
            format!("redis-cluster://{USER}@{address}"),
            FAST,
            PASSWORD,
            &["is not a cluster node", "redis://"],
        ),
    ] {
        is_failed(&check(&url, lines, password).await, words);
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_prove_the_store_is_named() {
    let named = RedisServer::builder().tls_as("redis.example").start().await;
    let own = RedisServer::builder().tls().start().await;
    for (server, roots, reason) in
        [(&named, &named, "not valid for name"), (&own, &named, "self-signed")]
    {
        let roots = roots.certificate();
        let lines = format!("{FAST}\nroots = \"{}\"", roots.display());
        let ended = check(&server.tls_url(), &lines, PASSWORD).await;
        is_failed(&ended, &["TLS to ", reason, "`store.roots`"]);
    }
    let lines = format!("{FAST}\nroots = \"{}\"", own.certificate().display());
    is_good(&check(&own.tls_url(), &lines, PASSWORD).await, &["version 7."], &[]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_or_answers_nonsense_is_named() {
    let refusing = Refusing::new();
    let web = Upstream::raw(|mut wire| async move {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let _ = wire.write_all(answer).await;
    })
    .await;
    let silent = Upstream::raw(|mut wire| async move {
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    for (url, reason) in [
        (refusing.url(), "refused"),
        (web.url(), "does not speak the Redis protocol"),
        (silent.url(), "no response in time"),
    ] {
        let url = url.replace("http://", "redis://");
        let ended = check(&url, &format!("{FAST}\ntimeout = \"300ms\""), PASSWORD).await;
        is_failed(&ended, &[reason, url.trim_start_matches("redis://")]);
    }
}

/// A server that is there and answers is not said to be silent.
#[tokio::test]
async fn rights_that_a_gateway_needs_and_has_not_are_named() {
    let redis = RedisServer::start().await;
    let address = redis.address();
    let all = [
        "~{portcullis}:*",
        "+@read",
        "+@write",
        "+@scripting",
        "+@connection",
        "+info",
        "+config|get",
        "+time",
    ];
    let user = async |name: &str, rights: &[&str]| {
        let password = format!(">{PASSWORD}");
        let words = ["ACL", "SETUSER", name, "on", &password];
        redis.tell(&[&words[..], rights].concat()).await;
        check(&format!("redis://{name}@{address}"), FAST, PASSWORD).await
    };
    // Control: those that the reference names are enough.
    is_good(&user("enough", &all).await, &["version 7."], &[]);
    for (name, taken, words) in [
        ("unscripted", &["-@scripting"][..], &["may not run", "'eval'"][..]),
        ("reader", &["-@write"], &["the user lacks", "HSET", "ACL SETUSER"]),
        ("elsewhere", &["resetkeys", "~other:*"], &["may not run"]),
    ] {
        let ended = user(name, &[&all[..], taken].concat()).await;
        is_failed(&ended, words);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains("does not respond"), "{name}: {said}");
    }
    for (name, taken, words) in [
        ("blind", &["-info"][..], "give it +info"),
        ("deaf", &["-config|get"], "give it +config|get"),
    ] {
        is_good(&user(name, &[&all[..], taken].concat()).await, &[], &[words]);
    }
}

#[tokio::test]
async fn tls_on_a_plain_port_and_the_reverse_are_told_apart_from_silence() {
    let clear = RedisServer::start().await;
    let tls = RedisServer::builder().tls().start().await;
    let lines = format!("{FAST}\nroots = \"{}\"", tls.certificate().display());
    let to_clear = clear.url().replacen("redis://", "rediss://", 1);
    let ended = check(&to_clear, &lines, PASSWORD).await;
    is_failed(&ended, &["does not use TLS on this port", "write redis in place of rediss"]);
    let to_tls = tls.tls_url().replacen("rediss://", "redis://", 1);
    let ended = check(&to_tls, FAST, PASSWORD).await;
    is_failed(&ended, &["uses TLS on this port", "write rediss in place of redis"]);
}
