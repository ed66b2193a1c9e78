//! Command lines of the operator's, for `sh -c`.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::report::{Check, Fault, unfit};

/// Of a command. A restart drains first.
const PATIENCE: Duration = Duration::from_secs(120);
/// Of what a command writes; an export of a million accounts is as long.
const MAX_OUTPUT_BYTES: u64 = 1 << 30;
/// For what a command has written when it ends.
const REST: Duration = Duration::from_secs(1);

/// Runs a command line whose output nobody reads to its end, also when nobody waits for that:
/// a restart that is broken off leaves no gateway.
pub async fn carry_out(option: &str, line: &str) -> Check {
    let status = shell(line).stdout(Stdio::null()).status();
    ended(option, tokio::time::timeout(PATIENCE, status).await.ok())
}

/// The lines with this text that a command writes to standard output. The command and all
/// that it has started end when nobody waits for them.
pub async fn lines(option: &str, line: &str, with: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let mut command = shell(line);
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.or_else(|error| unfit(format!("{option}: no command runs: {error}")))?;
    let _group = Group(child.id());
    let Some(pipe) = child.stdout.take() else { return Ok(Vec::new()) };
    let mut pipe = BufReader::new(pipe.take(MAX_OUTPUT_BYTES));
    let mut found = Vec::new();
    let reading = async {
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).await? > 0 {
            if with.is_empty() || line.windows(with.len()).any(|part| part == with.as_bytes()) {
                found.push(std::mem::take(&mut line));
            }
            line.clear();
        }
        Ok::<_, io::Error>(())
    };
    let run = async {
        let mut reading = pin!(reading);
        tokio::select! {
            read = &mut reading => {
                read?;
                child.wait().await
            }
            status = child.wait() => {
                // What it has left behind may keep the pipe open.
                let _ = tokio::time::timeout(REST, reading).await;
                status
            }
        }
    };
    ended(option, tokio::time::timeout(PATIENCE, run).await.ok())?;
    Ok(found)
}

/// What it complains of is the operator's to read, and goes where our own complaints go. The
/// administrator's password is ours alone.
fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    // In a group of its own: no Ctrl-C that is meant for us ends a restart half way.
    command.arg("-c").arg(line).stdin(Stdio::null()).process_group(0);
    command.env_remove("ADMIN_PASSWORD").env_remove("ADMIN_PASSWORD_FILE");
    command
}

/// A process and those that it has started, which end with this.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // It fails only when they are gone already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// How a command ended; `None`: not in time.
fn ended(option: &str, status: Option<io::Result<ExitStatus>>) -> Check {
    match status {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => unfit(format!("{option}: the command ended with {status}")),
        Some(Err(error)) => unfit(format!("{option}: no command runs: {error}")),
        None => unfit(format!("{option}: the command took more than {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_fails_says_which_option_named_it() {
        for (line, why) in [("exit 3", "3"), ("kill -9 $$", "signal"), ("no-such-command", "127")] {
            for fault in [
                lines("--export", line, "").await.map(drop).unwrap_err(),
                carry_out("--export", line).await.unwrap_err(),
            ] {
                let Fault::Unfit(text) = fault else { panic!("{line}: {fault:?}") };
                assert!(text.starts_with("--export: ") && text.contains(why), "{text}");
            }
        }
    }

    /// Was: whoever kept standard output open kept the run waiting.
    #[tokio::test]
    async fn a_command_ends_with_all_that_it_has_started() {
        let line = "printf 'ann 1\\nbob\\nann 2'; sleep 1000 & echo; echo ann $!";
        let found = lines("--export", line, "ann").await.unwrap();
        let found: Vec<_> = found.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(found[..2], ["ann 1\n", "ann 2\n"]);
        let id = found[2].trim().strip_prefix("ann ").unwrap().parse().unwrap();
        let left = Pid::from_raw(id).unwrap();
        let is_there = || rustix::process::test_kill_process(left).is_ok() && !is_over(id);
        let gone = async {
            while is_there() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it has ended");
    }

    /// Whether a process that nobody has waited for has ended.
    fn is_over(id: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z'))
    }

    #[tokio::test]
    async fn a_command_is_not_given_the_administrators_password() {
        let line = "printf %s \"${ADMIN_PASSWORD-none}${ADMIN_PASSWORD_FILE-none}\"";
        assert_eq!(lines("--export", line, "").await.unwrap(), [b"nonenone".to_vec()]);
        let removed = |command: &Command, name: &str| {
            command.as_std().get_envs().any(|(known, value)| known == name && value.is_none())
        };
        let command = shell("true");
        assert!(removed(&command, "ADMIN_PASSWORD") && removed(&command, "ADMIN_PASSWORD_FILE"));
    }
}
