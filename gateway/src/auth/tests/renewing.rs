//! Sessions that the gateway renews for a browser: how long they live, who shares a renewal,
//! and what ends them.

use uuid::Uuid;

use super::super::renew::{Renewable, Renewed};
use super::super::session_life::SessionLife;
use super::super::token::TokenKind;
use super::super::workspace::{Workspace, WorkspaceId};
use super::*;

const IDLE: u64 = 3_600;
const ABSOLUTE: u64 = 86_400;
const SHORT: u64 = 900;
const LIFE: SessionLife = SessionLife { idle: Seconds(IDLE), absolute: Seconds(ABSOLUTE) };
const BROWSING: Issuance =
    Issuance { access_ttl: Seconds(SHORT), rotate: false, shows_role: false, life: Some(LIFE) };

impl Bench {
    async fn browse(&self) -> TokenPair {
        self.core.login("ann", &PASSWORD.into(), &CLIENT, BROWSING).await.unwrap().1
    }

    async fn renew(&self, token: &Secret) -> Result<Arc<Renewed>, Error> {
        let renewed = self.core.renew(token.expose(), None).await;
        renewed.map(|(_, renewed)| renewed)
    }
}

#[tokio::test]
async fn a_session_in_use_is_renewed_until_its_absolute_end() {
    let bench = Bench::new().await;
    let pair = bench.browse().await;
    let mut token = pair.refresh.clone();
    let mut passed = 0;
    // Each time as late as it may be: an idle time after the last access token has expired.
    while passed + SHORT + IDLE <= ABSOLUTE {
        bench.pass(SHORT + IDLE - 1);
        passed += SHORT + IDLE - 1;
        let renewed = bench.renew(&token).await.unwrap();
        assert_eq!(bench.judge(&renewed.access.text), Ok(()));
        assert!(passed + renewed.renewal_ttl.0 <= ABSOLUTE, "nothing outlives the session");
        token = renewed.renewal.clone().unwrap();
    }
    bench.pass(ABSOLUTE - passed - 1);
    let last = bench.renew(&token).await.unwrap();
    assert_eq!((last.access.ttl, last.renewal_ttl), (Seconds(1), Seconds(1)));
    bench.pass(1);
    assert_eq!(
        refusal(bench.renew(last.renewal.as_ref().unwrap()).await),
        Some(Refusal::TokenExpired)
    );
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() {
    let bench = Bench::new().await;
    let pair = bench.browse().await;
    bench.pass(SHORT + IDLE);
    assert_eq!(refusal(bench.renew(&pair.refresh).await), Some(Refusal::TokenExpired));
}

#[tokio::test]
async fn requests_with_the_same_tokens_share_one_renewal() {
    let bench = Bench::new().await;
    let pair = bench.browse().await;
    bench.pass(SHORT);
    let (one, other) = tokio::join!(bench.renew(&pair.refresh), bench.renew(&pair.refresh));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    // An access token that has expired meanwhile is of no use to anybody.
    bench.pass(SHORT);
    let later = bench.renew(&pair.refresh).await.unwrap();
    assert!(!Arc::ptr_eq(&one, &later));
    assert_eq!(bench.judge(&later.access.text), Ok(()));
}

#[tokio::test]
async fn what_ends_a_session_ends_its_renewals_also_those_that_are_shared() {
    for end in ["session", "password", "disabled"] {
        let bench = Bench::new().await;
        let pair = bench.browse().await;
        let (ann, _) = bench.core.renew(pair.refresh.expose(), None).await.unwrap();
        let ended = match end {
            "session" => {
                bench.core.end_session(&ann).await.unwrap();
                Refusal::SessionEnded
            }
            "password" => {
                let other = bench.login().await;
                bench.change_password(&other.access.text, PASSWORD, "another one").await.unwrap();
                Refusal::SessionEnded
            }
            _ => {
                let mut account = (*ann.account).clone();
                account.state = AccountState::Disabled;
                bench.core.standing().put_account(account);
                Refusal::AccountDisabled
            }
        };
        assert_eq!(refusal(bench.renew(&pair.refresh).await), Some(ended), "{end}");
        bench.pass(SHORT);
        assert_eq!(refusal(bench.renew(&pair.refresh).await), Some(ended), "{end}");
    }
}

#[tokio::test]
async fn a_renewal_token_is_no_contracts_and_an_access_token_renews_nothing() {
    let bench = Bench::new().await;
    let pair = bench.browse().await;
    assert_eq!(bench.judge(&pair.refresh), Err(Refusal::TokenKind));
    let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(refreshed), Some(Refusal::TokenKind));
    assert_eq!(refusal(bench.renew(&pair.access.text).await), Some(Refusal::TokenKind));
}

/// Of a contract that delivers in cookies.
#[tokio::test]
async fn a_refresh_token_renews_within_its_own_life_and_ends_its_family_when_it_is_reused() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    bench.pass(100);
    let renewed = bench.renew(&pair.refresh).await.unwrap();
    assert!(renewed.renewal.is_none(), "a page may be rotating it");
    assert_eq!(renewed.renewal_ttl, Seconds(604_700));
    let (_, rotated) = bench.core.refresh(pair.refresh.expose(), ROTATING).await.unwrap();
    // A tab that has not heard of it.
    let late = async |tab| bench.core.renew(pair.refresh.expose(), Some(tab)).await.map(drop);
    bench.pass(59);
    late("one").await.unwrap();
    bench.pass(1);
    assert_eq!(refusal(late("another").await), Some(Refusal::RefreshReused));
    assert_eq!(refusal(bench.renew(&rotated.refresh).await), Some(Refusal::SessionEnded));
}

#[tokio::test]
async fn a_renewed_token_is_for_the_workspace_of_the_expired_one_while_its_account_is_a_member() {
    let bench = Bench::new().await;
    let (store, created) = (bench.core.store(), bench.core.clock().now());
    let docs = WorkspaceId(Uuid::from_u128(1));
    store.create_workspace(Workspace { id: docs, name: "docs".to_owned(), created }).await.unwrap();
    let pair = bench.browse().await;
    let ann = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let member =
        |role: Option<&str>| store.set_member(docs, ann.account_id(), role.map(str::to_owned));
    member(Some("writer")).await.unwrap();
    let (_, scoped) = bench.core.switch_workspace(&ann, docs, BROWSING).await.unwrap();
    let workspace_of = async |expired: &str| {
        let renewed = bench.core.renew(pair.refresh.expose(), Some(expired)).await;
        renewed.unwrap().0.workspace.as_ref().map(|membership| membership.workspace)
    };
    bench.pass(SHORT);
    assert_eq!(workspace_of(scoped.text.expose()).await, Some(docs));
    assert_eq!(workspace_of(pair.access.text.expose()).await, None);
    assert_eq!(workspace_of("no token").await, None);
    bench.pass(SHORT);
    member(None).await.unwrap();
    assert_eq!(workspace_of(scoped.text.expose()).await, None);
}

#[tokio::test]
async fn what_a_session_has_opened_goes_on_while_the_session_is_used() {
    let bench = Bench::new().await;
    let pair = bench.browse().await;
    let ann = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let created = bench.clock.now();
    let renewable = bench.core.renewable(&ann, pair.refresh.expose()).unwrap();
    let span = Seconds(SHORT + IDLE);
    assert_eq!(renewable, Renewable { until: created.plus(span), span });
    // Unused it goes no further.
    let until = bench.core.renewed_until(&ann, renewable).await;
    assert_eq!(until, renewable.until);
    bench.pass(IDLE);
    bench.renew(&pair.refresh).await.unwrap();
    let until = bench.core.renewed_until(&ann, renewable).await;
    assert_eq!(until, created.plus(Seconds(IDLE)).plus(span));
    // Another session's token renews nothing of this one.
    let other = bench.browse().await;
    assert_eq!(bench.core.renewable(&ann, other.refresh.expose()), None);
    assert_eq!(bench.core.renewable(&ann, other.access.text.expose()), None);
    let claims = bench.core.open_token(pair.refresh.expose(), TokenKind::Renewal).unwrap();
    assert_eq!(claims.span(), SHORT + IDLE);
}
