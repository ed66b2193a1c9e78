//! Tickets: what may be one, who gets one, and how often it works.

use super::super::error::{Error, Refusal};
use super::{Bench, HERE, PASSWORD, refusal};

#[tokio::test]
async fn what_cannot_be_a_ticket_is_told_from_an_unknown_one() {
    let bench = Bench::new().await;
    let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    let right = ticket.expose();
    for text in [
        "",
        &right[1..],
        &format!("{right}0"),
        &"g".repeat(64),
        &format!("{}g", &right[1..]),
        &"0".repeat(34),
        &"0".repeat(16),
    ] {
        let redeemed = bench.core.redeem_ticket(text).await;
        assert_eq!(refusal(redeemed), Some(Refusal::CredentialMalformed), "{text}");
    }
    let unknown = bench.core.redeem_ticket(&"0".repeat(64)).await;
    assert_eq!(refusal(unknown), Some(Refusal::TicketUnknown));
    bench.core.redeem_ticket(right).await.unwrap();
}

#[tokio::test]
async fn a_ticket_that_is_spent_opens_nothing() {
    let bench = Bench::new().await;
    let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let (spent, kept) = (
        bench.core.issue_ticket(&principal).await.unwrap(),
        bench.core.issue_ticket(&principal).await.unwrap(),
    );
    bench.core.spend_ticket("no ticket").await.unwrap();
    bench.core.spend_ticket(spent.expose()).await.unwrap();
    let redeemed = bench.core.redeem_ticket(spent.expose()).await;
    assert_eq!(refusal(redeemed), Some(Refusal::TicketUnknown));
    bench.core.redeem_ticket(kept.expose()).await.unwrap();
}

#[tokio::test]
async fn what_a_ticket_opened_gets_no_ticket() {
    let bench = Bench::new().await;
    let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    let redeemed = bench.core.redeem_ticket(ticket.expose()).await.unwrap();
    assert!(matches!(bench.core.issue_ticket(&redeemed).await, Err(Error::NotForKeys)));
}

/// A disabled account gets none, whatever it was proven with before.
#[tokio::test]
async fn a_ticket_is_issued_only_on_what_still_holds() {
    let bench = Bench::new().await;
    let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let id = principal.account_id();
    bench.core.reset_password(id, "set by an administrator".into()).await.unwrap();
    let issued = bench.core.issue_ticket(&principal).await;
    assert_eq!(refusal(issued), Some(Refusal::PasswordWrong));
}

#[tokio::test]
async fn the_owner_of_a_refresh_token_is_known_by_its_signature() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let owner = bench.core.owner_of(pair.refresh.expose()).unwrap();
    assert_eq!(owner.username.as_str(), "ann");
    assert!(bench.core.owner_of("no token").is_none());
}
