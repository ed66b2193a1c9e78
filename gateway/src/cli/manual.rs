//! What shells and `man` are told about the command line.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Arguments;
use super::output::{fail, say};

/// Prints what completes the command line in a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, or writes one for each command into a directory.
pub(super) fn man(directory: Option<&Path>) -> ExitCode {
    let mut command = Arguments::command();
    command.build();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        // Writing to a vector does not fail.
        let _ = Man::new(command).render(&mut page);
        return say(&String::from_utf8_lossy(&page));
    };
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory));
    match written {
        Ok(()) => say(&format!("manual pages written into {}\n", directory.display())),
        Err(error) => fail(1, &unwritten(directory, &error)),
    }
}

fn unwritten(directory: &Path, error: &io::Error) -> String {
    format!("{}: the manual pages cannot be written: {error}", directory.display())
}
