//! The command line: what can be asked.

mod administer;
mod announce;
mod changes;
mod commands;
mod configuration;
mod conform;
mod desk;
mod examples;
mod explain;
mod htpasswd;
mod init;
mod input;
mod manual;
mod named;
mod output;
mod own_paths;
mod remarks;
mod routes;
mod settings;
mod store;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::auth::password::check_acceptable;
use crate::auth::secret::Secret;
use crate::config::named_files::Files;
use crate::config::units::{DURATION_FORMS, parse_duration};
use crate::config::{LEVELS, LogFormat};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::passwords::hash_now;
use crate::server::{self, connectivity::reach, first_account::PasswordPlace};
use crate::telemetry::events;
use crate::telemetry::log::Style;
use crate::telemetry::sink::Sink;

use administer::administer;
use commands::key::{KeyCommand, key};
use commands::server::{ServerCommand, server as server_command};
use commands::session::{
    LockoutCommand, RegistrationCommand, SessionCommand, lockout, registration, session,
};
use commands::user::UserCommand;
use commands::workspace::{WorkspaceCommand, workspace};
use configuration::{configure, configure_store, load_from, refuse_whole};
use output::{fail, say};
use settings::ConfigCommand;
use store::StoreCommand;

/// The configuration is wrong (`EX_CONFIG`); systemd's `RestartPreventExitStatus=78`.
const EXIT_CONFIG: u8 = 78;

/// An authenticating reverse-proxy gateway.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100, after_help = examples::PROGRAM)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration file [default: PORTCULLIS_CONFIG, config.toml or
    /// /etc/portcullis/config.toml, whichever comes first]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    run: RunOptions,
}

/// Which gateway a command is about, and how it prints what it finds.
#[derive(Debug)]
struct Place {
    config: Option<PathBuf>,
    format: Option<Format>,
}

/// Of commands that print what they find.
#[derive(Debug, Default, Args)]
struct Printed {
    /// How it is printed [default: table]
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
}

/// Commands of one noun.
#[derive(Debug, Args)]
struct Group<C: Subcommand> {
    #[command(flatten)]
    printed: Printed,
    #[command(subcommand)]
    command: C,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    #[value(alias = "text")]
    Table,
    Json,
}

#[derive(Debug, Default, Clone, Args)]
struct RunOptions {
    /// Forward every request to this URL, ignoring the routes of the file
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Listen on this address, ignoring the listeners of the file
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Log format, overriding the file
    #[arg(long, value_name = "FORMAT", value_parser = log_formats())]
    log_format: Option<LogFormat>,
    /// Least severe log level, overriding the file
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LEVELS))]
    log_level: Option<String>,
}

impl RunOptions {
    fn is_given(&self) -> bool {
        let Self { to, listen, log_format, log_level } = self;
        to.is_some() || listen.is_some() || log_format.is_some() || log_level.is_some()
    }

    /// Those before the command and those behind it.
    ///
    /// # Errors
    /// When one stands in both places.
    fn and(self, behind: Self) -> Result<Self, &'static str> {
        fn one<T>(before: Option<T>, behind: Option<T>) -> Result<Option<T>, &'static str> {
            match (before, behind) {
                (Some(_), Some(_)) => {
                    Err("an option is set before the command and after it; set it once")
                }
                (before, behind) => Ok(before.or(behind)),
            }
        }
        Ok(Self {
            to: one(self.to, behind.to)?,
            listen: one(self.listen, behind.listen)?,
            log_format: one(self.log_format, behind.log_format)?,
            log_level: one(self.log_level, behind.log_level)?,
        })
    }
}

#[derive(Debug, Args)]
struct CheckOptions {
    /// Connect to the upstreams and to the shared store as well, and check the store's durability
    #[arg(long, conflicts_with = "path")]
    connect: bool,
    /// Exit with 1 if there is a warning
    #[arg(long, conflicts_with = "path")]
    strict: bool,
    /// List changes against this configuration, such as the running one, and which of them
    /// need a restart
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    against: Option<PathBuf>,
    #[command(flatten)]
    question: routes::Question,
    #[command(flatten)]
    printed: Printed,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    #[command(alias = "serve", alias = "start", after_help = examples::RUN)]
    Run(RunOptions),
    /// Write a small configuration with comments, unless there is one
    Init {
        /// Where traffic goes [default: the built-in "echo"]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Check the configuration and what it refers to, and change nothing
    #[command(alias = "validate", after_help = examples::CHECK)]
    Check(CheckOptions),
    /// Print the schema of the configuration, or the settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Manage users
    #[command(after_help = examples::USER)]
    User(Group<UserCommand>),
    /// Manage API keys
    #[command(after_help = examples::KEY)]
    Key(Group<KeyCommand>),
    /// Manage servers
    #[command(after_help = examples::SERVER)]
    Server(Group<ServerCommand>),
    /// Manage workspaces and their members
    #[command(after_help = examples::WORKSPACE)]
    Workspace(Group<WorkspaceCommand>),
    /// Manage sign-ins
    #[command(after_help = examples::SESSION)]
    Session(Group<SessionCommand>),
    /// Close registration in an incident, and open it again
    Registration(Group<RegistrationCommand>),
    /// Manage addresses that fail to sign in, of a running gateway
    Lockout(Group<LockoutCommand>),
    /// Check, export and import the store
    #[command(subcommand, after_help = examples::STORE)]
    Store(StoreCommand),
    /// Print the bcrypt hash of a password from a prompt or from standard input
    HashPassword {
        /// Each step up doubles the work [default: auth.bcrypt_cost]
        #[arg(long, value_parser = clap::value_parser!(u32).range(4..=16))]
        cost: Option<u32>,
    },
    /// Make secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Exit with 0 if the gateway runs and is healthy, else with 1
    Healthcheck(Printed),
    /// Show the counters of the running gateway
    Status(Printed),
    /// Explain a reason code, a warning or a status and its remedy, or the outcome of a
    /// request
    #[command(after_help = examples::EXPLAIN)]
    Explain {
        /// A code such as token_signature, a status such as 401, or the id of a request; all
        /// codes when left out
        what: Option<String>,
        #[command(flatten)]
        printed: Printed,
    },
    /// Test every statement of the wire contracts against a running gateway
    ///
    /// Makes users, keys, servers and workspaces named conform-… and removes them at the
    /// end. The administrator's password comes from ADMIN_PASSWORD, a prompt or standard
    /// input. Exits with 0 if nothing failed, with 1 if a statement does not hold, with 2
    /// if nothing could be tried, with 3 if --complete is asked for and a statement is not
    /// tried, or if a command or a gateway that was named for one is of no use.
    Conform(Box<conform::ConformOptions>),
    /// Print what completes the command line in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man {
        /// Write a page for each command into this directory instead
        #[arg(long, value_name = "DIRECTORY")]
        output: Option<PathBuf>,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Print a random secret of 256 bits, fit for SECRET_KEY
    Generate,
}

fn log_formats() -> impl TypedValueParser<Value = LogFormat> {
    let words = LogFormat::WORDS.iter().map(|(word, _)| *word);
    PossibleValuesParser::new(words).map(|text| {
        let known = LogFormat::WORDS.iter().find(|(word, _)| *word == text);
        known.map_or(LogFormat::Auto, |(_, format)| *format)
    })
}

/// How long something lasts, in whole seconds. A longer time than anybody plans for is a slip,
/// and times far ahead have no date.
fn parse_seconds(text: &str) -> Result<u64, String> {
    match parse_seconds_or_none(text)? {
        0 => Err("expected at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}

fn parse_seconds_or_none(text: &str) -> Result<u64, String> {
    const MAX_DAYS: u64 = 36_500;
    let length = parse_duration(text)
        .ok_or_else(|| format!("expected a duration like {DURATION_FORMS}, or seconds"))?;
    match length.as_secs() {
        seconds if seconds > MAX_DAYS * 86_400 => Err(format!("expected at most {MAX_DAYS}d")),
        seconds => Ok(seconds),
    }
}

/// Carries out the command line; the whole program but for the allocator.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { command, config, run: before } = Arguments::parse();
    let place = |printed: Option<Printed>| Place {
        config: config.clone(),
        format: printed.and_then(|printed| printed.format),
    };
    let command = match command.unwrap_or(Command::Run(RunOptions::default())) {
        Command::Run(options) => before.and(options).map(Command::Run),
        Command::Check(options) => {
            before.and(options.run).map(|run| Command::Check(CheckOptions { run, ..options }))
        }
        Command::Config(command) => command.after(before).map(Command::Config),
        _ if before.is_given() => {
            Err("--to, --listen, --log-format and --log-level are options of run and check")
        }
        command => Ok(command),
    };
    match command {
        Ok(command) => carry_out(command, place),
        Err(message) => fail(2, message),
    }
}

fn carry_out(command: Command, place: impl Fn(Option<Printed>) -> Place) -> ExitCode {
    match command {
        Command::Run(options) => run(&place(None), options),
        Command::Init { to } => init::init(&place(None), to),
        Command::Check(mut options) => {
            let printed = std::mem::take(&mut options.printed);
            check(&place(Some(printed)), options)
        }
        Command::Config(command) => settings::config(place, command),
        Command::User(Group { printed, command }) => {
            administer::user(&place(Some(printed)), command)
        }
        Command::Key(Group { printed, command }) => {
            administer(&place(Some(printed)), |desk| key(command, desk))
        }
        Command::Server(Group { printed, command }) => {
            administer(&place(Some(printed)), |desk| server_command(command, desk))
        }
        Command::Workspace(Group { printed, command }) => {
            administer(&place(Some(printed)), |desk| workspace(command, desk))
        }
        Command::Session(Group { printed, command }) => {
            administer(&place(Some(printed)), |desk| session(command, desk))
        }
        Command::Registration(Group { printed, command }) => {
            administer(&place(Some(printed)), |_| Ok(registration(&command)))
        }
        Command::Lockout(Group { printed, command }) => {
            administer(&place(Some(printed)), |_| Ok(lockout(command)))
        }
        Command::Store(command) => store::store(&place(None), command),
        Command::HashPassword { cost } => hash_password(&place(None), cost),
        Command::Secret(SecretCommand::Generate) if output::has_no_reader() => {
            fail(1, administer::NO_READER)
        }
        Command::Secret(SecretCommand::Generate) => {
            let secret = Secret::random_hex::<32>(&SystemEntropy::default());
            say(&format!("{}\n", secret.expose()))
        }
        Command::Healthcheck(printed) => administer::healthcheck(&place(Some(printed))),
        Command::Status(printed) => administer::status(&place(Some(printed))),
        Command::Explain { what, printed } => {
            explain::explain(&place(Some(printed)), what.as_deref())
        }
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { output } => manual::man(output.as_deref()),
        Command::Conform(options) => conform::conform(*options),
        Command::Version => say(&format!("portcullis {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn check(place: &Place, options: CheckOptions) -> ExitCode {
    let of_former = options.against.as_ref().map(|_| options.run.clone());
    let loaded = match load_from(place, options.run, Files::Needed) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let config = &loaded.config;
    if let Err(error) = server::check(config) {
        return refuse_whole(place, "", error.to_string(), None);
    }
    if options.question.is_asked() {
        return routes::tell(place, config, &options.question);
    }
    let changes = match (options.against, of_former) {
        (Some(file), Some(run)) => match changes::against(place, file, run, &loaded) {
            Ok(changes) => Some(changes),
            Err(code) => return code,
        },
        _ => None,
    };
    let tried = if options.connect {
        match tokio::runtime::Runtime::new() {
            Ok(runtime) => Some(runtime.block_on(reach(config))),
            Err(error) => return fail(1, &error.to_string()),
        }
    } else {
        None
    };
    let warnings = server::warnings(config);
    let checked = output::Checked {
        routes: &routes::list(config),
        warnings: &warnings,
        changes: changes.as_ref(),
        tried: tried.as_deref(),
        registration: administer::running_registration(config),
    };
    let shown = output::show_checked(place, &checked);
    match warnings.len() {
        0 => shown,
        count if options.strict => fail(1, &format!("{} with --strict", counted(count))),
        _ => shown,
    }
}

fn counted(warnings: usize) -> String {
    if warnings == 1 { "1 warning".to_owned() } else { format!("{warnings} warnings") }
}

fn run(place: &Place, options: RunOptions) -> ExitCode {
    let config = match configure(place, options, Files::Needed) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let style = Style::of(config.log.format);
    let (sink, guard) = match Sink::start(style, io::stdout(), io::stderr()) {
        Ok(started) => started,
        Err(error) => return fail(1, &error.to_string()),
    };
    if let Err(error) = events::install(sink.clone(), &config.log) {
        return fail(1, &error.to_string());
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error.to_string()),
    };
    let place =
        if io::stderr().is_terminal() { PasswordPlace::Terminal } else { PasswordPlace::File };
    let outcome = runtime.block_on(server::run(config, sink, place, |config, fact| {
        announce::announce(style, config, &fact);
    }));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    drop(guard);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // A service manager that starts it again would change nothing.
        Err(error) if error.is_lasting() => fail(EXIT_CONFIG, &error.to_string()),
        Err(error) => fail(1, &error.to_string()),
    }
}

fn hash_password(place: &Place, cost: Option<u32>) -> ExitCode {
    let cost = match cost {
        Some(cost) => cost,
        None => match configure_store(place) {
            Ok(config) => config.auth.bcrypt_cost,
            Err(code) => return code,
        },
    };
    let password = match input::read_password("the hash") {
        Ok(password) => password,
        Err(message) => return fail(1, &message),
    };
    if let Err(broken) = check_acceptable(password.expose()) {
        return fail(1, broken.rule());
    }
    match hash_now(&password, cost) {
        Some(hash) => say(&format!("{}\n", hash.0)),
        None => fail(1, "the password could not be hashed"),
    }
}

#[cfg(test)]
mod tests;
