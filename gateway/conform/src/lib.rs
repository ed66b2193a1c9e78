//! `portcullis conform`: tries every statement of the four wire contracts on a
//! gateway that runs, from outside.
//!
//! It judges with eyes of its own: a crate that shares no code with what it judges,
//! and so none of its mistakes. Each contract is a table in a file of its own, of
//! statements and their proofs.

mod client;
mod collisions;
mod command;
mod decisions;
mod delivery;
mod envelope;
pub mod expected;
mod fixture;
mod form;
mod limits;
mod password;
mod plain;
pub mod provided;
mod reply;
pub mod report;
mod sign_in;
mod socket;
mod status;
mod tls;
mod token;
mod traces;
mod upload;
mod web;

use std::pin::{Pin, pin};
use std::time::Instant;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

pub use password::Password;
pub use tls::Tls;

use expected::Expected;
use fixture::Fixture;
use provided::Provided;
use report::{Check, Report, Verdict, family};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    Form,
    Status,
    Envelope,
    Plain,
}

impl Dialect {
    pub const ALL: [Self; 4] = [Self::Form, Self::Status, Self::Envelope, Self::Plain];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Status => "status",
            Self::Envelope => "envelope",
            Self::Plain => "plain",
        }
    }
}

/// What to try, and where.
#[derive(Debug)]
pub struct Options {
    /// `https://localhost:8443`
    pub url: String,
    pub tls: Tls,
    pub admin: String,
    /// These must be served; none named: whichever are.
    pub dialects: Vec<Dialect>,
    /// Numbers of statements or how they begin; none named: all.
    pub only: Vec<String>,
    /// Named only by an operator who has such a route.
    pub agent_path: Option<String>,
    pub ticket_path: Option<String>,
    /// Of an upstream that serves others than the usual paths.
    pub proxied_path: Option<String>,
    pub proxied_v1_path: Option<String>,
    pub expected: Expected,
    pub provided: Provided,
    /// Waits of minutes are waited for as well.
    pub complete: bool,
}

type Proof = for<'a> fn(&'a Fixture) -> Pin<Box<dyn Future<Output = Check> + Send + 'a>>;

/// A numbered statement and its proof.
struct Statement {
    id: &'static str,
    says: &'static str,
    proof: Proof,
}

impl Statement {
    const fn new(id: &'static str, says: &'static str, proof: Proof) -> Self {
        Self { id, says, proof }
    }

    /// The contract that the statement is of.
    fn dialect(&self) -> Option<Dialect> {
        match family(self.id) {
            "S0" => Some(Dialect::Form),
            "S1" => Some(Dialect::Status),
            "S2" => Some(Dialect::Envelope),
            "S3" => Some(Dialect::Plain),
            _ => None,
        }
    }
}

fn statements() -> impl Iterator<Item = &'static Statement> {
    [
        form::STATEMENTS,
        status::STATEMENTS,
        limits::STATEMENTS,
        envelope::STATEMENTS,
        plain::STATEMENTS,
        collisions::STATEMENTS,
        decisions::STATEMENTS,
    ]
    .into_iter()
    .flatten()
}

/// Every statement, one a line.
#[must_use]
pub fn list() -> String {
    let lines: Vec<String> =
        statements().map(|statement| format!("{:<5} {}\n", statement.id, statement.says)).collect();
    lines.concat()
}

/// Whether this is a statement's number, or how several begin.
#[must_use]
pub fn knows(asked: &str) -> bool {
    statements().any(|statement| matches(statement.id, asked))
}

fn matches(id: &str, asked: &str) -> bool {
    id == asked || family(id) == asked
}

/// Tries the statements one after another and tells each verdict as it falls.
/// Whatever was made is removed, also when `interrupted` comes first.
///
/// # Errors
/// Why nothing could be tried, or that it was interrupted.
pub async fn run(
    options: &Options,
    password: &Password,
    interrupted: impl Future<Output = ()>,
    mut tell: impl FnMut(&Verdict),
) -> Result<Report, String> {
    let mut interrupted = pin!(interrupted);
    let fixture = tokio::select! {
        fixture = Fixture::set_up(options, password) => fixture?,
        () = &mut interrupted => return Err("interrupted".to_owned()),
    };
    let mut verdicts = Vec::new();
    let all = async {
        let only = &options.only;
        let is_asked = |id| only.is_empty() || only.iter().any(|asked| matches(id, asked));
        for statement in statements().filter(|statement| is_asked(statement.id)) {
            let began = Instant::now();
            let outcome = match fixture.needs(statement.dialect().as_slice()) {
                Ok(()) => (statement.proof)(&fixture).await,
                missing => missing,
            };
            let (id, says) = (statement.id, statement.says);
            let verdict = Verdict { id, says, outcome, took: began.elapsed() };
            tell(&verdict);
            verdicts.push(verdict);
        }
    };
    let finished = tokio::select! {
        () = all => true,
        () = &mut interrupted => false,
    };
    let remarks = fixture.clear().await;
    if !finished {
        let mut words = vec!["interrupted".to_owned()];
        words.extend(remarks);
        return Err(words.join("; "));
    }
    Ok(Report { url: options.url.clone(), verdicts, remarks })
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system's random source works");
    bytes
}
