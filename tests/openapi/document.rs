//! An OpenAPI document, read as far as the tests need it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::Method;
use serde_json::{Map, Value};

use super::root;

pub const NAMES: [&str; 6] = ["form", "status", "envelope", "plain", "links", "admin"];

/// Where one signs in with `status` unless it is moved.
const LOGIN: &str = "/api/auth/login";

/// An id that nothing has.
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

pub struct Document {
    pub name: &'static str,
    pub json: Value,
}

/// One method of one path.
pub struct Operation<'a> {
    pub id: &'a str,
    pub method: Method,
    pub path: &'a str,
    json: &'a Value,
}

impl Document {
    pub fn load(name: &'static str) -> Self {
        let bytes = std::fs::read(Self::file(name)).expect("the document is there");
        Self { name, json: serde_json::from_slice(&bytes).expect("the document is JSON") }
    }

    pub fn file(name: &str) -> PathBuf {
        root().join("gateway/src/openapi").join(name).with_extension("json")
    }

    /// Configuration that serves this contract without those that share its paths. To
    /// sign in, `status` is always there, somewhere else if need be.
    pub fn alone(&self) -> String {
        let others = ["form", "envelope", "plain"].into_iter();
        let others = others.filter(|other| *other != self.name && self.name != "admin");
        let off = others.map(|other| format!("[dialect.{other}]\nenabled = false\n"));
        let moved = "[dialect.status]\nprefix = \"/elsewhere\"\n";
        let status = if self.login() == LOGIN { "" } else { moved };
        let links = "[links]\npublic_url = \"https://gate.example\"\n";
        let links = if self.name == "links" { links } else { "" };
        off.chain([status.to_owned(), links.to_owned()]).collect()
    }

    /// Where one signs in with `status` under that configuration.
    pub fn login(&self) -> &'static str {
        match self.name {
            "status" | "admin" => LOGIN,
            _ => "/elsewhere/auth/login",
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.json["paths"].get(path).is_some()
    }

    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.json["paths"].as_object().expect("a document has paths");
        paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("a path has methods");
            methods.iter().map(|(method, json)| {
                let id = json["operationId"].as_str().expect("an operation has an id");
                let method = method.to_uppercase().parse().expect("a method");
                Operation { id, method, path, json }
            })
        })
    }

    /// What a reference stands for.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(pointer) => {
                let target = self.json.pointer(pointer.trim_start_matches('#'));
                self.resolve(target.unwrap_or_else(|| panic!("{pointer} leads nowhere")))
            }
            None => value,
        }
    }

    /// The kinds of values a schema takes.
    pub fn types<'a>(&'a self, schema: &'a Value) -> BTreeSet<&'a str> {
        let schema = self.resolve(schema);
        let named: BTreeSet<&str> = match &schema["type"] {
            Value::String(name) => BTreeSet::from([name.as_str()]),
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => BTreeSet::new(),
        };
        let choices = schema["anyOf"].as_array().into_iter().flatten();
        choices.flat_map(|choice| self.types(choice)).chain(named).collect()
    }

    /// Whether a refusal has the shape and a code that the document names.
    pub fn check_refusal(&self, body: &Value) -> Result<(), String> {
        self.check(&self.json["components"]["schemas"]["Refusal"], body)
    }

    /// Covers what refusals are described with.
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = self.resolve(schema);
        if let Some(only) = schema.get("const") {
            return if value == only { Ok(()) } else { Err(format!("{value} for {only}")) };
        }
        if let Some(listed) = schema["enum"].as_array() {
            let known = listed.contains(value);
            return if known { Ok(()) } else { Err(format!("{value} is not listed")) };
        }
        if schema["type"] == "string" {
            let full = value.as_str().is_some_and(|text| !text.is_empty());
            return if full { Ok(()) } else { Err(format!("{value} for a text")) };
        }
        let members = schema["properties"].as_object().expect("refusals are objects of texts");
        let given = value.as_object().ok_or_else(|| format!("{value} for an object"))?;
        if !given.keys().eq(members.keys()) {
            return Err(format!("members {:?}", given.keys().collect::<Vec<_>>()));
        }
        members.iter().try_for_each(|(name, schema)| self.check(schema, &given[name]))
    }
}

impl<'a> Operation<'a> {
    /// Its path, with an id that nothing has.
    pub fn target(&self) -> String {
        let parts = self.path.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { NOBODY } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    /// The type and an example of the body it takes.
    pub fn example(&self) -> Option<(&'a str, &'a Map<String, Value>)> {
        let content = self.json["requestBody"]["content"].as_object()?;
        let (media_type, described) = content.iter().next().expect("a body has a type");
        let example = described["example"].as_object();
        Some((media_type, example.unwrap_or_else(|| panic!("{} has no example", self.id))))
    }

    pub fn needs_body(&self) -> bool {
        self.json["requestBody"]["required"] == true
    }

    /// What it takes.
    pub fn schema(&self, document: &'a Document) -> &'a Value {
        let (media_type, _) = self.example().expect("it takes a body");
        document.resolve(&self.json["requestBody"]["content"][media_type]["schema"])
    }

    pub fn is_public(&self) -> bool {
        self.json["security"].as_array().is_none_or(Vec::is_empty)
    }

    pub fn documents(&self, status: u16) -> bool {
        self.json["responses"].get(status.to_string()).is_some()
    }
}
