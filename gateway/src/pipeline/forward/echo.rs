//! The built-in upstream: answers what an upstream would have been asked, so
//! that a first look needs no backend. On a WebSocket it returns every message.

pub mod socket;

use std::collections::BTreeMap;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;

use crate::pipeline::body::request::RequestBody;
use crate::pipeline::body::response::ResponseBody;
use crate::pipeline::reason::Rejection;

#[derive(Serialize)]
struct Echo<'a> {
    method: &'a str,
    path: &'a str,
    version: String,
    headers: BTreeMap<&'a str, Vec<String>>,
    body_bytes: u64,
}

/// Reads the body without keeping it and describes the request.
pub(super) async fn answer(
    parts: Parts,
    mut body: RequestBody,
    path: &str,
) -> Result<Response<ResponseBody>, Rejection> {
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        body_bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    let echo = Echo {
        method: parts.method.as_str(),
        path,
        version: format!("{:?}", parts.version),
        headers,
        body_bytes,
    };
    let mut text = serde_json::to_vec_pretty(&echo).expect("maps of text serialize");
    text.push(b'\n');
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = StatusCode::OK;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}
