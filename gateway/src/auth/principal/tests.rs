use super::super::api_key::NewKey;
use super::super::login::Issuance;
use super::super::tests::{Bench, CLIENT, HERE, PASSWORD};
use super::super::time::Seconds;
use super::*;

#[tokio::test]
async fn a_principal_knows_by_which_credential_it_was_proven() {
    let core = Bench::new().await.core;
    let issuance =
        Issuance { access_ttl: Seconds(60), rotate: true, shows_role: false, life: None };
    let (_, pair) = core.login("ann", &PASSWORD.into(), &CLIENT, issuance).await.unwrap();
    let by_token = core.verify_access(pair.access.text.expose()).unwrap();
    let by_password = core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ticket = core.issue_ticket(&by_token).await.unwrap();
    let by_ticket = core.redeem_ticket(ticket.expose()).await.unwrap();
    let new = NewKey {
        owner: by_token.account_id(),
        name: "ci".to_owned(),
        server: None,
        scopes: Vec::new(),
        expires: None,
    };
    let (key, text) = core.create_key(new).await.unwrap();
    let by_key = core.verify_key(text.expose()).unwrap();
    assert!(by_token.session().is_some());
    for (principal, scheme, session, with_key) in [
        (&*by_token, Scheme::Bearer, by_token.session(), None),
        (&by_password, Scheme::Basic, None, None),
        (&by_ticket, Scheme::Ticket, by_token.session(), None),
        (&by_key, Scheme::ApiKey, None, Some(key.id)),
    ] {
        assert_eq!(principal.scheme(), scheme);
        assert_eq!(principal.account_id(), by_token.account_id(), "{scheme:?}");
        assert_eq!(principal.session(), session, "{scheme:?}");
        assert_eq!(principal.key().map(|key| key.id), with_key, "{scheme:?}");
    }
}
