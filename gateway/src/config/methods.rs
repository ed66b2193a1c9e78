//! `methods`: of a route, and of a policy for pages of other origins.

use http::Method;

use crate::canonical::method;

use super::document::Section;

/// Methods that a request can have: others never come as far as a route.
pub(super) fn read_methods(section: &Section<'_>) -> Vec<Method> {
    let mut methods = Vec::new();
    let found = section.texts("methods", "a method like \"GET\"");
    if section.is_empty_list("methods") {
        let help = "leave it out for every method";
        section.note(section.given_at("methods"), "methods", "names no method", help);
    }
    for found in found {
        let fits = method::is_well_formed(&found.value);
        match Method::from_bytes(found.value.as_bytes()) {
            Ok(method) if [Method::TRACE, Method::CONNECT].contains(&method) => {
                let message = format!("{method} is refused before any route");
                let help = "leave it out";
                section.note(found.origin, "methods", message, help);
            }
            Ok(method) if fits => methods.push(method),
            _ => {
                let message = format!("expected a method like \"GET\", found {:?}", found.value);
                let help = "write one like \"GET\"";
                section.note(found.origin, "methods", message, help);
            }
        }
    }
    methods
}
