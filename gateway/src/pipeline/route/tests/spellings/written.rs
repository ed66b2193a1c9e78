//! Who passes a route, by the words of the documentation: written over the routes as they
//! are written, so that nothing of what is tested tells what is right.

use proptest::prelude::*;

/// An upstream in one of its spellings, and which server that is.
const UPSTREAMS: [(&str, u8); 10] = [
    ("echo", 0),
    ("http://127.0.0.1:1", 1),
    ("http://localhost:1", 1),
    ("http://0.0.0.0:1", 1),
    ("http://[::]:1", 1),
    ("http://0x7f.1:1", 1),
    ("http://app.localhost:1", 1),
    ("http://2130706433:2", 2),
    ("http://10.0.0.1:1", 3),
    ("http://[::ffff:10.0.0.1]:1", 3),
];
const PAGES: [&str; 2] = ["https://a.example", "https://b.example"];
const NO_WORDS: &[&str] = &[];

/// A route as it is written. Empty lists are not.
#[derive(Debug, Clone)]
pub struct Written {
    path: &'static str,
    is_exact: bool,
    host: &'static str,
    form: &'static str,
    upstream: (&'static str, u8),
    is_public: bool,
    roles: &'static [&'static str],
    scopes: &'static [&'static str],
    schemes: &'static [&'static str],
    keys: &'static str,
    /// `agents` and `ws_token`.
    ways: &'static str,
    methods: &'static [&'static str],
    upgrades: &'static [&'static str],
    origins: &'static [&'static str],
    cors: &'static [&'static str],
    rate: &'static str,
}

/// By what somebody shows who they are.
#[derive(Debug, Clone, Copy)]
enum Proof {
    Nothing,
    Password,
    /// An access token in a cookie, or as a bearer token.
    Token(&'static str),
    /// A key by `key` or `basic`, whether it is bound to a server, and its scopes.
    Key(&'static str, bool, &'static [&'static str]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Read,
    Change,
    OpenSocket,
    SwitchToTcp,
}

#[derive(Debug, Clone, Copy)]
struct Caller {
    proof: Proof,
    roles: &'static [&'static str],
    /// The foreign page that makes a browser ask.
    page: Option<&'static str>,
    act: Act,
}

/// Whose word lets a page read a response, or send a preflight.
#[derive(Debug, PartialEq)]
enum Word {
    OfUpstream,
    PreflightToUpstream,
    OfGateway(&'static str),
}

/// Where requests take their tokens.
#[derive(Debug, PartialEq)]
enum Bucket<'a> {
    Common,
    Own(&'a Written),
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Written {
    pub fn text(&self) -> String {
        let quoted = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("[{}]", words.join(", "))
        };
        let mut lines = vec![
            "[[route]]".to_owned(),
            format!("path = \"{}\"", self.path),
            format!("exact = {}", self.is_exact),
            format!("public = {}", self.is_public),
            format!("upstream = \"{}\"", self.upstream.0),
        ];
        let words = [("host", self.host), ("paths", self.form), ("keys", self.keys)];
        for (name, word) in words.iter().filter(|(_, word)| !word.is_empty()) {
            lines.push(format!("{name} = \"{word}\""));
        }
        let lists = [
            ("roles", self.roles),
            ("scopes", self.scopes),
            ("schemes", self.schemes),
            ("methods", self.methods),
            ("upgrades", self.upgrades),
            ("origins", self.origins),
        ];
        for (name, words) in lists.iter().filter(|(_, words)| !words.is_empty()) {
            lines.push(format!("{name} = {}", quoted(words)));
        }
        match self.cors {
            [] => {}
            ["upstream"] => lines.push("cors = \"upstream\"".to_owned()),
            pages => lines.push(format!("cors = {{ origins = {} }}", quoted(pages))),
        }
        lines.join("\n") + "\n" + self.ways + self.rate
    }

    pub fn is_to_server_of(&self, other: &Written) -> bool {
        self.upstream.1 == other.upstream.1
    }

    /// Whether somebody gets by this route what the other refuses them, or oftener.
    pub fn gives_more_than(&self, other: &Written) -> bool {
        self.opens_more_than(other)
            || other.bucket().is_some_and(|bucket| self.bucket() != Some(bucket))
    }

    /// Whether they have other rules, as far as that can be told without looking at what is
    /// there for agents and for tickets.
    pub fn has_other_rules_than(&self, other: &Written) -> bool {
        self.ways == other.ways && (self.opens_more_than(other) || other.opens_more_than(self))
    }

    fn opens_more_than(&self, other: &Written) -> bool {
        let others_words = other.words();
        callers().any(|caller| self.lets(caller) && !other.lets(caller))
            || self.words().iter().any(|word| !others_words.contains(word))
    }

    fn lets(&self, caller: Caller) -> bool {
        let protocol_fits = caller.act != Act::SwitchToTcp || self.upgrades.contains(&"tcp");
        if self.is_public {
            return protocol_fits;
        }
        let has_role =
            self.roles.is_empty() || self.roles.iter().any(|role| caller.roles.contains(role));
        protocol_fits && has_role && self.takes(caller.proof) && self.lets_page(caller)
    }

    fn takes(&self, proof: Proof) -> bool {
        let has_scheme = |scheme| self.schemes.is_empty() || self.schemes.contains(&scheme);
        match proof {
            Proof::Nothing => false,
            Proof::Password => has_scheme("basic"),
            Proof::Token(scheme) => has_scheme(scheme),
            Proof::Key(scheme, is_bound, scopes) => {
                let kind_fits = match self.keys {
                    "any" => true,
                    "servers" => is_bound,
                    "none" => false,
                    _ => is_bound == self.ways.contains("agents"),
                };
                has_scheme(scheme)
                    && kind_fits
                    && self.scopes.iter().all(|scope| scopes.contains(scope))
            }
        }
    }

    /// What a browser adds to requests of any page is no word of its user.
    fn lets_page(&self, caller: Caller) -> bool {
        let is_ambient = matches!(
            caller.proof,
            Proof::Password | Proof::Token("cookie") | Proof::Key("basic", ..)
        );
        match caller.page {
            Some(page) if is_ambient && caller.act != Act::Read => self.origins.contains(&page),
            _ => true,
        }
    }

    fn words(&self) -> Vec<Word> {
        match self.cors {
            [] => vec![Word::OfUpstream],
            ["upstream"] => vec![Word::OfUpstream, Word::PreflightToUpstream],
            pages => pages.iter().map(|page| Word::OfGateway(page)).collect(),
        }
    }

    /// `None`: as often as they like.
    fn bucket(&self) -> Option<Bucket<'_>> {
        match self.rate {
            "" => Some(Bucket::Common),
            "rate = \"none\"\n" => None,
            _ => Some(Bucket::Own(self)),
        }
    }
}

/// Everybody who differs in something that a route can ask.
fn callers() -> impl Iterator<Item = Caller> {
    let mut proofs =
        vec![Proof::Nothing, Proof::Password, Proof::Token("cookie"), Proof::Token("bearer")];
    for scheme in ["key", "basic"] {
        for is_bound in [false, true] {
            proofs.extend([NO_WORDS, &["write"]].map(|it| Proof::Key(scheme, is_bound, it)));
        }
    }
    let acts = [Act::Read, Act::Change, Act::OpenSocket, Act::SwitchToTcp];
    let pages = [None, Some(PAGES[0]), Some(PAGES[1])];
    proofs.into_iter().flat_map(move |proof| {
        [NO_WORDS, &["user"], &["admin"]].into_iter().flat_map(move |roles| {
            acts.into_iter().flat_map(move |act| {
                pages.into_iter().map(move |page| Caller { proof, roles, page, act })
            })
        })
    })
}

/// What is written of a route beside its place. Two routes often differ in one of these
/// alone: by more they would be told apart if one of them counted for nothing.
const RULES: [fn(&mut Written); 25] = [
    |it| it.is_public = true,
    |it| it.is_public = true,
    |it| it.is_public = true,
    |it| it.roles = &["admin"],
    |it| it.roles = &["admin", "user"],
    |it| it.scopes = &["write"],
    |it| it.schemes = &["cookie"],
    |it| it.schemes = &["basic"],
    |it| it.schemes = &["bearer", "key"],
    |it| it.keys = "any",
    |it| it.keys = "servers",
    |it| it.keys = "none",
    |it| it.ways = "agents = true\n",
    |it| it.ways = "agents = \"any\"\n",
    |it| it.ways = "ws_token = true\n",
    |it| it.methods = &["GET"],
    |it| it.methods = &["POST"],
    |it| it.upgrades = &["tcp"],
    |it| it.origins = &PAGES[..1],
    |it| it.origins = &PAGES,
    |it| it.cors = &["upstream"],
    |it| it.cors = &PAGES[..1],
    |it| it.cors = &PAGES,
    |it| it.rate = "rate = \"none\"\n",
    |it| it.rate = "rate = { requests_per_second = 5 }\n",
];

/// Routes to few servers, whose paths lie below each other. They have two rules between
/// them, so that many differ in one alone.
pub fn routes() -> impl Strategy<Value = Vec<Written>> {
    let rules = [(); 2].map(|()| proptest::sample::select(RULES.to_vec()));
    let route = (plain(), any::<[bool; 2]>());
    (rules, proptest::collection::vec(route, 2..6)).prop_map(|(rules, routes)| {
        let with_rules = |(mut route, has): (Written, [bool; 2])| {
            rules.iter().zip(has).filter(|(_, has)| *has).for_each(|(rule, _)| rule(&mut route));
            route
        };
        routes.into_iter().map(with_rules).collect()
    })
}

fn plain() -> impl Strategy<Value = Written> {
    let pick = |words: &[&'static str]| proptest::sample::select(words.to_vec());
    let place = (
        pick(&["/", "/", "/a", "/a/b", "/a/b/c", "/b", "/ab"]),
        any::<bool>(),
        pick(&["", "", "x.example", "*.example"]),
        pick(&["", "", "opaque", "opaque", "strict"]),
        proptest::sample::select(UPSTREAMS.to_vec()),
    );
    place.prop_map(|(path, is_exact, host, form, upstream)| Written {
        path,
        is_exact,
        host,
        form,
        upstream,
        is_public: false,
        roles: &[],
        scopes: &[],
        schemes: &[],
        keys: "",
        ways: "",
        methods: &[],
        upgrades: &[],
        origins: &[],
        cors: &[],
        rate: "",
    })
}
