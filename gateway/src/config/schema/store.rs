//! `[store]`.

use schemars::JsonSchema;

use super::values::Length;

/// Where accounts, sessions and keys are kept.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Store {
    /// Directory of the store file, the secret key and the admin socket, with mode 0700. Its path with `/admin.sock`
    /// must not be longer than 107 bytes.
    #[schemars(extend("x-default" = "`data` beside the file, see [Location of state](#location-of-state)"))]
    #[schemars(extend("examples" = ["/var/lib/portcullis"]))]
    pub path: String,
    /// URL of a Redis or Valkey that several gateways share, see [`store.url`](#storeurl). Without it the store is a
    /// file in `path`.
    #[schemars(extend("examples" = ["redis://gate@redis.internal:6379/0", "rediss+sentinel://h1,h2,h3/mymaster"]))]
    pub url: String,
    /// File with the password of the shared store's user; same as `STORE_PASSWORD_FILE`.
    #[schemars(extend("examples" = ["/run/secrets/redis"]))]
    pub password_file: String,
    /// File with the password of the sentinels; same as `STORE_SENTINEL_PASSWORD_FILE`.
    pub sentinel_password_file: String,
    /// PEM file of the certificate authorities that a store with TLS is verified against, or of the store's own
    /// certificate.
    #[schemars(extend("x-default" = "the system's", "examples" = ["redis-ca.pem"]))]
    pub roots: String,
    /// Prefix of the store's keys, which is written in braces: 1 to 64 letters, digits and `-_.:`.
    pub prefix: String,
    /// Where a change is stored before it is acknowledged: `"fsync"`, on the primary's disk; `"replicated"`, on as
    /// many replicas as `replicas` says; `"fast"`, in the primary's memory.
    pub durability: String,
    /// Number of replicas that `"replicated"` waits for.
    pub replicas: u64,
    /// Round-trip timeout of one command.
    pub timeout: Length,
}
