//! The command line: what can be asked.

mod administer;
mod announce;
mod commands;
mod configuration;
mod conform;
mod explain;
mod htpasswd;
mod init;
mod output;
mod routes;
mod store;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::auth::password::check_acceptable;
use crate::auth::secret::Secret;
use crate::config::file::Files;
use crate::config::units::{DURATION_FORMS, parse_duration};
use crate::config::{LEVELS, LogFormat};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::passwords::hash_now;
use crate::server::{self, first_account::PasswordPlace, reach::reach};
use crate::telemetry::log::{self, Style};
use crate::telemetry::sink::Sink;

use commands::{
    KeyCommand, LockoutCommand, RegistrationCommand, ServerCommand, SessionCommand, UserCommand,
    WorkspaceCommand,
};
use configuration::{configure, configure_store};
use output::{fail, say};
use store::StoreCommand;

/// The configuration is wrong (`EX_CONFIG`); systemd's `RestartPreventExitStatus=78`.
const EXIT_CONFIG: u8 = 78;

/// An authenticating reverse-proxy gateway.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Args)]
struct Place {
    /// The configuration file [default: PORTCULLIS_CONFIG, config.toml or
    /// /etc/portcullis/config.toml, whichever comes first]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How answers are printed [default: table]
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    #[value(alias = "text")]
    Table,
    Json,
    /// Of `conform` only
    #[value(hide = true)]
    Junit,
}

#[derive(Debug, Default, Args)]
struct RunOptions {
    /// Send everything to this URL, whatever routes the file has
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Listen here, whatever listeners the file has
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How the log is written, whatever the file says
    #[arg(long, value_name = "FORMAT", value_parser = parse_log_format)]
    log_format: Option<LogFormat>,
    /// What the log tells at least, whatever the file says
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LEVELS))]
    log_level: Option<String>,
}

impl RunOptions {
    fn is_given(&self) -> bool {
        let Self { to, listen, log_format, log_level } = self;
        to.is_some() || listen.is_some() || log_format.is_some() || log_level.is_some()
    }
}

#[derive(Debug, Args)]
struct CheckOptions {
    /// Connect to the upstreams and to the shared store as well, and ask that how it keeps data
    #[arg(long)]
    connect: bool,
    /// Exit with 1 if there is a warning
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    question: routes::Question,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Run(RunOptions),
    /// Write a small configuration with comments, unless there is one
    Init {
        /// Where traffic goes [default: the built-in "echo"]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Check the configuration and what it refers to, and change nothing
    #[command(alias = "validate")]
    Check(CheckOptions),
    /// Manage users
    #[command(subcommand)]
    User(UserCommand),
    /// Manage API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Manage servers
    #[command(subcommand)]
    Server(ServerCommand),
    /// Manage workspaces and their members
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Manage sign-ins
    #[command(subcommand)]
    Session(SessionCommand),
    /// Close registration in an incident, and open it again
    #[command(subcommand)]
    Registration(RegistrationCommand),
    /// Manage addresses that fail to sign in, of a running gateway
    #[command(subcommand)]
    Lockout(LockoutCommand),
    /// Look after the store
    #[command(subcommand)]
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
    Healthcheck,
    /// Show what the running gateway has counted
    Status,
    /// Say what a reason code of the log or a warning means and what to do about it
    Explain {
        /// Such as token_signature; all of them when left out
        code: Option<String>,
    },
    /// Try every statement of the wire contracts on a running gateway
    ///
    /// Makes users, keys, servers and workspaces named conform-… and removes them at the
    /// end. The administrator's password comes from ADMIN_PASSWORD, a prompt or standard
    /// input. Exits with 0 if nothing failed, with 1 if a statement does not hold, with 2
    /// if nothing could be tried. Takes --format junit as well.
    Conform(conform::ConformOptions),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Print a random secret of 256 bits, fit for SECRET_KEY
    Generate,
}

fn parse_log_format(text: &str) -> Result<LogFormat, String> {
    let known = LogFormat::WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, format)| *format).ok_or_else(|| {
        let words: Vec<&str> = LogFormat::WORDS.iter().map(|(word, _)| *word).collect();
        format!("expected one of {}", words.join(", "))
    })
}

fn parse_seconds(text: &str) -> Result<u64, String> {
    parse_duration(text)
        .map(|length| length.as_secs())
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| format!("expected a duration like {DURATION_FORMS}, or seconds"))
}

/// Carries out the command line; the whole program but for the allocator.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = match arguments.command {
        None => Command::Run(arguments.run),
        Some(_) if arguments.run.is_given() => {
            return fail(
                2,
                "options of run come behind the command, as in: portcullis run --to URL",
            );
        }
        Some(command) => command,
    };
    let place = arguments.place;
    if place.format == Some(Format::Junit) && !matches!(command, Command::Conform(_)) {
        return fail(2, "only conform writes junit");
    }
    match command {
        Command::Run(options) => run(&place, options),
        Command::Init { to } => init::init(&place, to),
        Command::Check(options) => check(&place, options),
        Command::User(command) => administer::user(&place, command),
        Command::Key(command) => administer::administer(&place, commands::key(command)),
        Command::Server(command) => administer::administer(&place, commands::server(command)),
        Command::Workspace(command) => administer::administer(&place, commands::workspace(command)),
        Command::Session(command) => administer::session(&place, command),
        Command::Registration(command) => {
            administer::administer(&place, commands::registration(&command))
        }
        Command::Lockout(command) => administer::administer(&place, commands::lockout(command)),
        Command::Store(command) => store::store(&place, command),
        Command::HashPassword { cost } => hash_password(&place, cost),
        Command::Secret(SecretCommand::Generate) => {
            let secret = Secret::random_hex::<32>(&SystemEntropy::default());
            say(&format!("{}\n", secret.expose()))
        }
        Command::Healthcheck => administer::healthcheck(&place),
        Command::Status => administer::status(&place),
        Command::Explain { code } => explain::explain(&place, code.as_deref()),
        Command::Conform(options) => conform::conform(&place, options),
        Command::Version => say(&format!("portcullis {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn check(place: &Place, options: CheckOptions) -> ExitCode {
    let config = match configure(place, options.run, Files::Needed) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = server::check(&config) {
        return fail(EXIT_CONFIG, &error.to_string());
    }
    if options.question.is_asked() {
        return routes::tell(place, &config, &options.question);
    }
    let tried = if options.connect {
        match tokio::runtime::Runtime::new() {
            Ok(runtime) => Some(runtime.block_on(reach(&config))),
            Err(error) => return fail(1, &error.to_string()),
        }
    } else {
        None
    };
    let warnings = server::warnings(&config);
    let checked = output::Checked {
        routes: &routes::list(&config),
        warnings: &warnings,
        tried: tried.as_deref(),
        registration: administer::running_registration(&config),
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
    if let Err(error) = log::install(sink.clone(), &config.log) {
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
    let password = match administer::read_password("the hash") {
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
