//! How memory follows the stream of changes, in order, although this replica's own
//! changes come to it before their turn.
//!
//! A change of ours is published as soon as the server has taken it, with the place in
//! the stream that it got there. The stream brings it again, and may bring other
//! replicas' changes of the same record before or after: per record the later place
//! counts. Records that are read beside the stream carry the place at which they were
//! read, and obey the same rule.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::server::ServerId;
use crate::auth::standing::{Found, Gone, Standing};
use crate::auth::workspace::WorkspaceId;

use super::change::{Change, Subject};

/// A place in the stream: milliseconds and a count within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Place(pub u64, pub u64);

impl Place {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (millis, count) = text.split_once('-')?;
        Some(Self(millis.parse().ok()?, count.parse().ok()?))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

pub(crate) struct Memory {
    standing: Arc<Standing>,
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    /// Everything up to here has been seen.
    position: Place,
    /// What is known of records beyond the position.
    ahead: HashMap<Subject, Place>,
    /// While everything is read anew: what the stream or a change of ours has told since
    /// that began, which a page read before must not undo.
    touched: Option<HashSet<Subject>>,
}

impl Memory {
    pub(crate) fn new(standing: Arc<Standing>) -> Self {
        Self { standing, order: Mutex::default() }
    }

    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    fn order(&self) -> std::sync::MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn position(&self) -> Place {
        self.order().position
    }

    /// Everything was being read anew, and that has not come to its end.
    pub(crate) fn is_reading(&self) -> bool {
        self.order().touched.is_some()
    }

    /// What was known beyond the position was another server's.
    pub(crate) fn forget_ahead(&self) {
        self.order().ahead.clear();
    }

    /// The stream cannot be followed from where memory stands.
    pub(crate) fn forget_position(&self) {
        self.order().position = Place::default();
    }

    /// The places that a server must know to be the one that memory followed.
    pub(crate) fn landmarks(&self) -> Vec<Place> {
        let order = self.order();
        let mut places: Vec<Place> = order.ahead.values().copied().collect();
        places.push(order.position);
        places.sort_unstable();
        places.dedup();
        places
    }

    /// A change of ours that the server has put at `place`.
    ///
    /// # Errors
    /// When a value is out of its range; nothing of ours is.
    pub(crate) fn apply_own(&self, place: Place, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut order = self.order();
        if place <= order.position {
            return Ok(());
        }
        for change in changes {
            if let Some(subject) = change.subject() {
                order.touch(&subject);
                match order.ahead.get(&subject) {
                    Some(known) if *known > place => continue,
                    _ => drop(order.ahead.insert(subject, place)),
                }
            }
            change.publish(&self.standing)?;
        }
        Ok(())
    }

    /// The next entry of the stream.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub(crate) fn apply_next(&self, place: Place, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut order = self.order();
        if place <= order.position {
            return Ok(());
        }
        for change in changes {
            if let Some(subject) = change.subject() {
                order.touch(&subject);
                // Ids are never used again: that something is gone may be said twice, and
                // takes along what came for it in between.
                let gone = matches!(change, Change::WorkspaceGone(_) | Change::AccountGone(_));
                if !gone && order.ahead.get(&subject).is_some_and(|known| *known >= place) {
                    continue;
                }
            }
            change.publish(&self.standing)?;
        }
        order.position = place;
        order.ahead.retain(|_, known| *known > place);
        Ok(())
    }

    /// Records as they were when the stream ended at `place`.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub(crate) fn apply_read(&self, place: Place, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut order = self.order();
        for change in changes {
            let Some(subject) = change.subject() else { continue };
            let later = order.ahead.get(&subject).is_some_and(|known| *known > place);
            let passed = match &order.touched {
                Some(touched) => touched.contains(&subject),
                None => order.position > place,
            };
            if later || passed {
                continue;
            }
            if place > order.position {
                order.touch(&subject);
                order.ahead.insert(subject, place);
            }
            change.publish(&self.standing)?;
        }
        Ok(())
    }

    /// Begins to read everything anew; the stream is followed from `place` meanwhile.
    pub(crate) fn begin_reading(&self, place: Place) {
        let mut order = self.order();
        order.position = place;
        order.ahead.retain(|_, known| *known > place);
        order.touched = Some(order.ahead.keys().cloned().collect());
    }

    /// A page of everything, read after [`Self::begin_reading`].
    pub(crate) fn apply_page(&self, changes: Vec<Change>, found: &mut Found) {
        let order = self.order();
        for change in changes {
            let Some(subject) = change.subject() else {
                let _ = change.publish(&self.standing);
                continue;
            };
            record_found(&change, found);
            let touched = order.touched.as_ref().is_some_and(|touched| touched.contains(&subject));
            if !touched && let Err(error) = change.publish(&self.standing) {
                tracing::error!(%error, ?subject, "skipping undecodable record");
            }
        }
    }

    /// Everything has been read: what was not found is gone, unless it came meanwhile.
    pub(crate) fn finish_reading(&self, found: &Found) {
        let mut order = self.order();
        let touched = order.touched.take().unwrap_or_default();
        self.standing.keep_only_unless(found, |gone| touched.contains(&Subject::from(gone)));
    }
}

impl Order {
    fn touch(&mut self, subject: &Subject) {
        if let Some(touched) = &mut self.touched {
            touched.insert(subject.clone());
        }
    }
}

impl From<Gone> for Subject {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Account(id) => Subject::Account(id.0),
            Gone::Key(digest) => Subject::Key(digest),
            Gone::Server(id) => Subject::Server(id.0),
            Gone::Workspace(id) => Subject::Workspace(id.0),
            Gone::Member(workspace, account) => Subject::Member(workspace.0, account.0),
        }
    }
}

fn record_found(change: &Change, found: &mut Found) {
    match change {
        Change::Account(account) => drop(found.accounts.insert(AccountId(account.id))),
        Change::Key(key) => drop(found.keys.insert(KeyId(key.id))),
        Change::Server(server) => drop(found.servers.insert(ServerId(server.id))),
        Change::Workspace(workspace) => drop(found.workspaces.insert(WorkspaceId(workspace.id))),
        Change::Member(workspace, account, Some(_)) => {
            found.members.insert((WorkspaceId(*workspace), AccountId(*account)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::auth::time::Timestamp;
    use crate::auth::workspace::Workspace;

    /// What the stream says of a workspace: a name, or that it is gone.
    type Said = (u8, Option<u8>);

    fn change((id, name): Said) -> Change {
        let id = WorkspaceId(Uuid::from_u128(u128::from(id) + 1));
        match name {
            Some(name) => {
                let name = name.to_string();
                Change::workspace(&Workspace { id, name, created: Timestamp(0) })
            }
            None => Change::WorkspaceGone(id.0),
        }
    }

    fn held(standing: &Standing) -> BTreeMap<u128, String> {
        let all = standing.workspaces();
        all.iter().map(|workspace| (workspace.id.0.as_u128(), workspace.name.clone())).collect()
    }

    /// The records when the stream has come to a place.
    fn truth(log: &[Said]) -> BTreeMap<u128, String> {
        let mut records = BTreeMap::new();
        for (id, name) in log {
            match name {
                Some(name) => records.insert(u128::from(*id) + 1, name.to_string()),
                None => records.remove(&(u128::from(*id) + 1)),
            };
        }
        records
    }

    fn place(index: usize) -> Place {
        Place(index as u64 + 1, 0)
    }

    #[test]
    fn reading_that_was_broken_off_is_not_complete() {
        let memory = Memory::new(Arc::default());
        memory.begin_reading(place(0));
        assert!(memory.is_reading());
        memory.finish_reading(&Found::default());
        assert!(!memory.is_reading());
    }

    #[test]
    fn nobody_is_a_member_of_a_workspace_that_is_gone() {
        let memory = Memory::new(Arc::default());
        memory.begin_reading(Place::default());
        memory.finish_reading(&Found::default());
        let (workspace, account) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let joins = || vec![Change::Member(workspace, account, Some("admin".to_owned()))];
        let member = || memory.standing().membership(WorkspaceId(workspace), AccountId(account));
        // Another replica's member comes by the stream behind our own deletion.
        memory.apply_own(place(2), vec![Change::WorkspaceGone(workspace)]).unwrap();
        memory.apply_next(place(1), joins()).unwrap();
        memory.apply_next(place(2), vec![Change::WorkspaceGone(workspace)]).unwrap();
        assert!(member().is_none());
        // And by a page that was read before it was deleted.
        memory.begin_reading(place(2));
        memory.apply_next(place(3), vec![Change::WorkspaceGone(workspace)]).unwrap();
        let mut found = Found::default();
        memory.apply_page(joins(), &mut found);
        memory.finish_reading(&found);
        assert!(member().is_none());
    }

    proptest! {
        /// Own changes come before their turn, records are read beside the stream, and
        /// everything may be read anew in between: in the end memory holds what the
        /// stream says.
        #[test]
        fn memory_ends_where_the_stream_does(
            log in prop::collection::vec((0u8..4, prop::option::of(0u8..9)), 1..24),
            steps in prop::collection::vec((0u8..5, 0usize..24), 0..60),
        ) {
            // Ids are never used again.
            let mut gone = HashSet::new();
            let log: Vec<Said> = log
                .into_iter()
                .map(|(id, name)| {
                    let name = name.filter(|_| !gone.contains(&id));
                    if name.is_none() {
                        gone.insert(id);
                    }
                    (id, name)
                })
                .collect();
            let memory = Memory::new(Arc::default());
            memory.begin_reading(Place::default());
            memory.finish_reading(&Found::default());
            // How far the log has been written, followed, and read anew from.
            let (mut written, mut followed, mut reading) = (0, 0, None::<usize>);
            for (step, pick) in steps {
                match step {
                    // Somebody commits; it may be us, who publish at once.
                    0 | 1 if written < log.len() => {
                        if step == 0 {
                            memory.apply_own(place(written), vec![change(log[written])]).unwrap();
                        }
                        written += 1;
                    }
                    2 if followed < written => {
                        memory.apply_next(place(followed), vec![change(log[followed])]).unwrap();
                        followed += 1;
                    }
                    // A record is read as it is now.
                    3 if written > 0 => {
                        let id = log[pick % log.len()].0;
                        let now = truth(&log[..written]);
                        if let Some(name) = now.get(&(u128::from(id) + 1)) {
                            let read = change((id, name.parse().ok()));
                            memory.apply_read(place(written - 1), vec![read]).unwrap();
                        }
                    }
                    // The thread is lost, and everything is read anew.
                    4 if reading.is_none() && written > 0 => {
                        followed = written;
                        memory.begin_reading(place(written - 1));
                        reading = Some(written);
                    }
                    4 => {
                        if let Some(from) = reading.take() {
                            // Pages are read at any moment since.
                            let at = from + pick % (written - from + 1);
                            let mut found = Found::default();
                            let page = truth(&log[..at]).into_iter().map(|(id, name)| {
                                change((u8::try_from(id).unwrap() - 1, name.parse().ok()))
                            });
                            // The stream has come at least as far as the page by the end.
                            memory.apply_page(page.collect(), &mut found);
                            while followed < at {
                                let next = vec![change(log[followed])];
                                memory.apply_next(place(followed), next).unwrap();
                                followed += 1;
                            }
                            memory.finish_reading(&found);
                        }
                    }
                    _ => {}
                }
            }
            if let Some(from) = reading {
                let mut found = Found::default();
                let page = truth(&log[..from]).into_iter().map(|(id, name)| {
                    change((u8::try_from(id).unwrap() - 1, name.parse().ok()))
                });
                memory.apply_page(page.collect(), &mut found);
                memory.finish_reading(&found);
            }
            while followed < written {
                memory.apply_next(place(followed), vec![change(log[followed])]).unwrap();
                followed += 1;
            }
            prop_assert_eq!(held(memory.standing()), truth(&log[..written]));
        }
    }
}
