//! Renewal: the successor, the grace, and the end of a family.

use crate::support::client::{Client, Pair, sign_in_admin};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::token::claim;

/// S1-15.
#[tokio::test]
async fn a_refresh_token_is_exchanged_for_a_fresh_pair() {
    let gateway = Gateway::start(ECHO).await;
    let first = sign_in_admin(&gateway).await;
    let answer = Client::anonymous(&gateway).refresh(&first.refresh).await.expect(200);
    let body = answer.json();
    let second = answer.pair();
    let expected = serde_json::json!({
        "status": "success",
        "access_token": second.access,
        "refresh_token": second.refresh,
        "token_type": "Bearer",
    });
    assert_eq!(body, expected);
    assert_ne!(claim(&first.access, "jti"), claim(&second.access, "jti"));
    assert_ne!(claim(&first.refresh, "jti"), claim(&second.refresh, "jti"));
    assert_eq!(claim(&first.access, "sid"), claim(&second.access, "sid"));
    for token in [&first.access, &second.access] {
        Client::bearer(&gateway, token).get("/").await.expect(200);
    }
    Client::anonymous(&gateway).refresh(&second.refresh).await.expect(200);
}

/// C6: a client that lost the answer may ask again.
#[tokio::test]
async fn the_same_refresh_within_the_grace_gets_the_same_pair() {
    let mut gateway = Gateway::start(ECHO).await;
    let first = sign_in_admin(&gateway).await;
    let second = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    let again = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    assert_eq!(again, second);

    gateway.restart().await;
    let again = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    assert_eq!(again, second, "after a restart");
}

/// C6: two tabs of one browser.
#[tokio::test]
async fn refreshes_at_the_same_time_get_one_successor() {
    let gateway = Gateway::start(ECHO).await;
    let first = sign_in_admin(&gateway).await;
    let clients = [(); 4].map(|()| Client::anonymous(&gateway));
    let [a, b, c, d] = &clients;
    let (a, b, c, d) = tokio::join!(
        a.refresh(&first.refresh),
        b.refresh(&first.refresh),
        c.refresh(&first.refresh),
        d.refresh(&first.refresh),
    );
    let winner = a.pair();
    for pair in [b, c, d].map(|answer| answer.pair()) {
        assert_eq!(pair, winner);
    }
    Client::bearer(&gateway, &winner.access).get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&winner.refresh).await.expect(200);
}

/// C6: two holders of one refresh token; nobody can tell which one is the thief.
#[tokio::test]
async fn reuse_after_the_grace_ends_the_family_with_its_access_tokens() {
    let gateway = without_grace().await;
    let stranger = sign_in_admin(&gateway).await;
    let first = sign_in_admin(&gateway).await;
    let second = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    for token in [&first.access, &second.access] {
        Client::bearer(&gateway, token).get("/").await.expect(200);
    }

    let reuse = Client::anonymous(&gateway).refresh(&first.refresh).await;
    reuse.refused(401, "INVALID_REFRESH_TOKEN");

    assert_ended(&gateway, &[first, second]).await;
    Client::bearer(&gateway, &stranger.access).get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&stranger.refresh).await.expect(200);
}

/// C6 and S1-18.
#[tokio::test]
async fn an_ended_family_stays_ended_after_a_crash() {
    let mut gateway = without_grace().await;
    let first = sign_in_admin(&gateway).await;
    let second = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    Client::anonymous(&gateway).refresh(&first.refresh).await.refused(401, "INVALID_REFRESH_TOKEN");

    gateway.kill();
    gateway.restart().await;
    sign_in_admin(&gateway).await;
    assert_ended(&gateway, &[first, second]).await;
}

/// C6: not only the last predecessor, any of them.
#[tokio::test]
async fn a_token_from_two_renewals_ago_is_reuse_even_within_the_grace() {
    let gateway = Gateway::start(ECHO).await;
    let first = sign_in_admin(&gateway).await;
    let second = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    let third = Client::anonymous(&gateway).refresh(&second.refresh).await.pair();
    Client::bearer(&gateway, &third.access).get("/").await.expect(200);

    Client::anonymous(&gateway).refresh(&first.refresh).await.refused(401, "INVALID_REFRESH_TOKEN");
    assert_ended(&gateway, &[first, second, third]).await;
}

/// C6: `rotate_refresh = false`.
#[tokio::test]
async fn without_rotation_the_refresh_token_stays_the_same() {
    let gateway =
        Gateway::start(&format!("[dialect.status]\nrotate_refresh = false\n{ECHO}")).await;
    let first = sign_in_admin(&gateway).await;
    for _ in 0..3 {
        let renewed = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
        assert_eq!(renewed.refresh, first.refresh);
        assert_ne!(renewed.access, first.access);
        Client::bearer(&gateway, &renewed.access).get("/").await.expect(200);
    }
}

async fn without_grace() -> Gateway {
    Gateway::start(&format!("[auth]\nrefresh_grace = \"0s\"\n{ECHO}")).await
}

async fn assert_ended(gateway: &Gateway, family: &[Pair]) {
    for pair in family {
        Client::bearer(gateway, &pair.access).get("/").await.refused(401, "INVALID_TOKEN");
        let refresh = Client::anonymous(gateway).refresh(&pair.refresh).await;
        refresh.refused(401, "INVALID_REFRESH_TOKEN");
    }
}
