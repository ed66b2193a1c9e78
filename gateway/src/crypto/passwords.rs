//! The hashing pool: a few threads of lower priority and a bounded queue, so
//! that a flood of passwords can fill the queue and nothing else. Who comes from an
//! address that is known waits in a line of its own, which goes first.
//!
//! bcrypt is written; `$2a$`, `$2b$`, `$2y$` and argon2id are read. Jobs whose
//! caller has left are skipped. What fails is made to cost the same within its one job,
//! so that it has one place in the queue like any other. The crate's `non_truncating_*` functions refuse
//! 72 bytes too, which bcrypt reads in full; the check for more is here instead.
//! Fairness between addresses is made in front of
//! the queue: each address has one attempt in it at a time, and each account two
//! (`pipeline::throttle`).

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordVerifier, phc};
use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::auth::account::HashedPassword;
use crate::auth::error::Error;
use crate::auth::password::MAX_BYTES;
use crate::auth::ports::{PasswordHasher, Priority};
use crate::auth::secret::Secret;
use crate::auth::work::{MAX_ARGON2_KIB, MAX_ARGON2_PASSES, MAX_BCRYPT_COST, Work};

use queue::Queue;

pub struct HashingPool {
    queue: Arc<Queue<Job>>,
    cost: u32,
    rounds: Arc<AtomicU64>,
}

enum Job {
    Verify(Check, oneshot::Sender<bool>),
    Hash(Secret, oneshot::Sender<Option<HashedPassword>>),
}

struct Check {
    hash: Option<HashedPassword>,
    password: Secret,
    /// What it costs to be wrong.
    failure: Work,
}

impl HashingPool {
    /// Starts `threads` workers over a queue of `queue_length` jobs, and as many of known
    /// addresses.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, queue_length: usize, cost: u32) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(queue_length));
        let rounds = Arc::new(AtomicU64::new(0));
        for number in 0..threads {
            let jobs = Arc::clone(&queue);
            let rounds = Arc::clone(&rounds);
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || work(&jobs, cost, &rounds))?;
        }
        Ok(Self { queue, cost, rounds })
    }

    /// What all hashing so far has cost.
    #[must_use]
    pub fn work_done(&self) -> Work {
        Work(self.rounds.load(Ordering::Relaxed))
    }

    fn submit(&self, job: Job, priority: Priority) -> Result<(), Error> {
        if self.queue.push(job, priority) { Ok(()) } else { Err(Error::HasherBusy) }
    }
}

impl Drop for HashingPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[async_trait]
impl PasswordHasher for HashingPool {
    async fn verify(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        failure: Work,
        priority: Priority,
    ) -> Result<bool, Error> {
        let (answer, result) = oneshot::channel();
        let failure = failure.max(Work::of_bcrypt(self.cost));
        let check = Check { hash, password, failure };
        self.submit(Job::Verify(check, answer), priority)?;
        result.await.map_err(|_| Error::HasherBusy)
    }

    async fn hash(&self, password: Secret, priority: Priority) -> Result<HashedPassword, Error> {
        let (answer, result) = oneshot::channel();
        self.submit(Job::Hash(password, answer), priority)?;
        result.await.ok().flatten().ok_or(Error::HasherBusy)
    }

    fn outdated(&self, hash: &HashedPassword) -> bool {
        match hash.0.parse::<bcrypt::HashParts>() {
            Ok(parts) => parts.get_cost() < self.cost,
            Err(_) => !hash.0.starts_with("$argon2id$"),
        }
    }
}

fn work(jobs: &Queue<Job>, cost: u32, rounds: &AtomicU64) {
    yield_to_traffic();
    let note = |done: Work| {
        rounds.fetch_add(done.0, Ordering::Relaxed);
    };
    while let Some(job) = jobs.pop() {
        match job {
            Job::Verify(check, answer) if !answer.is_closed() => {
                let (matches, done) = check.carry_out();
                note(done);
                let _ = answer.send(matches);
            }
            Job::Hash(password, answer) if !answer.is_closed() => {
                let hash = hash_now(&password, cost);
                note(hash.as_ref().map(Work::of).unwrap_or_default());
                let _ = answer.send(hash);
            }
            Job::Verify(..) | Job::Hash(..) => {}
        }
    }
}

impl Check {
    /// The answer, and what it has cost.
    fn carry_out(&self) -> (bool, Work) {
        let compared = self.hash.as_ref().map(|hash| verify(hash, &self.password));
        let (matches, done) = compared.unwrap_or((false, Work::NONE));
        let missing = if matches { Work::NONE } else { self.failure };
        let made_up = missing.beyond(done).inspect(|cost| {
            std::hint::black_box(waste(*cost));
        });
        let made_up: u64 = made_up.map(|cost| Work::of_bcrypt(cost).0).sum();
        (matches, Work(done.0 + made_up))
    }
}

/// Works as long as a hash of this cost takes: it is one, which nobody needs.
fn waste(cost: u32) -> [u8; 24] {
    bcrypt::bcrypt(cost, [0x5a; 16], b"of nobody")
}

/// Whether a hash from elsewhere can be worked with here.
///
/// # Errors
/// Why not, in words that do not repeat it.
pub fn check_imported(hash: &str) -> Result<(), String> {
    let parts = hash.parse::<bcrypt::HashParts>().map_err(|_| not_bcrypt(hash))?;
    match parts.get_cost() {
        cost if cost > MAX_BCRYPT_COST => Err(format!(
            "bcrypt cost {cost} is above {MAX_BCRYPT_COST}: one sign-in would take minutes"
        )),
        _ => Ok(()),
    }
}

/// What other programs write in the place of a bcrypt hash, by how it begins.
const OTHER_KINDS: [(&str, &str); 9] = [
    ("$apr1$", "an MD5 hash of Apache (`htpasswd -m`)"),
    ("$1$", "an MD5 hash of crypt(3)"),
    ("$5$", "a SHA-256 hash of crypt(3)"),
    ("$6$", "a SHA-512 hash of crypt(3)"),
    ("$y$", "a yescrypt hash of crypt(3)"),
    ("{SHA}", "an unsalted SHA-1 hash (`htpasswd -s`)"),
    ("{SSHA}", "a salted SHA-1 hash"),
    ("$argon2", "an Argon2 hash"),
    ("$2", "a bcrypt hash that is damaged"),
];

/// Says which kind of hash it is, and what to do: no other kind is taken over, for what is
/// quickly computed is quickly guessed.
fn not_bcrypt(hash: &str) -> String {
    let kind = OTHER_KINDS.iter().find(|(begin, _)| hash.starts_with(begin));
    let found = match kind {
        Some((_, kind)) => kind,
        // DES of crypt(3): two characters of salt and eleven of hash.
        None if hash.len() == 13 && !hash.contains(['$', '{']) => {
            "a DES hash of crypt(3) (`htpasswd -d`), or a password in clear"
        }
        None => "no hash that is known",
    };
    format!(
        "expected a bcrypt hash ($2a$, $2b$ or $2y$), as `htpasswd -B` makes, found {found}; set \
         the password anew with `htpasswd -B`, or let the user choose one: `portcullis user invite`"
    )
}

/// Traffic comes first when the processor is short. On Linux the priority is
/// the thread's own; elsewhere, and where it is not permitted, nothing changes.
fn yield_to_traffic() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};

        let thread = Some(rustix::thread::gettid());
        // Behind the traffic's own, which need not be the default.
        let _ = getpriority_process(thread).and_then(|own| setpriority_process(thread, own + 10));
    }
}

/// A hash at `cost` on the calling thread, for the command line and first start.
#[must_use]
pub fn hash_now(password: &Secret, cost: u32) -> Option<HashedPassword> {
    if !fits(password) {
        return None;
    }
    bcrypt::hash(password.expose(), cost).ok().map(HashedPassword)
}

/// Verifies a password on the calling thread.
#[must_use]
pub fn verify_now(hash: &HashedPassword, password: &Secret) -> bool {
    verify(hash, password).0
}

/// Whether it is the password, and what that has cost.
fn verify(hash: &HashedPassword, password: &Secret) -> (bool, Work) {
    let no_work = (false, Work::NONE);
    if hash.0.starts_with("$argon2id$") {
        return verify_argon2(&hash.0, password).unwrap_or(no_work);
    }
    match hash.0.parse::<bcrypt::HashParts>() {
        Ok(parts) if parts.get_cost() <= MAX_BCRYPT_COST && fits(password) => {
            let verified = bcrypt::verify(password.expose(), &hash.0);
            verified.map_or(no_work, |matches| (matches, Work::of_bcrypt(parts.get_cost())))
        }
        _ => no_work,
    }
}

fn fits(password: &Secret) -> bool {
    password.expose().len() <= MAX_BYTES
}

/// `None` for what is not worked on.
fn verify_argon2(hash: &str, password: &Secret) -> Option<(bool, Work)> {
    let hash = phc::PasswordHash::new(hash).ok()?;
    let params = argon2::Params::try_from(&hash).ok()?;
    let (kib, passes) = (params.m_cost(), params.t_cost());
    if !is_bearable(kib, passes) {
        return None;
    }
    let verified = argon2::Argon2::default().verify_password(password.expose().as_bytes(), &hash);
    Some((verified.is_ok(), Work::of_argon2(kib, passes)))
}

fn is_bearable(kib: u32, passes: u32) -> bool {
    kib <= MAX_ARGON2_KIB && passes <= MAX_ARGON2_PASSES
}

#[cfg(test)]
mod tests;
