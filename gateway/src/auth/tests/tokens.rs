//! Access tokens: what each claim is held to, how long a text may be, and what a session
//! leaves to a token.

use uuid::Uuid;

use super::super::error::Entity;
use super::super::token::{Claims, TokenKind};
use super::super::workspace::{Workspace, WorkspaceId};
use super::*;

/// Bytes, of any token.
const LONGEST: usize = 8 * 1024;

impl Bench {
    /// The claims of a good token of ours, changed and signed by us.
    async fn signed(&self, change: impl FnOnce(&mut Claims)) -> Secret {
        let pair = self.login().await;
        let token = pair.access.text.expose();
        let mut claims = self.core.open_token(token, TokenKind::Access).unwrap();
        change(&mut claims);
        Secret::new(self.core.signer.sign(&claims))
    }
}

#[tokio::test]
async fn a_token_names_both_its_issuer_and_its_audience_as_ours() {
    let bench = Bench::new().await;
    assert_eq!(bench.judge(&bench.signed(|_| ()).await), Ok(()));
    let other = || "elsewhere".to_owned();
    for token in [
        bench.signed(|claims| claims.issuer = other()).await,
        bench.signed(|claims| claims.audience = other()).await,
        bench.signed(|claims| (claims.issuer, claims.audience) = (other(), other())).await,
    ] {
        assert_eq!(bench.judge(&token), Err(Refusal::TokenIssuer));
    }
}

#[tokio::test]
async fn a_token_is_good_neither_before_its_issue_nor_before_its_beginning() {
    let bench = Bench::new().await;
    let later: [fn(&mut Claims); 2] =
        [|claims| claims.issued_at += 10, |claims| claims.not_before += 10];
    for change in later {
        let token = bench.signed(change).await;
        assert_eq!(bench.judge(&token), Err(Refusal::TokenNotYetValid));
        bench.pass(9);
        assert_eq!(bench.judge(&token), Err(Refusal::TokenNotYetValid));
        bench.pass(1);
        assert_eq!(bench.judge(&token), Ok(()));
    }
}

#[tokio::test]
async fn a_token_of_eight_kibibytes_is_read_and_none_longer() {
    let mut bench = Bench::new().await;
    // Base64 has no texts of every length: one byte at a time until it is met.
    let mut token = bench.login().await.access.text;
    while token.expose().len() < LONGEST {
        let missing = (LONGEST - token.expose().len()) * 3 / 4;
        bench.core.policy.issuer.push_str(&"x".repeat(missing.max(1)));
        token = bench.login().await.access.text;
    }
    assert_eq!(token.expose().len(), LONGEST);
    assert_eq!(bench.judge(&token), Ok(()));
    assert_eq!(bench.judge(&token), Ok(()), "also when it is known");
    bench.core.policy.issuer.push('x');
    let token = bench.login().await.access.text;
    assert!(token.expose().len() > LONGEST);
    assert_eq!(bench.judge(&token), Err(Refusal::TokenMalformed));
}

/// A property of the contract: its clients show it.
#[tokio::test]
async fn a_token_tells_the_main_role_where_the_contract_says_so() {
    let bench = Bench::new().await;
    let mut ann = (*bench.core.standing().account_by_name("ann").unwrap()).clone();
    ann.roles = vec!["editor".to_owned(), "user".to_owned()];
    bench.core.standing().put_account(ann);
    for (shows_role, role) in [(true, Some("editor")), (false, None)] {
        let issuance = Issuance { shows_role, ..ROTATING };
        let (_, pair) = bench.core.login("ann", &PASSWORD.into(), &CLIENT, issuance).await.unwrap();
        let token = pair.access.text.expose();
        let claims = bench.core.open_token(token, TokenKind::Access).unwrap();
        assert_eq!(claims.role.as_deref(), role);
    }
}

/// The end of a token that outlives its session could not be recorded.
#[tokio::test]
async fn a_token_issued_again_lives_no_longer_than_its_session() {
    let bench = Bench::new().await;
    let keeping = Issuance { rotate: false, ..ROTATING };
    let pair = bench.core.login("ann", &PASSWORD.into(), &CLIENT, keeping).await.unwrap().1;
    let reissue = async || {
        let (_, renewed) = bench.core.refresh(pair.refresh.expose(), keeping).await.unwrap();
        let principal = bench.core.verify_access(renewed.access.text.expose()).unwrap();
        bench.core.reissue(&principal, keeping).await.unwrap().1
    };
    assert_eq!(reissue().await.ttl, ACCESS_TTL);
    bench.pass(604_800 - 100);
    let last = reissue().await;
    assert_eq!(last.ttl, Seconds(100));
    bench.pass(99);
    assert_eq!(bench.judge(&last.text), Ok(()));
    bench.pass(1);
    assert_eq!(bench.judge(&last.text), Err(Refusal::TokenExpired));
}

#[tokio::test]
async fn a_token_is_scoped_to_a_workspace_by_its_members_only() {
    let bench = Bench::new().await;
    let (store, created) = (bench.core.store(), bench.core.clock().now());
    let [joined, other] = [1, 2].map(|number| WorkspaceId(Uuid::from_u128(number)));
    for id in [joined, other] {
        store.create_workspace(Workspace { id, name: "docs".to_owned(), created }).await.unwrap();
    }
    let pair = bench.login().await;
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    store.set_member(joined, principal.account_id(), Some("writer".to_owned())).await.unwrap();
    let (_, scoped) = bench.core.switch_workspace(&principal, joined, ROTATING).await.unwrap();
    let scoped = bench.core.verify_access(scoped.text.expose()).unwrap();
    assert_eq!(scoped.workspace.as_ref().map(|held| held.workspace), Some(joined));
    // Whether there is one that the caller may not see, is not told.
    for workspace in [other, WorkspaceId(Uuid::from_u128(3))] {
        let refused = bench.core.switch_workspace(&principal, workspace, ROTATING).await;
        assert!(matches!(refused, Err(Error::Unknown(Entity::Workspace))), "{refused:?}");
    }
}
