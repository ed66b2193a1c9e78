//! The command line: what can be asked, and how the answers look.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::admin::{self, Reply, Request};
use crate::auth::secret::Secret;
use crate::config::file::{Sources, default_path, load};
use crate::config::units::parse_duration;
use crate::config::{Access, Config};
use crate::edge::certificates;
use crate::server::{self, Fact};
use crate::telemetry::log::{self, Style};
use crate::telemetry::sink::Sink;

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
    /// The configuration file [default: config.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How answers are printed [default: table]
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Args)]
struct RunOptions {
    /// Send everything to this URL, whatever routes the file has
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Listen here, whatever listeners the file has
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Run(RunOptions),
    /// Check the configuration and what it refers to, and change nothing
    #[command(alias = "validate")]
    Check(RunOptions),
    /// Manage users
    #[command(subcommand)]
    User(UserCommand),
    /// Manage API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Exit with 0 if the gateway runs and is healthy, else with 1
    Healthcheck,
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user; the password comes from a prompt or from standard input
    Add {
        name: String,
        #[arg(long)]
        email: Option<String>,
        /// May be given several times [default: user]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// List all users
    List,
    /// Set a user's password; all its sessions end
    Passwd { name: String },
    /// Let a disabled user sign in again
    Enable { name: String },
    /// Refuse a user from now on; all its sessions end
    Disable { name: String },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key; its text is shown this once
    Create {
        /// The user on whose behalf the key acts
        #[arg(long)]
        owner: String,
        /// What the key is for
        #[arg(long, default_value = "")]
        name: String,
        /// May be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Such as 90d or 12h [default: never]
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
        expires_in: Option<u64>,
    },
    /// List keys, without their secrets
    List {
        #[arg(long)]
        owner: Option<String>,
    },
    /// Refuse a key from now on
    Revoke { id: String },
}

fn parse_seconds(text: &str) -> Result<u64, String> {
    parse_duration(text)
        .map(|length| length.as_secs())
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "expected a duration like \"90d\", \"12h\" or seconds".to_owned())
}

/// Carries out the command line; the whole program but for the allocator.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Run(arguments.run));
    let place = arguments.place;
    match command {
        Command::Run(options) => run(&place, options),
        Command::Check(options) => check(&place, options),
        Command::User(command) => match user_request(command) {
            Ok(request) => administer(&place, &request),
            Err(message) => fail(1, &message),
        },
        Command::Key(command) => administer(&place, &key_request(command)),
        Command::Healthcheck => healthcheck(&place),
        Command::Version => say(&format!("portcullis {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

/// Reads the configuration, or says what is wrong with it.
fn configure(place: &Place, options: RunOptions) -> Result<Config, ExitCode> {
    let path = match &place.config {
        Some(path) => Some(path.clone()),
        None => Some(default_path().to_owned()).filter(|path| path.exists()),
    };
    let file = match path {
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path.display().to_string(), text)),
            Err(error) => {
                return Err(fail(EXIT_CONFIG, &format!("{}: {error}", path.display())));
            }
        },
        None => None,
    };
    let mut environment = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => drop(environment.insert(name, value)),
            (Ok(name), Err(_)) => unreadable.push(name),
            (Err(_), _) => {}
        }
    }
    let (to, listen) = (options.to, options.listen);
    load(Sources { file, environment, unreadable, to, listen }).map_err(|problems| {
        let count = match problems.count {
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        fail(EXIT_CONFIG, &format!("{problems}\n{count} in the configuration"))
    })
}

fn check(place: &Place, options: RunOptions) -> ExitCode {
    let config = match configure(place, options) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match server::check(&config) {
        Ok(()) => say("the configuration is good\n"),
        Err(error) => fail(EXIT_CONFIG, &error.to_string()),
    }
}

fn run(place: &Place, options: RunOptions) -> ExitCode {
    let config = match configure(place, options) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let style = Style::of(config.log.format);
    let (sink, guard) = match Sink::start(style, io::stdout()) {
        Ok(started) => started,
        Err(error) => return fail(1, &error.to_string()),
    };
    if let Err(error) = log::install(sink.clone(), style, &config.log.level) {
        return fail(1, &error.to_string());
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error.to_string()),
    };
    let outcome = runtime.block_on(server::run(config, sink, |config, fact| {
        announce(style, config, &fact);
    }));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    drop(guard);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error.to_string()),
    }
}

/// A handful of lines for people, or events for machines.
fn announce(style: Style, config: &Config, fact: &Fact) {
    if let Fact::AdminMade { password } = fact {
        announce_admin(password.as_ref());
        return;
    }
    match style {
        Style::Json => announce_events(config, fact),
        Style::Text => announce_lines(config, fact),
    }
}

/// On standard error in either style: it is shown once and belongs in no log.
fn announce_admin(password: Option<&Secret>) {
    match password {
        Some(password) => {
            complain(&format!(
                "account admin made; its password, shown only now: {}",
                password.expose()
            ));
        }
        None => tracing::info!("account admin made with the given password"),
    }
}

fn announce_events(config: &Config, fact: &Fact) {
    match fact {
        Fact::Certificate { path, fingerprint, source } => tracing::info!(
            path = %path.display(),
            sha256 = fingerprint,
            self_signed = *source != certificates::Source::Configured,
            "certificate"
        ),
        Fact::SecretMade { path } => tracing::info!(path = %path.display(), "secret key made"),
        Fact::Listening { address, tls } => {
            tracing::info!(address = %address, tls, "listening");
        }
        Fact::Ready => tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            routes = config.routes.len(),
            "ready"
        ),
        Fact::AdminMade { .. } => {}
    }
}

fn announce_lines(config: &Config, fact: &Fact) {
    let line = |name: &str, text: &str| {
        let _ = writeln!(io::stdout().lock(), "{name:>12}  {text}");
    };
    match fact {
        Fact::Certificate { path, fingerprint, source } => {
            let path = path.display();
            match source {
                certificates::Source::Configured => line("certificate", &path.to_string()),
                certificates::Source::SelfSigned => {
                    line("certificate", &format!("{path}, self-signed"));
                }
                certificates::Source::JustMade => {
                    line("certificate", &format!("{path}, self-signed, made just now"));
                }
            }
            line("", &format!("SHA-256 {fingerprint}"));
        }
        Fact::SecretMade { path } => line("secret", &format!("{}, made just now", path.display())),
        Fact::Listening { address, tls } => {
            line("listening", &format!("{}://{address}", if *tls { "https" } else { "http" }));
        }
        Fact::Ready => announce_ready(config, line),
        Fact::AdminMade { .. } => {}
    }
}

fn announce_ready(config: &Config, line: impl Fn(&str, &str)) {
    for route in &config.routes {
        let access = match &route.access {
            Access::Public => ", public",
            Access::Authenticated { .. } => "",
        };
        line(
            "route",
            &format!("{} to {}{access}", route.id, config.upstreams[route.upstream].name),
        );
    }
    line("schemes", "Basic, bearer token, API key");
    let limits = &config.limits;
    line(
        "limits",
        &format!(
            "{} requests/s and {} at once an address; {} failed sign-ins in {} s",
            limits.requests_per_second,
            limits.burst,
            limits.max_login_attempts,
            limits.login_window.as_secs(),
        ),
    );
    let port = config.listeners.first().map_or(8443, |listener| listener.address.port());
    let trust = match config.tls.self_signed {
        crate::config::SelfSigned::WhenMissing => {
            format!("--cacert {} ", config.tls.certificate.display())
        }
        crate::config::SelfSigned::Never => String::new(),
    };
    line("try", &format!("curl {trust}-u admin https://localhost:{port}/"));
}

fn user_request(command: UserCommand) -> Result<Request, String> {
    Ok(match command {
        UserCommand::Add { name, email, roles } => {
            let password = read_password(&name)?;
            Request::AddUser { name, email, roles, password }
        }
        UserCommand::List => Request::ListUsers,
        UserCommand::Passwd { name } => {
            let password = read_password(&name)?;
            Request::SetPassword { name, password }
        }
        UserCommand::Enable { name } => Request::EnableUser { name },
        UserCommand::Disable { name } => Request::DisableUser { name },
    })
}

fn key_request(command: KeyCommand) -> Request {
    match command {
        KeyCommand::Create { owner, name, scopes, expires_in } => {
            Request::CreateKey { owner, name, scopes, expires_in }
        }
        KeyCommand::List { owner } => Request::ListKeys { owner },
        KeyCommand::Revoke { id } => Request::RevokeKey { id },
    }
}

/// Twice from a prompt, or one line of standard input; never from an argument,
/// which `ps` would show.
fn read_password(name: &str) -> Result<String, String> {
    let wrong = |error: io::Error| format!("the password could not be read: {error}");
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(wrong)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    let first = rpassword::prompt_password(format!("Password for {name}: ")).map_err(wrong)?;
    let second = rpassword::prompt_password("Once more: ").map_err(wrong)?;
    if first == second { Ok(first) } else { Err("the two passwords differ".to_owned()) }
}

/// Asks the running gateway, or works on the store itself.
fn administer(place: &Place, request: &Request) -> ExitCode {
    // Where the store lies is all that matters here; routes may be missing.
    let options = RunOptions { to: Some("echo".to_owned()), listen: None };
    let config = match configure(place, options) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error.to_string()),
    };
    let reply = runtime.block_on(async {
        match admin::ask(&config.store.directory, request).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => {
                // No token is signed here, so no lasting secret is needed.
                let secret = Secret::new("0".repeat(32));
                let core = server::open_core(&config, &secret).map_err(|e| e.to_string())?;
                Ok(admin::perform(&core, request.clone()).await)
            }
            Err(error) => Err(format!("the running gateway does not answer: {error}")),
        }
    });
    match reply {
        Ok(reply) => show(place, reply),
        Err(message) => fail(1, &message),
    }
}

fn healthcheck(place: &Place) -> ExitCode {
    let options = RunOptions { to: Some("echo".to_owned()), listen: None };
    let Ok(config) = configure(place, options) else {
        return ExitCode::FAILURE;
    };
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::FAILURE;
    };
    match runtime.block_on(admin::ask(&config.store.directory, &Request::Health)) {
        Ok(Some(Reply::Done { message })) => say(&format!("{message}\n")),
        Ok(Some(Reply::Failed { reason })) => fail(1, &reason),
        Ok(Some(_)) => fail(1, "unexpected answer"),
        Ok(None) => fail(1, "not running"),
        Err(error) => fail(1, &error.to_string()),
    }
}

fn show(place: &Place, reply: Reply) -> ExitCode {
    if let Reply::Failed { reason } = &reply {
        return fail(1, reason);
    }
    if place.format == Some(Format::Json) {
        let json = match &reply {
            Reply::Done { message } => serde_json::json!({ "message": message }),
            Reply::Users { users } => serde_json::json!(users),
            Reply::Keys { keys } => serde_json::json!(keys),
            Reply::NewKey { key, text } => {
                let mut json = serde_json::json!(key);
                json["key"] = text.as_str().into();
                json
            }
            Reply::Failed { reason } => serde_json::json!({ "error": reason }),
        };
        return say(&format!("{json:#}\n"));
    }
    match reply {
        Reply::Done { message } => say(&(message + "\n")),
        Reply::Users { users } => {
            let rows = users.into_iter().map(|user| {
                vec![
                    user.username,
                    user.email.unwrap_or_default(),
                    user.roles.join(","),
                    user.state,
                    user.created,
                    user.id.to_string(),
                ]
            });
            say(&table(&["NAME", "EMAIL", "ROLES", "STATE", "CREATED", "ID"], rows.collect()))
        }
        Reply::Keys { keys } => {
            let rows = keys.into_iter().map(|key| {
                vec![
                    key.id.to_string(),
                    key.owner,
                    key.name,
                    format!("{}…", key.shown),
                    key.scopes.join(","),
                    key.created,
                    key.expires.unwrap_or_else(|| "never".to_owned()),
                ]
            });
            let heads = ["ID", "OWNER", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES"];
            say(&table(&heads, rows.collect()))
        }
        Reply::NewKey { key, text } => {
            complain(&format!("key {} made for {}; its text is shown only now", key.id, key.owner));
            say(&(text + "\n"))
        }
        Reply::Failed { reason } => fail(1, &reason),
    }
}

fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let width = |column: usize, head: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(head.len())
    };
    let widths: Vec<usize> =
        heads.iter().enumerate().map(|(column, head)| width(column, head)).collect();
    let mut text = String::new();
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    for row in [heads].into_iter().chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints an answer. A closed pipe is the reader's choice, not a failure.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

fn fail(code: u8, message: &str) -> ExitCode {
    complain(&format!("portcullis: {}", message.trim_end()));
    ExitCode::from(code)
}
