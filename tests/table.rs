//! Every route and every endpoint against every kind of caller, in one table.

use std::collections::BTreeSet;
use std::fmt::Write;

use http::Request;
use serde_json::json;

use crate::support::client::{
    Body, Client, Pair, Protocol, json_request, request, sign_in, sign_in_admin,
};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const CONFIG: &str = r#"
[limits]
burst = 10000

[[route]]
id = "any"
path = "/"
upstream = "echo"

[[route]]
id = "public"
path = "/public"
upstream = "echo"
public = true

[[route]]
id = "role"
path = "/admin"
upstream = "echo"
roles = ["admin", "operator"]

[[route]]
id = "scope"
path = "/deploy"
upstream = "echo"
scopes = ["deploy"]

[[route]]
id = "role-and-scope"
path = "/release"
upstream = "echo"
roles = ["admin"]
scopes = ["deploy"]

[[route]]
id = "public-read"
path = "/reports"
methods = ["GET"]
upstream = "echo"
public = true

[[route]]
id = "admin-write"
path = "/reports"
upstream = "echo"
roles = ["admin"]

[[route]]
id = "host"
host = "internal.example"
path = "/tools"
upstream = "echo"
roles = ["admin"]

[[route]]
id = "host-public"
host = "internal.example"
path = "/"
upstream = "echo"
public = true

[[route]]
id = "ticket"
path = "/logs"
upstream = "echo"
ws_token = true
"#;

/// The endpoints of the gateway itself, which are in no configuration.
const ENDPOINTS: [&str; 7] =
    ["login", "refresh", "logout", "change-password", "ws-token", "health", "api-health"];

/// `user` has no role and `admin` the role of that name; `-key` holds no scope,
/// `-deploy` the scope `deploy`; `refresh` is a refresh token sent as bearer.
const TABLE: &str = "
route            request                      anonymous user-basic admin-basic user-bearer admin-bearer user-key user-deploy admin-key admin-deploy refresh garbage
any              GET /                              401        200         200         200          200      200         200       200          200     401     401
any              POST /api/things                   401        200         200         200          200      200         200       200          200     401     401
any              GET /publicity                     401        200         200         200          200      200         200       200          200     401     401
public           GET /public                        200        200         200         200          200      200         200       200          200     200     200
public           DELETE /public/x                   200        200         200         200          200      200         200       200          200     200     200
role             GET /admin                         401        403         200         403          200      403         403       200          200     401     401
role             PUT /admin/x                       401        403         200         403          200      403         403       200          200     401     401
scope            GET /deploy                        401        200         200         200          200      403         200       403          200     401     401
role-and-scope   POST /release                      401        403         200         403          200      403         403       403          200     401     401
public-read      GET /reports                       200        200         200         200          200      200         200       200          200     200     200
admin-write      POST /reports                      401        403         200         403          200      403         403       200          200     401     401
host             GET internal.example/tools         401        403         200         403          200      403         403       200          200     401     401
any              GET /tools                         401        200         200         200          200      200         200       200          200     401     401
host-public      GET internal.example/              200        200         200         200          200      200         200       200          200     200     200
host-public      GET internal.example/admin         200        200         200         200          200      200         200       200          200     200     200
ticket           GET /logs                          401        200         200         200          200      200         200       200          200     401     401
login            POST /api/auth/login               200        200         200         200          200      200         200       200          200     200     200
refresh          POST /api/auth/refresh             200        200         200         200          200      200         200       200          200     200     200
logout           POST /api/logout                   401        200         200         200          200      200         200       200          200     401     401
change-password  POST /api/change-password          401        422         422         422          422      403         403       403          403     401     401
ws-token         GET /api/ws-token                  401        200         200         200          200      403         403       403          403     401     401
health           GET /health                        200        200         200         200          200      200         200       200          200     200     200
api-health       GET /api/health                    200        200         200         200          200      200         200       200          200     200     200
";

const USER: &str = "ursula";
const PASSWORD: &str = "a password of hers";

#[tokio::test]
async fn every_caller_gets_what_the_table_says_over_http1() {
    check(Protocol::Http1).await;
}

#[tokio::test]
async fn every_caller_gets_what_the_table_says_over_http2() {
    check(Protocol::Http2).await;
}

#[test]
fn every_route_and_endpoint_is_in_the_table() {
    let config: toml::Table = CONFIG.parse().expect("the configuration is TOML");
    let routes = config["route"].as_array().expect("there are routes");
    let routes = routes.iter().map(|route| route["id"].as_str().expect("every route has an id"));
    let expected: BTreeSet<&str> = routes.chain(ENDPOINTS).collect();
    let listed: BTreeSet<&str> = rows().map(|row| row.route).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_path_without_a_route_is_not_found() {
    let gateway = Gateway::start(&ECHO.replace("upstream", "path = \"/app\"\nupstream")).await;
    let admin = Client::admin(&gateway);
    for path in ["/app", "/app/", "/app/x"] {
        admin.get(path).await.expect(200);
    }
    for path in ["/", "/ap", "/apple", "/x/app"] {
        assert_eq!(admin.get(path).await.refusal(), (404, "NOT_FOUND".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_no_route_of_the_path_takes_is_told_which_are_taken() {
    let gateway = Gateway::start(
        "[[route]]\nupstream = \"echo\"\n\
         [[route]]\npath = \"/app\"\nmethods = [\"GET\", \"PUT\"]\nupstream = \"echo\"\n",
    )
    .await;
    let admin = Client::admin(&gateway);
    admin.get("/app").await.expect(200);
    admin.post("/").await.expect(200);
    let refused = admin.post("/app/x").await.refused(405, "METHOD_NOT_ALLOWED");
    let allowed: BTreeSet<&str> = refused.field("allow").split(", ").collect();
    assert!(allowed.is_superset(&BTreeSet::from(["GET", "PUT"])), "{refused:?}");
    assert!(!allowed.contains("POST"), "{refused:?}");
}

struct Row {
    route: &'static str,
    method: &'static str,
    host: &'static str,
    path: &'static str,
    /// For every caller, in the order of the first line.
    statuses: Vec<u16>,
}

fn callers() -> impl Iterator<Item = &'static str> {
    TABLE.lines().nth(1).expect("the table has a head").split_whitespace().skip(2)
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().skip(2).map(|line| {
        let mut cells = line.split_whitespace();
        let mut cell = || cells.next().unwrap_or_else(|| panic!("a cell is missing: {line}"));
        let (route, method, target) = (cell(), cell(), cell());
        let (host, path) = target.split_at(target.find('/').expect("a target has a path"));
        let statuses = cells.map(|cell| cell.parse().expect("a status")).collect();
        Row { route, method, host, path, statuses }
    })
}

async fn check(protocol: Protocol) {
    let gateway = Gateway::start(CONFIG).await;
    let keys = prepare(&gateway).await;
    let mut wrong = String::new();
    for row in rows() {
        assert_eq!(row.statuses.len(), callers().count(), "{}: every caller", row.path);
        for (caller, expected) in callers().zip(&row.statuses) {
            let mut client = keys.caller(&gateway, caller).await.protocol(protocol);
            if !row.host.is_empty() {
                client = client.host(row.host);
            }
            let answer = client.request(row.request(&gateway).await).await;
            if answer.status != *expected {
                let Row { route, method, host, path, .. } = &row;
                let status = answer.status;
                writeln!(
                    wrong,
                    "{route}: {method} {host}{path} as {caller}: {status}, not {expected}"
                )
                .expect("a text can grow");
            } else if *expected >= 400 {
                assert_eq!(answer.refusal().0, *expected);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

impl Row {
    /// The endpoints are called as they want to be called, so that only the caller
    /// decides; a new password that is refused changes nothing for the next one.
    async fn request(&self, gateway: &Gateway) -> Request<Body> {
        let body = match self.route {
            "login" => json!({ "username": ADMIN, "password": ADMIN_PASSWORD }),
            "refresh" => json!({ "refresh_token": sign_in_admin(gateway).await.refresh }),
            "change-password" => json!({ "current_password": PASSWORD, "new_password": "short" }),
            _ => return request(self.method.parse().expect("a method"), self.path),
        };
        json_request(self.path, &body)
    }
}

/// The texts of the keys.
struct Keys {
    user: String,
    user_deploy: String,
    admin: String,
    admin_deploy: String,
}

async fn prepare(gateway: &Gateway) -> Keys {
    gateway.add_user(USER, PASSWORD, &[]).await;
    let key = async |owner, scopes: &[&str]| gateway.create_key(owner, scopes, &[]).await.1;
    Keys {
        user: key(USER, &[]).await,
        user_deploy: key(USER, &["deploy"]).await,
        admin: key(ADMIN, &[]).await,
        admin_deploy: key(ADMIN, &["deploy", "read"]).await,
    }
}

impl Keys {
    /// A caller nobody has seen before, with a session of its own.
    async fn caller(&self, gateway: &Gateway, kind: &str) -> Client {
        let user = async || -> Pair { sign_in(gateway, USER, PASSWORD).await };
        match kind {
            "anonymous" => Client::anonymous(gateway),
            "user-basic" => Client::basic(gateway, USER, PASSWORD),
            "admin-basic" => Client::admin(gateway),
            "user-bearer" => Client::bearer(gateway, &user().await.access),
            "admin-bearer" => Client::bearer(gateway, &sign_in_admin(gateway).await.access),
            "user-key" => Client::api_key(gateway, &self.user),
            "user-deploy" => Client::api_key(gateway, &self.user_deploy),
            "admin-key" => Client::api_key(gateway, &self.admin),
            "admin-deploy" => Client::api_key(gateway, &self.admin_deploy),
            "refresh" => Client::bearer(gateway, &sign_in_admin(gateway).await.refresh),
            "garbage" => Client::bearer(gateway, "garbage"),
            other => panic!("the table names an unknown caller: {other}"),
        }
    }
}
