//! An import that is killed leaves nothing that anybody would use: no store, or one behind a
//! mark. What had been ended is never good again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Site, account, done, elsewhere, export_of, refused, sealed};
use crate::support::client::{Client, Pair};
use crate::support::gateway::{ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::redis::{PASSWORD, RedisServer, talk::Reply};
use crate::support::{eventually, within};

/// Beside those of the site.
const ACCOUNTS: u128 = 4_000;
const IMPORT: [&str; 3] = ["store", "import", "moving.jsonl"];

/// What a gateway has exported, with many accounts more, and tokens of it.
struct Moving {
    text: String,
    here: Pair,
    left: Pair,
}

impl Moving {
    async fn new() -> Self {
        let Site { gateway, here, left, .. } = Site::populated().await;
        let export = gateway.manage(&["store", "export"], None).await;
        let lines: Vec<&str> = export.lines().collect();
        // Sessions are told before the ends of others, as by every version.
        let told = lines[1..lines.len() - 1].iter().map(|line| (*line).to_owned());
        let more = (1..=ACCOUNTS).map(|number| account(number, &format!("user{number}")));
        let lines: Vec<String> = told.chain(more.map(|account| account.to_string())).collect();
        Self { text: sealed(&(lines.join("\n") + "\n")), here, left }
    }

    /// A place to import into, with the secret that the tokens were signed with.
    fn place(&self) -> Installation {
        let place = elsewhere().env("ADMIN_PASSWORD", ADMIN_PASSWORD);
        place.write("moving.jsonl", &self.text);
        place
    }

    /// A gateway on what is at the place, with another configuration of its own.
    async fn expect_whole(&self, gateway: &Gateway) {
        Client::bearer(gateway, &self.here.access).get("/").await.expect(200);
        Client::bearer(gateway, &self.left.access).get("/").await.refused(401, "INVALID_TOKEN");
    }

    async fn expect_ended(&self, gateway: &Gateway) {
        Client::bearer(gateway, &self.left.access).get("/").await.refused(401, "INVALID_TOKEN");
        Client::anonymous(gateway).refresh(&self.left.refresh).await.expect(401);
    }
}

/// A gateway whose store lies elsewhere.
async fn gateway_at(data: PathBuf) -> Gateway {
    let config = format!("[store]\npath = \"{}\"\n{ECHO}", data.display());
    Gateway::builder().config(&config).env("SECRET_KEY", SECRET_KEY).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_leaves_no_store_and_is_made_anew() {
    let moving = Moving::new().await;
    let mut place = moving.place();
    let (store, partial) =
        (place.path("data/portcullis.redb"), place.path("data/portcullis.partial"));
    done(place.run(&IMPORT, None).await);
    let whole = done(place.run(&["store", "export"], None).await);
    let length = std::fs::metadata(&store).expect("it was made").len();
    std::fs::remove_dir_all(place.path("data")).expect("it was made");

    for part in 1..=6 {
        place.kill_at_file_bytes(Some(length * part / 7));
        let killed = place.run(&IMPORT, None).await;
        assert!(killed.status.code().is_none(), "by a signal: {killed:?}");
        place.kill_at_file_bytes(None);
        assert!(!store.exists(), "part {part}");
        refused(&place.run(&["store", "check"], None).await, &["there is no store yet"]);
        refused(&place.run(&["store", "export"], None).await, &["there is no store yet"]);
        if part % 2 == 0 {
            // Nothing has to be said about the one before.
            let said = done(place.run(&IMPORT, None).await);
            assert!(said.contains("records added, 0 were there already: 4002 accounts"), "{said}");
            assert!(done(place.run(&["store", "export"], None).await) == whole, "the same records");
            done(place.run(&["store", "check"], None).await);
            moving.expect_whole(&gateway_at(place.path("data")).await).await;
        } else {
            // Who starts all the same begins anew, and knows nobody.
            moving.expect_ended(&gateway_at(place.path("data")).await).await;
        }
        assert!(!partial.exists(), "nothing is left of it");
        std::fs::remove_dir_all(place.path("data")).expect("it was made");
    }
}

#[tokio::test]
async fn nobody_begins_a_store_while_one_is_imported() {
    let moving = Moving::new().await;
    let place = moving.place();
    let import = place.start(&IMPORT, None);
    let partial = place.path("data/portcullis.partial");
    let length = || std::fs::metadata(&partial).map_or(0, |file| file.len());
    eventually("the import to begin", async || (length() > 0).then_some(())).await;
    let begun = length();
    eventually("the import to go on", async || (length() > begun).then_some(())).await;
    import.signal(rustix::process::Signal::STOP);
    for command in [&IMPORT[..], &["run"]] {
        refused(&place.run(command, None).await, &["in use by another process"]);
    }
    import.signal(rustix::process::Signal::CONT);
    done(import.end().await);
    done(place.run(&["store", "check"], None).await);
}

#[tokio::test]
async fn an_import_beside_which_another_store_was_made_says_that_nothing_was_imported() {
    let moving = Moving::new().await;
    let place = moving.place();
    let import = place.start(&IMPORT, None);
    let partial = place.path("data/portcullis.partial");
    let begun = async || std::fs::metadata(&partial).is_ok_and(|file| file.len() > 0).then_some(());
    eventually("the import to begin", begun).await;
    import.signal(rustix::process::Signal::STOP);
    // By a program that knows nothing of locks.
    place.write("data/portcullis.redb", "another");
    import.signal(rustix::process::Signal::CONT);
    let ended = import.end().await;
    refused(&ended, &["another store was made there meanwhile", "nothing was imported"]);
    assert!(!ended.stderr.contains("--resume"), "{ended:?}");
    assert!(!partial.exists());
}

#[tokio::test]
async fn an_import_that_cannot_look_for_records_leaves_no_mark() {
    let redis = RedisServer::start().await;
    let mut place = elsewhere();
    place.write("moving.jsonl", &export_of([account(1, "ann")]));
    settle(&mut place, redis.address());
    // Written by somebody else.
    redis.tell(&["SET", "{portcullis}:accounts", "of another type"]).await;
    refused(&place.run(&IMPORT, None).await, &["WRONGTYPE"]);
    assert_eq!(redis.tell(&["HEXISTS", META, "import"]).await, Reply::Number(0));
    redis.tell(&["DEL", "{portcullis}:accounts"]).await;
    done(place.run(&IMPORT, None).await);
}

/// Passes so many bytes on to a server, over all connections, and holds the rest.
struct Gate {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
    held: Arc<tokio::sync::Notify>,
    task: JoinHandle<()>,
}

impl Gate {
    async fn start(server: SocketAddr, budget: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a listener has an address");
        let (passed, held) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (counted, holds) = (Arc::clone(&passed), Arc::clone(&held));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (counted, holds) = (Arc::clone(&counted), Arc::clone(&holds));
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.expect("the server runs");
                    let (mut questions, mut answers) = client.into_split();
                    let (mut answered, mut asked) = server.into_split();
                    let back = tokio::io::copy(&mut answered, &mut answers);
                    let forth = async {
                        let mut piece = vec![0; 16 << 10];
                        while let Ok(length @ 1..) = questions.read(&mut piece).await {
                            let length = length as u64;
                            let before = counted.fetch_add(length, Ordering::SeqCst);
                            let some = length.min(budget.saturating_sub(before));
                            let some = &piece[..usize::try_from(some).expect("a piece is small")];
                            if asked.write_all(some).await.is_err() {
                                return;
                            }
                            if some.len() as u64 != length {
                                holds.notify_one();
                                return std::future::pending().await;
                            }
                        }
                    };
                    tokio::select! { _ = back => {}, () = forth => {} }
                });
            }
        });
        Self { address, passed, held, task }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Commands of the place have their store there.
pub(super) fn settle(place: &mut Installation, address: SocketAddr) {
    let url = format!("redis://gate@{address}/0");
    place.set_env("PORTCULLIS_STORE__URL", Some(&url));
    place.set_env("PORTCULLIS_STORE__DURABILITY", Some("fast"));
    place.set_env("PORTCULLIS_STORE__TIMEOUT", Some("5s"));
    place.set_env("STORE_PASSWORD", Some(PASSWORD));
}

pub(super) const META: &str = "{portcullis}:meta";

/// What ended is known wherever there is something that it ended.
async fn expect_ends_before_the_rest(redis: &RedisServer, ends: i64) {
    let known = redis.tell(&["ZCARD", "{portcullis}:revoked-tokens"]).await.number()
        + redis.tell(&["ZCARD", "{portcullis}:ended-sessions"]).await.number();
    let accounts = redis.tell(&["ZCARD", "{portcullis}:accounts"]).await.number();
    assert!(accounts == 0 || known == ends, "{accounts} accounts beside {known} of {ends} ends");
}

/// Whoever comes is told what it is, and how it becomes a store.
async fn expect_nobodys(redis: &RedisServer, place: &Installation) {
    // As versions before this one read it.
    let reads = redis.tell(&["HGET", META, "reads"]).await.text();
    assert!(reads.parse::<u64>().expect("a number") > 1);
    for command in [
        &["run"][..],
        &["store", "check"],
        &["store", "export"],
        &["store", "backup", "--output", "backup.jsonl"],
        &["user", "list"],
        &IMPORT,
    ] {
        let ended = place.run(command, None).await;
        refused(&ended, &["incomplete import", "--resume FILE", "{portcullis}:"]);
    }
    let checked = place.run(&["check", "--connect"], None).await;
    assert!(format!("{checked:?}").contains("incomplete import"), "{checked:?}");
    place.write("other.jsonl", &sealed(&String::new()));
    let other = place.run(&["store", "import", "--resume", "other.jsonl"], None).await;
    refused(&other, &["incomplete import"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_store_in_which_an_import_was_killed_is_nobodys_until_it_is_resumed() {
    let moving = Moving::new().await;
    let redis = RedisServer::start().await;
    let mut place = moving.place();
    let ends = moving.text.lines().filter(|line| {
        line.contains("\"kind\":\"revoked_token\"") || line.contains("\"kind\":\"ended_session\"")
    });
    let ends = i64::try_from(ends.count()).expect("a few");
    assert!(ends > 0);

    let mut total = 0;
    // Twice: the server knows the scripts then.
    for _ in 0..2 {
        redis.tell(&["FLUSHALL"]).await;
        let gate = Gate::start(redis.address(), u64::MAX).await;
        settle(&mut place, gate.address);
        done(place.run(&IMPORT, None).await);
        total = gate.passed.load(Ordering::SeqCst);
    }
    settle(&mut place, redis.address());
    let whole = done(place.run(&["store", "export"], None).await);

    let mut marked = 0;
    // The last of them a byte before the end.
    for cut in (1..=8).map(|part| total * part / 8 - 1) {
        redis.tell(&["FLUSHALL"]).await;
        let gate = Gate::start(redis.address(), cut).await;
        settle(&mut place, gate.address);
        let import = place.start(&IMPORT, None);
        within("the import to come so far", gate.held.notified()).await;
        drop(import);
        drop(gate);
        settle(&mut place, redis.address());
        expect_ends_before_the_rest(&redis, ends).await;
        if redis.tell(&["HEXISTS", META, "import"]).await == Reply::Number(0) {
            assert_eq!(redis.tell(&["DBSIZE"]).await, Reply::Number(0), "nothing was written");
            continue;
        }
        marked += 1;
        if marked == 1 {
            expect_nobodys(&redis, &place).await;
        }
        let resume = ["store", "import", "--resume", "moving.jsonl"];
        let would = done(place.run(&[&resume[..], &["--dry-run"]].concat(), None).await);
        assert_eq!(redis.tell(&["HEXISTS", META, "import"]).await, Reply::Number(1));
        let said = done(place.run(&resume, None).await);
        assert_eq!(
            would.replace("would be added", "added").replace(" are there", " were there"),
            said
        );
        assert!(done(place.run(&["store", "export"], None).await) == whole, "the same records");
        done(place.run(&["store", "check"], None).await);
    }
    assert!(marked >= 5, "{marked} of 8 left a mark");
    let gateway = Gateway::builder()
        .config(ECHO)
        .shared_store(&redis.url())
        .env("SECRET_KEY", SECRET_KEY)
        .start()
        .await;
    moving.expect_whole(&gateway).await;
}
