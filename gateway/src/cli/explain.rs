//! `portcullis explain`: a reason code's cause and remedy.

use std::process::ExitCode;

use crate::config::document::nearest;
use crate::pipeline::reason::explanations::{EXPLANATIONS, Explanation, find};

use super::output::{fail, say, table};
use super::{Format, Place};

pub(super) fn explain(place: &Place, code: Option<&str>) -> ExitCode {
    let json = place.format == Some(Format::Json);
    let Some(code) = code else {
        if json {
            let all: Vec<_> = EXPLANATIONS.iter().map(to_json).collect();
            return say(&format!("{:#}\n", serde_json::json!(all)));
        }
        let row = |known: &Explanation| vec![known.code.to_owned(), known.cause.to_owned()];
        return say(&table(&["CODE", "CAUSE"], EXPLANATIONS.iter().map(row).collect()));
    };
    let Some(known) = find(code) else {
        let hint = nearest(code, EXPLANATIONS.iter().map(|known| known.code));
        let hint = hint.unwrap_or_else(|| "`portcullis explain` lists them all".to_owned());
        return fail(2, &format!("there is no reason code {code:?}; {hint}"));
    };
    if json {
        return say(&format!("{:#}\n", to_json(known)));
    }
    say(&format!("{}\n\n  cause   {}\n  remedy  {}\n", known.code, known.cause, known.remedy))
}

fn to_json(known: &Explanation) -> serde_json::Value {
    serde_json::json!({ "code": known.code, "cause": known.cause, "remedy": known.remedy })
}
