//! `fill_store DIRECTORY ACCOUNTS KEYS REVOKED`: makes a store of that size, to measure
//! what a start with it takes. Every account has the password `password`.

mod fill;

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis::auth::secret::Secret;
use portcullis::crypto::passwords::hash_now;

use fill::{Amounts, fill};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let amount = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let (Some(directory), Some(accounts @ 1..), Some(keys), Some(revoked)) =
        (arguments.first(), amount(1), amount(2), amount(3))
    else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "usage: fill_store DIRECTORY ACCOUNTS KEYS REVOKED");
        return ExitCode::from(2);
    };
    let password = hash_now(&Secret::new("password".to_owned()), 4).expect("it can be hashed");
    fill(&PathBuf::from(directory), Amounts { accounts, keys, revoked }, &password).await;
    ExitCode::SUCCESS
}
