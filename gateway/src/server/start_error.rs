//! Why the gateway does not start, and what helps.

use std::io;
use std::path::PathBuf;

use crate::auth::error::StoreError;
use crate::crypto::jwt::{MIN_SECRET_BYTES, SecretTooShort};
use crate::dialect::Ambiguous;
use crate::edge::certificates::CertificateError;
use crate::files::Fault;
use crate::store::embedded::OpenError;
use crate::store::shared;

use super::own_files;

/// Why the gateway does not run. Printed once, with its causes.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    SharedStore(#[from] shared::OpenError),
    #[error("the shared store: {reason}")]
    SharedStoreRoots { reason: String },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the secret key: {0}")]
    Secret(#[from] SecretTooShort),
    #[error(
        "{} holds no secret ({found}; at least {MIN_SECRET_BYTES} bytes are needed): restore it \
         from a backup, or remove it and the next start creates another, which ends every session",
        path.display()
    )]
    SecretFile { path: PathBuf, found: String },
    #[error(transparent)]
    File(#[from] Fault),
    #[error(
        "state exists in {}, the location of version 0.1, and not in {}, the present location\n      \
         = stop the gateway that uses it, then: {}\n      \
         = or leave it there: store.path = {former:?}\n      \
         = or start with an empty store, if it belongs to another gateway: store.path = {now:?}",
        former.display(), now.display(), own_files::moving(former, files, now)
    )]
    FormerStore { former: PathBuf, files: Vec<&'static str>, now: PathBuf },
    #[error(
        "the self-signed certificate is in {}, the location of version 0.1, and not in {}, \
         the present location; clients that trust it would have to be configured for another one\n      \
         = move it: {}\n      \
         = or name its files in tls.certificate and tls.key",
        former.display(), now.display(), own_files::moving(former, files, now)
    )]
    FormerCertificate { former: PathBuf, files: Vec<String>, now: PathBuf },
    #[error("upstream {name}: {reason}")]
    Upstream { name: String, reason: String },
    #[error("mail: {reason}")]
    Mail { reason: String },
    #[error("github: {reason}")]
    GitHub { reason: String },
    #[error("console.{key}: {}: {reason}", path.display())]
    ConsoleFile { key: &'static str, path: PathBuf, reason: String },
    #[error("cannot listen on {address}: {source}{}", listen_remedy(source))]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error("the listener on {address} has failed")]
    ListenerLost { address: std::net::SocketAddr },
    #[error("the dialects' paths: {0}")]
    Dialects(#[from] Ambiguous),
    #[error(
        "route {id}: the gateway serves {path} itself, so requests for it never reach a route; \
         remove the route, or disable or move the endpoint ([health], [admin], [dialect.*])"
    )]
    RouteOfOurs { id: String, path: String },
    #[error("the account admin could not be made: {0}")]
    Admin(StoreError),
    #[error(transparent)]
    Archive(#[from] StoreError),
    #[error("{0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// Whether another process has the store.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, StartError::Store(OpenError::InUse { .. }))
    }

    /// Whether another start would fail in the same way until somebody changes something, as
    /// `check` tells. What depends on other processes, disks and servers is not.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            StartError::Secret(_)
            | StartError::SecretFile { .. }
            | StartError::FormerStore { .. }
            | StartError::FormerCertificate { .. }
            | StartError::Upstream { .. }
            | StartError::Mail { .. }
            | StartError::GitHub { .. }
            | StartError::ConsoleFile { .. }
            | StartError::Dialects(_)
            | StartError::RouteOfOurs { .. } => true,
            StartError::File(fault) => !matches!(fault, Fault::Io { .. } | Fault::InUse { .. }),
            // A pair may come to lie there yet.
            StartError::Certificate(error) => !error.is_missing(),
            StartError::Store(_)
            | StartError::SharedStore(_)
            | StartError::SharedStoreRoots { .. }
            | StartError::Listen { .. }
            | StartError::ListenerLost { .. }
            | StartError::Admin(_)
            | StartError::Archive(_)
            | StartError::System(_) => false,
        }
    }
}

fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process listens there (`ss -ltnp` shows which): stop it, or listen elsewhere \
             (`--listen`, [[listener]])"
        }
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs the capability CAP_NET_BIND_SERVICE (deploy/README.md), or \
             listen on another, such as 8443"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has this address; [::] stands for all of them"
        }
        _ => "",
    }
}
