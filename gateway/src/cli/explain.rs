//! `portcullis explain`: cause and remedy of a reason code or of a warning.

use std::process::ExitCode;

use crate::config::document::nearest;
use crate::config::warning::KINDS;
use crate::pipeline::reason::explanations::{EXPLANATIONS, Explanation, normalize};

use super::output::{fail, say, table};
use super::{Format, Place};

/// The reasons of the log, then the warnings.
fn known() -> impl Iterator<Item = Explanation> {
    let warnings = KINDS.iter().map(|kind| Explanation {
        code: kind.code,
        cause: kind.cause,
        remedy: kind.remedy,
    });
    EXPLANATIONS.iter().copied().chain(warnings)
}

pub(super) fn explain(place: &Place, code: Option<&str>) -> ExitCode {
    let json = place.format == Some(Format::Json);
    let Some(code) = code else {
        if json {
            let all: Vec<_> = known().map(|known| to_json(&known)).collect();
            return say(&format!("{:#}\n", serde_json::json!(all)));
        }
        let row = |known: Explanation| vec![known.code.to_owned(), known.cause.to_owned()];
        return say(&table(&["CODE", "CAUSE"], known().map(row).collect()));
    };
    let wanted = normalize(code);
    let Some(known) = known().find(|known| known.code == wanted) else {
        let hint = nearest(code, known().map(|known| known.code));
        let hint = hint.unwrap_or_else(|| "`portcullis explain` lists them all".to_owned());
        return fail(2, &format!("there is no code {code:?}; {hint}"));
    };
    if json {
        return say(&format!("{:#}\n", to_json(&known)));
    }
    say(&format!("{}\n\n  cause   {}\n  remedy  {}\n", known.code, known.cause, known.remedy))
}

fn to_json(known: &Explanation) -> serde_json::Value {
    serde_json::json!({ "code": known.code, "cause": known.cause, "remedy": known.remedy })
}
