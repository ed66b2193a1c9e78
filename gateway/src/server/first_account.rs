//! The first account, without which nobody could make another: `admin`, once a store is empty.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Core;
use crate::auth::account::{ADMIN_ROLE, Account, AccountId, Username};
use crate::auth::error::StoreError;
use crate::auth::ports::{Creation, Entropy, StoreState};
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::passwords::hash_now;

use super::{StartError, own_files};

/// Its name.
pub const FIRST_ACCOUNT: &str = "admin";

const RETRY: Duration = Duration::from_secs(1);

/// Where the first administrator's password is to be had.
#[derive(Debug)]
pub enum FirstPassword {
    /// The operator has given it.
    Given,
    /// To be shown, this once.
    Shown(Secret),
    /// In a file that the gateway's user alone may read.
    Kept(PathBuf),
}

/// What becomes of a password that the gateway makes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordPlace {
    /// Somebody reads standard error as it is written.
    Terminal,
    /// It goes to a file: what standard error is kept in, others may read.
    File,
}

/// What became of the first account.
pub(super) enum FirstAccount {
    /// There are accounts already.
    Present,
    Made(FirstPassword),
    /// The store that replicas share cannot be asked; one starts all the same.
    Unknown,
}

/// The first account of an empty store.
pub(super) async fn make_admin(
    config: &Config,
    core: &Core,
    place: PasswordPlace,
) -> Result<FirstAccount, StartError> {
    match core.store().list_accounts(None, 1).await {
        Ok(accounts) if accounts.is_empty() => {}
        Ok(_) => return Ok(FirstAccount::Present),
        Err(StoreError::Unavailable(_)) if config.store.shared.is_some() => {
            return Ok(FirstAccount::Unknown);
        }
        Err(error) => return Err(StartError::Admin(error)),
    }
    let (password, told) = match &config.auth.admin_password {
        Some(password) => (password.clone(), FirstPassword::Given),
        None => {
            let password = random_password(&SystemEntropy::default());
            let told = match place {
                PasswordPlace::Terminal => FirstPassword::Shown(password.clone()),
                // Before there is an account that nobody could use.
                PasswordPlace::File => {
                    FirstPassword::Kept(own_files::keep_password(config, &password)?)
                }
            };
            (password, told)
        }
    };
    let hash = hash_now(&password, config.auth.bcrypt_cost).ok_or_else(|| {
        StartError::Admin(StoreError::Unavailable("the password could not be hashed".to_owned()))
    })?;
    let account = Account {
        roles: vec![ADMIN_ROLE.to_owned()],
        password: Some(hash),
        ..Account::new(
            AccountId(core.new_uuid()),
            Username::parse(FIRST_ACCOUNT).expect("the name is valid"),
            core.clock().now(),
        )
    };
    match core.store().create_account(account).await.map_err(StartError::Admin)? {
        Creation::Created => Ok(FirstAccount::Made(told)),
        // Another replica was first.
        _ => {
            if let FirstPassword::Kept(_) = told {
                own_files::forget_password(config);
            }
            Ok(FirstAccount::Present)
        }
    }
}

/// Makes the first account once the shared store can be asked. Nobody would see a password
/// that is made up here, so without the operator's own it is left to him.
pub(super) async fn make_admin_later(config: Config, core: Arc<Core>) {
    let live =
        |core: &Core| core.store().health().is_some_and(|health| health.state == StoreState::Live);
    loop {
        tokio::time::sleep(RETRY).await;
        if !live(&core) {
            continue;
        }
        if config.auth.admin_password.is_none() {
            if matches!(core.store().list_accounts(None, 1).await, Ok(found) if found.is_empty()) {
                tracing::warn!("there is no account yet: portcullis user add admin --role admin");
            }
            return;
        }
        match make_admin(&config, &core, PasswordPlace::File).await {
            Ok(FirstAccount::Made(_)) => {
                tracing::info!("account admin made with the given password");
                return;
            }
            Ok(FirstAccount::Present) => return,
            Ok(FirstAccount::Unknown) | Err(_) => {}
        }
    }
}

/// Twenty letters and digits that are not easily mistaken, 100 bits.
fn random_password(entropy: &dyn Entropy) -> Secret {
    const SYMBOLS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut bytes = [0; 20];
    entropy.fill(&mut bytes);
    let mut text = String::with_capacity(23);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(SYMBOLS[usize::from(byte % 32)]));
    }
    Secret::new(text)
}
