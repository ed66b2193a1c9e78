//! Every endpoint of every contract encodes each outcome that its command can have, and no
//! other.

use std::sync::Arc;

use http::StatusCode;
use uuid::Uuid;

use super::NotEncoded;
use crate::admin::Reply;
use crate::auth::account::{Account, AccountId, Username};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use crate::auth::federation::Flow;
use crate::auth::link::LinkKind;
use crate::auth::login::{AccessToken, TokenPair};
use crate::auth::secret::Secret;
use crate::auth::time::{Seconds, Timestamp};
use crate::dialect::admin::Admin;
use crate::dialect::delivery::Delivery;
use crate::dialect::envelope::Envelope;
use crate::dialect::flow::{Beginner, SavedFlow};
use crate::dialect::form::Form;
use crate::dialect::links::{Links, Pages};
use crate::dialect::plain::Plain;
use crate::dialect::status::Status;
use crate::dialect::tests::{context, settings};
use crate::dialect::{
    Answer, Dialect, Health, Operation, Outcome, Presentation, Providers, Serving,
};

/// Pages of links that say which they are.
pub(crate) struct Told;

impl Pages for Told {
    fn shown(&self, _: &str, _: &Account, _: LinkKind, _: &Secret) -> Answer {
        Answer { body: b"shown".to_vec(), ..Answer::empty(StatusCode::OK) }
    }

    fn followed(&self, _: LinkKind) -> Answer {
        Answer { body: b"followed".to_vec(), ..Answer::empty(StatusCode::OK) }
    }
}

fn contracts() -> Vec<Box<dyn Dialect>> {
    let pages = Box::new(Told);
    vec![
        Box::new(Status { settings: settings("/api"), rotate: true }),
        Box::new(Plain::new(settings("/api/v1"), true, false)),
        Box::new(Envelope { settings: settings("/api"), callback: None }),
        Box::new(Form(settings("/api/v1"))),
        Box::new(Links { prefix: "/api/links".to_owned(), mail: true, pages }),
        Box::new(Admin::new("/api/admin".to_owned())),
    ]
}

/// What `dialect::perform` makes of a contract's command for this operation.
fn outcomes(operation: Operation) -> Vec<Outcome> {
    let id = AccountId(Uuid::from_u128(7));
    let ann = || Arc::new(Account::new(id, Username::parse("ann").expect("a name"), Timestamp(0)));
    let access = || AccessToken { text: "of access".into(), ttl: Seconds(60) };
    let pair =
        || TokenPair { access: access(), refresh: "of refresh".into(), superseded: Vec::new() };
    let key = || ApiKey {
        id: KeyId(Uuid::from_u128(8)),
        owner: id,
        name: "ci".to_owned(),
        shown: "sk_live_ab".to_owned(),
        digest: [0; 32],
        server: None,
        scopes: Vec::new(),
        created: Timestamp(0),
        expires: None,
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    };
    let flow = || Flow { state: "of state".into(), verifier: "of verifier".into() };
    let kept = || SavedFlow { flow: flow(), return_to: "/".to_owned(), by: Beginner::Contract };
    let followed = |reply| Outcome::LinkFollowed(ann(), LinkKind::Both, reply);
    match operation {
        Operation::Register => vec![Outcome::Registered(ann(), pair())],
        Operation::Login | Operation::Github => vec![Outcome::SignedIn(ann(), pair())],
        Operation::Refresh => vec![Outcome::Refreshed(ann(), pair())],
        Operation::Reissue | Operation::SwitchWorkspace => {
            vec![Outcome::Reissued(ann(), access())]
        }
        Operation::Logout => vec![Outcome::LoggedOut],
        Operation::EndSession => vec![Outcome::SessionEnded],
        Operation::ChangePassword => vec![Outcome::PasswordChanged],
        Operation::IssueTicket => vec![Outcome::Ticket("of ticket".into())],
        Operation::Me => vec![Outcome::Me(ann())],
        Operation::Providers => vec![Outcome::Providers(Providers {
            registration: true,
            passwords: true,
            github_client_id: None,
        })],
        Operation::BeginGithub => {
            vec![Outcome::SentToGithub("https://github.test/".to_owned(), kept())]
        }
        Operation::FinishGithub => {
            vec![Outcome::BackFromGithub(ann(), pair(), "/".to_owned())]
        }
        Operation::CreateKey | Operation::RotateKey => {
            vec![Outcome::KeyCreated(key(), "of key".into())]
        }
        Operation::ListKeys => vec![Outcome::Keys(vec![Arc::new(key())])],
        Operation::DeleteKey => vec![Outcome::KeyDeleted],
        Operation::ListServers => vec![Outcome::Servers(Vec::new())],
        Operation::ShowLink => {
            vec![Outcome::LinkShown(ann(), LinkKind::Both, "of link".into())]
        }
        Operation::FollowLink => {
            vec![followed(Presentation::Page), followed(Presentation::Json)]
        }
        Operation::SendPasswordLink | Operation::SendAddressLink => vec![Outcome::MailTaken],
        Operation::Administer(_) => vec![Outcome::Administered(Reply::Done)],
        Operation::Health => vec![Outcome::Health(Health {
            serving: Serving::Healthy,
            version: "1",
            pending_update: None,
            cves: Vec::new(),
            store: None,
        })],
        // The console's, which has no rows here, and what is served without a command.
        Operation::Console(_)
        | Operation::ConsolePage(_)
        | Operation::ConsoleAsset
        | Operation::ConsoleSignOut
        | Operation::Describe => Vec::new(),
    }
}

#[test]
fn every_endpoint_encodes_each_outcome_that_its_command_can_have() {
    for dialect in contracts() {
        for endpoint in dialect.endpoints() {
            let named = format!("{:?} {}", dialect.contract(), endpoint.path);
            for delivery in [Delivery::Body, Delivery::Cookie] {
                let outcomes = outcomes(endpoint.operation);
                assert!(!outcomes.is_empty(), "{named}");
                for outcome in outcomes {
                    let wanted = context(endpoint.operation, delivery);
                    let answer = dialect.encode(outcome, wanted).expect(&named);
                    // An empty 200 says nothing.
                    let says = answer.status != StatusCode::OK || !answer.body.is_empty();
                    assert!(says, "{named}: {answer:?}");
                }
            }
        }
    }
}

/// Was: an outcome that nobody encoded was an empty 200.
#[test]
fn an_outcome_that_an_endpoint_does_not_encode_is_a_defect_and_no_success() {
    for dialect in contracts() {
        for endpoint in dialect.endpoints() {
            let operation = endpoint.operation;
            let other = match operation {
                Operation::ListServers => Outcome::LoggedOut,
                _ => Outcome::Servers(Vec::new()),
            };
            let encoded = dialect.encode(other, context(operation, Delivery::Body));
            let expected = NotEncoded { contract: dialect.contract(), operation };
            assert_eq!(encoded.err(), Some(expected), "{:?}", endpoint.path);
        }
    }
}

#[test]
fn an_operation_of_another_contract_is_not_encoded() {
    let form = Form(settings("/api/v1"));
    let encoded = form.encode(Outcome::LoggedOut, context(Operation::Logout, Delivery::Body));
    let defect = encoded.expect_err("form has no logout");
    assert_eq!(defect.to_string(), "the contract form does not encode this outcome of Logout");
}
