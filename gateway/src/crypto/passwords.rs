//! The hashing pool: a few threads of lower priority and a bounded queue, so
//! that a flood of passwords can fill the queue and nothing else.
//!
//! bcrypt is written; `$2a$`, `$2b$`, `$2y$` and argon2id are read. Jobs whose
//! caller has left are skipped. The crate's `non_truncating_*` functions refuse
//! 72 bytes too, which bcrypt reads in full; the check for more is here instead.
//! Fairness between addresses is made in front of
//! the queue: each address has one attempt in it at a time (`pipeline::throttle`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordVerifier, phc};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::auth::account::HashedPassword;
use crate::auth::error::Error;
use crate::auth::password::MAX_BYTES;
use crate::auth::ports::PasswordHasher;
use crate::auth::secret::Secret;

/// A stored cost above this is not worked on: one check would hold a thread for
/// minutes. Whoever imported such a hash resets the password.
const MAX_BCRYPT_COST: u32 = 16;
const MAX_ARGON2_KIB: u32 = 256 * 1024;
const MAX_ARGON2_PASSES: u32 = 16;

pub struct HashingPool {
    queue: SyncSender<Job>,
    cost: u32,
    decoy: HashedPassword,
    operations: Arc<AtomicU64>,
}

enum Job {
    Verify(HashedPassword, Secret, oneshot::Sender<bool>),
    Hash(Secret, oneshot::Sender<Option<HashedPassword>>),
}

impl HashingPool {
    /// Starts `threads` workers over a queue of `queue_length` jobs.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, queue_length: usize, cost: u32) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(queue_length);
        let jobs = Arc::new(Mutex::new(jobs));
        let operations = Arc::new(AtomicU64::new(0));
        for number in 0..threads {
            let jobs = Arc::clone(&jobs);
            let operations = Arc::clone(&operations);
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || work(&jobs, cost, &operations))?;
        }
        Ok(Self { queue, cost, decoy: decoy(cost), operations })
    }

    /// Slow hashes computed so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl PasswordHasher for HashingPool {
    async fn verify(&self, hash: Option<HashedPassword>, password: Secret) -> Result<bool, Error> {
        let (answer, result) = oneshot::channel();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        self.queue.try_send(Job::Verify(hash, password, answer)).map_err(|_| Error::HasherBusy)?;
        Ok(result.await.map_err(|_| Error::HasherBusy)? && known)
    }

    async fn hash(&self, password: Secret) -> Result<HashedPassword, Error> {
        let (answer, result) = oneshot::channel();
        self.queue.try_send(Job::Hash(password, answer)).map_err(|_| Error::HasherBusy)?;
        result.await.ok().flatten().ok_or(Error::HasherBusy)
    }

    fn outdated(&self, hash: &HashedPassword) -> bool {
        match hash.0.parse::<bcrypt::HashParts>() {
            Ok(parts) => parts.get_cost() < self.cost,
            Err(_) => !hash.0.starts_with("$argon2id$"),
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, cost: u32, operations: &AtomicU64) {
    yield_to_traffic();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(Job::Verify(hash, password, answer)) if !answer.is_closed() => {
                operations.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(verify(&hash, &password));
            }
            Ok(Job::Hash(password, answer)) if !answer.is_closed() => {
                operations.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(hash_now(&password, cost));
            }
            Ok(Job::Verify(..) | Job::Hash(..)) => {}
            Err(_) => return,
        }
    }
}

/// Whether a hash from elsewhere can be worked with here.
///
/// # Errors
/// Why not, in words that do not repeat it.
pub fn check_imported(hash: &str) -> Result<(), String> {
    let parts = hash.parse::<bcrypt::HashParts>().map_err(|_| {
        "expected a bcrypt hash ($2a$, $2b$ or $2y$), as `htpasswd -B` makes".to_owned()
    })?;
    match parts.get_cost() {
        cost if cost > MAX_BCRYPT_COST => Err(format!(
            "bcrypt cost {cost} is above {MAX_BCRYPT_COST}: one sign-in would take minutes"
        )),
        _ => Ok(()),
    }
}

/// Traffic comes first when the processor is short. On Linux the priority is
/// the thread's own; elsewhere, and where it is not permitted, nothing changes.
fn yield_to_traffic() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10);
}

/// A hash at `cost` on the calling thread, for the command line and first start.
#[must_use]
pub fn hash_now(password: &Secret, cost: u32) -> Option<HashedPassword> {
    if password.expose().len() > MAX_BYTES {
        return None;
    }
    bcrypt::hash(password.expose(), cost).ok().map(HashedPassword)
}

fn verify(hash: &HashedPassword, password: &Secret) -> bool {
    if hash.0.starts_with("$argon2id$") {
        return verify_argon2(&hash.0, password);
    }
    match hash.0.parse::<bcrypt::HashParts>() {
        Ok(parts) if parts.get_cost() <= MAX_BCRYPT_COST => {
            password.expose().len() <= MAX_BYTES
                && bcrypt::verify(password.expose(), &hash.0).unwrap_or(false)
        }
        _ => false,
    }
}

fn verify_argon2(hash: &str, password: &Secret) -> bool {
    let Ok(hash) = phc::PasswordHash::new(hash) else {
        return false;
    };
    let modest = argon2::Params::try_from(&hash).is_ok_and(|params| {
        params.m_cost() <= MAX_ARGON2_KIB && params.t_cost() <= MAX_ARGON2_PASSES
    });
    modest && argon2::Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
}

/// A well-formed hash of the configured cost that no password has: verifying
/// against it takes as long as against a real one.
fn decoy(cost: u32) -> HashedPassword {
    HashedPassword(format!("$2b${cost:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC"))
}

#[cfg(test)]
mod tests;
