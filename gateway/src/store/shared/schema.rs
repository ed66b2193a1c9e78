//! Whose database it is, which schema it has, and whether the server can keep what it
//! is given.

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, cmd};

use super::link::{Connected, LinkError};
use super::names::Names;
use super::settings::{Address, Durability, Settings};
use super::transaction::Transaction;
use super::{find, link};

const FORMAT: &str = "portcullis";
/// The schema this program writes. A later program that writes records which this one
/// must not touch raises `reads` in the database; adding members and kinds does not.
const SCHEMA: u64 = 1;
/// Of a database in which an import has not ended: no program reads it.
const UNREADABLE: u64 = 1_000_000;
/// `GETDEL` and `PXAT` came with it.
const OLDEST_SERVER: (u64, u64) = (6, 2);
/// `WAITAOF` came with it.
const OLDEST_FOR_FSYNC: (u64, u64) = (7, 2);

/// Why the shared store cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the shared store: {0}")]
    Link(#[from] LinkError),
    #[error(
        "the shared store {address}: another program uses {prefix:?}; set another `store.prefix` or database for this gateway"
    )]
    Foreign { address: Address, prefix: String },
    #[error(
        "the shared store {address} has schema {found}, this program reads up to {SCHEMA}: run a later version"
    )]
    Newer { address: Address, found: u64 },
    #[error(
        "the shared store {address} is version {found}; {wanted} or later is needed{}", reason_for(.wanted)
    )]
    TooOld { address: Address, found: String, wanted: &'static str },
    #[error(
        "the shared store {address} has no append-only file, and `store.durability` is \"fsync\": set `appendonly yes` on the server, or set `store.durability` to \"replicated\" or \"fast\" and accept the loss of changes in a crash"
    )]
    NotDurable { address: Address },
    /// What was followed is not there any more.
    #[error(
        "the shared store {address} was emptied or replaced: this gateway writes nothing to it and reconnects to the original one as soon as it is available; restore it, or restart every gateway to use the present one"
    )]
    Replaced { address: Address },
    #[error(
        "the shared store {address} holds an incomplete import of the export \
         with sha256 {export}: continue with that file, `portcullis store import --resume FILE`; or \
         discard it: remove every key that begins with {{{prefix}}}: there, and start again"
    )]
    Importing { address: Address, prefix: String, export: String },
    #[error("the shared store {address} is a read-only replica")]
    Replica { address: Address },
}

fn reason_for(wanted: &str) -> &'static str {
    if wanted == "7.2" {
        " for `store.durability = \"fsync\"`; \"replicated\" and \"fast\" need 6.2"
    } else {
        ""
    }
}

impl OpenError {
    /// Whether trying again may help without anybody changing something.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            OpenError::Link(error) => error.is_passing(),
            OpenError::Replica { .. } => true,
            _ => false,
        }
    }

    /// Whether what answers is another database than the one that was looked for.
    #[must_use]
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, OpenError::Foreign { .. } | OpenError::Replaced { .. })
    }
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub address: Address,
    pub version: String,
    /// `None` for a database that no gateway has used yet.
    pub schema: Option<u64>,
    /// What may lose acknowledged changes, in words.
    pub warnings: Vec<String>,
}

/// Looks at the server without changing anything.
///
/// # Errors
/// What would keep a gateway from using it.
pub async fn inspect(settings: &Settings) -> Result<Inspection, OpenError> {
    let address = find::primary(settings, 0).await?;
    let mut connection = link::connect(settings, &address, Some(settings.timeout)).await?;
    let server = Server::query(&mut connection).await;
    server.check(settings, &address)?;
    check_rights(settings, &address, &mut connection).await?;
    let schema = read_meta(settings, &address, &mut connection).await?.map(|meta| meta.schema);
    let version = server.version_text.clone();
    Ok(Inspection { address, version, schema, warnings: server.warnings(settings) })
}

/// What gateways run on their keys, by scripts and without them; a test keeps the list whole.
pub(super) const COMMANDS: &[&str] = &[
    "DEL",
    "EXISTS",
    "EXPIRE",
    "GET",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HKEYS",
    "HMGET",
    "HSCAN",
    "HSET",
    "MGET",
    "PEXPIREAT",
    "SADD",
    "SCAN",
    "SCARD",
    "SET",
    "SISMEMBER",
    "SMEMBERS",
    "SRANDMEMBER",
    "SREM",
    "TIME",
    "TYPE",
    "XADD",
    "XRANGE",
    "XREAD",
    "XREVRANGE",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZLEXCOUNT",
    "ZMSCORE",
    "ZPOPMIN",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZSCAN",
    "ZSCORE",
];

/// Asks by a script that changes nothing, so that a user without the right to run scripts is
/// found as well.
async fn check_rights(
    settings: &Settings,
    address: &Address,
    connection: &mut MultiplexedConnection,
) -> Result<(), OpenError> {
    let mut rights = cmd("EVAL");
    rights.arg(include_str!("rights.lua")).arg(1).arg(Names::new(&settings.prefix).meta());
    rights.arg(COMMANDS);
    let missing: Result<Vec<String>, _> = rights.query_async(connection).await;
    let missing = missing.map_err(|error| link::refused(address, &error))?;
    if missing.is_empty() {
        return Ok(());
    }
    let words = format!("the user lacks {}", missing.join(", "));
    Err(LinkError::Rights(address.clone(), words).into())
}

/// Whether a server takes changes, as far as it tells.
pub(super) async fn is_primary(settings: &Settings, address: &Address) -> bool {
    match link::connect(settings, address, Some(settings.timeout)).await {
        Ok(mut connection) => !Server::query(&mut connection).await.replica,
        Err(_) => false,
    }
}

/// Which database was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    schema: u64,
    pub installation: String,
}

/// Makes the database ours if it is nobody's, and checks it if it is.
pub(super) async fn claim(
    settings: &Settings,
    connected: &Connected,
    known: Option<&str>,
    installation: &str,
) -> Result<Meta, OpenError> {
    let address = &connected.address;
    let mut connection = connected.commands();
    let server = Server::query(&mut connection).await;
    server.check(settings, address)?;
    if known.is_none() {
        for warning in server.warnings(settings) {
            tracing::warn!(store = %address, "{warning}");
        }
    }
    let mut meta = read_meta(settings, address, &mut connection).await?;
    if meta.is_none() && known.is_none() {
        let mut first = cmd("EVAL");
        first
            .arg(include_str!("claim.lua"))
            .arg(1)
            .arg(Names::new(&settings.prefix).meta())
            .arg(FORMAT)
            .arg(SCHEMA)
            .arg(installation);
        let made: Result<Value, _> = first.query_async(&mut connection).await;
        made.map_err(|error| link::refused(address, &error))?;
        meta = read_meta(settings, address, &mut connection).await?;
    }
    match meta {
        Some(meta) if known.is_none_or(|known| known == meta.installation) => Ok(meta),
        // Something lies there that is no description of ours.
        None if known.is_none() => {
            Err(OpenError::Foreign { address: address.clone(), prefix: settings.prefix.clone() })
        }
        _ => Err(OpenError::Replaced { address: address.clone() }),
    }
}

/// How an import begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    New,
    /// Where one was cut short, or beside what is there.
    Resume,
}

/// A database that is marked for an import.
#[derive(Debug)]
pub(super) struct Mark {
    /// Whose it is now.
    pub installation: String,
    /// Whose it was before, if it was marked by this.
    pub former: Option<String>,
}

/// Marks the database for an import of this export, unless it is marked already.
pub(super) async fn begin_import(
    settings: &Settings,
    connected: &Connected,
    export: &str,
    beginning: Beginning,
    installation: &str,
) -> Result<Mark, OpenError> {
    let address = &connected.address;
    let mut connection = connected.commands();
    Server::query(&mut connection).await.check(settings, address)?;
    match read_meta(settings, address, &mut connection).await {
        Err(OpenError::Importing { export: marked, .. })
            if marked == export && beginning == Beginning::Resume => {}
        looked => drop(looked?),
    }
    let mut mark = cmd("EVAL");
    mark.arg(include_str!("import.lua"))
        .arg(1)
        .arg(Names::new(&settings.prefix).meta())
        .arg(FORMAT)
        .arg(UNREADABLE)
        .arg(export)
        .arg(installation)
        .arg(if beginning == Beginning::Resume { "resume" } else { "new" });
    let marked: Result<(String, String, Option<String>), _> =
        mark.query_async(&mut connection).await;
    let (marked, installation, former) = marked.map_err(|error| link::refused(address, &error))?;
    if marked == export {
        return Ok(Mark { installation, former });
    }
    // Somebody else was faster.
    let prefix = settings.prefix.clone();
    Err(OpenError::Importing { address: address.clone(), prefix, export: marked })
}

/// Whose the database is in which an import of this export is under way.
pub(super) async fn find_import(
    settings: &Settings,
    connected: &Connected,
    export: &str,
) -> Result<String, OpenError> {
    let address = &connected.address;
    let mut connection = connected.commands();
    Server::query(&mut connection).await.check(settings, address)?;
    match read_meta(settings, address, &mut connection).await {
        Err(OpenError::Importing { export: marked, .. }) if marked == export => {}
        looked => drop(looked?),
    }
    let mut whose = cmd("HGET");
    whose.arg(Names::new(&settings.prefix).meta()).arg("installation");
    let whose: Result<String, _> = whose.query_async(&mut connection).await;
    whose.map_err(|error| link::refused(address, &error).into())
}

/// Takes the mark away: the database is anybody's to use again, and this installation's.
pub(super) fn end_import(transaction: &mut Transaction<'_>, names: &Names, installation: &str) {
    let schema = SCHEMA.to_string();
    let whole = [("schema", schema.as_str()), ("reads", &schema), ("installation", installation)];
    for (field, value) in whole {
        transaction.run("HSET", names.meta(), [field, value].map(|text| text.as_bytes().to_vec()));
    }
    transaction.run("HDEL", names.meta(), [b"import".to_vec()]);
}

async fn read_meta(
    settings: &Settings,
    address: &Address,
    connection: &mut MultiplexedConnection,
) -> Result<Option<Meta>, OpenError> {
    let foreign =
        || OpenError::Foreign { address: address.clone(), prefix: settings.prefix.clone() };
    let key = Names::new(&settings.prefix).meta();
    let mut fields = cmd("HMGET");
    fields.arg(key).arg("format").arg("schema").arg("reads").arg("installation").arg("import");
    let fields: Value = match fields.query_async(connection).await {
        Ok(fields) => fields,
        Err(error) if error.code() == Some("WRONGTYPE") => return Err(foreign()),
        Err(error) => return Err(link::refused(address, &error).into()),
    };
    let [format, schema, reads, installation, import]: [Option<String>; 5] =
        FromRedisValue::from_redis_value(fields).map_err(|_| foreign())?;
    if let (Some(FORMAT), Some(export)) = (format.as_deref(), import) {
        let prefix = settings.prefix.clone();
        return Err(OpenError::Importing { address: address.clone(), prefix, export });
    }
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    match (format.as_deref(), number(schema), number(reads), installation) {
        (None, None, None, None) => Ok(None),
        (Some(FORMAT), Some(schema), Some(reads), Some(installation)) => {
            if reads > SCHEMA {
                return Err(OpenError::Newer { address: address.clone(), found: schema });
            }
            Ok(Some(Meta { schema, installation }))
        }
        _ => Err(foreign()),
    }
}

/// A server's own answers; what it does not tell is not known.
struct Server {
    version_text: String,
    version: Option<(u64, u64)>,
    replica: bool,
    replicas: Option<u64>,
    append_only: Option<bool>,
    /// Rights that it wants before it tells all of this.
    untold: Vec<&'static str>,
    append_fsync: Option<String>,
    eviction: Option<String>,
    memory_limit: Option<u64>,
}

impl Server {
    async fn query(connection: &mut MultiplexedConnection) -> Self {
        let mut info = String::new();
        let mut untold = Vec::new();
        for section in ["server", "replication", "persistence"] {
            let part: Result<String, _> = cmd("INFO").arg(section).query_async(connection).await;
            info.push_str(&part.unwrap_or_default());
        }
        if info.is_empty() {
            untold.push("+info");
        }
        let field = |name: &str| {
            let mut lines = info.lines();
            lines.find_map(|line| {
                Some(line.trim().strip_prefix(name)?.strip_prefix(':')?.to_owned())
            })
        };
        let configured = async |connection: &mut MultiplexedConnection, name: &str| {
            let answer: Result<Vec<String>, _> =
                cmd("CONFIG").arg("GET").arg(name).query_async(connection).await;
            answer.ok().and_then(|answer| answer.into_iter().nth(1))
        };
        let append_fsync = configured(connection, "appendfsync").await;
        if append_fsync.is_none() {
            untold.push("+config|get");
        }
        let version_text = field("redis_version").unwrap_or_default();
        let mut parts = version_text.split('.').map_while(|part| part.parse().ok());
        // Valkey goes on from Redis 7.2 and says so here.
        let version = parts.next().zip(parts.next());
        Self {
            version,
            version_text,
            replica: field("role").is_some_and(|role| role == "slave"),
            replicas: field("connected_slaves").and_then(|count| count.parse().ok()),
            append_only: field("aof_enabled").map(|enabled| enabled == "1"),
            append_fsync,
            untold,
            eviction: configured(connection, "maxmemory-policy").await,
            memory_limit: configured(connection, "maxmemory")
                .await
                .and_then(|limit| limit.parse().ok()),
        }
    }

    fn check(&self, settings: &Settings, address: &Address) -> Result<(), OpenError> {
        let too_old = |wanted| OpenError::TooOld {
            address: address.clone(),
            found: self.version_text.clone(),
            wanted,
        };
        if self.replica {
            return Err(OpenError::Replica { address: address.clone() });
        }
        if self.version.is_some_and(|version| version < OLDEST_SERVER) {
            return Err(too_old("6.2"));
        }
        if settings.durability == Durability::Fsync {
            if self.version.is_some_and(|version| version < OLDEST_FOR_FSYNC) {
                return Err(too_old("7.2"));
            }
            if self.append_only == Some(false) {
                return Err(OpenError::NotDurable { address: address.clone() });
            }
        }
        Ok(())
    }

    fn warnings(&self, settings: &Settings) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.untold.is_empty() {
            warnings.push(format!(
                "the user may not ask what the server keeps: give it {}, or what is said here of \
                 its version and durability is not known",
                self.untold.join(" and ")
            ));
        }
        if let (Some(policy), Some(limit)) = (self.eviction.as_deref(), self.memory_limit)
            && limit > 0
            && policy != "noeviction"
        {
            warnings.push(format!(
                "maxmemory-policy is {policy}: the server would drop accounts and revocations when \
                 it is full; set it to noeviction"
            ));
        }
        if settings.durability != Durability::Fsync && self.append_only == Some(false) {
            warnings.push(
                "appendonly is no: a crash of the server loses what came after its last snapshot"
                    .to_owned(),
            );
        }
        if settings.durability == Durability::Fast
            && let Some(mode) = self.append_fsync.as_deref().filter(|mode| *mode != "always")
            && self.append_only == Some(true)
        {
            warnings.push(format!(
                "appendfsync is {mode} and durability \"fast\": a crash of the server may lose the \
                 last second of acknowledged changes"
            ));
        }
        if let (Durability::Replicated(wanted), Some(found)) = (settings.durability, self.replicas)
            && found < u64::from(wanted)
        {
            warnings.push(format!(
                "the server has {found} replicas and changes wait for {wanted}: until there are as \
                 many, every change is refused"
            ));
        }
        let confirming = match settings.durability {
            Durability::Replicated(replicas) => u64::from(replicas),
            Durability::Fsync | Durability::Fast => 0,
        };
        if let Some(found) = self.replicas.filter(|found| *found > confirming) {
            warnings.push(format!(
                "the server has {found} replicas that may be promoted and {confirming} confirm a \
                 change: a failover to another loses about the last second of acknowledged \
                 changes, a planned one too; set store.durability to \"replicated\" and \
                 store.replicas to {found}, or the replica-priority of the others to 0"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::shared::settings::Topology;

    /// Whether a user may run scripts at all, and what the server tells of itself, is asked
    /// apart.
    const ASKED_APART: [&str; 7] =
        ["CLUSTER", "CONFIG", "EVAL", "EVALSHA", "INFO", "SCRIPT", "SENTINEL"];

    #[test]
    fn every_command_that_is_run_is_among_those_that_are_asked_for() {
        let here = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/shared"));
        let files = std::fs::read_dir(here).expect("sources").map(|entry| entry.unwrap().path());
        let mut run = std::collections::BTreeSet::new();
        for file in files.filter(|file| file.is_file() && !file.ends_with("tests.rs")) {
            let text = std::fs::read_to_string(&file).expect("a source is text");
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            for before in ["redis.call('", "redis.pcall('", "cmd(\"", ".run(\""] {
                for (at, _) in text.match_indices(before) {
                    let rest = &text[at + before.len()..];
                    let end = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
                    run.insert(rest[..end].to_owned());
                }
            }
        }
        run.remove("");
        assert!(run.len() > 30, "{run:?}");
        run.retain(|command| !ASKED_APART.contains(&command.as_str()));
        let unasked: Vec<_> = run.iter().filter(|it| !COMMANDS.contains(&it.as_str())).collect();
        assert!(unasked.is_empty(), "{unasked:?}");
    }

    fn warned(durability: Durability, replicas: u64) -> Vec<String> {
        let address = Address { host: "here".to_owned(), port: 6379 };
        let settings = Settings {
            topology: Topology::Single(address),
            tls: None,
            username: None,
            password: None,
            database: 0,
            prefix: "p".to_owned(),
            durability,
            timeout: std::time::Duration::from_secs(1),
            token_ttl: crate::auth::time::Seconds(1),
            limits: crate::auth::ports::AccountLimits::default(),
        };
        let server = Server {
            version_text: "7.2.0".to_owned(),
            version: Some((7, 2)),
            replica: false,
            replicas: Some(replicas),
            append_only: Some(true),
            untold: Vec::new(),
            append_fsync: Some("always".to_owned()),
            eviction: Some("noeviction".to_owned()),
            memory_limit: Some(0),
        };
        server.warnings(&settings)
    }

    #[test]
    fn replicas_that_may_be_promoted_and_confirm_nothing_are_warned_of() {
        for (durability, replicas) in
            [(Durability::Fast, 1), (Durability::Fsync, 2), (Durability::Replicated(1), 2)]
        {
            let warnings = warned(durability, replicas);
            let [warning] = &warnings[..] else { panic!("one: {warnings:?}") };
            let expected = format!("{replicas} replicas that may be promoted");
            assert!(warning.contains(&expected), "{warning}");
            assert!(warning.contains(&format!("store.replicas to {replicas}")), "{warning}");
        }
        for (durability, replicas) in
            [(Durability::Fast, 0), (Durability::Fsync, 0), (Durability::Replicated(2), 2)]
        {
            assert_eq!(warned(durability, replicas), Vec::<String>::new());
        }
    }
}
