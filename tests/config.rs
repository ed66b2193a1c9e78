//! Mistakes in the configuration: found before anything runs, each at its place
//! and with what to write instead.

mod broken;
mod changes;
mod schema;

use std::net::{TcpListener, TcpStream};

use crate::support::client::Client;
use crate::support::gateway::{ADMIN, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;

const CONFIGURATION_ERROR: Option<i32> = Some(78);

async fn check(config: &str) -> Ended {
    installation(config).run(&["check"], None).await
}

fn installation(config: &str) -> Installation {
    Installation::new().file("config.toml", config).env("SECRET_KEY", SECRET_KEY)
}

/// With a certificate and a key that mistakes can name.
fn with_files(config: &str) -> Installation {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    installation(config)
        .file("good.pem", &cert.pem())
        .file("good.key", &signing_key.serialize_pem())
        .file("secret", "a-secret\n")
}

/// A mistake: the text with a `^` before its place, what is said about it after
/// file, line and column, and the hint.
type Mistake = (&'static str, &'static str, Option<&'static str>);

const MISTAKES: &[Mistake] = &[
    ("[limits]\n^brust = 5\n", "limits.brust: unknown key", Some("did you mean `burst`?")),
    ("[limits]\nburst = 5\n\n[^limit]\n", "limit: unknown key", Some("did you mean `limits`?")),
    ("^\"a\\nb\" = 1\n", "a\u{fffd}b: unknown key", None),
    ("[limits]\nburst = ^\"many\"\n", "limits.burst: expected a whole number from 1 to", None),
    (
        "[auth]\n  bcrypt_cost = ^3 # fast\n",
        "auth.bcrypt_cost: expected a whole number from 4 to 16",
        None,
    ),
    (
        "[limits]\nstreams_per_account = ^0\n",
        "limits.streams_per_account: expected a whole number from 1 to 1000000 (0 would refuse",
        None,
    ),
    (
        "[limits]\nagents_per_server = ^1_000_001\n",
        "limits.agents_per_server: expected a whole number from 1 to 1000000 (0 would refuse",
        None,
    ),
    (
        "[limits]\nagents_per_owner = ^-1\n",
        "limits.agents_per_owner: expected a whole number from 1 to 1000000",
        None,
    ),
    (
        "[upstream.app]\nurl = \"http://127.0.0.1:1\"\nmax_connections_per_account = ^0\n",
        "upstream.app.max_connections_per_account: expected a whole number from 1 to 1024 (0 would",
        None,
    ),
    (
        "[upstream.app]\nurl = \"http://127.0.0.1:1\"\nmax_connections = 4\nmax_connections_per_account = ^5\n",
        "upstream.app.max_connections_per_account: expected a whole number from 1 to 4 (0 would",
        None,
    ),
    (
        "[timeouts]\nagent_ping = ^\"0s\"\n",
        "timeouts.agent_ping: expected a duration like \"30s\", \"8h\", \"1d12h\", \"1.5d\" or \"P1D\", from 1s to 1d, or \"off\"",
        None,
    ),
    (
        "[timeouts]\ntunnel_idle = ^\"2d\"\n",
        "timeouts.tunnel_idle: expected a duration like \"30s\", \"8h\", \"1d12h\", \"1.5d\" or \"P1D\", from 1s to 1d, or \"off\"",
        None,
    ),
    ("[auth]\nrealm = ^7\n", "auth.realm: expected a short text, found 7", None),
    (
        "[timeouts]\nidle = ^\"5 parsecs\"\n",
        "timeouts.idle: expected a duration like \"30s\"",
        None,
    ),
    (
        "[limits]\nhead_size = ^\"12 bananas\"\n",
        "limits.head_size: expected a size like \"64KiB\"",
        None,
    ),
    ("[health]\nenabled = ^\"yes\"\n", "health.enabled: expected true or false", None),
    (
        "[identity]\nallow = [^\"X_User\"]\n",
        "identity.allow: expected the name of a header field, or a family like \"X-Vendor-*\"",
        Some("letters, digits and `-`"),
    ),
    (
        "[identity]\nallow = [^\"X-Port*\"]\n",
        "identity.allow: \"X-Port*\" covers \"x-portcullis-\"",
        Some("the gateway sets or removes this field itself, always"),
    ),
    (
        "[identity]\nremove = [^\"Content-*\"]\n",
        "identity.remove: \"Content-*\" covers \"content-length\"",
        None,
    ),
    (
        "[identity]\npreset = \"grafana\"\nallow = [^\"X-WebAuth-User\"]\n",
        "identity.allow: \"X-WebAuth-User\" covers \"x-webauth-user\"",
        None,
    ),
    (
        "[identity]\nremove = [\"X-Tenant\"]\nallow = [^\"x-tenant\"]\n",
        "identity.allow: a field is either allowed or removed",
        None,
    ),
    (
        "[upstream.a]\nurl = \"echo\"\nfield_names = ^\"all\"\n",
        "upstream.a.field_names: expected one of",
        None,
    ),
    (
        "[identity]\npreset = ^\"autelia\"\n",
        "identity.preset: expected one of",
        Some("did you mean `authelia`?"),
    ),
    (
        "[identity]\npreset = \"custom\"\n[identity.headers]\nusername = ^\"Authorization\"\n",
        "identity.headers.username: expected the name of a header field",
        None,
    ),
    (
        "[client]\ntrusted_proxies = [\"10.0.0.0/8\", ^\"10.0.0.0/33\"]\n",
        "client.trusted_proxies: expected an address or a network",
        None,
    ),
    (
        "[client]\norigins = [\"https://a.example\", ^\"https://b.example/\"]\n",
        "client.origins: an origin is scheme, host and port",
        Some("write \"https://b.example\""),
    ),
    (
        "[client]\norigins = [^\"https://*.example\"]\n",
        "client.origins: a pattern would allow every matching page to act",
        Some("list each origin by itself"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\norigins = [^\"app.example\"]\n",
        "route.origins: expected an origin with its scheme",
        Some("write \"https://app.example\""),
    ),
    (
        "[cors]\norigins = [\"https://a.example\", ^\"https://*.b.example/\"]\n",
        "cors.origins: an origin is scheme, host and port",
        None,
    ),
    (
        "[cors]\norigins = [^\"https://a*.example\"]\n",
        "cors.origins: a `*` stands for exactly one label",
        Some("write an origin like \"https://*.app.example\""),
    ),
    (
        "[cors]\ncredentials = true\norigins = [\"https://a.example\", ^\"https://*.b.example\"]\n",
        "cors.origins: `credentials` requires exact origins",
        Some("list each origin by itself"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\ncors = { origins = [^\"*\"], credentials = true }\n",
        "route.cors.origins: `credentials` requires exact origins",
        Some("list each origin by itself"),
    ),
    ("^[cors]\nmax_age = \"5m\"\n", "cors.origins: names no origin", Some("write an origin like")),
    ("[cors]\norigins = ^[]\n", "cors.origins: names no origin", Some("write an origin like")),
    (
        "[cors]\norigins = [\"*\"]\n^origin = \"*\"\n",
        "cors.origin: unknown key",
        Some("did you mean `origins`?"),
    ),
    (
        "[cors]\norigins = [\"*\"]\nfields = [\"X-A\", ^\"*\"]\n",
        "cors.fields: a `*` is no name",
        Some("name each field"),
    ),
    (
        "[cors]\norigins = [\"*\"]\nexpose = [^\"X A\"]\n",
        "cors.expose: expected the name of a field",
        None,
    ),
    ("[cors]\norigins = [\"*\"]\nmax_age = ^\"2d\"\n", "cors.max_age: expected a duration", None),
    (
        "[[route]]\nupstream = \"echo\"\ncors = ^\"gatway\"\n",
        "route.cors: expected one of `upstream`, `gateway`",
        Some("did you mean `gateway`?"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\ncors = ^\"gateway\"\n",
        "route.cors: there is no [cors] to apply here",
        Some("write [cors] with origins"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\ncors = ^true\n",
        "route.cors: expected a table, found true",
        Some("write [route.cors]"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nmethods = [\"GET\"]\n\
         cors = { origins = [\"*\"], methods = ^[\"HEAD\", \"PUT\"] }\n",
        "route.cors.methods: the route takes no PUT",
        None,
    ),
    ("[limits]\nwait = ^\"2m\"\n", "limits.wait: expected a duration", None),
    (
        "[[route]]\nupstream = \"echo\"\nrate = ^\"non\"\n",
        "route.rate: expected `none` or a table",
        Some("did you mean `none`?"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nrate = ^\"5/s\"\n",
        "route.rate: expected `none` or a table",
        Some("write rate = { requests_per_second = 5 }"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nws_token = true\nrate = ^\"none\"\n",
        "route.rate: a route with `ws_token` requires a rate limit",
        Some("write rate = { requests_per_second = 100 }"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nrate = ^100\n",
        "route.rate: expected a table, found 100",
        Some("write [route.rate]"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nrate = { requests_per_second = ^0 }\n",
        "route.rate.requests_per_second: expected a whole number from 1 to 1000000",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nrate = ^{ burst = 5 }\n",
        "route.rate.requests_per_second: missing",
        Some("write rate = { requests_per_second"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nrate = { requests_per_second = 5, ^bursts = 5 }\n",
        "route.rate.bursts: unknown key",
        Some("did you mean `burst`?"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = [\"cookie\", ^\"baisc\"]\n",
        "route.schemes: expected one of `cookie`, `basic`, `bearer`, `key`, found \"baisc\"",
        Some("did you mean `basic`?"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = [\"cookie\", ^\"cookie\"]\n",
        "route.schemes: \"cookie\" is there twice",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = ^[]\n",
        "route.schemes: names no scheme",
        Some("leave it out for all schemes, or set public = true"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\npublic = true\nschemes = ^[\"basic\"]\n",
        "route.schemes: has no effect on a public route",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = [\"cookie\"]\nkeys = ^\"any\"\n",
        "route.keys: has no effect: none of the route's `schemes` carries a key",
        Some("name \"key\" or \"basic\""),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = [\"bearer\"]\nscopes = ^[\"deploy\"]\n",
        "route.scopes: has no effect",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nchallenge = [^\"digest\"]\n",
        "route.challenge: expected \"basic\", \"bearer\" or a whole challenge like",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nchallenge = [\"basic\", ^'Basic realm=\"b\"']\n",
        "route.challenge: offers Basic twice",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nchallenge = ^[]\n",
        "route.challenge: names no challenge",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nschemes = [\"cookie\"]\nchallenge = [^\"basic\"]\n",
        "route.challenge: offers Basic, which `schemes` does not take",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\npublic = true\nchallenge = ^[\"basic\"]\n",
        "route.challenge: has no effect on a public route",
        None,
    ),
    (
        "[admin]\nnetworks = ^[]\n",
        "admin.networks: an empty list refuses every client",
        Some("enabled = false switches"),
    ),
    (
        "[admin]\nnetworks = [\"::1\", ^\"loopback\"]\n",
        "admin.networks: expected an address or a network",
        None,
    ),
    (
        "[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\nforwarded = ^\"forwaded\"\n",
        "client.forwarded: expected one of `x-forwarded`, `forwarded`",
        Some("did you mean `forwarded`?"),
    ),
    (
        "[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\nbelieve = [\"for\", ^\"by\"]\n",
        "client.believe: expected one of `for`, `proto`, `host`, `port`, found \"by\"",
        None,
    ),
    (
        "[client]\nbelieve = ^[\"for\"]\n",
        "client.believe: requires client.trusted_proxies",
        Some("list the proxies in client.trusted_proxies"),
    ),
    (
        "[tls]\ncertificate = ^\"server.pem\"\n",
        "tls.key: certificate and key belong together",
        None,
    ),
    (
        "[[listener]]\naddress = ^\"localhost\"\n",
        "listener.address: expected an address like",
        None,
    ),
    (
        "[upstream.app]\nurl = ^\"http://127.0.0.1:3000/base\"\n",
        "upstream.app.url: expected a URL without a path",
        None,
    ),
    (
        "[upstream.app]\nurl = ^\"ftp://127.0.0.1\"\n",
        "upstream.app.url: expected a URL that begins with http:// or https://",
        None,
    ),
    (
        "[upstream.app]\nurl = \"http://127.0.0.1:3000\"\nprotocol = ^\"http3\"\n",
        "upstream.app.protocol: expected one of",
        Some("did you mean `http2`?"),
    ),
    (
        "[upstream.app]\nurl = \"http://127.0.0.1:3000\"\nroots = ^\"ca.pem\"\n",
        "upstream.app.roots: roots are for https upstreams",
        None,
    ),
    (
        "[upstream.backend]\nurl = \"http://127.0.0.1:3000\"\n\
         [[route]]\nupstream = ^\"bakend\"\n",
        "route.upstream: no upstream is called \"bakend\"",
        Some("did you mean `backend`?"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\npath = ^\"app\"\n",
        "route.path: expected a path that begins with \"/\"",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\npath = ^\"/a%2Fb\"\n",
        "route.path: no request has such a path: an encoded slash",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\npath = ^\"/admin/*\"\n",
        "route.path: paths are no patterns; `*` would mean itself",
        Some("a route has all that lies below its path: write \"/admin\", or `%2A`"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\npath = \"/adm\"\npublic = true\n\
         ^[[route]]\nupstream = \"echo\"\npath = \"/%61dm/\"\nroles = [\"admin\"]\n",
        "route: another route has the same host, path and method",
        Some("in the form that is compared, both are for /adm and what lies below"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nhost = \"[::1]\"\n\
         ^[[route]]\nupstream = \"echo\"\nhost = \"[0:0::1]\"\n",
        "route: another route has the same host, path and method",
        Some("in the form that is compared"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nhost = ^\"*\"\n",
        "route.host: expected at most one `*`, as the first label",
        Some("leave `host` out to match every host"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\nmethods = [^\"TRACE\"]\n",
        "route.methods: TRACE is refused before any route",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nmethods = ^[]\n",
        "route.methods: names no method",
        Some("leave it out for every method"),
    ),
    (
        "[admin]\nprefix = ^\"/api/*\"\n[[route]]\nupstream = \"echo\"\n",
        "admin.prefix: paths are no patterns",
        None,
    ),
    (
        "[dialect.form]\nprefix = ^\"/%61pi/openapi/\"\n[[route]]\nupstream = \"echo\"\n",
        "dialect.form.prefix: is used by the gateway itself",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nmethods = [\"GET\", ^\"post\"]\n",
        "route.methods: expected a method like \"GET\", found \"post\"",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\nhost = ^\"app.example:8443\"\n",
        "route.host: expected a host name without a port",
        None,
    ),
    (
        "[[route]]\nupstream = \"echo\"\n^role = [\"admin\"]\n",
        "route.role: unknown key",
        Some("did you mean `roles`?"),
    ),
    ("[[route]]\npath = \"/\"\nupstream = ^\"\"\n", "route.upstream: expected a URL", None),
    (
        "[limits]\nburst = 5\n^burst = 6\n",
        "the key `burst` is there twice",
        Some("leave one of them out"),
    ),
    ("^[limits\nburst = 5\n", "the brackets of this table do not match", Some("write [limits]")),
    (
        "^[[route]]\npath = \"/\"\n",
        "route.upstream: missing",
        Some("write upstream = \"http://127.0.0.1:3000\""),
    ),
    (
        "[upstream.^app]\nprotocol = \"http1\"\n[[route]]\nupstream = \"app\"\n",
        "upstream.app.url: missing",
        Some("write url = \"http://127.0.0.1:3000\""),
    ),
    (
        "[[route]]\nupstream = \"echo\"\npublic = ^true\nroles = [\"admin\"]\n",
        "route.public: a public route checks no credential",
        Some("leave out public, or roles and scopes"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\npublic = true\nagents = ^true\n",
        "route.agents: has no effect on a public route",
        Some("leave out agents, or public"),
    ),
    (
        "[[route]]\nupstream = \"echo\"\n^[[route]]\nupstream = \"http://127.0.0.1:3000\"\n",
        "route: another route has the same host, path and method",
        None,
    ),
    (
        "^[[listener]]\nproxy_protocol = true\n",
        "listener.proxy_protocol: requires client.trusted_proxies",
        Some("list the load balancers in client.trusted_proxies"),
    ),
    (
        "[log]\nlevel = ^\"verbose\"\n",
        "log.level: expected one of `error`, `warn`, `info`, `debug`, `trace`",
        None,
    ),
    (
        "[log.levels]\n^stroe = \"debug\"\n",
        "log.levels.stroe: unknown key",
        Some("did you mean `store`?"),
    ),
    ("[log]\nformat = ^\"jsno\"\n", "log.format: expected one of", Some("did you mean `json`?")),
    (
        "[tls]\ncertificate = ^\"missing.pem\"\nkey = \"good.key\"\n",
        "tls.certificate: missing.pem cannot be read",
        None,
    ),
    (
        "[tls]\ncertificate = \"good.pem\"\nkey = ^\"good.pem\"\n",
        "tls.key: good.pem holds no private key",
        None,
    ),
    (
        "[upstream.app]\nurl = \"https://127.0.0.1:3000\"\nroots = ^\"good.key\"\n",
        "upstream.app.roots: good.key holds no certificate",
        None,
    ),
    (
        "[github]\nclient_id = ^\"Iv1.a\"\n",
        "github.client_id: there is no client secret for it",
        Some("set GITHUB_CLIENT_SECRET or client_secret_file"),
    ),
    (
        "^[github]\nclient_secret_file = \"secret\"\n",
        "github.client_id: missing",
        Some("write client_id = \"…\" of the OAuth app"),
    ),
    (
        "[github]\nclient_id = ^\"Iv1 a\"\nclient_secret_file = \"secret\"\n",
        "github.client_id: expected visible ASCII without spaces",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = ^\"good.pem\"\n",
        "github.client_secret_file: expected visible ASCII without spaces",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\n\
         public_url = ^\"http://gateway.example\"\n",
        "github.public_url: expected a URL that begins with https://",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\n\
         public_url = ^\"https://gateway.example/sub\"\n",
        "github.public_url: expected a URL without a path",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\n\
         base_url = ^\"https://ghe.example\"\n",
        "github.api_url: base_url and api_url belong together",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\n\
         organizations = [\"acme\", ^\"a/b\"]\n",
        "github.organizations: expected the name of an organisation",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\nteams = [^\"ops\"]\n",
        "github.teams: expected a team like \"organisation/team\", found \"ops\"",
        None,
    ),
    (
        "[github]\nclient_id = \"Iv1.a\"\nclient_secret_file = \"secret\"\nroots = ^\"good.key\"\n",
        "github.roots: good.key holds no certificate",
        None,
    ),
    ("[limits]\nuser_pause = ^\"2h\"\n", "limits.user_pause: expected a duration like", None),
    (
        "[store]\nurl = ^\"redis+sentinal://a,b/m\"\n",
        "store.url: expected a URL that begins with redis://, rediss://, redis+sentinel://",
        Some("did you mean `redis+sentinel`?"),
    ),
    ("[store]\nurl = ^\"redis.internal:6379\"\n", "store.url: expected a URL that begins", None),
    ("[store]\nurl = ^\"redis://\"\n", "store.url: expected a host name or an address", None),
    ("[store]\nurl = ^\"redis://:6379\"\n", "store.url: expected a host name", None),
    ("[store]\nurl = ^\"redis://h_ö\"\n", "store.url: expected a host name", None),
    ("[store]\nurl = ^\"redis://h:0\"\n", "store.url: expected a port from 1 to 65535", None),
    ("[store]\nurl = ^\"redis://h:65536\"\n", "store.url: expected a port from 1 to", None),
    ("[store]\nurl = ^\"redis://h:+1\"\n", "store.url: expected a port from 1 to", None),
    (
        "[store]\nurl = ^\"redis://::1:6379\"\n",
        "store.url: expected one port",
        Some("an IPv6 address is written in brackets"),
    ),
    ("[store]\nurl = ^\"redis://[::1\"\n", "store.url: expected `]`", None),
    ("[store]\nurl = ^\"redis://[::1]6379\"\n", "store.url: expected `:` and a port", None),
    ("[store]\nurl = ^\"redis://[h]\"\n", "store.url: expected an IPv6 address", None),
    ("[store]\nurl = ^\"redis://h/one\"\n", "store.url: expected the number of a", None),
    ("[store]\nurl = ^\"redis://h/65536\"\n", "store.url: expected the number of a", None),
    (
        "[store]\nurl = ^\"redis://h/0?timeout=1\"\n",
        "store.url: expected a URL without a query",
        None,
    ),
    (
        "[store]\nurl = ^\"redis://a,b\"\n",
        "store.url: expected one address",
        Some("several are written with redis+sentinel:// or redis-cluster://"),
    ),
    (
        "[store]\nurl = ^\"redis+sentinel://a,b\"\n",
        "store.url: expected the name under which the sentinels know the master",
        Some("like redis+sentinel://h1,h2,h3/mymaster"),
    ),
    ("[store]\nurl = ^\"redis+sentinel://a,,b/m\"\n", "store.url: expected a host name", None),
    ("[store]\nurl = ^\"redis+sentinel://a/m/x\"\n", "store.url: expected the number", None),
    ("[store]\nurl = ^\"redis-cluster://a/0\"\n", "store.url: expected nothing after", None),
    (
        "[store]\nurl = \"redis://h\"\nprefix = ^\"a{b}\"\n",
        "store.prefix: expected 1 to 64 letters, digits and `-_.:`, found \"a{b}\"",
        None,
    ),
    (
        "[store]\nurl = \"redis://h\"\ndurability = ^\"fsnyc\"\n",
        "store.durability: expected one of `fsync`, `replicated`, `fast`",
        Some("did you mean `fsync`?"),
    ),
    (
        "[store]\nurl = \"redis://h\"\nreplicas = ^2\n",
        "store.replicas: has no effect: this durability waits for no replica",
        Some("write durability = \"replicated\""),
    ),
    (
        "[store]\nurl = \"redis://h\"\ntimeout = ^\"2m\"\n",
        "store.timeout: expected a duration like",
        None,
    ),
    (
        "[store]\nurl = \"redis://h\"\nroots = ^\"good.pem\"\n",
        "store.roots: has no effect: store.url does not use TLS",
        Some("write rediss in store.url to use TLS"),
    ),
    (
        "[store]\nurl = \"rediss://h\"\nroots = ^\"good.key\"\n",
        "store.roots: good.key holds no certificate",
        None,
    ),
    (
        "[store]\nurl = \"redis://h\"\nsentinel_password_file = ^\"secret\"\n",
        "has no effect: store.url names no sentinels",
        None,
    ),
    ("[store]\npassword_file = ^\"secret\"\n", "store.password_file: requires store.url", None),
    ("[store]\nprefix = ^\"p\"\n", "store.prefix: requires store.url", None),
    ("[store]\ntimeout = ^\"2s\"\n", "store.timeout: requires store.url", None),
    ("[store]\nreplicas = ^1\n", "store.replicas: requires store.url", None),
    (
        "[health]\nrequire_store = ^true\n",
        "health.require_store: there is no shared store to require: store.url is missing",
        None,
    ),
    ("limits = ^5\n", "limits: expected a table, found 5", Some("write [limits]")),
    (
        "^[identity]\npreset = \"custom\"\n",
        "identity.headers: preset \"custom\" takes the names from [identity.headers]",
        None,
    ),
];

#[tokio::test]
async fn every_mistake_is_reported_at_its_place_with_what_to_write_instead() {
    for (marked, message, hint) in MISTAKES {
        let (config, line, column) = unmark(marked);
        let ended = with_files(&config).run(&["check"], None).await;
        let report = &ended.stderr;
        assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{marked}\n{report}");
        let place = format!("config.toml:{line}:{column}: {message}");
        assert!(report.contains(&place), "{place:?} is not in\n{report}");
        if let Some(hint) = hint {
            assert!(report.contains(&format!("= {hint}")), "{hint:?} is not in\n{report}");
        }
        let shown = config.lines().nth(line - 1).expect("the line exists");
        assert!(report.contains(&format!("{line} | {shown}")), "{shown:?} is not in\n{report}");
        let reports = report.matches("config.toml:").count();
        assert_eq!(reports, 1, "one mistake is reported once\n{report}");
    }
}

/// Takes the mark out and says where it stood. What is not about routes gets one.
fn unmark(marked: &str) -> (String, usize, usize) {
    let (before, after) = marked.split_once('^').expect("a mistake is marked");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let route = if marked.contains("[[route]]") { "" } else { ECHO };
    (format!("{before}{after}{route}"), line, column)
}

/// What is nowhere written has no place.
#[tokio::test]
async fn what_follows_from_nothing_written_is_reported_without_a_place() {
    let ended = check("").await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    let message = "config.toml: route: no route is configured";
    assert!(ended.stderr.contains(message), "{message:?} is not in\n{}", ended.stderr);
}

#[tokio::test]
async fn all_mistakes_are_reported_in_the_order_of_the_file() {
    let ended = check(
        "[limits]\nbrust = 5\n[auth]\nbcrypt_cost = 3\n[[route]]\nupstream = \"echo\"\npath = \"x\"\n",
    )
    .await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR);
    let places: Vec<&str> =
        ended.stderr.lines().filter(|line| line.contains("config.toml:")).collect();
    let starts = ["config.toml:2:1: ", "config.toml:4:15: ", "config.toml:7:8: "];
    assert_eq!(places.len(), starts.len(), "{places:?}");
    for (place, start) in places.iter().zip(starts) {
        assert!(place.contains(start), "{place}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_environment_is_reported_by_its_name() {
    for (name, value, message) in [
        ("PORTCULLIS_LIMITS__BRUST", "5", "did you mean `PORTCULLIS_LIMITS__BURST`?"),
        ("PORTCULLIS_LIMITS__BURST", "many", "expected a whole number"),
        ("JWT_EXPIRE_DURATION", "soon", "expected a duration"),
        ("MAX_LOGIN_ATTEMPTS", "0", "expected a whole number"),
        ("RATE_LIMIT_WINDOW_SECONDS", "5m", "expected a whole number"),
        ("ADMIN_PASSWORD", "short", "at least 8 characters"),
        ("SECRET_KEY", "short", "at least 32"),
        ("SECRET_KEY_PREVIOUS", "short", "at least 32"),
        ("SECRET_KEY_FILE", "no-such-file", "only one can be meant"),
        ("ADMIN_PASSWORD_FILE", "no-such-file", "cannot be read"),
        ("GITHUB_CLIENT_SECRET", "short", "github.client_id is missing"),
        ("GITHUB_CLIENT_SECRET_FILE", "no-such-file", "cannot be read"),
        ("STORE_PASSWORD", "short", "store.url is missing"),
        ("STORE_SENTINEL_PASSWORD", "short", "store.url is missing"),
        ("PORTCULLIS_STORE__URL", "redis://h:0", "expected a port"),
        ("PORTCULLIS_STORE__PREFIX", "p", "requires store.url"),
    ] {
        let ended = installation(ECHO).env(name, value).run(&["check"], None).await;
        assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{name}={value}\n{ended:?}");
        assert!(ended.stderr.contains(name), "{name} is not in\n{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{message:?} is not in\n{}", ended.stderr);
        let secret = name.starts_with("ADMIN") || name.starts_with("SECRET");
        assert!(!secret || !ended.stderr.contains("\"short\""), "a secret in\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_password_in_the_wrong_place_is_refused_and_never_shown() {
    for (config, message) in [
        ("[store]\nurl = \"redis://gate:hunter2@h\"\n", "a password does not belong here"),
        ("[store]\nurl = \"redis://:hunter2@h\"\n", "a password does not belong here"),
        ("[store]\nurl = \"redis://gate:a/hunter2@b@h/0\"\n", "a password does not belong here"),
        ("[store]\nurl = \"reddis://gate:hunter2@h\"\n", "expected a URL that begins"),
        ("[store]\nurl = \"gate:hunter2@h\"\n", "expected a URL that begins"),
        ("[store]\nurl = redis://gate:hunter2@h\n", "config.toml:2:"),
        ("[store]\nurl = [\"redis://gate:hunter2@h\"]\n", "expected a URL"),
        ("[store]\nurl = \"redis://hunter2@h\"\n", "there is no password for the user"),
        ("[store]\nurl = \"redis://h?password=hunter2\"\n", "without a query"),
        ("store = \"redis://gate:hunter2@h\"\n", "expected a table"),
        ("[store]\npassword = \"hunter2\"\n", "did you mean `password_file`?"),
        ("[auth]\nsecret_key = \"hunter2\"\n", "did you mean `secret_key_file`?"),
        ("[upstream.a]\nurl = \"http://gate:hunter2@h\"\n", "without user name and password"),
    ] {
        let ended = check(&format!("{config}{ECHO}")).await;
        assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{config}\n{ended:?}");
        assert!(ended.stderr.contains(message), "{message:?} is not in\n{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "a password in\n{}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
}

#[tokio::test]
async fn gateways_that_share_a_store_are_given_their_secret_key() {
    let config = format!("[store]\nurl = \"redis://h\"\n{ECHO}");
    let ended = Installation::new().file("config.toml", &config).run(&["check"], None).await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    let place = "config.toml:2:7: store.url: gateways that share a store need the same secret key";
    assert!(ended.stderr.contains(place), "{}", ended.stderr);
    assert!(ended.stderr.contains("portcullis secret generate"), "{}", ended.stderr);
    let ended = check(&config).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_good_configuration_passes_and_starts_nothing() {
    let installation = installation(&format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[limits]\nburst = 5\n{ECHO}"
    ))
    .env("PORTCULLIS_LIMITS__BURST", "6")
    .env("JWT_EXPIRE_DURATION", "30m");
    let ended = installation.run(&["check"], None).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    for made in ["data", "certs"] {
        assert!(!installation.path(made).exists(), "`check` made {made}");
    }
}

/// Was: the second could not be reached, and nobody was told.
#[tokio::test]
async fn two_of_the_gateways_own_apis_at_one_path_are_refused_by_name() {
    let links = "[links]\npublic_url = \"https://gate.example\"\nprefix = \"/api/auth/login\"\n";
    let ended = installation(&format!("{links}{ECHO}")).run(&["check"], None).await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    let place = "/api/auth/login: POST is an endpoint of status and of links";
    assert!(ended.stderr.contains(place), "{}", ended.stderr);
}

#[tokio::test]
async fn the_file_is_the_one_that_is_named() {
    let installation = installation("nonsense").file("other.toml", ECHO);
    let named = installation.run(&["check", "--config", "other.toml"], None).await;
    assert_eq!(named.status.code(), Some(0), "{named:?}");
    let unnamed = installation.run(&["check"], None).await;
    assert_eq!(unnamed.status.code(), CONFIGURATION_ERROR, "{unnamed:?}");
    let missing = installation.run(&["check", "--config", "missing.toml"], None).await;
    assert_eq!(missing.status.code(), CONFIGURATION_ERROR, "{missing:?}");
    assert!(missing.stderr.contains("missing.toml"), "{missing:?}");
}

/// The port is free before and after, and was never listened on: nothing of the
/// configuration is put to work when a part of it is wrong.
#[tokio::test]
async fn nothing_listens_under_a_broken_configuration() {
    let port = free_port();
    let listener = format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\n");
    let broken = installation(&format!("{listener}[limits]\nbrust = 5\n{ECHO}"));
    let ended = broken.run(&["run"], None).await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    assert!(ended.stderr.contains("did you mean `burst`?"), "{ended:?}");
    assert!(!ended.stdout.contains("listening"), "{ended:?}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!broken.path("data").exists(), "no store was opened");
}

/// Where nobody listens now.
pub fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}

/// What editors and shells leave at the ends of a file and of a value is no part of it.
#[tokio::test]
async fn marks_and_line_ends_are_no_part_of_a_file_or_a_secret() {
    let config = format!("\u{feff}[limits]\nburst = 5\n{ECHO}").replace('\n', "\r\n");
    let ended = check(&config).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("secret_key_line_end"), "{ended:?}");
    // Up to version 0.1 it was, so tokens from before are refused.
    let with_line_end = installation(ECHO).env("SECRET_KEY", &format!("{SECRET_KEY}\r\n"));
    let ended = with_line_end.run(&["check"], None).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let warned = "warning: environment variable SECRET_KEY: its line end or byte-order mark";
    assert!(ended.stdout.contains(warned), "{ended:?}");
    assert!(ended.stdout.contains("[secret_key_line_end]"), "{ended:?}");
    assert!(!ended.stdout.contains(SECRET_KEY), "{ended:?}");
    let password = "a password with a line end";
    let gateway = Gateway::builder()
        .config(ECHO)
        .env("ADMIN_PASSWORD", &format!("{password}\n"))
        .start()
        .await;
    Client::basic(&gateway, ADMIN, password).get("/").await.expect(200);
    Client::basic(&gateway, ADMIN, &format!("{password}\n")).get("/").await.expect(401);
}

#[tokio::test]
async fn a_listener_and_an_upstream_are_shown_in_full_however_they_are_written() {
    for (address, upstream) in [(":0", ":3000"), ("localhost:0", "localhost:3000"), ("0", "3000")] {
        let config = format!(
            "[[listener]]\naddress = \"{address}\"\n[[route]]\nupstream = \"{upstream}\"\n"
        );
        let ended = check(&config).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains("http://localhost:3000"), "{}", ended.stdout);
        let given = installation("").env("PORTCULLIS_LISTEN", address);
        let ended = given.run(&["check", "--to", upstream, "--listen", address], None).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains("http://localhost:3000"), "{}", ended.stdout);
    }
    // A declared name comes first.
    let config = "[upstream.3000]\nurl = \"echo\"\n[[route]]\nupstream = \"3000\"\n";
    let ended = check(config).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("localhost:3000"), "{}", ended.stdout);
}
