//! What commands read: answers and passwords from a terminal, and files and pipes, which may
//! have no end.

use std::io::{self, BufRead, IsTerminal, Read};
use std::process::ExitCode;

use crate::auth::secret::Secret;
use crate::config::decode::bare;
use crate::pem::why_unreadable;

use super::output::{complain, fail};

/// Asks on a terminal; a script says so on its command line.
pub(super) fn confirm(question: &str) -> Result<(), ExitCode> {
    if !io::stdin().is_terminal() {
        return Err(fail(2, &format!("{question} Add --yes: there is no terminal to confirm on")));
    }
    complain(&format!("{question} [y/N]"));
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(_) if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => Err(fail(1, "nothing was done")),
    }
}

/// Far more than a password may have: of a longer line the beginning is refused as well.
const MAX_PASSWORD_BYTES: u64 = 4 << 10;

/// Twice from a prompt, or one line of standard input; never from an argument,
/// which `ps` would show.
pub(super) fn read_password(name: &str) -> Result<Secret, String> {
    let first = ask_password(name)?;
    if !io::stdin().is_terminal() {
        return Ok(first);
    }
    let second = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
    if first.expose() == second { Ok(first) } else { Err("the two passwords differ".into()) }
}

/// A password that there is already: once from a prompt, or one line of standard input.
pub(super) fn ask_password(name: &str) -> Result<Secret, String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        // What has no end is not waited for.
        let mut input = io::stdin().lock().take(MAX_PASSWORD_BYTES);
        input.read_line(&mut line).map_err(unreadable)?;
        return Ok(bare(Secret::new(line).expose()).into());
    }
    let prompt = format!("Password for {name}: ");
    rpassword::prompt_password(prompt).map(Secret::new).map_err(unreadable)
}

fn unreadable(error: io::Error) -> String {
    format!("the password could not be read: {}", why_unreadable(&error))
}

/// The next line without its end, and no more of it than this; `None` behind the last.
///
/// # Errors
/// When it cannot be read.
pub(super) fn next_line(from: &mut impl BufRead, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if from.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == most {
        skip_line(from)?;
    }
    Ok(Some(line))
}

fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let (taken, ended) = {
            let buffer = from.fill_buf()?;
            match memchr::memchr(b'\n', buffer) {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            }
        };
        from.consume(taken);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_the_next_one_whole() {
        let mut from = &b"one\n\nlonger than that\nlast"[..];
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut from, 6).unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, ["one", "", "longer", "last"]);
    }
}
