//! Bodies as contracts send them: one JSON object, or one form. The documented members
//! must be there once and of their types; further ones are ignored.

pub mod fields;
mod members;

use std::collections::HashMap;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::auth::secret::Secret;
use crate::contract::shared_path::Media;

use super::{ClientError, Command, DecodeError, Input};

pub(crate) use members::{Given, Members};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// What a body must be, in words for the client.
const NOT_AN_OBJECT: &str = "The body must be a JSON object";
const NOT_UTF8: &str = "The body must be a form in UTF-8";
const NO_BODY: &str = "This request takes no body";

/// The media type of a `Content-Type`, without its parameters (RFC 9110 8.3.1).
#[must_use]
pub fn media_type(content_type: Option<&str>) -> Option<&str> {
    content_type.and_then(|value| value.split(';').next()).map(str::trim)
}

#[must_use]
pub fn is_json(content_type: Option<&str>) -> bool {
    media_type(content_type).is_some_and(|name| name.eq_ignore_ascii_case(JSON))
}

#[must_use]
pub fn is_form(content_type: Option<&str>) -> bool {
    media_type(content_type).is_some_and(|name| name.eq_ignore_ascii_case(FORM))
}

/// As what a body is announced, for telling contracts apart.
#[must_use]
pub fn media(content_type: Option<&str>) -> Media {
    match content_type {
        written if is_form(written) => Media::Form,
        written if is_json(written) => Media::Json,
        _ => Media::Other,
    }
}

/// What is wrong with a body, without repeating any of it.
fn describe(error: &serde_json::Error) -> DecodeError {
    use serde_json::error::Category;
    DecodeError::Malformed(match error.classify() {
        Category::Syntax | Category::Io => {
            format!("The body is not valid JSON (line {}, column {})", error.line(), error.column())
        }
        Category::Eof => "The body ends before its JSON does".to_owned(),
        Category::Data => NOT_AN_OBJECT.to_owned(),
    })
}

/// The member names of an object, for telling contracts apart; none when it is none.
#[must_use]
pub fn members(body: &[u8]) -> Vec<String> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Vec::new();
    }
    #[expect(clippy::zero_sized_map_values, reason = "only a map reads an object")]
    let members = serde_json::from_slice::<HashMap<String, IgnoredAny>>(body);
    members.map(|members| members.into_keys().collect()).unwrap_or_default()
}

/// Reads a sign-in by a JSON body; contracts differ in what they call the `name`.
pub(super) fn read_login(input: &Input<'_>, name: &'static str) -> Result<Command, DecodeError> {
    let mut body = Members::read(input.content_type, input.body)?;
    let (name, password) = (body.text(name)?, body.text("password")?);
    Ok(Command::Login { name, password: Secret::new(password) })
}

/// Reads what refreshes a session: a browser's cookie, or the `member` of a JSON body.
pub(super) fn read_refresh(
    input: &Input<'_>,
    member: &'static str,
) -> Result<Command, DecodeError> {
    if let Some(token) = input.refresh_cookie {
        return Ok(Command::Refresh { token: token.into() });
    }
    let token = Members::read(input.content_type, input.body)?.text(member)?;
    Ok(Command::Refresh { token: Secret::new(token) })
}

/// Reads a form's `wanted` fields, each exactly once; others may be there.
///
/// # Errors
/// When it is announced as something else, is not UTF-8, or lacks a field or has it twice.
pub fn form<const N: usize>(
    content_type: Option<&str>,
    body: &[u8],
    wanted: [&'static str; N],
) -> Result<[String; N], DecodeError> {
    if !is_form(content_type) {
        return Err(DecodeError::MediaType);
    }
    // Percent-decoding replaces what is not UTF-8; a password must not change so.
    if !percent_decoded_is_text(body) {
        return Err(DecodeError::Malformed(NOT_UTF8.to_owned()));
    }
    let problem = |name, problem| DecodeError::Malformed(format!("The field \"{name}\" {problem}"));
    let mut found: [Option<String>; N] = [const { None }; N];
    for (name, value) in form_urlencoded::parse(body) {
        match wanted.iter().position(|wanted| *wanted == name) {
            Some(index) if found[index].is_none() => found[index] = Some(value.into_owned()),
            Some(index) => return Err(problem(wanted[index], "is there more than once")),
            None => {}
        }
    }
    if let Some(index) = found.iter().position(Option::is_none) {
        return Err(problem(wanted[index], "is missing"));
    }
    Ok(found.map(Option::unwrap_or_default))
}

fn percent_decoded_is_text(body: &[u8]) -> bool {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// A request whose meaning needs no body has none, or an empty object.
///
/// # Errors
/// When there is one.
pub fn none(body: &[u8]) -> Result<(), DecodeError> {
    match body.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => Err(DecodeError::Malformed(NO_BODY.to_owned())),
    }
}

#[derive(Serialize)]
struct CodedRefusal<'a> {
    error: CodeAndMessage<'a>,
}

#[derive(Serialize)]
struct CodeAndMessage<'a> {
    code: &'static str,
    message: &'a str,
}

/// The body of a refusal where no contract says how it looks.
#[must_use]
pub fn coded_refusal(error: &ClientError<'_>) -> Vec<u8> {
    let ClientError { code, message, .. } = *error;
    to_json(&CodedRefusal { error: CodeAndMessage { code, message } })
}

/// # Panics
/// Never: what is answered is plain text, numbers and lists of them.
#[must_use]
pub fn to_json(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("answers of plain text serialize")
}

#[cfg(test)]
mod tests;
