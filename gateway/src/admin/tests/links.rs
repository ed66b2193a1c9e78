//! Links that administrators make.

use super::*;
use crate::auth::error::LinkFault;
use crate::auth::link::LinkKind;

const NEW: &str = "a new password";

fn invitation(email: &str) -> Invitation {
    Invitation { email: email.to_owned(), name: None, roles: Vec::new(), mail: false }
}

struct Made {
    user: User,
    /// What stands behind the base.
    text: String,
    expires: String,
    mailed: bool,
}

fn made(reply: Result<Reply, Error>) -> Made {
    match reply {
        Ok(Reply::NewLink { user, url, expires, mailed }) => {
            let text = url.0.strip_prefix("https://gate.example/").unwrap().to_owned();
            Made { user, text, expires, mailed }
        }
        other => panic!("{other:?}"),
    }
}

impl Bench {
    async fn follow(&self, text: &str) -> Result<LinkKind, Error> {
        self.core.follow_link(text, Some(NEW.into())).await.map(|(_, kind)| kind)
    }

    fn sent(&self) -> Vec<Message> {
        std::mem::take(&mut *self.mails.0.lock().unwrap())
    }
}

fn reset(name: &str, mail: bool) -> Request {
    Request::MakeResetLink { user: named(name), mail }
}

#[tokio::test]
async fn who_is_invited_has_no_password_until_the_link_is_followed() {
    let bench = Bench::new();
    let link = made(bench.ask(Request::InviteUser(invitation("ann@example.com"))).await);
    assert_eq!(link.user.username, "ann@example.com");
    assert_eq!(link.user.roles, ["user"]);
    assert_eq!(link.expires, "2027-01-16T08:00:00.000Z");
    assert!(!link.mailed && bench.sent().is_empty());
    let account = bench.account("ann@example.com");
    assert_eq!((account.id.0, account.password.as_ref()), (link.user.id, None));
    assert!(!account.email_verified && !link.user.email_verified);
    assert_eq!(bench.follow(&link.text).await.unwrap(), LinkKind::Both);
    bench.basic("ann@example.com", NEW).await.unwrap();
    assert!(bench.account("ann@example.com").email_verified);
    assert_error!(bench.follow(&link.text).await, Error::Link(LinkFault::Spent));
}

#[tokio::test]
async fn who_is_invited_gets_the_name_and_the_roles_that_are_given() {
    let bench = Bench::new();
    let (name, roles) = (Some("ann".to_owned()), texts(&["ops", "dev"]));
    let new = Invitation { name, roles, ..invitation("ann@example.com") };
    let link = made(bench.ask(Request::InviteUser(new)).await);
    assert_eq!((link.user.username.as_str(), link.user.roles), ("ann", texts(&["ops", "dev"])));
    assert_eq!(bench.account("ann").roles, ["ops", "dev"]);
}

#[tokio::test]
async fn nobody_is_invited_under_a_name_that_breaks_a_rule_or_is_taken() {
    let bench = Bench::with_ann().await;
    let invite = async |new| bench.ask(Request::InviteUser(new)).await;
    assert_error!(invite(invitation("ben@localhost")).await, Error::Name(Name::Email));
    assert_error!(invite(invitation("ANN@example.com")).await, Error::Taken(Name::Email));
    let of_ben = || invitation("ben@example.com");
    let new = Invitation { name: Some("a:b".to_owned()), ..of_ben() };
    assert_error!(invite(new).await, Error::Name(Name::User));
    let new = Invitation { name: Some("Ann".to_owned()), ..of_ben() };
    assert_error!(invite(new).await, Error::Taken(Name::User));
    let new = Invitation { roles: texts(&["with space"]), mail: true, ..of_ben() };
    assert_error!(invite(new).await, Error::Name(Name::Role));
    assert_eq!(bench.core.standing().accounts().len(), 1);
    assert!(bench.sent().is_empty());
    invite(of_ben()).await.unwrap();
}

/// There would be an account that nobody can get into.
#[tokio::test]
async fn nobody_is_invited_where_no_links_are_made() {
    let mut bench = Bench::with_ann().await;
    bench.core.policy.links = None;
    let invited = bench.ask(Request::InviteUser(invitation("ben@example.com"))).await;
    assert_error!(invited, Error::LinksDisabled);
    assert!(bench.core.standing().account_by_name("ben@example.com").is_none());
    assert_error!(bench.ask(reset("ann", false)).await, Error::LinksDisabled);
}

#[tokio::test]
async fn a_reset_link_changes_nothing_until_it_is_followed() {
    let bench = Bench::with_ann().await;
    let pair = bench.sign_in("ann").await.unwrap();
    let before = bench.account("ann");
    let link = made(bench.ask(reset("ann", false)).await);
    assert_eq!(link.user.username, "ann");
    assert_eq!(link.expires, "2027-01-16T08:00:00.000Z");
    assert!(!link.mailed && bench.sent().is_empty());
    assert_eq!(*bench.account("ann"), *before);
    assert_eq!(bench.judge(&pair), Ok(()));
    assert_eq!(bench.follow(&link.text).await.unwrap(), LinkKind::Password);
    assert_eq!(bench.judge(&pair), Err(Refusal::SessionEnded));
    bench.basic("ann", NEW).await.unwrap();
}

#[tokio::test]
async fn a_disabled_user_gets_no_reset_link() {
    let bench = Bench::with_ann().await;
    let link = made(bench.ask(reset("ann", false)).await);
    bench.ask(change_state("ann", State::Disabled)).await.unwrap();
    assert_eq!(refusal(bench.ask(reset("ann", true)).await), Refusal::AccountDisabled);
    assert!(bench.sent().is_empty());
    assert_error!(bench.follow(&link.text).await, Error::Link(LinkFault::Spent));
}

#[tokio::test]
async fn a_link_is_mailed_if_that_is_asked_and_can_be_and_is_answered_in_any_case() {
    let bench = Bench::with_ann().await;
    let new = Invitation { mail: true, ..invitation("ben@example.com") };
    let invited = made(bench.ask(Request::InviteUser(new)).await);
    let asked = made(bench.ask(reset("ann", true)).await);
    assert!(invited.mailed && asked.mailed);
    let sent = bench.sent();
    for (message, to, kind, text) in [
        (&sent[0], "ben@example.com", LinkKind::Both, &invited.text),
        (&sent[1], "ann@example.com", LinkKind::Password, &asked.text),
    ] {
        assert_eq!((message.to.as_deref(), message.kind), (Some(to), kind));
        assert!(message.link.url.expose().ends_with(text.as_str()));
    }
    bench.ask(Request::AddUser(new_user("cat"))).await.unwrap();
    assert!(!made(bench.ask(reset("cat", true)).await).mailed, "there is no address");
    bench.mails.1.store(true, Ordering::SeqCst);
    let busy = made(bench.ask(reset("ann", true)).await);
    assert!(!busy.mailed && bench.sent().is_empty());
    assert_eq!(bench.follow(&busy.text).await.unwrap(), LinkKind::Password);
}
