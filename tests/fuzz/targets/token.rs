//! A token: whatever is not, letter for letter, one that was signed for a session is
//! refused; and what is rightly signed is read only with complete, typed claims.
//!
//! The first byte of an input says what the rest is: a token (`t`), edits of a valid
//! one (`e`), a header line and a payload to be signed (`s`), a payload to be signed
//! under the right header (`p`), a signature for a valid message (`g`).

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::auth::account::{Account, AccountId, HashedPassword, Username};
use portcullis::auth::login::Issuance;
use portcullis::auth::ports::{Clock, FailureLimit, PasswordHasher, Priority, TokenSigner};
use portcullis::auth::register::Registering;
use portcullis::auth::session_client::SessionClient;
use portcullis::auth::standing::Standing;
use portcullis::auth::time::{Seconds, Timestamp};
use portcullis::auth::token::TokenKind;
use portcullis::auth::{Core, Policy, Ports};
use portcullis::crypto::entropy::SystemEntropy;
use portcullis::crypto::jwt::Hs256Signer;
use portcullis::crypto::passwords::HashingPool;
use portcullis::store::embedded::{EmbeddedStore, Location};
use serde_json::Value;
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::pieces::first_line;

const SECRET: &str = "a secret that no mutation comes upon";
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const NOW: u64 = 1_800_000_000;

struct Bench {
    core: Core,
    signer: Hs256Signer,
    access: String,
    refresh: String,
}

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

struct SetClock;

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(NOW)
    }
}

impl Bench {
    fn new() -> Self {
        let standing = Arc::new(Standing::default());
        let week = Seconds(604_800);
        let store = EmbeddedStore::open(&Location::Memory, Arc::clone(&standing), week);
        let hasher = HashingPool::start(1, 1, 4).expect("a thread can be started");
        let signer = || Hs256Signer::new(&SECRET.into(), None).expect("a secret long enough");
        let policy = Policy {
            issuer: "portcullis".to_owned(),
            audience: "portcullis".to_owned(),
            refresh_ttl: week,
            refresh_grace: Seconds(60),
            renewed_access_ttl: Seconds(900),
            ticket_ttl: Seconds(120),
            clock_skew: Seconds(0),
            registration: Registering::Closed,
            registrations: FailureLimit {
                attempts: 101,
                user_attempts: 1_000,
                window: Seconds(3_600),
            },
            local_accounts: true,
            failure_window: Seconds(300),
            links: None,
        };
        let runtime = Builder::new_current_thread().build().expect("a runtime can be made");
        let hash = runtime
            .block_on(hasher.hash("correct horse".into(), Priority::Normal))
            .expect("an idle pool");
        let core = Core::new(
            policy,
            Ports {
                store: Arc::new(store.expect("a store in memory")),
                standing,
                hasher: Arc::new(hasher),
                signer: Arc::new(signer()),
                clock: Arc::new(SetClock),
                entropy: Arc::new(SystemEntropy::default()),
                github: None,
                mailer: None,
            },
        );
        let pair = runtime.block_on(async {
            core.store().create_account(account(hash)).await.expect("an empty store");
            let issuance =
                Issuance { access_ttl: Seconds(60), rotate: true, shows_role: true, life: None };
            core.login("ann", &"correct horse".into(), &client(), issuance)
                .await
                .expect("the password")
                .1
        });
        let (access, refresh) =
            (pair.access.text.expose().to_owned(), pair.refresh.expose().to_owned());
        Self { core, signer: signer(), access, refresh }
    }
}

fn client() -> SessionClient {
    SessionClient { address: Ipv4Addr::LOCALHOST.into(), user_agent: None }
}

fn account(password: HashedPassword) -> Account {
    Account {
        roles: Vec::new(),
        password: Some(password),
        ..Account::new(
            AccountId(Uuid::from_u128(1)),
            Username::parse("ann").expect("a name"),
            Timestamp(0),
        )
    }
}

pub(crate) fn run(data: &[u8]) {
    let bench = &*BENCH;
    let Some((&kind, rest)) = data.split_first() else { return };
    let (message, signature) = bench.access.rsplit_once('.').expect("three parts");
    match kind {
        b'e' => check_foreign(bench, &edit(&bench.access, rest)),
        b'g' => check_foreign(bench, &format!("{message}.{}", String::from_utf8_lossy(rest))),
        b's' => {
            let (header, payload) = first_line(rest);
            check_signed(bench, header, payload);
        }
        b'p' => check_signed(bench, HEADER.as_bytes(), rest),
        _ => {
            let text = String::from_utf8_lossy(rest);
            check_foreign(bench, &text);
            check_foreign(bench, &format!("{text}.{signature}"));
        }
    }
    assert!(bench.core.verify_access(&bench.access).is_ok(), "the valid one stays valid");
}

/// Three bytes an edit: where, what, and whether it replaces, is added or removes.
fn edit(token: &str, edits: &[u8]) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[0]) * 2 % bytes.len();
        match edit[2] % 3 {
            0 => bytes[at] = edit[1],
            1 => bytes.insert(at, edit[1]),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Nobody but the gateway has signed this, unless it is what it signed.
fn check_foreign(bench: &Bench, text: &str) {
    let known = text == bench.access || text == bench.refresh;
    assert!(known || bench.signer.open(text).is_err(), "{text} is taken for ours");
    assert!(text == bench.access || bench.core.verify_access(text).is_err(), "{text} opens");
}

/// Rightly signed, so that only form and claims decide.
fn check_signed(bench: &Bench, header: &[u8], payload: &[u8]) {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let opened = bench.signer.open(&token);
    let judged = bench.core.verify_access(&token);
    let Ok(claims) = opened else { return assert!(judged.is_err(), "unread, and yet it opens") };

    assert_eq!(header, HEADER.as_bytes(), "another header is read");
    // Members that nobody asks for are passed over, odd characters in them as well.
    let Ok(read) = serde_json::from_slice::<Value>(payload) else { return };
    let read = read.as_object().expect("claims are an object");
    let number = |name: &str| read[name].as_u64().expect("a whole number");
    let text = |name: &str| read[name].as_str().expect("a text");
    let uuid = |name: &str| text(name).parse::<Uuid>().expect("an id");
    assert_eq!(
        (claims.issued_at, claims.not_before, claims.expires_at),
        (number("iat"), number("nbf"), number("exp"))
    );
    assert_eq!((&*claims.issuer, &*claims.audience), (text("iss"), text("aud")));
    assert_eq!(
        (claims.subject.0, claims.id.0, claims.session.0),
        (uuid("sub"), uuid("jti"), uuid("sid"))
    );
    let kind = match claims.kind {
        TokenKind::Access => "access",
        TokenKind::Refresh => "refresh",
        TokenKind::Renewal => "renewal",
    };
    assert_eq!(kind, text("type"));

    let Ok(principal) = judged else { return };
    assert!(claims.expires_at > NOW && claims.not_before <= NOW && claims.issued_at <= NOW);
    assert_eq!((&*claims.issuer, &*claims.audience), ("portcullis", "portcullis"));
    assert_eq!(claims.kind, TokenKind::Access);
    assert_eq!(principal.account_id(), claims.subject);
}
