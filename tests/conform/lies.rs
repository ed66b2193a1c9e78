//! For every statement a response that breaks it: one altered response, and the
//! statement fails. A statement without a row could be one that always holds.

use serde_json::{Value, json};

use crate::support::token::sign_like_gateway;

use super::liar::Lie;

/// The statement that must fail, whose response is altered, and how.
pub type Row = (&'static str, &'static str, Lie);

/// No response tells: a restart, a stored hash, two minutes of waiting. What an operator
/// provides for does, in `complete`.
pub const NEVER_JUDGED: &[&str] = &["S1-18", "S1-22", "S1-26"];

/// They meet the rate limit, which the other rows do not wait for.
pub const LIMITED: &[&str] = &["S1-33", "S1-34", "S1-35"];

const LOGIN: &str = "POST /api/auth/login";
const LOGIN_V1: &str = "POST /api/v1/auth/login";
const REGISTER: &str = "POST /api/auth/register";
const REGISTER_V1: &str = "POST /api/v1/auth/register";
const REFRESH: &str = "POST /api/auth/refresh";
const REFRESH_V1: &str = "POST /api/v1/auth/refresh";
const LOGOUT: &str = "POST /api/logout";
const CHANGE: &str = "POST /api/change-password";
const SWITCH: &str = "POST /api/auth/switch-workspace";
const GITHUB: &str = "POST /api/auth/github";
const PROVIDERS: &str = "GET /api/auth/providers";
const ME: &str = "GET /api/auth/me";
const WS_TOKEN: &str = "GET /api/ws-token";
const KEYS: &str = "POST /api/v1/auth/keys";
const LIST_OF_KEYS: &str = "GET /api/v1/auth/keys";
const LOCKOUTS: &str = "GET /api/admin/lockouts";
const HEALTH: &str = "GET /health";
/// Paths of the upstream.
const PROXIED: &str = "GET /api/conform";
const PROXIED_V1: &str = "GET /api/v1/servers";
const SOCKET: &str = "GET /api/v1/agents/ws";
const STREAM: &str = "GET /api/stream";
const SUCCESS: &str = r#"{"status":"success"}"#;
const AUTH_SUCCESS: &str = r#"{"type":"auth_success"}"#;

pub fn all() -> Vec<Row> {
    [form(), status(), envelope(), plain(), collisions(), decisions()].concat()
}

fn form() -> Vec<Row> {
    vec![
        ("S0-01", PROXIED_V1, Lie::Status(502)),
        ("S0-02", REGISTER_V1, Lie::Status(201)),
        ("S0-02", REGISTER_V1, Lie::Status(403)),
        ("S0-03", REGISTER_V1, Lie::Set("/token_type", json!("Bearer"))),
        ("S0-03", REGISTER_V1, Lie::Drop("/user/full_name")),
        ("S0-04", REGISTER_V1, Lie::Set("/user/id", json!("42"))),
        ("S0-05", REGISTER_V1, Lie::Status(201)),
        ("S0-06", LOGIN_V1, Lie::Status(401)),
        ("S0-07", LOGIN_V1, Lie::Replace("detail", "error")),
        ("S0-08", LOGIN_V1, Lie::Set("/user", json!({}))),
        ("S0-08", LOGIN_V1, Lie::Drop("/refresh_token")),
        ("S0-09", PROXIED_V1, Lie::Status(401)),
        ("S0-09", PROXIED_V1, Lie::Status(404)),
        ("S0-10", LOGIN_V1, Lie::Set("/access_token", living(3600))),
        ("S0-11", REFRESH_V1, Lie::Set("/refresh_token", json!("new"))),
        ("S0-12", LOGIN_V1, Lie::Set("/refresh_token", living(3600))),
        ("S0-13", "POST /.portcullis/console/sign-in", Lie::Status(200)),
        ("S0-13", "GET /.portcullis/console/servers", Lie::Status(404)),
        ("S0-13", SOCKET, Lie::Status(401)),
        ("S0-14", "GET /api/admin/keys/*", Lie::Recall),
        ("S0-15", "POST /api/admin/keys", Lie::Set("/server", json!("another"))),
        ("S0-16", SOCKET, Lie::Status(401)),
        ("S0-17", SOCKET, Lie::Socket(AUTH_SUCCESS, None)),
        ("S0-18", PROXIED_V1, Lie::Status(200)),
        ("S0-18", "POST /api/admin/keys/*", Lie::Status(200)),
        ("S0-19", "DELETE /api/admin/keys/*", Lie::Instead(204, "")),
        ("S0-19", SOCKET, Lie::Deaf(AUTH_SUCCESS)),
        ("S0-20", LOGIN_V1, Lie::Drop("/access_token")),
    ]
}

fn status() -> Vec<Row> {
    vec![
        ("S1-01", WS_TOKEN, Lie::Status(403)),
        ("S1-02", PROXIED, Lie::Status(200)),
        ("S1-03", PROXIED, Lie::Status(200)),
        ("S1-04", "GET /api/", Lie::Status(200)),
        ("S1-05", PROXIED, Lie::Status(404)),
        ("S1-06", PROXIED, Lie::Status(500)),
        ("S1-07", LOGIN, Lie::Status(200)),
        ("S1-08", LOGIN, Lie::Set("/token_type", json!("bearer"))),
        ("S1-08", LOGIN, Lie::Drop("/refresh_token")),
        ("S1-09", LOGIN, Lie::Set("/access_token", living(3600))),
        ("S1-10", LOGIN, Lie::Set("/refresh_token", living(3600))),
        ("S1-11", PROXIED, Lie::Status(200)),
        ("S1-12", LOGIN, Lie::Set("/refresh_token", token(json!({ "type": "access" })))),
        ("S1-13", LOGIN, Lie::Set("/access_token", longer())),
        ("S1-14", WS_TOKEN, Lie::Status(200)),
        ("S1-14", PROXIED, Lie::Status(403)),
        ("S1-15", REFRESH, Lie::Drop("/status")),
        ("S1-16", LOGOUT, Lie::Set("/status", json!("ok"))),
        ("S1-17", LOGOUT, Lie::Instead(200, SUCCESS)),
        ("S1-19", LOGOUT, Lie::Status(401)),
        ("S1-20", CHANGE, Lie::Instead(200, SUCCESS)),
        ("S1-21", CHANGE, Lie::Status(200)),
        ("S1-23", CHANGE, Lie::Instead(200, SUCCESS)),
        ("S1-24", WS_TOKEN, Lie::Replace("token", "ticket")),
        ("S1-25", STREAM, Lie::Deaf("")),
        ("S1-27", STREAM, Lie::Deaf("")),
        ("S1-28", "GET /api/health", Lie::Drop("/version")),
        ("S1-29", HEALTH, Lie::Set("/pending_update", json!(5))),
        ("S1-30", PROXIED, Lie::Field("ratelimit-policy", Some("\"attempts\";q=6;w=300"))),
        ("S1-30", PROXIED, Lie::Field("retry-after", Some("60"))),
        ("S1-30", PROXIED, Lie::Status(401)),
        ("S1-31", PROXIED, Lie::Field("retry-after", None)),
        ("S1-31", PROXIED, Lie::Field("retry-after", Some("86400"))),
        ("S1-32", PROXIED, Lie::Field("retry-after", Some("60"))),
        ("S1-33", HEALTH, Lie::Status(200)),
        ("S1-34", HEALTH, Lie::Field("ratelimit-policy", Some("\"ip\";q=50;w=3"))),
        ("S1-35", HEALTH, Lie::Status(200)),
        ("S1-35", PROXIED, Lie::Status(401)),
    ]
}

fn envelope() -> Vec<Row> {
    vec![
        ("S2-01", ME, Lie::Status(403)),
        ("S2-02", ME, Lie::Drop("/timestamp")),
        ("S2-02", LOGIN, Lie::Set("/timestamp", json!("2026-03-05T12:00:00Z"))),
        ("S2-02", LOGIN, Lie::Set("/timestamp", json!("2026-03-05T12:00:00.000Z"))),
        ("S2-02", LOGIN, Lie::Field("date", None)),
        ("S2-03", PROVIDERS, Lie::Set("/data/local", json!("yes"))),
        ("S2-04", PROVIDERS, Lie::Set("/data/github", json!(true))),
        ("S2-05", PROVIDERS, Lie::Set("/data/githubClientId", json!("Iv1"))),
        ("S2-06", LOGIN, Lie::Status(401)),
        ("S2-07", REGISTER, Lie::Status(201)),
        ("S2-08", REGISTER, Lie::Status(201)),
        ("S2-09", REGISTER, Lie::Status(403)),
        ("S2-10", REGISTER, Lie::Status(200)),
        ("S2-10", REGISTER, Lie::Status(403)),
        ("S2-11", REGISTER, Lie::Replace("usr_", "user-")),
        ("S2-12", REGISTER, Lie::Set("/data/user/role", json!("admin"))),
        ("S2-13", REGISTER, Lie::Instead(403, "{}")),
        ("S2-14", REGISTER, Lie::Replace("EMAIL_ALREADY_EXISTS", "CONFLICT")),
        ("S2-15", LOGIN, Lie::Drop("/data/user/lastName")),
        ("S2-16", LOGIN, Lie::Status(403)),
        ("S2-17", LOGIN, Lie::Replace("INVALID_CREDENTIALS", "USER_NOT_FOUND")),
        ("S2-18", GITHUB, Lie::Status(401)),
        ("S2-19", ME, Lie::Set("/data/createdAt", json!("2026-01-15T08:30:00Z"))),
        ("S2-19", ME, Lie::Drop("/data/avatarUrl")),
        ("S2-19", ME, Lie::Set("/data/emailVerified", json!(false))),
        ("S2-20", REFRESH, Lie::Drop("/data/user")),
        ("S2-21", REFRESH, Lie::Set("/data/user/role", json!("user"))),
        ("S2-22", SWITCH, Lie::Drop("/data/user")),
        ("S2-23", SWITCH, Lie::Set("/data/token", living(3600))),
        ("S2-24", SWITCH, Lie::Status(403)),
        ("S2-25", LOGIN, Lie::Set("/data/token", longer())),
    ]
}

fn plain() -> Vec<Row> {
    const LOGOUT: &str = "POST /api/v1/auth/logout";
    const DELETE: &str = "DELETE /api/v1/auth/keys/*";
    vec![
        ("S3-01", PROXIED_V1, Lie::Status(200)),
        ("S3-02", LOGIN_V1, Lie::Status(200)),
        ("S3-03", LOGIN_V1, Lie::Set("/expires_in", json!("3600"))),
        ("S3-03", LOGIN_V1, Lie::Set("/user/id", json!("usr_abc123"))),
        ("S3-04", LOGIN_V1, Lie::Set("/token", living(1800))),
        ("S3-05", LOGIN_V1, Lie::Set("/token", longer())),
        ("S3-06", LOGIN_V1, Lie::Replace("Invalid credentials", "Wrong password")),
        ("S3-07", LOGIN_V1, Lie::Replace("Invalid credentials", "No such account")),
        ("S3-08", REFRESH_V1, Lie::Set("/refreshToken", json!("new"))),
        ("S3-09", REFRESH_V1, Lie::Set("/code", json!("INVALID"))),
        ("S3-10", LOGOUT, Lie::Set("/message", json!("Bye"))),
        ("S3-11", LOGOUT, Lie::Instead(200, "{}")),
        ("S3-12", LOGOUT, Lie::Replace("error", "detail")),
        ("S3-13", LIST_OF_KEYS, Lie::Status(404)),
        ("S3-14", PROXIED_V1, Lie::Status(401)),
        ("S3-15", KEYS, Lie::Status(200)),
        ("S3-15", KEYS, Lie::Status(404)),
        ("S3-16", KEYS, Lie::Set("/apiKey", json!("sk_live_short"))),
        ("S3-16", KEYS, Lie::Field("date", None)),
        ("S3-17", LIST_OF_KEYS, Lie::Set("/0/apiKey", json!("sk_live_planted"))),
        ("S3-18", LIST_OF_KEYS, Lie::Set("/0/lastUsed", json!("2023-10-27T10:00:00Z"))),
        ("S3-19", DELETE, Lie::Instead(204, "")),
        ("S3-20", DELETE, Lie::Status(403)),
    ]
}

fn collisions() -> Vec<Row> {
    vec![
        ("C1", LOGIN_V1, Lie::Status(200)),
        ("C2", REFRESH_V1, Lie::Status(200)),
        ("C3", LOGIN, Lie::Replace(r#""status":"error""#, r#""success":false"#)),
        ("C4", REFRESH, Lie::Status(200)),
        ("C5", LOGIN, Lie::Set("/access_token", living(1800))),
        ("C5", LOGIN_V1, Lie::Set("/refreshToken", living(1800))),
        ("C6", REFRESH, Lie::Status(401)),
        ("C7", LOGIN, Lie::Set("/timestamp", json!("2026-03-05T12:00:00Z"))),
        ("C8", LOGIN_V1, Lie::Set("/user/id", json!("user_abc123"))),
        ("C9", LOGIN_V1, Lie::Set("/user/username", json!("another"))),
        ("C10", REGISTER_V1, Lie::Status(201)),
        ("C11", LOGIN, Lie::Status(400)),
        ("C12", LOGIN, Lie::Status(500)),
        ("C12", LOGIN_V1, Lie::Status(500)),
        ("C12", GITHUB, Lie::Status(500)),
        ("C13", LOGOUT, Lie::Instead(200, SUCCESS)),
        ("C14", PROXIED_V1, Lie::Replace("error", "detail")),
        ("C14", PROXIED, Lie::Field("www-authenticate", Some("Bearer"))),
        ("C14", "POST /api/conform", Lie::Field("grpc-status", Some("2"))),
        ("C15", LOGIN_V1, Lie::Set("/token", longer())),
        ("C16", HEALTH, Lie::Status(500)),
        ("C16", HEALTH, Lie::Status(401)),
        ("C16", HEALTH, Lie::Drop("/status")),
    ]
}

fn decisions() -> Vec<Row> {
    vec![
        ("D-01", REGISTER_V1, Lie::Status(200)),
        ("D-02", LOGIN_V1, Lie::Drop("/refreshToken")),
        ("D-03", REGISTER_V1, Lie::Replace("detail", "error")),
        ("D-04", PROXIED_V1, Lie::Status(401)),
        ("D-05", SOCKET, Lie::Socket(r#"{"type":"auth_error"}"#, Some(1000))),
        ("D-06", SOCKET, Lie::Slam(4401)),
        ("D-07", LOGIN, Lie::Set("/access_token", token(json!({ "sub": "x" })))),
        ("D-08", LOGIN, Lie::Field("cache-control", None)),
        ("D-09", CHANGE, Lie::Instead(200, SUCCESS)),
        ("D-10", PROXIED, Lie::Status(200)),
        ("D-10", "PATCH /api/admin/users/*", Lie::Instead(200, "{}")),
        ("D-11", PROXIED, Lie::Deaf("")),
        ("D-11", PROXIED, Lie::Handshake(502)),
        ("D-12", SOCKET, Lie::Socket(AUTH_SUCCESS, Some(1000))),
        ("D-13", PROXIED, Lie::Replace("GET", "forged-by-conform")),
        ("D-14", PROXIED, Lie::Status(200)),
        ("D-15", "GET /api/admin/users", Lie::Status(200)),
        ("D-16", LOCKOUTS, Lie::Set("/items/0/failures", json!(5))),
        ("D-16", REFRESH_V1, Lie::Status(200)),
        ("D-17", LOGIN, Lie::Status(200)),
        ("D-17", "POST /api/conform", Lie::Status(401)),
        ("D-18", CHANGE, Lie::Instead(200, SUCCESS)),
        ("D-18", LOCKOUTS, Lie::Set("/items/0/failures", json!(5))),
        ("D-19", LOGIN, Lie::Replace("password", "body")),
        ("D-20", SOCKET, Lie::Socket(AUTH_SUCCESS, None)),
        ("D-21", "POST /api/conform", Lie::Status(200)),
    ]
}

/// The text of a token with these claims, of no gateway's.
fn token(claims: Value) -> Value {
    json!(sign_like_gateway(&claims.to_string(), "a secret of nobody's"))
}

/// One that lives so many seconds.
fn living(seconds: i64) -> Value {
    let now = jiff::Timestamp::now().as_second();
    token(json!({ "type": "access", "iat": now, "exp": now + seconds }))
}

/// One whose header begins with `typ`.
fn longer() -> Value {
    json!("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln")
}
