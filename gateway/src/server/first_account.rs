//! The first account, without which nobody could make another: `admin`, once a store is empty.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Core;
use crate::auth::account::{ADMIN_ROLE, Account, AccountId, Username};
use crate::auth::error::StoreError;
use crate::auth::ports::{Creation, StoreState};
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::passwords::{hash_now, verify_now};
use crate::files::Directory;

use super::StartError;
use super::made_up_password::random_password;
use super::own_files::{self, Forgotten};

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

/// The first account of an empty store. Whoever calls it has locked the directory: of two
/// first starts at once, the password that is kept is that of the account that was made.
pub(super) async fn make_admin(
    config: &Config,
    core: &Core,
    directory: &Directory,
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
                    FirstPassword::Kept(own_files::keep_password(config, directory, &password)?)
                }
            };
            (password, told)
        }
    };
    let created = create(config, core, password).await;
    // After an error the account may be there all the same, with this password.
    if let (FirstPassword::Kept(_), Ok(Creation::NameTaken)) = (&told, &created) {
        let _ = own_files::forget_password(config);
    }
    match created.map_err(StartError::Admin)? {
        Creation::Created => Ok(FirstAccount::Made(told)),
        // Another replica was first.
        _ => Ok(FirstAccount::Present),
    }
}

async fn create(config: &Config, core: &Core, password: Secret) -> Result<Creation, StoreError> {
    let cost = config.auth.bcrypt_cost;
    // Later, requests are served beside it.
    let hash = tokio::task::spawn_blocking(move || hash_now(&password, cost)).await;
    let hash = hash
        .ok()
        .flatten()
        .ok_or_else(|| StoreError::Unavailable("the password could not be hashed".to_owned()))?;
    let account = Account {
        roles: vec![ADMIN_ROLE.to_owned()],
        password: Some(hash),
        ..Account::new(
            AccountId(core.new_uuid()),
            Username::parse(FIRST_ACCOUNT).expect("the name is valid"),
            core.clock().now(),
        )
    };
    core.store().create_account(account).await
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
        match make_given(&config, &core).await {
            Ok(()) => return,
            // It says itself when it is lost and when it is there again.
            Err(error) => tracing::debug!(%error, "first account not created yet, will be retried"),
        }
    }
}

async fn make_given(config: &Config, core: &Core) -> Result<(), StoreError> {
    if !core.store().list_accounts(None, 1).await?.is_empty() {
        return Ok(());
    }
    match config.auth.admin_password.clone() {
        None => tracing::warn!("no account exists: run portcullis user add admin --role admin"),
        Some(password) => {
            if let Creation::Created = create(config, core, password).await? {
                tracing::info!("account admin created with the configured password");
            }
        }
    }
    Ok(())
}

/// Removes the password that is kept for its reader when the account has another by now, or is
/// gone: somebody has set it over HTTP, or by a link.
pub(super) async fn forget_former(config: Config, core: Arc<Core>, kept: Secret) {
    // What is known of a shared store that cannot be asked may be nothing.
    if core.store().health().is_some_and(|health| health.state != StoreState::Live) {
        return;
    }
    let account = core.standing().account_by_name(FIRST_ACCOUNT);
    let hash = account.and_then(|account| account.password.clone());
    let holds = match hash {
        Some(hash) => {
            let verified = tokio::task::spawn_blocking(move || verify_now(&hash, &kept)).await;
            // One that cannot be judged stays.
            verified.unwrap_or(true)
        }
        None => false,
    };
    if !holds && let Forgotten::Removed(path) = own_files::forget_password(&config) {
        tracing::info!(path = %path.display(), "outdated file of the first password removed");
    }
}
