//! The console: pages by which people sign in, look after what is theirs, and administer the
//! gateway. HTML that is made here, on which a little script improves.
//!
//! It is a contract like the others as far as requests go: its [`table`] says who may send what,
//! and what a form asks for is one of their commands. Every page is made from templates that
//! escape what they are given, under a policy that lets nothing in from elsewhere ([`page`]).

pub mod assets;
mod data;
mod form;
pub mod link;
pub mod page;
pub mod refusal;
mod show;
pub mod table;
pub mod texts;

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue, LOCATION};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use uuid::Uuid;

use crate::auth::login::Issuance;
use crate::auth::password::PasswordRule;
use crate::auth::session_life::SessionLife;
use crate::auth::time::Seconds;
use crate::dialect::delivery::{self, Delivery, DeliveryRule};
use crate::dialect::row::NotEncoded;
use crate::dialect::{
    Answer, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint, Input,
    Operation, Outcome, Typed, flow, typed,
};

use assets::Assets;
use table::{Deed, Row, What};
use texts::Texts;

pub use data::{ConnectedAgent, Observed, RefusedRequest};
pub use show::PageRequest;

/// How the console is set up.
pub struct Settings {
    /// What its paths begin with.
    pub prefix: String,
    pub life: SessionLife,
    pub access_ttl: Seconds,
    /// Whether whoever is signed in makes servers.
    pub own_servers: bool,
    /// Where GitHub sends browsers back to; `None`: nobody signs in with GitHub.
    pub callback: Option<String>,
    /// Whether that is a path of the console's own.
    pub own_callback: bool,
    pub links: LinksBy,
    pub password: PasswordRule,
    /// Whether administrators have pages.
    pub administration: bool,
}

/// How links come to those whom they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinksBy {
    /// None are made.
    Nothing,
    /// An administrator hands them on.
    Hand,
    /// By mail too.
    Mail,
}

pub struct Console {
    settings: Settings,
    texts: Texts,
    assets: Assets,
    rows: Vec<Row>,
    endpoints: Vec<Endpoint>,
    /// Forms that have made a key, so that one that is sent again makes no second.
    spent: Cache<Uuid, ()>,
}

/// How long, and how many at a gateway.
const SPENT_KEPT: Duration = Duration::from_secs(3_600);
const MAX_SPENT: u64 = 10_000;

impl Console {
    #[must_use]
    pub fn new(settings: Settings, texts: Texts, assets: Assets) -> Self {
        let rows = table::rows(&settings);
        let endpoints = rows.iter().enumerate().map(|(index, row)| row.endpoint(index)).collect();
        // The latest are kept, however many come.
        let spent = Cache::builder().eviction_policy(EvictionPolicy::lru());
        let spent = spent.max_capacity(MAX_SPENT).time_to_live(SPENT_KEPT).build();
        Self { settings, texts, assets, rows, endpoints, spent }
    }

    /// The path of a page below the prefix, as links name it.
    fn path(&self, below: &str) -> String {
        format!("{}{below}", self.settings.prefix)
    }

    /// Where a browser signs in that is to come back to `return_to`.
    #[must_use]
    pub fn sign_in(&self, return_to: &str) -> String {
        let return_to = flow::local_or_home(return_to);
        let query: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
        format!("{}/sign-in?return_to={query}", self.settings.prefix)
    }

    /// Where a browser goes on that has sent a form of the console without a good session:
    /// back to where the form is, with what was typed.
    #[must_use]
    pub fn sign_in_from_form(&self, typed: Option<&Typed>) -> Answer {
        let page = self.path(typed.map_or("", |typed| &typed.page));
        let kept = typed.and_then(typed::remember);
        Self::redirect(&self.sign_in(&page)).with(kept.into_iter().collect())
    }

    /// What a browser kept of the form of the page at this path.
    #[must_use]
    pub fn restore(&self, kept: &str, path: &str) -> Vec<(String, String)> {
        let page = path.strip_prefix(self.settings.prefix.as_str());
        page.map(|page| typed::restore(kept, page)).unwrap_or_default()
    }

    /// Behind the end of a session: the browser forgets it, and its user is told how to end
    /// what the console cannot.
    #[must_use]
    pub fn signed_out(&self) -> Answer {
        Self::redirect(&self.path("/signed-out")).with(Delivery::Cookie.forget())
    }

    /// Sends a browser elsewhere in this site.
    #[must_use]
    pub fn redirect(to: &str) -> Answer {
        let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
        Answer { status: StatusCode::SEE_OTHER, body: Vec::new(), fields: vec![(LOCATION, to)] }
    }

    /// Behind a sign-in: on to where the browser was, by a page of its own. A browser that
    /// follows a form holds every redirect behind it to the form's policy, and where it was may
    /// lead to another site; and whether it keeps cookies shows there.
    fn continue_to(&self, return_to: &str) -> Answer {
        let query: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
        Self::redirect(&format!("{}?return_to={query}", self.path("/continue")))
    }

    fn deed(&self, row: usize) -> Option<Deed> {
        match self.rows.get(row)?.what {
            What::Deed(deed) => Some(deed),
            _ => None,
        }
    }

    /// Notes that a form was sent that makes a key.
    fn spend(&self, form: Uuid) -> Result<(), DecodeError> {
        if self.spent.entry(form).or_insert(()).is_fresh() {
            return Ok(());
        }
        let words = "This form was already sent and does not create a second key; open it again";
        Err(DecodeError::Malformed(words.to_owned()))
    }

    /// The fields by which a browser keeps a session.
    fn keep(&self, pair: &crate::auth::login::TokenPair) -> Vec<(HeaderName, HeaderValue)> {
        let ttl = self.settings.life.renewal_ttl(self.settings.access_ttl);
        delivery::of_session(&pair.access, Some(&pair.refresh), ttl)
    }
}

impl Dialect for Console {
    fn contract(&self) -> Contract {
        Contract::Console
    }

    fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        match operation {
            Operation::Console(row) => {
                let deed = self.deed(row).ok_or_else(DecodeError::not_of_this_contract)?;
                form::decode(self, deed, input)
            }
            Operation::BeginGithub => {
                let return_to = flow::destination(input.query)?;
                let callback = self.settings.callback.clone();
                Ok(Command::BeginGithub { callback, return_to, by: flow::Beginner::Console })
            }
            Operation::FinishGithub => Ok(Command::FinishGithub {
                callback: self.settings.callback.clone(),
                kept: input.flow_cookie.and_then(flow::parse_cookie),
                returned: flow::returned(input.query)?,
            }),
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        let operation = context.operation;
        let answer = match (outcome, operation) {
            (Outcome::SentToGithub(url, kept), _) => {
                Some(Self::redirect(&url).with(vec![flow::remember(&kept)]))
            }
            (Outcome::BackFromGithub(_, pair, return_to), _) => {
                Some(Self::redirect(&return_to).with(self.keep(&pair)))
            }
            (outcome, Operation::Console(row)) => {
                self.deed(row).and_then(|deed| form::done(self, deed, outcome, context))
            }
            _ => None,
        };
        answer.ok_or(NotEncoded { contract: self.contract(), operation })
    }

    fn typed(&self, operation: Operation, input: &Input<'_>) -> Option<Typed> {
        match operation {
            Operation::Console(row) => Some(form::typed(row, self.deed(row)?, input)),
            // Whom GitHub does not sign in is back at the sign-in, on the same way.
            Operation::FinishGithub => {
                let kept = flow::parse_cookie(input.flow_cookie?)?;
                let row = self.rows.iter().position(|it| it.what == What::Deed(Deed::SignIn))?;
                let fields = vec![("return_to".to_owned(), kept.return_to)];
                Some(Typed { row, page: "/sign-in".to_owned(), fields, ..Typed::default() })
            }
            _ => None,
        }
    }

    /// For whoever is no browser.
    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        crate::dialect::body::coded_refusal(error)
    }

    fn issuance(&self) -> Issuance {
        Issuance {
            access_ttl: self.settings.access_ttl,
            rotate: false,
            shows_role: false,
            life: Some(self.settings.life),
        }
    }

    fn password_rule(&self) -> PasswordRule {
        self.settings.password
    }

    fn delivery(&self) -> DeliveryRule {
        DeliveryRule::Always(Delivery::Cookie)
    }
}
