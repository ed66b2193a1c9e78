//! Records behind an index, read page by page.

use redis::cmd;
use uuid::Uuid;

use crate::auth::error::StoreError;
use crate::auth::time::Seconds;
use crate::store::record::Record;

use super::Engine;
use super::transaction::Transaction;

/// Records removed by one step of a sweep.
pub(super) const SWEEP_BATCH: usize = 500;

/// Ends are remembered a little longer than tokens live: the clocks of replicas differ.
pub(super) const CLOCK_SLACK: Seconds = Seconds(60);

pub(super) type Bytes = Vec<u8>;

pub(super) type Step<'s, T> = Result<(Transaction<'s>, T), StoreError>;

pub(super) fn text(id: Uuid) -> Bytes {
    id.to_string().into_bytes()
}

pub(super) fn number(value: u64) -> Bytes {
    value.to_string().into_bytes()
}

impl Engine {
    /// Records that something else guards.
    pub(super) async fn records(
        &self,
        keys: impl Iterator<Item = String>,
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let keys: Vec<String> = keys.collect();
        let mut records = Vec::with_capacity(keys.len());
        for page in keys.chunks(SWEEP_BATCH) {
            records.extend(self.query::<Vec<Option<Bytes>>>(cmd("MGET").arg(page)).await?);
        }
        Ok(records)
    }

    /// A page of records behind an index of ids, in order of ids.
    pub(super) async fn page<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
    ) -> Result<Vec<T>, StoreError> {
        self.page_of(index, after, limit, key, |_| true).await
    }

    /// As [`Self::page`], of those that are wanted.
    pub(super) async fn page_of<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let readable = |read: Result<T, StoreError>| match read {
            Ok(record) => Ok(Some(record).filter(&wanted)),
            Err(error) => {
                tracing::error!(%error, "skipping undecodable record");
                Ok(None)
            }
        };
        self.page_by(index, after, limit, key, readable).await
    }

    /// As [`Self::page`]; one that does not read is an error.
    pub(super) async fn page_of_all<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
    ) -> Result<Vec<T>, StoreError> {
        self.page_by(index, after, limit, key, |read: Result<T, _>| read.map(Some)).await
    }

    pub(super) async fn page_by<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
        take: impl Fn(Result<T, StoreError>) -> Result<Option<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut listed, mut after) = (Vec::new(), after);
        while listed.len() < limit {
            let count = (limit - listed.len()).min(500);
            let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
            let mut range = cmd("ZRANGEBYLEX");
            range.arg(index).arg(from).arg("+").arg("LIMIT").arg(0).arg(count);
            let ids: Vec<String> = self.query(&range).await?;
            let full = ids.len() == count;
            let ids: Vec<Uuid> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            if ids.is_empty() {
                break;
            }
            after = ids.last().copied();
            let keys: Vec<String> = ids.iter().map(|id| key(*id)).collect();
            let records: Vec<Option<Bytes>> = self.query(cmd("MGET").arg(&keys)).await?;
            for (name, record) in keys.iter().zip(records) {
                // Gone by its time since it was listed.
                let Some(record) = record else { continue };
                listed.extend(take(T::decode(&record, name))?);
            }
            if !full {
                break;
            }
        }
        Ok(listed)
    }
}
