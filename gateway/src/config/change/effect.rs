//! When a changed key can take effect: decided by where its value is kept, once for each
//! key of the schema.
//!
//! A row destructures the struct that describes its table: a key in no list, or in two, does
//! not compile. That the lists are true is tested beside what is built from them
//! (`server/assemble`).

use crate::config::schema::{Root, accounts, connections, limits, store, traffic};

/// What a changed setting needs before it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesEffect {
    /// A new generation of the configuration ([`crate::pipeline::site`]). The process, its
    /// connections and its state stay.
    OnReload,
    /// A new process: the value is in something that is made once when the gateway starts.
    OnRestart,
}

impl TakesEffect {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TakesEffect::OnReload => "reload",
            TakesEffect::OnRestart => "restart",
        }
    }
}

/// Of a key by its table (`limits`, `route[].cors`; empty for the root) and its name. `None`
/// for a table in which every key says it for itself, and for what is no key.
#[must_use]
pub fn takes_effect(table: &str, key: &str) -> Option<TakesEffect> {
    let row = ROWS.iter().find(|row| row.tables.contains(&table))?;
    let effects =
        [(row.on_reload, TakesEffect::OnReload), (row.on_restart, TakesEffect::OnRestart)];
    effects.into_iter().find(|(keys, _)| keys.contains(&key)).map(|(_, effect)| effect)
}

/// The keys of one struct of the schema, which can describe several tables.
struct Row {
    tables: &'static [&'static str],
    on_reload: &'static [&'static str],
    on_restart: &'static [&'static str],
}

macro_rules! rows {
    ($($($table:literal),+ => $described:path {
        on_reload: [$($reload:ident),* $(,)?],
        on_restart: [$($restart:ident),* $(,)?],
        tables: [$($inner:ident),* $(,)?],
    })+) => {
        $(
            const _: fn(&$described) = |described| {
                let $described { $($reload: _,)* $($restart: _,)* $($inner: _,)* } = described;
            };
        )+
        const ROWS: &[Row] = &[$(
            Row {
                tables: &[$($table),+],
                on_reload: &[$(stringify!($reload)),*],
                on_restart: &[$(stringify!($restart)),*],
            }
        ),+];
    };
}

rows! {
    // What stands in place of a table, or is one of several under a name.
    "" => Root {
        on_reload: [upstream, route],
        // A socket is bound once, and a task accepts on it to the end.
        on_restart: [listener],
        tables: [
            tls, store, auth, dialect, openapi, github, links, mail, admin, console, health,
            limits, timeouts, client, cors, identity, log,
        ],
    }
    "listener[]" => connections::Listener {
        on_reload: [],
        on_restart: [address, tls, proxy_protocol],
        tables: [],
    }
    "tls" => connections::Tls {
        on_reload: [certificate, key, hsts, hsts_subdomains, sni_must_match_host],
        on_restart: [],
        tables: [],
    }
    // The engine is opened once, and with it the directory, its lock and the admin socket.
    "store" => store::Store {
        on_reload: [],
        on_restart: [
            path, url, password_file, sentinel_password_file, roots, prefix, durability,
            replicas, timeout,
        ],
        tables: [],
    }
    // The core's policy, its signer and its pool of hashing threads. What a 401 asks for is
    // the generation's.
    "auth" => accounts::Auth {
        on_reload: [realm],
        on_restart: [
            secret_key_file, previous_secret_key_file, issuer, audience, refresh_ttl,
            refresh_grace, ticket_ttl, registration, local_accounts, bcrypt_cost, hash_threads,
            hash_queue,
        ],
        tables: [],
    }
    "dialect" => accounts::Dialects {
        on_reload: [],
        on_restart: [],
        tables: [form, status, envelope, plain],
    }
    // No access token lives longer than `auth.refresh_ttl`, which the store was opened with.
    "dialect.form" => accounts::Form {
        on_reload: [enabled, prefix, access_ttl, require_special, delivery],
        on_restart: [],
        tables: [],
    }
    "dialect.status" => accounts::Status {
        on_reload: [enabled, prefix, access_ttl, require_special, delivery, rotate_refresh],
        on_restart: [],
        tables: [],
    }
    "dialect.envelope" => accounts::Envelope {
        on_reload: [enabled, prefix, access_ttl, require_special, delivery],
        on_restart: [],
        tables: [],
    }
    "dialect.plain" => accounts::Plain {
        on_reload: [
            enabled, prefix, access_ttl, require_special, delivery, keys, reveal_unknown_user,
        ],
        on_restart: [],
        tables: [],
    }
    "openapi" => accounts::OpenApi {
        on_reload: [public],
        on_restart: [],
        tables: [],
    }
    // The core holds the identity provider; where browsers come back to is the generation's.
    "github" => accounts::GitHub {
        on_reload: [public_url],
        on_restart: [
            client_id, client_secret_file, base_url, api_url, roots, organizations, teams,
            timeout,
        ],
        tables: [],
    }
    // Of the core's policy as well as of the paths.
    "links" => accounts::Links {
        on_reload: [],
        on_restart: [public_url, prefix, ttl],
        tables: [],
    }
    // The queue of mail is a task of its own.
    "mail" => accounts::Mail {
        on_reload: [],
        on_restart: [url, from, password_file, roots],
        tables: [],
    }
    // The core renews access tokens, and the store remembers for as long as a session can live.
    "console" => accounts::Console {
        on_reload: [enabled, prefix, session_idle, server_creation, texts, logo, style],
        on_restart: [session_absolute, access_ttl],
        tables: [],
    }
    "admin" => accounts::Admin {
        on_reload: [enabled, prefix, networks],
        on_restart: [],
        tables: [],
    }
    // Housekeeping holds the path of the file.
    "health" => connections::Health {
        on_reload: [enabled, require_store],
        on_restart: [advisory_file],
        tables: [],
    }
    // On a restart: the store's and the core's.
    "limits" => limits::Limits {
        on_reload: [
            wait, requests_per_address, head_size, header_count, uri_size, body_size, h2_streams,
            h2_resets, agents_unauthenticated, agents_unauthenticated_per_address,
            streams_per_account, agents_per_server, agents_per_key, agents_per_owner, connections,
            connections_per_address, requests_per_second, burst, max_login_attempts, count,
            user_attempts, user_pause,
        ],
        on_restart: [
            login_window, registrations, sessions_per_account, keys_per_account,
        ],
        tables: [],
    }
    // How the process ends is settled as it begins.
    "timeouts" => limits::Timeouts {
        on_reload: [
            tls_handshake, request_head, idle, body_progress, body_progress_authenticated,
            write_progress, agent_message, agent_ping, tunnel_idle,
        ],
        on_restart: [drain_delay, drain],
        tables: [],
    }
    "client" => connections::Client {
        on_reload: [trusted_proxies, forwarded, believe, origins],
        on_restart: [],
        tables: [],
    }
    "cors", "route[].cors" => connections::Cors {
        on_reload: [origins, methods, fields, expose, max_age, credentials],
        on_restart: [],
        tables: [],
    }
    "identity" => traffic::Identity {
        on_reload: [preset, allow, remove, unverified_email],
        on_restart: [],
        tables: [headers],
    }
    "identity.headers" => traffic::IdentityHeaders {
        on_reload: [
            user_id, username, email, roles, workspace, workspace_role, scheme, key_id, scopes,
            server_id,
        ],
        on_restart: [],
        tables: [],
    }
    // The log's thread and its filter are there before anything else.
    "log" => connections::Log {
        on_reload: [],
        on_restart: [format, level],
        tables: [levels],
    }
    "log.levels" => connections::Levels {
        on_reload: [],
        on_restart: [
            auth, cli, edge, pipeline, server, socket, store, h2, hyper, redb, rustls, tokio,
        ],
        tables: [],
    }
    "upstream.*" => traffic::Upstream {
        on_reload: [
            url, protocol, host, roots, connect_timeout, idle_timeout, max_connections,
            max_connections_per_account, field_names,
        ],
        on_restart: [],
        tables: [],
    }
    "route[]" => traffic::Route {
        on_reload: [
            id, host, path, exact, methods, upstream, public, roles, scopes, keys, body_size,
            timeout, schemes, challenge, sign_in, forward_credential, ws_token, agents, upgrades,
            origins, paths, cors, rate,
        ],
        on_restart: [],
        tables: [],
    }
    "route[].rate" => traffic::Rate {
        on_reload: [requests_per_second, burst],
        on_restart: [],
        tables: [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::record::Takes;
    use crate::config::schema::keys;

    #[test]
    fn every_key_that_readers_ask_for_is_in_one_list() {
        for key in keys() {
            let is_table = key.takes == [Takes::Table];
            let effect = takes_effect(&key.table, key.name);
            assert_eq!(effect.is_none(), is_table, "{}", key.path());
        }
    }

    #[test]
    fn no_list_is_of_a_table_that_is_not_read() {
        let keys = keys();
        let tables: Vec<&str> = ROWS.iter().flat_map(|row| row.tables).copied().collect();
        for (index, table) in tables.iter().enumerate() {
            assert!(keys.iter().any(|key| key.table == *table), "{table}");
            assert!(!tables[..index].contains(table), "{table} is in two rows");
        }
        assert_eq!(takes_effect("limits", "no_such_key"), None);
        assert_eq!(takes_effect("no_such_table", "burst"), None);
    }
}
