use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::with_default;

use super::*;
use crate::telemetry::log::Colors;

/// What is written is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of one event in a style.
fn line(style: Style) -> String {
    let kept = Kept::default();
    let (sink, guard) = Sink::start(style, kept.clone(), kept.clone()).expect("a thread");
    with_default(tracing_subscriber::registry().with(EventLayer(sink)), || {
        let name = "red \u{1b}[31m\u{9b}31m\nforged line";
        tracing::warn!(name, number = 7, "a message\r\nof \u{1b}[0m lines");
    });
    drop(guard);
    kept.text()
}

#[test]
fn no_control_character_of_an_event_reaches_a_terminal() {
    for style in [Style::Text(Colors::Off), Style::Combined] {
        let line = line(style);
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!line.chars().any(char::is_control), "{style:?}: {line:?}");
        for whole in [" warn  a message\\r\\nof ", " number=7", r"name=red \u{1b}[31m"] {
            assert!(line.contains(whole), "{style:?}: {line:?}");
        }
    }
}

#[test]
fn an_event_in_json_is_one_object() {
    let line: Value = serde_json::from_str(&line(Style::Json)).unwrap();
    assert_eq!((&line["level"], &line["number"]), (&"warn".into(), &7.into()), "{line}");
    assert_eq!(line["message"], "a message\r\nof \u{1b}[0m lines");
    assert_eq!(line["name"], "red \u{1b}[31m\u{9b}31m\nforged line");
}
