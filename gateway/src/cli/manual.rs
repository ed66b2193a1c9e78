//! What shells and `man` are told about the command line.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Arguments;
use super::output::{fail, say, unwritable};

/// Prints what completes the command line in a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, or writes one for each command into a directory.
pub(super) fn man(directory: Option<&Path>) -> ExitCode {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = directory else {
        return say(&String::from_utf8_lossy(&page(&command)));
    };
    match std::fs::create_dir_all(directory).and_then(|()| write_pages(&command, directory)) {
        Ok(()) => say(&format!("manual pages written into {}\n", directory.display())),
        Err(error) => {
            let (directory, why) = (directory.display(), unwritable(&error));
            fail(1, &format!("{directory}: the manual pages cannot be written: {why}"))
        }
    }
}

fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for command in command.get_subcommands() {
        write_pages(command, directory)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(directory.join(format!("{name}.1")), page(command))
}

/// The library's sections, but for the synopsis, where it leaves out what options take, and
/// the examples, which it would fill like a paragraph.
fn page(command: &Command) -> Vec<u8> {
    let source = concat!("portcullis ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source);
    let mut page = Vec::new();
    // Writing to a vector does not fail.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    let usage = command.clone().render_usage().to_string();
    section(&mut page, "SYNOPSIS", usage.trim_start_matches("Usage:"));
    let _ = man.render_description_section(&mut page);
    let _ = man.render_options_section(&mut page);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut page);
    }
    if let Some(examples) = command.get_after_help() {
        let examples = examples.to_string();
        section(&mut page, "EXAMPLES", examples.trim_start_matches("Examples:"));
    }
    page
}

/// Lines as they are: a backslash and a hyphen mean something to `man`, and so does a full
/// stop that begins a line.
fn section(page: &mut Vec<u8>, name: &str, lines: &str) {
    page.extend_from_slice(format!(".SH {name}\n.nf\n").as_bytes());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        page.extend_from_slice(format!("\\&{line}\n").as_bytes());
    }
    page.extend_from_slice(b".fi\n");
}
