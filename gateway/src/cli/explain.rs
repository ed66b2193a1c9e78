//! `portcullis explain`: cause and remedy of a reason code, of a warning, of all that have
//! one status, or of what became of one request.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::value::nearest;
use crate::config::warning::KINDS;
use crate::pipeline::reason::Reason;
use crate::pipeline::reason::examples::examples;
use crate::pipeline::reason::explanations::{EXPLANATIONS, Explanation, normalize, renamed};
use crate::socket::{self, Answer, Question};

use super::configuration::looked_in;
use super::desk::{no_answer, prepare};
use super::input::next_line;
use super::named::is_credential;
use super::output::{complain, fail, say, table};
use super::{Format, Place};

/// Of a log's line; a path alone may have 64 KiB.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// The reasons of the log, then the warnings.
fn known() -> impl Iterator<Item = Explanation> {
    let warnings = KINDS.iter().map(|kind| Explanation {
        code: kind.code,
        cause: kind.cause,
        remedy: kind.remedy,
    });
    EXPLANATIONS.iter().copied().chain(warnings)
}

pub(super) fn explain(place: &Place, what: Option<&str>) -> ExitCode {
    let json = place.format == Some(Format::Json);
    let Some(what) = what.map(str::trim) else { return list(json, known().collect()) };
    // As a line of the text log has it.
    let what = what.strip_prefix("id=").unwrap_or(what);
    if what.len() == 3
        && let Ok(status) = what.parse()
    {
        return explain_status(json, status);
    }
    if uuid::Uuid::try_parse(what).is_ok() {
        return explain_request(place, &what.to_ascii_lowercase());
    }
    let Some(known) = find(what) else {
        // As a body of the API names it.
        let codes = codes_of(|reason| reason.row().code == what);
        if !codes.is_empty() {
            return explain_each(json, &codes, &format!("with the code {what}"));
        }
        if is_credential(what) {
            return fail(2, "this is the text of a credential; expected a code, a status or an id");
        }
        let hint = nearest(what, known().map(|known| known.code));
        let hint = hint.unwrap_or_else(|| "`portcullis explain` lists them all".to_owned());
        return fail(2, &format!("there is no code {what:?}; {hint}"));
    };
    let former = normalize(what);
    let is_renamed = renamed(&former).is_some();
    if json {
        let mut shown = to_json(&known);
        if is_renamed {
            shown["renamed_from"] = former.into();
        }
        return say(&format!("{shown:#}\n"));
    }
    let note = if is_renamed {
        format!("{former} was renamed to {}\n\n", known.code)
    } else {
        String::new()
    };
    say(&format!("{note}{}", in_words(&known)))
}

/// By a code of an earlier version too.
fn find(code: &str) -> Option<Explanation> {
    let wanted = normalize(code);
    let wanted = renamed(&wanted).unwrap_or(&wanted);
    known().find(|known| known.code == wanted)
}

fn in_words(known: &Explanation) -> String {
    format!("{}\n\n  cause   {}\n  remedy  {}\n", known.code, known.cause, known.remedy)
}

fn to_json(known: &Explanation) -> Value {
    json!({ "code": known.code, "cause": known.cause, "remedy": known.remedy })
}

fn list(as_json: bool, codes: Vec<Explanation>) -> ExitCode {
    if as_json {
        let all: Vec<_> = codes.iter().map(to_json).collect();
        return say(&format!("{:#}\n", json!(all)));
    }
    let row = |known: Explanation| vec![known.code.to_owned(), known.cause.to_owned()];
    say(&table(&["CODE", "CAUSE"], codes.into_iter().map(row).collect()))
}

/// All that is answered so. A code that stands beside several statuses is listed for each.
fn explain_status(as_json: bool, status: u16) -> ExitCode {
    let mut codes = codes_of(|reason| reason.row().status.as_u16() == status);
    if status == 499 {
        codes.push("client_left");
    }
    if codes.is_empty() {
        return fail(2, &not_a_refusal(status));
    }
    explain_each(as_json, &codes, &format!("with {status}"))
}

fn codes_of(is_so: impl Fn(&Reason) -> bool) -> Vec<&'static str> {
    examples().iter().filter(|reason| is_so(reason)).map(Reason::code).collect()
}

fn explain_each(as_json: bool, codes: &[&str], how: &str) -> ExitCode {
    let explanations: Vec<Explanation> =
        known().filter(|known| codes.contains(&known.code)).collect();
    if as_json {
        return list(true, explanations);
    }
    complain(&format!(
        "Why the gateway answers {how}; `reason` in the log line of the request says which it was. \
         Where that is `ok`, the upstream has answered so.\n"
    ));
    say(&explanations.iter().map(in_words).collect::<Vec<_>>().join("\n"))
}

fn not_a_refusal(status: u16) -> String {
    match status {
        100..=399 => format!(
            "{status} is no refusal: the upstream has answered so, or the gateway for a path of \
             its own"
        ),
        400..=599 => format!(
            "the gateway itself answers nothing with {status}: it came from the upstream, whose \
             log tells why (`decision` is `allowed` or `public` in the gateway's)"
        ),
        _ => format!("there is no status {status}: HTTP has 100 to 599"),
    }
}

/// By the gateway, which remembers the last ones, or by the log on standard input.
fn explain_request(place: &Place, id: &str) -> ExitCode {
    let unknown = match ask_gateway(place, id) {
        Ok(Some(record)) => return show(place, &record),
        Ok(None) => "the gateway does not remember this request: it keeps the last that were \
                     refused or broke off"
            .to_owned(),
        Err(reason) => reason,
    };
    let input = io::stdin();
    if input.is_terminal() {
        let hint = format!("its log may: `portcullis explain {id} < LOG`");
        return fail(1, &format!("{unknown}; {hint}"));
    }
    if !is_file(&input) {
        complain(&format!("{unknown}; standard input is read for a line of it"));
    }
    match search(input.lock(), id) {
        Ok(Some(record)) => show(place, &record),
        Ok(None) => fail(1, &format!("{unknown}; no line of standard input has this id either")),
        Err(error) => fail(1, &format!("standard input cannot be read: {error}")),
    }
}

/// What is no file may have no end.
fn is_file(input: &io::Stdin) -> bool {
    let found = rustix::fs::fstat(input);
    found.is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_file())
}

fn ask_gateway(place: &Place, id: &str) -> Result<Option<Value>, String> {
    // What is wrong with a configuration is told to people: the answer may come from a log.
    let quiet = Place { config: place.config.clone(), format: None };
    let Ok((config, runtime)) = prepare(&quiet) else {
        return Err("no gateway was asked".to_owned());
    };
    let question = Question::Request { id: id.to_owned() };
    match runtime.block_on(socket::ask(&config.store.directory, &question)) {
        Ok(Some(Answer::Request(record))) => Ok(record),
        Ok(Some(Answer::Failed(failed))) => Err(failed.reason),
        Ok(Some(_)) => Err("unexpected answer".to_owned()),
        Ok(None) => Err(format!("no gateway is running; {}", looked_in(place, &config))),
        Err(error) => Err(no_answer(&error)),
    }
}

/// The line of a request in a log: as JSON, or as text, which names its reason by a word.
fn search(mut log: impl BufRead, id: &str) -> io::Result<Option<Value>> {
    let (mut found, named) = (None, format!("id={id}"));
    while let Some(line) = next_line(&mut log, MAX_LINE_BYTES)? {
        let line = String::from_utf8_lossy(&line);
        if !line.contains(id) {
            continue;
        }
        match serde_json::from_str::<Value>(&line) {
            Ok(record) if record["request_id"] != id => {}
            // An audit line of the same request says less of it.
            Ok(record) if record["type"] == "access" => return Ok(Some(record)),
            Ok(record) if record["type"] == "audit" => found = Some(record),
            // The last words of a text line are the gateway's own; a client has the first ones.
            Err(_) if line.split_whitespace().any(|word| word == named) => {
                let reason = line.split_whitespace().rev().find_map(|word| {
                    let code = word.strip_prefix("reason=").unwrap_or(word);
                    let code = renamed(code).unwrap_or(code);
                    EXPLANATIONS.iter().find(|known| known.code == code)
                });
                if let Some(reason) = reason {
                    found = Some(json!({ "line": line.trim(), "reason": reason.code }));
                }
            }
            // An event inside the request has no reason.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(found)
}

fn show(place: &Place, record: &Value) -> ExitCode {
    let explanation = record["reason"].as_str().and_then(find);
    if place.format == Some(Format::Json) {
        let explanation = explanation.as_ref().map(to_json);
        return say(&format!("{:#}\n", json!({ "request": record, "explanation": explanation })));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let members = record.as_object().into_iter().flatten();
    let rows = members.map(|(name, value)| vec![name.clone(), text(value)]).collect();
    let explanation = explanation.map(|known| in_words(&known)).unwrap_or_default();
    say(&format!("{}\n{explanation}", table(&["NAME", "VALUE"], rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019365a0-0000-7000-8000-000000000001";

    #[test]
    fn a_request_is_found_in_a_log_of_either_form() {
        let access = format!(r#"{{"type":"access","request_id":"{ID}","reason":"role_missing"}}"#);
        let audit = format!(r#"{{"type":"audit","request_id":"{ID}","reason":"ok"}}"#);
        let event = format!(r#"{{"level":"warn","message":"x","request_id":"{ID}"}}"#);
        let other = r#"{"type":"access","request_id":"other","reason":"ok"}"#;
        let path = format!(r#"{{"type":"access","path":"/{ID}","request_id":"x","reason":"ok"}}"#);
        let text = format!("12:00 warn GET 403 /x ann role_missing 1ms 127.0.0.1 id={ID}");
        let reason = |log: &[&str]| {
            let found = search(log.join("\n").as_bytes(), ID).unwrap();
            found.map(|record| record["reason"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(reason(&[other, &audit, &access]).as_deref(), Some("role_missing"));
        assert_eq!(reason(&[&access, &audit]).as_deref(), Some("role_missing"));
        assert_eq!(reason(&[&audit]).as_deref(), Some("ok"));
        assert_eq!(reason(&[&access, &event]).as_deref(), Some("role_missing"));
        assert_eq!(reason(&[&event]), None);
        assert_eq!(reason(&[other, &text]).as_deref(), Some("role_missing"));
        let forged =
            format!("12:00 warn ok 400 /x?role_missing ok method_malformed 1ms ::1 id={ID}");
        assert_eq!(reason(&[&forged]).as_deref(), Some("method_malformed"));
        let former = format!("12:00 warn POST 503 /api/logout ann held_not_stored 1ms ::1 id={ID}");
        assert_eq!(reason(&[&former]).as_deref(), Some("revocation_not_stored"));
        let in_path = format!("12:00 info GET 200 /{ID} ann ok 1ms ::1 id=other");
        assert_eq!(reason(&[other, "", &in_path]), None);
        assert_eq!(search(&b"\xff\xfe\n"[..], ID).unwrap(), None);
        assert!(search(path.as_bytes(), ID).unwrap().is_none(), "a path is no id");
    }
}
