//! Bad input to every endpoint that the OpenAPI documents know: refused in the
//! contract's own shape, with nothing changed and nobody locked out.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::openapi::document::{Document, Operation};
use crate::support::client::{Answer, Client, body};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The failed attempts that lock an address out stay as few as ever.
const CONFIG: &str = r#"
[auth]
registration = "open"

[limits]
burst = 10000

[[route]]
upstream = "echo"
"#;

/// A request's content, and the status that refuses it.
struct Bad<'a> {
    what: String,
    content_type: Option<&'a str>,
    bytes: Bytes,
    status: u16,
}

impl<'a> Bad<'a> {
    fn new(what: impl Into<String>, content_type: &'a str, bytes: impl Into<Bytes>) -> Self {
        Self {
            what: what.into(),
            content_type: Some(content_type),
            bytes: bytes.into(),
            status: 400,
        }
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

#[tokio::test]
async fn bad_input_to_the_form_contract_is_refused_and_changes_nothing() {
    alone("form").await;
}

#[tokio::test]
async fn bad_input_to_the_status_contract_is_refused_and_changes_nothing() {
    alone("status").await;
}

#[tokio::test]
async fn bad_input_to_the_envelope_contract_is_refused_and_changes_nothing() {
    alone("envelope").await;
}

#[tokio::test]
async fn bad_input_to_the_plain_contract_is_refused_and_changes_nothing() {
    alone("plain").await;
}

#[tokio::test]
async fn bad_input_to_the_administration_is_refused_and_changes_nothing() {
    alone("admin").await;
}

/// Where contracts share a path, what neither can read is refused in the shape of either.
#[tokio::test]
async fn bad_input_is_refused_where_contracts_share_paths() {
    let documents = ["form", "status", "envelope", "plain"].map(Document::load);
    let gateway = Gateway::start(CONFIG).await;
    let callers = Callers::of(&gateway, "/api/auth/login").await;
    let before = stored(&gateway).await;
    let mut wrong = Vec::new();
    for document in &documents {
        for operation in document.operations() {
            for bad in contents(document, &operation) {
                let caller = callers.of_operation(&operation);
                let answer = send(caller, &operation, bad.content_type, bad.bytes).await;
                let status = answer.status.as_u16();
                let sharing = documents.iter().filter(|other| other.has(operation.path));
                let mut sharing = sharing.map(|other| judge(other, &answer, status));
                let shaped = sharing.any(|judged| judged.is_ok());
                if ![400, 401, 413, 415].contains(&status) || !shaped {
                    wrong.push(format!("{} with {}: {answer:?}", operation.id, bad.what));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stored(&gateway).await, before, "nothing has changed");
}

/// One contract in a gateway of its own.
async fn alone(name: &'static str) {
    let document = Document::load(name);
    let gateway = Gateway::start(&format!("{CONFIG}{}", document.alone())).await;
    let callers = Callers::of(&gateway, document.login()).await;
    let before = stored(&gateway).await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for operation in document.operations() {
        for bad in contents(&document, &operation) {
            tried += 1;
            assert!(operation.documents(bad.status), "{} documents {}", operation.id, bad.status);
            let caller = callers.of_operation(&operation);
            let answer = send(caller, &operation, bad.content_type, bad.bytes).await;
            if let Err(fault) = judge(&document, &answer, bad.status) {
                wrong.push(format!("{} with {}: {fault}", operation.id, bad.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(stored(&gateway).await, before, "nothing has changed");
    // What was spoiled above is taken as it is: each refusal had its one reason.
    for operation in document.operations() {
        let Some((media_type, example)) = operation.example() else { continue };
        let bytes = encoded(media_type, example);
        let caller = callers.of_operation(&operation);
        let status = send(caller, &operation, Some(media_type), bytes).await.status.as_u16();
        assert!(![400, 413, 415, 500].contains(&status), "{}: {status}", operation.id);
    }
}

/// Who calls: somebody signed in where that is asked for, else nobody.
struct Callers {
    signed_in: Client,
    anonymous: Client,
}

impl Callers {
    async fn of(gateway: &Gateway, login: &str) -> Self {
        let anonymous = Client::anonymous(gateway);
        let pair = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
        let pair = anonymous.post_json(login, &pair).await.pair();
        Self { signed_in: Client::bearer(gateway, &pair.access), anonymous }
    }

    fn of_operation(&self, operation: &Operation<'_>) -> &Client {
        if operation.is_public() { &self.anonymous } else { &self.signed_in }
    }
}

async fn send(
    client: &Client,
    operation: &Operation<'_>,
    content_type: Option<&str>,
    bytes: Bytes,
) -> Answer {
    let mut request = Request::builder().method(operation.method.clone()).uri(operation.target());
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    client.request(request.body(body(bytes)).expect("a request")).await
}

/// Whether a refusal has the status, the shape and a code of the document.
fn judge(document: &Document, answer: &Answer, status: u16) -> Result<(), String> {
    if answer.status != status {
        return Err(format!("{}, not {status}", answer.status));
    }
    let body = serde_json::from_slice(&answer.body).map_err(|_| "no JSON".to_owned())?;
    document.check_refusal(&body).map_err(|fault| format!("{fault}: {body}"))
}

/// All that a request could change.
async fn stored(gateway: &Gateway) -> Vec<String> {
    let mut lists = Vec::new();
    for kind in ["user", "key", "server", "workspace", "session", "lockout"] {
        let listed = gateway.manage(&[kind, "list", "--format", "json"], None).await;
        let mut listed: Value = serde_json::from_str(&listed).expect("a list as JSON");
        if kind == "session" {
            // A request uses its session, whatever comes of it.
            for session in listed.as_array_mut().into_iter().flatten() {
                session.as_object_mut().map(|session| session.remove("last_used"));
            }
        }
        lists.push(listed.to_string());
    }
    lists
}

fn contents<'a>(document: &'a Document, operation: &Operation<'a>) -> Vec<Bad<'a>> {
    let Some((media_type, example)) = operation.example() else { return Vec::new() };
    let mut bad = of_any_kind(operation, media_type, example);
    if media_type == JSON {
        bad.extend(of_json(document, operation, example));
    } else {
        bad.extend(of_forms(example));
    }
    bad
}

fn of_any_kind<'a>(
    operation: &Operation<'a>,
    media_type: &'a str,
    example: &Map<String, Value>,
) -> Vec<Bad<'a>> {
    let good = encoded(media_type, example);
    let mut bad = Vec::new();
    let unlike = if media_type == JSON { FORM } else { JSON };
    for other in
        [unlike, "text/plain", "application/jsonp", "multipart/form-data; boundary=b", "json"]
    {
        bad.push(Bad::new(format!("content type {other}"), other, good.clone()).status(415));
    }
    let untyped = Bad::new("no content type", media_type, good.clone()).status(415);
    bad.push(Bad { content_type: None, ..untyped });
    let huge = [good.as_ref(), " ".repeat(64 * 1024).as_bytes()].concat();
    bad.push(Bad::new("more than 64 KiB", media_type, huge).status(413));
    bad.push(Bad::new("an invalid byte behind it", media_type, [good.as_ref(), b"\xff"].concat()));
    if operation.needs_body() {
        bad.push(Bad::new("an empty body", media_type, ""));
    }
    bad
}

fn of_json<'a>(
    document: &'a Document,
    operation: &Operation<'a>,
    example: &Map<String, Value>,
) -> Vec<Bad<'a>> {
    let whole = Value::Object(example.clone()).to_string();
    let inside = &whole[1..whole.len() - 1];
    let mut bad = vec![
        Bad::new("the same object twice", JSON, format!("{whole}{whole}")),
        Bad::new("a NUL behind it", JSON, format!("{whole}\0")),
        Bad::new("half of it", JSON, whole[..whole.len() / 2].to_owned()),
        Bad::new("single quotes", JSON, whole.replace('"', "'")),
        Bad::new("a comment", JSON, format!("{whole}// good")),
        Bad::new("a byte order mark", JSON, format!("\u{feff}{whole}")),
        Bad::new(
            "UTF-16",
            JSON,
            whole.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
        ),
        Bad::new("deep lists", JSON, "[".repeat(60_000)),
        Bad::new("deep objects", JSON, "{\"a\":".repeat(12_000)),
        Bad::new(
            "a list of its values",
            JSON,
            example.values().cloned().collect::<Value>().to_string(),
        ),
        Bad::new("a list of it", JSON, format!("[{whole}]")),
    ];
    for value in ["null", "true", "1", "\"text\"", "1e999", "[]"] {
        bad.push(Bad::new(format!("only {value}"), JSON, value));
    }
    let schema = operation.schema(document);
    // Only where an operator asks: other clients send more than is documented.
    if schema["additionalProperties"] == false {
        bad.push(Bad::new("an unknown member", JSON, format!("{{{inside},\"unknown\":1}}")));
    }
    let members = schema["properties"].as_object().expect("an object has members");
    assert!(members.keys().eq(example.keys()), "{}: the example is complete", operation.id);
    for member in example.keys() {
        bad.extend(of_member(document, schema, example, member));
    }
    bad
}

/// The whole object with one member spoiled.
fn of_member(
    document: &Document,
    schema: &Value,
    example: &Map<String, Value>,
    member: &str,
) -> Vec<Bad<'static>> {
    let name = json!(member);
    let others = example.iter().filter(|(other, _)| *other != member);
    let others: Vec<String> =
        others.map(|(other, value)| format!("{}:{value}", json!(other))).collect();
    let with = |value: &str| {
        let members = others.iter().cloned().chain([format!("{name}:{value}")]);
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let mut bad = Vec::new();
    let taken = document.types(&schema["properties"][member]);
    for (kind, wrong) in [
        ("string", "\"text\""),
        ("integer", "7"),
        ("number", "7.5"),
        ("boolean", "true"),
        ("array", "[]"),
        ("object", "{}"),
        ("null", "null"),
    ] {
        if !taken.contains(kind) {
            bad.push(Bad::new(format!("{member} as {kind}"), JSON, with(wrong)));
        }
    }
    for (what, wrong) in [
        ("1e999", "1e999".to_owned()),
        ("a number of 400 digits", "9".repeat(400)),
        ("a negative number of 400 digits", format!("-{}", "9".repeat(400))),
        ("a deep list", format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))),
        ("half a surrogate pair", "\"\\ud800\"".to_owned()),
        ("a line break as it is", "\"a\nb\"".to_owned()),
        ("a NUL as it is", "\"a\0b\"".to_owned()),
        ("the same again", format!("{0},{name}:{0}", example[member])),
    ] {
        bad.push(Bad::new(format!("{member} as {what}"), JSON, with(&wrong)));
    }
    let mut invalid = with("\"?\"").into_bytes();
    let at = invalid.iter().rposition(|byte| *byte == b'?').expect("it was put there");
    invalid[at] = 0xff;
    bad.push(Bad::new(format!("{member} not UTF-8"), JSON, invalid));
    let required = schema["required"].as_array();
    if required.is_some_and(|names| names.contains(&name)) {
        let rest = format!("{{{}}}", others.join(","));
        bad.push(Bad::new(format!("no {member}"), JSON, rest));
    }
    bad
}

fn of_forms(example: &Map<String, Value>) -> Vec<Bad<'static>> {
    let whole = String::from_utf8(encoded(FORM, example).to_vec()).expect("a form is ASCII");
    let mut bad = vec![
        Bad::new("JSON", FORM, Value::Object(example.clone()).to_string()),
        Bad::new("an escape that is not UTF-8", FORM, format!("{whole}%ff")),
    ];
    for member in example.keys() {
        let rest: Map<String, Value> =
            example.clone().into_iter().filter(|(name, _)| name != member).collect();
        bad.push(Bad::new(format!("no {member}"), FORM, encoded(FORM, &rest)));
        bad.push(Bad::new(format!("{member} twice"), FORM, format!("{whole}&{member}=a")));
    }
    bad
}

fn encoded(media_type: &str, example: &Map<String, Value>) -> Bytes {
    if media_type == JSON {
        return Value::Object(example.clone()).to_string().into();
    }
    let pairs = example.iter().map(|(name, value)| {
        let value = value.as_str().expect("a form holds text");
        format!("{name}={}", value.replace(' ', "+"))
    });
    pairs.collect::<Vec<_>>().join("&").into()
}
