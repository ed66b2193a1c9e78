use proptest::prelude::*;
use toml::de::DeTable;

use super::*;

fn found(text: &str) -> Vec<Problem> {
    problems(text, &DeTable::parse_recoverable(text).1)
}

proptest! {
    /// Whatever is written, and wherever the reader stops: a place within the file, and
    /// words of ours.
    #[test]
    fn every_text_that_is_no_toml_is_explained_at_a_place_in_it(
        any in "\\PC{0,60}",
        alike in "((\\[{1,2}[a-z.\" ]{0,6}\\]{0,2}|[a-z \"]{0,4} ?[=:]{0,2} ?[\"'\\[{]{0,3}[a-zé0-9,.\\\\ =]{0,6}[\"'\\]}]{0,3}) ?(#|//|;|,)?\r?\n){1,6}",
    ) {
        for text in [any, alike] {
            let errors = DeTable::parse_recoverable(&text).1;
            let found = problems(&text, &errors);
            prop_assert_eq!(found.is_empty(), errors.is_empty() && other_format(&text).is_none(), "{}", text);
            for problem in found {
                let Origin::File(span) = &problem.origin else { panic!("{problem:?}") };
                prop_assert!(span.start <= span.end && span.end <= text.len(), "{problem:?}");
                prop_assert!(text.get(span.clone()).is_some(), "{problem:?} {text:?}");
                prop_assert!(problem.help.is_some(), "{problem:?}");
            }
        }
    }
}

#[test]
fn lines_that_are_wrong_by_themselves_are_all_told() {
    let messages =
        |text: &str| found(text).into_iter().map(|problem| problem.message).collect::<Vec<_>>();
    assert_eq!(
        messages(
            "[limits]\nwait = 3s\n[log]\nlevel = debug\nformat = \"json\"\nformat = \"text\"\n"
        ),
        [
            "this is no number, and text must be in quotation marks",
            "text must be in quotation marks",
            "the key `format` is there twice",
        ]
    );
    let separator = "expected `=` between a key and its value";
    assert_eq!(messages("[limits]\nburst: 5\nwait 3\n"), [separator, separator]);
    assert_eq!(found("a = [1\n[b]\nc = d\n").len(), 1, "what follows an open list says nothing");
}
