//! What was found, and the forms it can be written in.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

/// Why a statement was not seen to hold.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It does not: what was expected and what was found.
    Differs(String),
    /// It is not tried, and why.
    Untried(String),
    /// It is not tried, for what the operator has provided for it is of no use.
    Unfit(String),
}

const NOT_TRIED: &str = "not tried";

impl Fault {
    /// What it says, whichever it is.
    pub fn into_words(self) -> String {
        match self {
            Self::Differs(text) | Self::Untried(text) | Self::Unfit(text) => text,
        }
    }
}

pub type Check = Result<(), Fault>;

/// The statement does not hold.
pub fn differs<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Differs(text.into()))
}

/// The statement cannot be judged here.
pub fn untried<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Untried(why.into()))
}

/// The statement cannot be judged by what was provided for it.
pub fn unfit<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unfit(why.into()))
}

/// `text` is only put together when the statement fails.
pub fn ensure(holds: bool, text: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { differs(text()) }
}

/// One statement and what came of it.
#[derive(Debug)]
pub struct Verdict {
    pub id: &'static str,
    /// What it says, in few words.
    pub says: &'static str,
    pub outcome: Check,
    pub took: Duration,
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self.outcome {
            Ok(()) => "ok",
            Err(Fault::Differs(_)) => "FAIL",
            Err(Fault::Untried(_) | Fault::Unfit(_)) => NOT_TRIED,
        }
    }

    fn detail(&self) -> Option<&str> {
        match &self.outcome {
            Ok(()) => None,
            Err(Fault::Differs(text) | Fault::Untried(text) | Fault::Unfit(text)) => Some(text),
        }
    }

    /// `S1-08 ok   the answer of a login`
    #[must_use]
    pub fn line(&self) -> String {
        match self.detail() {
            None => format!("{:<5} ok    {}\n", self.id, self.says),
            Some(detail) => {
                format!("{:<5} {:<4}  {}: {}\n", self.id, self.word(), self.says, one_line(detail))
            }
        }
    }
}

/// Everything that was found in one run.
#[derive(Debug)]
pub struct Report {
    pub url: String,
    pub verdicts: Vec<Verdict>,
    /// What went wrong beside the statements, such as things that could not be removed.
    pub remarks: Vec<String>,
}

impl Report {
    fn count(&self, word: &str) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.word() == word).count()
    }

    #[must_use]
    pub fn failed(&self) -> bool {
        self.count("FAIL") > 0
    }

    /// Every statement that was asked for was tried.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.count(NOT_TRIED) == 0
    }

    /// Whatever was provided for statements was of use.
    #[must_use]
    pub fn was_provided_for(&self) -> bool {
        !self.verdicts.iter().any(|verdict| matches!(verdict.outcome, Err(Fault::Unfit(_))))
    }

    #[must_use]
    pub fn summary(&self) -> String {
        let (ok, failed, not_tried) = (self.count("ok"), self.count("FAIL"), self.count(NOT_TRIED));
        format!("{ok} ok, {failed} failed, {not_tried} not tried\n")
    }

    #[must_use]
    pub fn json(&self) -> String {
        let statements: Vec<_> = self
            .verdicts
            .iter()
            .map(|verdict| {
                json!({
                    "id": verdict.id,
                    "says": verdict.says,
                    "outcome": verdict.word().to_lowercase().replace(' ', "_"),
                    "detail": verdict.detail(),
                })
            })
            .collect();
        let report = json!({
            "url": self.url,
            "ok": self.count("ok"),
            "failed": self.count("FAIL"),
            "not_tried": self.count(NOT_TRIED),
            "remarks": self.remarks,
            "statements": statements,
        });
        format!("{report:#}\n")
    }

    /// The XML that CI systems read: one suite for each contract.
    #[must_use]
    pub fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (tests, failures, skipped) =
            (self.verdicts.len(), self.count("FAIL"), self.count(NOT_TRIED));
        // Writing to a string does not fail.
        let _ = writeln!(
            xml,
            "<testsuites name=\"portcullis conform\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">"
        );
        for suite in self.verdicts.chunk_by(|one, next| family(one.id) == family(next.id)) {
            let count = |word| suite.iter().filter(|verdict| verdict.word() == word).count();
            let name = suite.first().map_or("", |verdict| family(verdict.id));
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
                escape(name),
                suite.len(),
                count("FAIL"),
                count(NOT_TRIED)
            );
            for verdict in suite {
                let _ = write!(
                    xml,
                    "    <testcase classname=\"conform.{}\" name=\"{}\" time=\"{:.3}\"",
                    escape(name),
                    escape(&format!("{} {}", verdict.id, verdict.says)),
                    verdict.took.as_secs_f64()
                );
                let _ = match &verdict.outcome {
                    Ok(()) => writeln!(xml, "/>"),
                    Err(Fault::Differs(text)) => {
                        writeln!(xml, "><failure message=\"{}\"/></testcase>", escape(text))
                    }
                    Err(Fault::Untried(why) | Fault::Unfit(why)) => {
                        writeln!(xml, "><skipped message=\"{}\"/></testcase>", escape(why))
                    }
                };
            }
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

/// `S1` of `S1-08`, `C` of `C12`.
pub fn family(id: &str) -> &str {
    match id.split_once('-') {
        Some((family, _)) => family,
        None => id.trim_end_matches(|c: char| c.is_ascii_digit()),
    }
}

/// Answers are shown, and answers may hold anything.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Text for an attribute of XML 1.0, in which most control characters cannot be written.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
