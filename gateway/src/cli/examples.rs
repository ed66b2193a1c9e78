//! What people type most, shown behind the help of each command. A test reads each as the
//! command line does.

pub(super) const PROGRAM: &str = "\
Examples:
  portcullis run --to http://localhost:3000     a gateway in front of a service, without a file
  portcullis init                               a configuration to begin with
  portcullis check                              what is wrong with it, and what is seldom meant
  portcullis user add ann --role user           an account
  portcullis explain 401                        why a request was answered so";

pub(super) const RUN: &str = "\
Examples:
  portcullis run
  portcullis run --to http://localhost:3000 --listen :8443
  portcullis run --config /etc/portcullis/config.toml --log-format text";

pub(super) const CHECK: &str = "\
Examples:
  portcullis check --strict                          warnings fail too, as before a deployment
  portcullis check --connect                         try the upstreams and the shared store
  portcullis check --path /api/things --method POST  which route a request falls to, and why
  portcullis check --config new.toml --against /etc/portcullis/config.toml
  portcullis check --format json";

pub(super) const USER: &str = "\
Examples:
  portcullis user add ann --email ann@example.com --role user
  portcullis user invite bea@example.com
  portcullis user passwd admin
  portcullis user import htpasswd --role user
  portcullis user remove ann --yes";

pub(super) const KEY: &str = "\
Examples:
  portcullis key create --owner ann --name ci --scope deploy --expires-in 90d
  portcullis key rotate ci --overlap 1h
  portcullis key revoke ci";

pub(super) const SERVER: &str = "\
Examples:
  portcullis server add build-7 --owner ann
  portcullis key create --owner ann --server build-7
  portcullis server remove build-7";

pub(super) const WORKSPACE: &str = "\
Examples:
  portcullis workspace add research
  portcullis workspace join research ann --role editor
  portcullis workspace members research";

pub(super) const SESSION: &str = "\
Examples:
  portcullis session list --user ann
  portcullis session end --user ann
  portcullis session end --all --yes";

pub(super) const STORE: &str = "\
Examples:
  portcullis store backup --output backup.jsonl
  portcullis store check backup.jsonl
  portcullis store import backup.jsonl --dry-run";

pub(super) const EXPLAIN: &str = "\
Examples:
  portcullis explain token_signature                        a code of the log
  portcullis explain 403                                    all that is answered with this status
  portcullis explain 019365a0-0000-7000-8000-000000000001   what became of a request, by its id
  portcullis explain 019365a0-0000-7000-8000-000000000001 < access.log";

pub(super) const COMPLETIONS: &str = "\
Examples:
  portcullis completions bash > /etc/bash_completion.d/portcullis
  portcullis completions zsh > ~/.zfunc/_portcullis
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::Arguments;

    /// The words of a line, as far as the shell gives them to the program.
    fn words(line: &str) -> Vec<&str> {
        let command = line.split("   ").next().unwrap_or(line);
        command.split_whitespace().take_while(|word| !["<", ">"].contains(word)).collect()
    }

    #[test]
    fn every_example_is_read_by_the_command_line() {
        let mut command = Arguments::command();
        command.build();
        let mut count = 0;
        let mut waiting = vec![&command];
        while let Some(command) = waiting.pop() {
            waiting.extend(command.get_subcommands());
            let Some(examples) = command.get_after_help() else { continue };
            for line in examples.to_string().lines().skip(1) {
                let words = words(line.trim().split("  ").next().unwrap_or_default());
                let read = Arguments::try_parse_from(&words);
                assert!(
                    read.is_ok(),
                    "{line}: {}",
                    read.err().map_or(String::new(), |it| it.to_string())
                );
                count += 1;
            }
        }
        assert!(count > 25, "{count} examples");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
