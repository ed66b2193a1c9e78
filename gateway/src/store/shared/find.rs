//! Finding the server that takes our changes.

use redis::{Value, cmd};

use super::link::{LinkError, connect, connect_as};
use super::names::Names;
use super::settings::{Address, Settings, Topology};

/// The primary: as configured, as the Sentinels say, or the owner of our hash slot.
///
/// `first` chooses who is asked first: one that is cut off from the others, and does not
/// know it, must not decide for ever.
///
/// # Errors
/// When nobody knows, with the last reason.
pub(super) async fn primary(settings: &Settings, first: usize) -> Result<Address, LinkError> {
    let from = |all: usize| (0..all).map(move |index| (first % all + index) % all);
    match &settings.topology {
        Topology::Single(address) => Ok(address.clone()),
        Topology::Sentinel { sentinels, service, password } => {
            let mut last = None;
            for sentinel in from(sentinels.len()).map(|index| &sentinels[index]) {
                let asked = query_sentinel(settings, sentinel, service, password.as_ref()).await;
                match asked {
                    Ok(address) => return Ok(address),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| LinkError::Refused("no Sentinel is configured".to_owned())))
        }
        Topology::Cluster(nodes) => {
            let mut last = None;
            for node in from(nodes.len()).map(|index| &nodes[index]) {
                match query_node(settings, node).await {
                    Ok(address) => return Ok(address),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| LinkError::Refused("no node is configured".to_owned())))
        }
    }
}

async fn query_sentinel(
    settings: &Settings,
    sentinel: &Address,
    service: &str,
    password: Option<&crate::auth::secret::Secret>,
) -> Result<Address, LinkError> {
    let mut connection =
        connect_as(settings, sentinel, (None, password), 0, Some(settings.timeout)).await?;
    let mut query = cmd("SENTINEL");
    query.arg("get-master-addr-by-name").arg(service);
    let answer: Option<(String, u16)> =
        query.query_async(&mut connection).await.map_err(|error| {
            if error.to_string().contains("unknown command") {
                LinkError::Misnamed(format!(
                    "{sentinel} is not a Sentinel; for a single server write redis:// in `store.url`"
                ))
            } else {
                LinkError::Refused(format!(
                    "Sentinel {sentinel} does not name the primary: {error}"
                ))
            }
        })?;
    let (host, port) = answer.ok_or_else(|| {
        LinkError::Misnamed(format!(
            "Sentinel {sentinel} knows no service {service:?}; it stands after the addresses in `store.url`"
        ))
    })?;
    Ok(Address { host, port })
}

/// Asks a node whose our slot is.
async fn query_node(settings: &Settings, node: &Address) -> Result<Address, LinkError> {
    let refused = |error: redis::RedisError| {
        if error.to_string().contains("cluster support disabled") {
            return LinkError::Misnamed(format!(
                "{node} is not a cluster node; for a single server write redis:// in `store.url`"
            ));
        }
        LinkError::Refused(format!("{node} does not name the owner of the slot: {error}"))
    };
    let mut connection = connect(settings, node, Some(settings.timeout)).await?;
    let name = Names::new(&settings.prefix).meta();
    let slot: i64 = cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(name)
        .query_async(&mut connection)
        .await
        .map_err(refused)?;
    let slots: Value =
        cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await.map_err(refused)?;
    owner(&slots, slot, node)
        .ok_or_else(|| LinkError::Refused(format!("{node}: no node serves slot {slot}")))
}

/// `[[from, to, [host, port, …], …], …]`; an empty host is the node that was asked.
fn owner(slots: &Value, slot: i64, asked: &Address) -> Option<Address> {
    let Value::Array(ranges) = slots else { return None };
    ranges.iter().find_map(|range| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(from), Value::Int(to), Value::Array(primary), ..] = range.as_slice() else {
            return None;
        };
        if !(*from..=*to).contains(&slot) {
            return None;
        }
        let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
        let host: String = redis::from_redis_value_ref(host).unwrap_or_default();
        let host = if host.is_empty() || host == "?" { asked.host.clone() } else { host };
        Some(Address { host, port: u16::try_from(*port).ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64, host: &str, port: i64) -> Value {
        let host = Value::BulkString(host.as_bytes().to_vec());
        Value::Array(vec![
            Value::Int(from),
            Value::Int(to),
            Value::Array(vec![host, Value::Int(port)]),
        ])
    }

    #[test]
    fn the_owner_of_a_slot_is_found_and_nonsense_names_nobody() {
        let asked = Address { host: "asked".to_owned(), port: 1 };
        let slots = Value::Array(vec![
            range(0, 99, "one", 7001),
            Value::Nil,
            range(100, 199, "", 7002),
            range(200, 299, "three", 70_000),
        ]);
        let found = |slot| owner(&slots, slot, &asked).map(|address| address.to_string());
        assert_eq!(found(0).as_deref(), Some("one:7001"));
        assert_eq!(found(100).as_deref(), Some("asked:7002"), "who was asked means itself");
        assert_eq!(found(200), None, "no such port");
        assert_eq!(found(300), None);
        assert_eq!(owner(&Value::Okay, 0, &asked), None);
    }
}
