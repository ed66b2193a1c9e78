//! One intent: what was read and must not have changed, what is written, and what is
//! published to the other replicas. The server does all of it in one script, or nothing.

use redis::{Cmd, FromRedisValue, Value};
use uuid::Uuid;

use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;
use crate::store::record::Record;
use crate::store::replica::change::Change;
use crate::store::replica::memory::Place;

use super::Engine;
use super::settings::Durability;

pub(super) const SCRIPT: &str = include_str!("commit.lua");

/// Records outlive what they say by this, so that clocks may differ: whoever reads one
/// looks at its own time too.
const EXPIRY_SLACK_MS: u64 = 60_000;

/// A command of the script's own: Redis has none.
const RAISE: &str = "RAISE";

type Bytes = Vec<u8>;

pub(super) struct Transaction<'s> {
    store: &'s Engine,
    /// Keys and what they held when they were read.
    pub(super) expected: Vec<(String, Option<Bytes>)>,
    bounds: Vec<Bound>,
    pub(super) commands: Vec<Command>,
    pub(super) changes: Vec<Change>,
}

/// How many members a set may have before anything is written; of a sorted set those from
/// one on.
struct Bound {
    key: String,
    from: Option<String>,
    most: usize,
}

/// One command of the script, of Redis or its own; its first argument is a key.
pub(super) struct Command {
    pub name: &'static str,
    pub key: String,
    pub arguments: Vec<Bytes>,
}

impl<'s> Transaction<'s> {
    pub(super) fn new(store: &'s Engine) -> Self {
        Self {
            store,
            expected: Vec::new(),
            bounds: Vec::new(),
            commands: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// The transaction fails if a set has more members than these by then. For a sorted set
    /// `from` is where counting begins, as `ZLEXCOUNT` wants it.
    pub(super) fn at_most(&mut self, key: String, from: Option<String>, most: usize) {
        self.bounds.push(Bound { key, from, most });
    }

    /// What a key holds. The transaction fails if that changes before it ends.
    pub(super) async fn read(&mut self, key: String) -> Result<Option<Bytes>, StoreError> {
        let found: Option<Bytes> = self.store.query(redis::cmd("GET").arg(&key)).await?;
        self.expected.push((key, found.clone()));
        Ok(found)
    }

    pub(super) async fn record<T: Record>(&mut self, key: String) -> Result<Option<T>, StoreError> {
        let what = key.clone();
        self.read(key).await?.map(|bytes| T::decode(&bytes, &what)).transpose()
    }

    /// Ids in a set, hash or sorted set. Guard it by something else.
    pub(super) async fn ids(&self, command: &Cmd) -> Result<Vec<Uuid>, StoreError> {
        let listed: Vec<String> = self.store.query(command).await?;
        Ok(listed.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Whoever ends everything that hangs on an account or a server begins with this.
    pub(super) async fn guard(&mut self, id: Uuid) -> Result<(), StoreError> {
        let key = self.store.names.guard(id);
        self.read(key).await.map(drop)
    }

    /// Something new hangs on an account or a server.
    pub(super) fn touch(&mut self, id: Uuid) {
        let (key, value) = (self.store.names.guard(id), self.store.random());
        self.set(key, value, None);
    }

    pub(super) fn run<const N: usize>(
        &mut self,
        name: &'static str,
        key: String,
        arguments: [Bytes; N],
    ) {
        self.commands.push(Command { name, key, arguments: arguments.into() });
    }

    /// Sets a field of a hash to a number, unless it holds a greater one by then.
    pub(super) fn raise(&mut self, key: String, field: Bytes, number: u64) {
        self.run(RAISE, key, [field, number.to_string().into_bytes()]);
    }

    /// As many commands as the arguments need; a script passes so many at once.
    pub(super) fn run_each(&mut self, name: &'static str, key: &str, arguments: Vec<Bytes>) {
        for arguments in arguments.chunks(1_000) {
            let (key, arguments) = (key.to_owned(), arguments.to_vec());
            self.commands.push(Command { name, key, arguments });
        }
    }

    pub(super) fn set(&mut self, key: String, value: Bytes, expires: Option<Timestamp>) {
        match expires {
            None => self.run("SET", key, [value]),
            Some(at) => self.run("SET", key, [value, b"PXAT".to_vec(), expiry(at)]),
        }
    }

    /// Writes a record over what was read of it; members of a later version stay.
    pub(super) fn write<T: Record>(
        &mut self,
        key: String,
        record: &T,
        expires: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let before = self.expected.iter().find(|(known, _)| *known == key);
        let before = before.and_then(|(_, bytes)| bytes.as_deref());
        let bytes = record.encode_over(before)?;
        self.set(key, bytes, expires);
        Ok(())
    }

    pub(super) fn delete(&mut self, key: String) {
        self.run("DEL", key, []);
    }

    /// Nothing is to be changed, and what was seen must be durable before it is answered:
    /// the change before may have been made and not confirmed.
    pub(super) fn confirm(&mut self) {
        if self.store.settings.durability != Durability::Fast {
            self.run(
                "SET",
                self.store.names.probe(),
                [b"1", &b"PX"[..], b"1000"].map(<[u8]>::to_vec),
            );
        }
    }

    pub(super) fn publish(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.changes.is_empty()
    }

    /// The arguments of the script.
    pub(super) fn command(&self, sha: &str, installation: &str) -> Result<Cmd, StoreError> {
        let published = if self.changes.is_empty() {
            Bytes::new()
        } else {
            serde_json::to_vec(&self.changes)
                .map_err(|error| StoreError::Damaged(error.to_string()))?
        };
        let (stream, meta) = (self.store.names.changes(), self.store.names.meta());
        let mut keys: Vec<&str> = vec![&stream, &meta];
        keys.extend(self.expected.iter().map(|(key, _)| key.as_str()));
        keys.extend(self.bounds.iter().map(|bound| bound.key.as_str()));
        keys.extend(self.commands.iter().map(|command| command.key.as_str()));
        let mut script = redis::cmd("EVALSHA");
        script.arg(sha).arg(keys.len());
        for key in &keys {
            script.arg(*key);
        }
        script.arg(installation).arg(published).arg(self.expected.len());
        for (_, held) in &self.expected {
            match held {
                None => script.arg("absent").arg(""),
                Some(held) => script.arg("held").arg(held),
            };
        }
        script.arg(self.bounds.len());
        for bound in &self.bounds {
            script.arg(bound.from.as_deref().unwrap_or("")).arg(bound.most);
        }
        script.arg(self.commands.len());
        for command in &self.commands {
            script.arg(command.name).arg(command.arguments.len());
            for argument in &command.arguments {
                script.arg(argument.as_slice());
            }
        }
        Ok(script)
    }
}

fn expiry(at: Timestamp) -> Bytes {
    // The server counts in signed 64 bits.
    let at = at.0.saturating_add(EXPIRY_SLACK_MS).min(i64::MAX as u64 / 2);
    at.to_string().into_bytes()
}

/// What the script answered: where the change stands in the stream, or that something
/// had changed.
pub(super) enum Committed {
    At(Option<Place>),
    Conflict,
}

impl Committed {
    pub(super) fn parse(answer: &Value) -> Result<Self, StoreError> {
        let unexpected =
            || StoreError::Unavailable("unexpected reply from Redis to a script".to_owned());
        let Value::Array(parts) = answer else { return Err(unexpected()) };
        match parts.as_slice() {
            [Value::Int(0), ..] => Ok(Committed::Conflict),
            [Value::Int(1), place] => {
                let place =
                    Option::<String>::from_redis_value_ref(place).map_err(|_| unexpected())?;
                match place.filter(|text| !text.is_empty()) {
                    None => Ok(Committed::At(None)),
                    Some(text) => {
                        let place = Place::parse(&text).ok_or_else(unexpected)?;
                        Ok(Committed::At(Some(place)))
                    }
                }
            }
            _ => Err(unexpected()),
        }
    }
}
