//! htpasswd files, as `htpasswd -B` writes them: `name:hash` a line, and what other programs
//! put behind a second colon (a name, a group), which is passed over.

use crate::admin::{Hidden, Import};
use crate::auth::account::Username;
use crate::crypto::passwords::check_imported;

/// Reads a whole file; lines that are empty or begin with `#` say nothing.
///
/// # Errors
/// Every line that cannot be taken, by its number, and why. No hash is repeated.
pub(super) fn parse(text: &str) -> Result<Vec<Import>, Vec<(usize, String)>> {
    let mut users: Vec<Import> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut problems = Vec::new();
    // Editors of Windows begin a file with a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line) {
            Ok(user) if seen.insert(user.name.to_lowercase()) => users.push(user),
            Ok(user) => problems.push((index + 1, format!("{} is listed twice", user.name))),
            Err(problem) => problems.push((index + 1, problem)),
        }
    }
    if problems.is_empty() { Ok(users) } else { Err(problems) }
}

fn parse_line(line: &str) -> Result<Import, String> {
    let (name, rest) = line.split_once(':').ok_or("expected name:hash")?;
    let hash = rest.split(':').next().unwrap_or(rest);
    Username::parse(name).map_err(|error| error.to_string())?;
    check_imported(hash).map_err(|problem| format!("{name}: {problem}"))?;
    Ok(Import { name: name.to_owned(), hash: Hidden(hash.to_owned()) })
}

#[cfg(test)]
mod tests;
