//! A disk that fails while the gateway runs.

use super::disk::Disk;
use super::open;
use crate::auth::error::StoreError;
use crate::store::conformance::{account, change, key};
use crate::store::embedded::Location;
use crate::store::embedded::writer::RETRY;

/// Asks until the store is open again.
async fn until_it_works<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..600 {
        match ask().await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(RETRY / 10).await,
            outcome => return outcome.unwrap(),
        }
    }
    panic!("it does not work again: {:?}", ask().await.err());
}

/// A sync that fails may have done its work. Whatever the file holds then, memory
/// holds as well: else a password would be the old one here and the new one there.
#[tokio::test]
async fn memory_follows_the_file_after_a_write_of_unknown_outcome() {
    for failing in 0..2 {
        let disk = Disk::default();
        let engine = open(&Location::Simulated(disk.clone())).unwrap();
        let ann = account(1);
        engine.store.create_account(ann.clone()).await.unwrap();
        engine.store.create_key(key(1, &ann)).await.unwrap();

        disk.fail_sync(failing);
        let outcome = engine.store.replace_password(change(&ann, "new", None)).await;
        if failing == 0 {
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
            assert!(engine.store.ping().await.is_err());
        }
        let deleted = engine.store.delete_key(key(1, &ann).id, None).await;
        until_it_works(async || engine.store.create_key(key(2, &ann)).await).await;
        engine.store.ping().await.unwrap();
        // A deletion that was not taken holds, and is written by and by.
        until_it_works(async || match engine.store.health() {
            Some(health) if health.undelivered == 0 => Ok(()),
            _ => Err(StoreError::Unavailable("something waits".to_owned())),
        })
        .await;

        let reopened = Disk::holding(disk.after_power_cut(disk.now(), super::disk::Fate::Kept));
        let file = open(&Location::Simulated(reopened)).unwrap();
        let (here, there) = (engine.standing.account(ann.id), file.standing.account(ann.id));
        assert_eq!(here, there, "failing sync {failing}");
        assert_eq!(engine.standing.keys(None), file.standing.keys(None), "{deleted:?}");
    }
}
