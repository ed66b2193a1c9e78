//! The OpenAPI documents: each as true as its contract is mounted here, at the
//! configured prefix and with the endpoints that are there.

use http::Method;
use serde_json::{Map, Value};

use super::body::to_json;
use super::{Contract, Endpoint, EndpointAccess, Operation, Verb};

/// Where a contract's document is, wherever the contract itself is mounted, for those
/// who may read it.
#[must_use]
pub fn endpoint(contract: Contract, readers: EndpointAccess) -> Option<Endpoint> {
    let served_at = contract.entry().document?.served_at;
    Some(Endpoint::new(Verb::Get, served_at, Operation::Describe).fixed().accessible_to(readers))
}

/// The document of a contract that is mounted at `prefix`, without what `is_there`
/// does not find.
///
/// # Panics
/// Never: a test reads every document that is compiled in.
#[must_use]
pub fn describe(
    contract: Contract,
    prefix: &str,
    is_there: impl Fn(&Method, &str) -> bool,
) -> Option<Vec<u8>> {
    let entry = contract.entry();
    let written = entry.document?;
    let mut document: Map<String, Value> =
        serde_json::from_str(written.text).expect("the documents are JSON objects");
    let mut present = Map::new();
    if let Some(Value::Object(paths)) = document.remove("paths") {
        for (path, methods) in paths {
            let path = match path.strip_prefix(entry.prefix) {
                Some(rest) => format!("{prefix}{rest}"),
                None => path,
            };
            let Value::Object(mut methods) = methods else { continue };
            methods.retain(|method, _| {
                method.to_uppercase().parse().is_ok_and(|method| is_there(&method, &path))
            });
            if !methods.is_empty() {
                present.insert(path, methods.into());
            }
        }
    }
    document.insert("paths".to_owned(), present.into());
    Some(to_json(&document))
}
