//! What only an operator can provide: a restart, an export, a code of GitHub's, and
//! gateways that are set otherwise. Without it a statement is not tried, and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::task::JoinError;

use crate::client::{Call, Client, DEADLINE, Watched};
use crate::password::Password;
use crate::reply::Reply;
use crate::report::{Check, Fault, unfit, untried};
use crate::tls::Tls;
use crate::{command, sign_in};

const RESTART: &str = "--restart";
const EXPORT: &str = "--export";
const GITHUB_CODE: &str = "--github-code";
const WITHOUT_ACCOUNTS: &str = "--without-accounts";
const WITHOUT_KEYS: &str = "--without-keys";

/// Command lines for `sh -c`, and URLs of other gateways.
#[derive(Debug, Default, Clone)]
pub struct Provided {
    /// Restarts the gateway; it may return before the gateway listens again.
    pub restart: Option<String>,
    /// Writes an export of the gateway's store.
    pub export: Option<String>,
    /// Writes a code that GitHub gave out for the gateway and that nobody has redeemed.
    pub github_code: Option<String>,
    /// Of a gateway with `auth.local_accounts = false`.
    pub without_accounts: Option<String>,
    /// Of a gateway with `dialect.plain.keys = false` and the same administrator.
    pub without_keys: Option<String>,
}

/// The same, for one run.
pub struct Resources {
    provided: Provided,
    administrator: (String, Password),
    /// Whether a restart was asked for.
    restarted: AtomicBool,
    /// Where no local account signs in.
    without_accounts: Option<Client>,
    /// Where keys cannot be managed.
    without_keys: Option<Client>,
    /// The administrator's token, there.
    keyless: OnceCell<String>,
}

impl Resources {
    /// # Errors
    /// When the URL of another gateway is of no use.
    pub fn new(
        provided: Provided,
        tls: &Tls,
        administrator: (String, Password),
    ) -> Result<Self, String> {
        let elsewhere = |url: &String| Client::new(url, tls);
        Ok(Self {
            without_accounts: provided.without_accounts.as_ref().map(elsewhere).transpose()?,
            without_keys: provided.without_keys.as_ref().map(elsewhere).transpose()?,
            provided,
            administrator,
            restarted: AtomicBool::new(false),
            keyless: OnceCell::new(),
        })
    }

    /// Has the gateway restarted, and waits until it serves this call again.
    pub async fn restart(&self, client: &Client, served: &Call) -> Check {
        let line = named(self.provided.restart.as_ref(), "a command that restarts", RESTART)?;
        // It ends while the command runs, or, of one that only sets it going, after it.
        let mut watched = client.watch(served.clone()).await?;
        // A task of its own: nobody breaks off a restart, and the end of the run waits for it.
        let (line, under_way) = (line.to_owned(), client.hold().await);
        self.restarted.store(true, Ordering::Relaxed);
        let mut command = tokio::spawn(async move {
            let _under_way = under_way;
            command::carry_out(RESTART, &line).await
        });
        let broken = |error: JoinError| Fault::Differs(format!("{RESTART}: {error}"));
        tokio::select! {
            biased;
            () = &mut watched.over => command.await.map_err(broken)??,
            done = &mut command => {
                done.map_err(broken)??;
                goes_away(client, watched).await?;
            }
        }
        serves_again(client, served).await
    }

    /// The hash that the gateway's store has of somebody's password.
    pub async fn hash_of(&self, username: &str) -> Result<String, Fault> {
        let line = named(self.provided.export.as_ref(), "an export of the store", EXPORT)?;
        let export = command::lines(EXPORT, line, username).await?;
        let hash = hash_of(&export, username);
        let nobody = || format!("{EXPORT}: the command writes no hash of {username}");
        hash.map_or_else(|| unfit(nobody()), Ok)
    }

    /// A code that GitHub gave out, good once.
    pub async fn github_code(&self) -> Result<String, Fault> {
        let what = "a code that GitHub gave out";
        let line = named(self.provided.github_code.as_ref(), what, GITHUB_CODE)?;
        let code = command::lines(GITHUB_CODE, line, "").await?.concat();
        let code = String::from_utf8(code).map(|code| code.trim().to_owned());
        match code {
            Ok(code) if !code.is_empty() => Ok(code),
            _ => unfit(format!("{GITHUB_CODE}: the command writes no code")),
        }
    }

    /// Sends a request to the gateway on which local accounts are off.
    pub async fn send_without_accounts(&self, call: Call) -> Result<Reply, Fault> {
        let Some(client) = &self.without_accounts else {
            return untried(
                "local accounts are on here; --without-accounts takes the URL of a gateway \
                 that has auth.local_accounts = false",
            );
        };
        reach(WITHOUT_ACCOUNTS, client).await?;
        client.send(&call).await
    }

    /// Sends a request of the administrator's to the gateway on which keys are off.
    pub async fn send_without_keys(&self, call: Call) -> Result<Reply, Fault> {
        let Some(client) = &self.without_keys else {
            return untried(
                "keys are managed here; --without-keys takes the URL of a gateway that has \
                 dialect.plain.keys = false",
            );
        };
        reach(WITHOUT_KEYS, client).await?;
        // By the contract that is to be without keys, so that it is known to be there.
        let (name, password) = &self.administrator;
        let login = sign_in::plain(name, password.expose());
        let signed_in = sign_in::token(client, &login, sign_in::PLAIN_TOKEN);
        let token = self.keyless.get_or_try_init(|| signed_in).await?;
        client.send(&call.bearer(token)).await
    }

    pub fn has_restarted(&self) -> bool {
        self.restarted.load(Ordering::Relaxed)
    }

    /// Ends the administrator's session on another gateway.
    pub async fn sign_out(&self) {
        if let (Some(client), Some(token)) = (&self.without_keys, self.keyless.get()) {
            let logout = Call::post("/api/v1/auth/logout").bearer(token);
            let _ = client.send(&logout).await;
        }
    }
}

/// Waits for the restart that a command has only set going. Others than the gateway may
/// close a connection, so it has to be seen that nobody listens.
async fn goes_away(client: &Client, watched: Watched) -> Check {
    let Watched { mut over, mut answers } = watched;
    let command_ended = Instant::now();
    let is_done = async {
        tokio::select! {
            biased;
            // No request that was sent since has a response: the command has done it
            // already, and the news took a while.
            () = &mut over => true,
            // The process from before is still there.
            Ok(_) = answers.wait_for(|sent| *sent > command_ended) => false,
        }
    };
    if tokio::time::timeout(DEADLINE, is_done).await.is_ok_and(|done| done) {
        return Ok(());
    }
    let why = match tokio::time::timeout(DEADLINE, over).await {
        Err(_) => "a connection to the gateway has outlived it",
        Ok(()) if client.is_away().await => return Ok(()),
        Ok(()) => "the gateway was not seen to be away",
    };
    unfit(format!("{RESTART}: {why}; let the command wait for its end"))
}

/// Waits until the gateway serves this call.
pub async fn serves_again(client: &Client, served: &Call) -> Check {
    let began = Instant::now();
    loop {
        match client.send(served).await {
            Ok(reply) if reply.passed().is_ok() => return Ok(()),
            // It stays so, and each further one counts as a failed attempt.
            Ok(reply) if reply.status == 401 => return Err(reply.fault("2xx after a restart")),
            // Nobody listens, or the upstream is not connected yet.
            Ok(_) | Err(_) if began.elapsed() < DEADLINE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(reply) => return Err(reply.fault("2xx after a restart")),
            Err(fault) => return Err(fault),
        }
    }
}

/// A gateway that is not there says nothing of the one that is judged.
async fn reach(option: &str, client: &Client) -> Check {
    client.reach().await.or_else(|why| unfit(format!("{option}: {why}")))
}

/// What an operator has named, or which option names it.
fn named<'a>(given: Option<&'a String>, what: &str, option: &str) -> Result<&'a str, Fault> {
    match given {
        Some(given) => Ok(given),
        None => untried(format!("{what} is needed: name it with {option}")),
    }
}

/// The hash that lines of an export have of the password of this user name.
fn hash_of(lines: &[Vec<u8>], username: &str) -> Option<String> {
    lines.iter().find_map(|line| hash_in(&serde_json::from_slice(line).ok()?, username))
}

fn hash_in(record: &Value, username: &str) -> Option<String> {
    match record {
        Value::Object(members) if members.get("username").is_some_and(|name| name == username) => {
            members
                .values()
                .filter_map(Value::as_str)
                .find(|text| text.starts_with('$'))
                .map(str::to_owned)
        }
        Value::Object(members) => members.values().find_map(|member| hash_in(member, username)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_found_in_the_record_of_its_user_alone() {
        let export = [
            "{\"format\":1}",
            "no JSON",
            "{\"user\":{\"username\":\"bob\",\"password\":\"$2b$12$bob\"}}",
            "{\"user\":{\"username\":\"ann\",\"full_name\":\"Ann\",\"password\":\"$2b$12$ann\"}}",
        ]
        .map(|line| line.as_bytes().to_vec());
        assert_eq!(hash_of(&export, "ann").as_deref(), Some("$2b$12$ann"));
        assert_eq!(hash_of(&export, "bob").as_deref(), Some("$2b$12$bob"));
        assert_eq!(hash_of(&export, "an"), None);
    }
}
