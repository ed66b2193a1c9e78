//! Header fields on their way through: what only the gateway may say is said by it
//! alone, what belongs to a connection stays on it, and nothing else is lost.
//!
//! The first byte of an input chooses the configuration, every line behind it is a
//! field. Names are compared as the servers read them that map the most: every byte that is
//! no letter or digit as one and the same.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis::auth::account::{Account, AccountId, HashedPassword, Username};
use portcullis::auth::principal::{Principal, Proof};
use portcullis::auth::time::Timestamp;
use portcullis::config::identity::{PRESETS, preset};
use portcullis::config::{CredentialForwarding, FieldNames, FieldOverrides, IdentityHeaders};
use portcullis::pipeline::authenticate::Fields;
use portcullis::pipeline::forward::field_names::FieldRules;
use portcullis::pipeline::forward::headers::{
    ForwardedFacts, Passing, prepare_request, prepare_response,
};
use portcullis::pipeline::forward::identity::inject;
use uuid::Uuid;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const HOST: &str = "a.example:8443";
const REQUEST_ID: &str = "the-request";

/// What the gateway tells every upstream.
const TOLD: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Names by which backends know a caller, its address or what it asked for: a sample of
/// each kind, and families.
const SPOOFED: [&str; 40] = [
    "cf-connecting-ip",
    "client-cert",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "proxy",
    "remote-email",
    "remote-groups",
    "remote-id",
    "remote-name",
    "remote-user",
    "true-client-ip",
    "x-admin",
    "x-auth-roles",
    "x-auth-user",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-email",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-is-admin",
    "x-jwt-payload",
    "x-method-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-role",
    "x-token-claims",
    "x-user",
    "x-user-email",
    "x-user-id",
    "x-userinfo",
    "x-username",
];
const FAMILIES: [&str; 20] = [
    "cf-access-",
    "impersonate-",
    "ssl-client-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-consumer-",
    "x-credential-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-impersonate-",
    "x-ms-client-principal",
    "x-pomerium-",
    "x-portcullis-",
    "x-remote-",
    "x-ssl-client-",
    "x-webauth-",
];
const NOT_IN_TRAILERS: [&str; 8] = [
    "authorization",
    "content-type",
    "cookie",
    "host",
    "set-cookie",
    "trailer",
    "traceparent",
    "x-request-id",
];

/// Lines of `name: value`; what is no field is passed over.
pub(crate) fn parse(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, lines)) = data.split_first() else { return };
    let original = parse(lines);
    let names = identity(choice);
    let rules = FieldRules::new(&names, &FieldOverrides::default());
    let forms = if choice & 64 == 0 { FieldNames::Strict } else { FieldNames::Any };
    let credential = match choice & 8 {
        0 => CredentialForwarding::Strip,
        _ => CredentialForwarding::Pass,
    };
    let client: IpAddr = if choice & 16 == 0 { [192, 0, 2, 1].into() } else { [7; 8].into() };
    let facts = ForwardedFacts {
        client,
        peer: if choice & 32 == 0 { client } else { [10, 0, 0, 1].into() },
        scheme: "https",
        host: Some(HOST),
        port: None,
        request_id: REQUEST_ID,
        trace: &|| TRACE.to_owned(),
    };

    let mut headers = original.clone();
    let fields = Fields::default();
    let passing = Passing { rules: &rules, names: forms, credential, fields };
    let _removed = prepare_request(&mut headers, passing, &facts);
    check_request(&original, &headers, &facts, passing);
    let mut again = headers.clone();
    let _removed = prepare_request(&mut again, passing, &facts);
    assert_eq!(again, headers, "what is fit stays as it is");

    let without_identity = headers.clone();
    inject(&mut headers, &names, &principal()).expect("what an account holds can be told");
    check_identity(&without_identity, &headers, &names);
    check_trailers(&original, &rules.clean_trailers(original.clone(), forms).0, forms);
    for keep_length in [false, true] {
        let mut response = original.clone();
        let request_id = HeaderValue::from_static(REQUEST_ID);
        prepare_response(&mut response, &request_id, keep_length);
        check_response(&original, &response, keep_length);
    }
}

/// A preset, or names of the operator's own.
fn identity(choice: u8) -> IdentityHeaders {
    match PRESETS.get(usize::from(choice % 8)) {
        Some(name) => preset(name).expect("a preset has names"),
        None => IdentityHeaders {
            user_id: Some(HeaderName::from_static("x-custom-id")),
            roles: Some(HeaderName::from_static("custom-roles")),
            ..IdentityHeaders::default()
        },
    }
}

fn principal() -> Principal {
    let account = Account {
        email: Some("ann@example.com".to_owned()),
        email_verified: true,
        roles: vec!["user".to_owned(), "admin".to_owned()],
        password: Some(HashedPassword(String::new())),
        ..Account::new(
            AccountId(Uuid::from_u128(1)),
            Username::parse("ann").expect("a name"),
            Timestamp(0),
        )
    };
    Principal::new(Arc::new(account), Proof::Password)
}

/// As the widest reader of names sees it.
fn dashed(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn is_spoofed(name: &str) -> bool {
    let name = dashed(name);
    SPOOFED.contains(&&*name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether every server reads the name alike, or as far as the upstream asked for more.
fn has_form(name: &str, forms: FieldNames) -> bool {
    let more = |c: char| forms == FieldNames::Any && matches!(c, '_' | '.');
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || more(c))
}

/// The names in `Connection`, read byte by byte.
fn nominated(headers: &HeaderMap) -> BTreeSet<String> {
    let lines = headers.get_all("connection").iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.map(|token| String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase()).collect()
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

fn check_request(
    original: &HeaderMap,
    headers: &HeaderMap,
    facts: &ForwardedFacts<'_>,
    Passing { names, credential, .. }: Passing<'_>,
) {
    let nominated = nominated(original);
    for name in headers.keys().map(HeaderName::as_str) {
        assert!(has_form(name, names), "{name} stands for two names");
        match name {
            "te" => assert_eq!(values(headers, name), [b"trailers"]),
            "x-request-id" => assert_eq!(values(headers, name), [REQUEST_ID.as_bytes()]),
            "traceparent" | "tracestate" => {}
            _ if TOLD.contains(&name) => assert_eq!(values(headers, name).len(), 1, "{name}"),
            _ => {
                assert!(!HOP_BY_HOP.contains(&&*dashed(name)), "{name} goes on");
                assert!(!is_spoofed(name), "{name} goes on");
                assert!(name == "host" || !nominated.contains(name), "{name} goes on");
                let key = dashed(name) == "x-api-key" || name == "authorization";
                assert!(!key || credential == CredentialForwarding::Pass, "{name} goes on");
                if name != "cookie" {
                    assert_eq!(values(headers, name), values(original, name), "{name}");
                }
            }
        }
    }
    let list = if facts.peer == facts.client {
        facts.client.to_string()
    } else {
        format!("{}, {}", facts.client, facts.peer)
    };
    assert_eq!(values(headers, "x-forwarded-for"), [list.as_bytes()]);
    assert_eq!(values(headers, "x-forwarded-proto"), [b"https"]);
    assert_eq!(values(headers, "x-forwarded-host"), [HOST.as_bytes()]);
    assert_eq!(values(headers, "x-request-id"), [REQUEST_ID.as_bytes()]);
    assert_eq!(values(headers, "traceparent").len(), 1);
    if values(headers, "traceparent") == [TRACE.as_bytes()]
        && values(original, "traceparent") != [TRACE.as_bytes()]
    {
        assert!(!headers.contains_key("tracestate"), "a state without its trace");
    }
    let cookies = values(headers, "cookie");
    assert!(cookies.len() <= 1, "others read only the first");
    if !nominated.contains("cookie") {
        let passed = credential == CredentialForwarding::Pass;
        let sent = values(original, "cookie");
        let kept = |pair: &&[u8]| !pair.is_empty() && (passed || !is_our_cookie(pair));
        assert!(pairs(&sent).filter(kept).eq(pairs(&cookies).filter(|pair| !pair.is_empty())));
    }
    for name in original.keys().map(HeaderName::as_str) {
        let removed = !has_form(name, names)
            || HOP_BY_HOP.contains(&&*dashed(name))
            || (name == "cookie" && values(original, name).iter().all(|line| is_all_ours(line)))
            || is_spoofed(name)
            || nominated.contains(name)
            || is_set_here(name)
            || is_removed_as_identity(name)
            || ["authorization", "traceparent", "tracestate"].contains(&name);
        assert!(removed || headers.contains_key(name), "{name} is lost");
    }
}

/// Other spellings of what the gateway says, or was asked by.
fn is_set_here(name: &str) -> bool {
    let normal = dashed(name);
    let known = ["x-api-key", "x-request-id"];
    let families = ["content-", "document-", "http-", "redirect-", "remote-", "server-", "wsgi-"];
    let variables = [
        "auth-type",
        "gateway-interface",
        "https",
        "path-info",
        "path-translated",
        "query-string",
        "request-method",
        "request-uri",
        "script-filename",
        "script-name",
    ];
    let variable =
        variables.contains(&&*normal) || families.iter().any(|family| normal.starts_with(family));
    known.contains(&&*normal) || (variable && normal != name)
}

fn pairs<'a>(lines: &[&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii)
}

fn is_our_cookie(pair: &[u8]) -> bool {
    [&b"__Host-portcullis-access"[..], b"__Host-portcullis-refresh", b"__Host-portcullis-github"]
        .iter()
        .any(|name| {
            pair.strip_prefix(*name).is_some_and(|rest| matches!(rest.first(), None | Some(b'=')))
        })
}

fn is_all_ours(line: &[u8]) -> bool {
    pairs(&[line]).all(|pair| pair.is_empty() || is_our_cookie(pair))
}

/// Further names that are stripped, and may be.
fn is_removed_as_identity(name: &str) -> bool {
    let name = dashed(name);
    ["remote-", "x-custom-", "custom-", "x-auth-", "x-user-", "x-role", "cf-", "x-azure-", "fly-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || ["x-accel-", "x-amzn-mtls-", "x-ms-token-", "x-vouch-", "oidc-claim-", "x-proxy"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || [
            "client-cert-chain",
            "front-end-https",
            "proxy-client-ip",
            "wl-proxy-client-ip",
            "x-arr-clientcert",
            "x-middleware-subrequest",
            "x-scheme",
            "x-script-name",
            "x-sendfile-type",
            "x-ssl-cert",
            "x-url-scheme",
        ]
        .contains(&&*name)
}

fn check_identity(before: &HeaderMap, after: &HeaderMap, names: &IdentityHeaders) {
    let told = [
        (&names.user_id, "00000000-0000-0000-0000-000000000001"),
        (&names.username, "ann"),
        (&names.email, "ann@example.com"),
        (&names.roles, "user,admin"),
        (&names.scheme, "basic"),
    ];
    for (name, value) in told {
        let Some(name) = name else { continue };
        assert_eq!(values(after, name.as_str()), [value.as_bytes()], "{name}");
        assert!(!before.contains_key(name), "{name} came from outside");
        for other in before.keys().map(HeaderName::as_str) {
            assert_ne!(dashed(other), dashed(name.as_str()), "an alias came from outside");
        }
    }
}

fn check_trailers(original: &HeaderMap, trailers: &HeaderMap, forms: FieldNames) {
    for name in trailers.keys().map(HeaderName::as_str) {
        assert!(has_form(name, forms) && !is_spoofed(name), "{name} goes on");
        let framing = ["content-length", "transfer-encoding", "connection", "te", "upgrade"];
        assert!(!framing.contains(&name) && !NOT_IN_TRAILERS.contains(&name), "{name} goes on");
        assert_ne!(dashed(name), "x-api-key");
        assert_eq!(values(trailers, name), values(original, name));
    }
}

fn check_response(original: &HeaderMap, headers: &HeaderMap, keep_length: bool) {
    let nominated = nominated(original);
    for name in headers.keys().map(HeaderName::as_str) {
        match name {
            "x-request-id" => assert_eq!(values(headers, name), [REQUEST_ID.as_bytes()]),
            "content-length" => assert!(keep_length && values(headers, name).len() == 1),
            _ => {
                assert!(!HOP_BY_HOP.contains(&name), "{name} comes back");
                assert!(name == "host" || !nominated.contains(name), "{name} comes back");
                assert_eq!(values(headers, name), values(original, name), "{name}");
            }
        }
    }
}
