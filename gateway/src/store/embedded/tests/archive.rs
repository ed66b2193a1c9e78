//! A file's records, read and written as they are.

use std::path::Path;

use async_trait::async_trait;
use tempfile::TempDir;

use crate::auth::error::StoreError;
use crate::store::archive::conformance::{archive_conformance, everything, one_of_each};
use crate::store::archive::file::{Export, Part, Reading, import};
use crate::store::archive::{
    Clash, Entry, Import, Kind, Moment, Records, Unfinished, Written, copy, is_empty,
};
use crate::store::embedded::schema::NewFile;
use crate::store::embedded::{EmbeddedArchive, EmbeddedImport, FILE, Location, OpenError, PARTIAL};

archive_conformance!(async { EmbeddedArchive::scratch().unwrap() });

fn place() -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join(FILE);
    (directory, store)
}

fn make(store: &Path) -> EmbeddedArchive {
    let (new, database) = NewFile::begin(store).unwrap().unwrap();
    assert!(new.keep(database).unwrap());
    EmbeddedArchive::reopen(&Location::File(store.to_owned())).unwrap()
}

/// What lies there after a kill is what lies there now.
#[tokio::test]
async fn an_import_is_there_at_its_end_and_whatever_is_left_of_it_before_goes_with_the_next() {
    let (directory, store) = place();
    let mut import = EmbeddedImport::begin(&store).unwrap().unwrap();
    for number in 1..=4 {
        assert!(!store.exists());
        let (killed, left) = place();
        std::fs::copy(directory.path().join(PARTIAL), killed.path().join(PARTIAL)).unwrap();
        let again = EmbeddedImport::begin(&left).unwrap().expect("no store is there");
        Box::new(again).finish().await.unwrap();
        assert!(!killed.path().join(PARTIAL).exists());
        let begun = EmbeddedArchive::reopen(&Location::File(left)).unwrap();
        assert!(is_empty(&begun).await.unwrap(), "nothing of it is there");
        assert_eq!(import.write(&one_of_each(number)).await.unwrap(), Written::Added(9));
    }
    let beside = EmbeddedImport::begin(&store);
    assert!(matches!(beside, Err(OpenError::InUse { .. })), "one is under way");
    Box::new(import).finish().await.unwrap();
    assert!(!directory.path().join(PARTIAL).exists());
    let imported = EmbeddedArchive::reopen(&Location::File(store)).unwrap();
    assert_eq!(everything(&imported, 500).await.len(), 36);
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_what_was_there() {
    let (directory, store) = place();
    let mut import = EmbeddedImport::begin(&store).unwrap().unwrap();
    import.write(&one_of_each(1)).await.unwrap();
    drop(import);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    let mut import = make(&store).import().unwrap();
    import.write(&one_of_each(1)).await.unwrap();
    Box::new(import).finish().await.unwrap();
    let present = EmbeddedArchive::reopen(&Location::File(store.clone())).unwrap();
    let mut import = present.import().unwrap();
    assert_eq!(import.write(&one_of_each(2)).await.unwrap(), Written::Added(9));
    let clash = Entry::Key(match &one_of_each(9)[5] {
        Entry::Key(key) => key.clone(),
        other => panic!("{other}"),
    });
    let refused = import.write(&[clash]).await.unwrap();
    assert!(matches!(
        refused,
        Written::Refused { index: 0, clash: Clash::Missing(Kind::Account, _) }
    ));
    drop(import);
    let present = EmbeddedArchive::reopen(&Location::File(store)).unwrap();
    assert_eq!(everything(&present, 500).await, one_of_each(1));
}

#[tokio::test]
async fn a_store_that_was_made_meanwhile_stays_and_the_import_fails() {
    let (directory, store) = place();
    let mut import = EmbeddedImport::begin(&store).unwrap().unwrap();
    import.write(&one_of_each(1)).await.unwrap();
    // By a program that knows nothing of locks.
    std::fs::write(&store, "another").unwrap();
    let failed = Box::new(import).finish().await.unwrap_err();
    assert!(matches!(failed, Unfinished::Undone(_)), "{failed}");
    assert!(failed.to_string().contains("another store was made there meanwhile"), "{failed}");
    assert_eq!(std::fs::read_to_string(&store).unwrap(), "another");
    assert!(!directory.path().join(PARTIAL).exists());
}

/// Accounts are read before their sessions: what has come since belongs to none.
struct Moving(Vec<Entry>);

/// The same records, none of which come or go.
struct Still(Moving);

#[async_trait]
impl Records for Still {
    fn moment(&self) -> Moment {
        Moment::One
    }

    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.read(kind, after, limit).await
    }
}

#[async_trait]
impl Records for Moving {
    fn moment(&self) -> Moment {
        Moment::Each
    }

    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        _: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let of_kind = self.0.iter().filter(|entry| entry.kind() == kind && after.is_none());
        Ok(of_kind.cloned().collect())
    }
}

/// Exports the records and imports them elsewhere; answers how many there were.
pub(super) async fn carried_over(records: &dyn Records) -> u64 {
    let (mut export, mut text) = (Export::of(records), Vec::new());
    while let Some(lines) = export.next().await.unwrap() {
        text.extend(lines);
    }
    let mut to = EmbeddedArchive::scratch().unwrap().import().unwrap();
    let mut added = 0;
    for part in [Part::Ends, Part::Rest] {
        let mut reading = Reading::begin(text.as_slice()).unwrap();
        added += import(&mut to, &mut reading, part).await.unwrap();
    }
    added
}

#[tokio::test]
async fn an_export_of_records_that_come_and_go_can_be_imported() {
    let late = one_of_each(2).into_iter().filter(|entry| entry.kind() != Kind::Account);
    let moving = Moving(one_of_each(1).into_iter().chain(late).collect());
    // Of the second, what belongs to nobody: its workspace, and what has ended.
    assert_eq!(carried_over(&moving).await, 9 + 3);
}

#[tokio::test]
async fn of_one_moment_only_sessions_are_of_what_is_gone() {
    for entry in one_of_each(1) {
        let (kind, belongs) = (entry.kind(), !entry.refers_to().is_empty());
        let still = Still(Moving(vec![entry]));
        let (mut export, mut failed) = (Export::of(&still), None);
        loop {
            match export.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let copied = copy(&still, &EmbeddedArchive::scratch().unwrap()).await;
        if belongs && kind != Kind::Session {
            for error in [failed.unwrap(), copied.unwrap_err()] {
                assert!(matches!(error, StoreError::Damaged(_)), "{kind:?}: {error}");
                assert!(error.to_string().contains("which does not exist"), "{error}");
            }
        } else {
            assert!(failed.is_none(), "{kind:?}");
            let left_out = (kind == Kind::Session).then_some((kind, 1));
            assert!(export.orphans().counts.clone().into_iter().eq(left_out), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn of_records_that_come_and_go_what_may_be_damage_is_named() {
    for entry in one_of_each(1) {
        let (kind, name, belongs) =
            (entry.kind(), entry.to_string(), !entry.refers_to().is_empty());
        let moving = Moving(vec![entry]);
        let copied = copy(&moving, &EmbeddedArchive::scratch().unwrap()).await.unwrap();
        assert!(copied.orphans.counts.into_iter().eq(belongs.then_some((kind, 1))), "{kind:?}");
        let lost = belongs && !matches!(kind, Kind::Session | Kind::KeyUse);
        assert_eq!(copied.orphans.lost.is_some(), lost, "{kind:?}");
        assert!(copied.orphans.lost.is_none_or(|lost| lost.starts_with(&name)));
    }
}

#[tokio::test]
async fn an_export_in_which_a_name_changed_hands_is_none() {
    let former = one_of_each(1).remove(0);
    let Entry::Account(account) = one_of_each(2).remove(0) else { panic!("an account") };
    let heir = crate::auth::account::Username::parse("USER1").unwrap();
    let heir = Entry::Account(crate::auth::account::Account { username: heir, ..account });
    let moving = Moving(vec![former, heir]);
    let mut export = Export::of(&moving);
    assert!(export.next().await.unwrap().is_some(), "its first line");
    let failed = export.next().await.unwrap_err();
    assert!(failed.to_string().contains("try it again"), "{failed}");
}

#[test]
fn what_ends_something_is_imported_before_what_it_ends() {
    let first: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.ends_something()).collect();
    let ends = [Kind::RevokedToken, Kind::EndedSession, Kind::RegistrationClosed];
    assert_eq!(first, ends);
    // They need nothing that would have to be there before.
    for entry in one_of_each(1).iter().filter(|entry| entry.kind().ends_something()) {
        assert_eq!(entry.refers_to(), []);
    }
}
