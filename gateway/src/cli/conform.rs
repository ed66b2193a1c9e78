//! `portcullis conform`: options, the password, the form of the report, the exit
//! code.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use portcullis_conform::expected::Expected;
use portcullis_conform::provided::Provided;
use portcullis_conform::report::Report;
use portcullis_conform::{self as conform, Dialect, Options, Password, Tls};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::auth::secret::Secret;
use crate::config::decode::bare;
use crate::pem::why_unreadable;
use crate::trust::{self, Connector};

use super::input::ask_password;
use super::output::{complain, fail, say};

/// Nothing could be tried; as for a wrong command line.
const EXIT_CANNOT_RUN: u8 = 2;
/// What was tried holds; with `--complete` something was not tried, or what was provided for
/// a statement was of no use.
const EXIT_INCOMPLETE: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct ConformOptions {
    /// List the statements and try none
    #[arg(long)]
    list: bool,
    /// How the report is printed [default: table]
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
    /// Where the gateway is
    #[arg(long, default_value = "https://localhost:8443")]
    url: String,
    /// Must be served; may be given several times [default: whichever are]
    #[arg(long = "dialect", value_name = "DIALECT")]
    dialects: Vec<DialectName>,
    /// An account with the role admin
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin_user: String,
    /// PEM file of the authorities to trust [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Do not verify the gateway's certificate
    #[arg(long)]
    insecure: bool,
    /// A statement such as S1-20, or all of S1; may be given several times [default: all]
    #[arg(long, value_name = "STATEMENT")]
    only: Vec<String>,
    /// A WebSocket route of agents; must be there if named [default: /api/v1/agents/ws]
    #[arg(long, value_name = "PATH")]
    agent_path: Option<String>,
    /// A WebSocket route that takes tickets; must be there if named [default: /api/logs/stream]
    #[arg(long, value_name = "PATH")]
    ticket_path: Option<String>,
    /// A path that wants a credential and that the upstream answers with 2xx [default:
    /// /api/conform]
    #[arg(long, value_name = "PATH")]
    proxied_path: Option<String>,
    /// Another one, below /api/v1 [default: /api/v1/servers]
    #[arg(long, value_name = "PATH")]
    proxied_v1_path: Option<String>,
    /// What this gateway is set to on purpose, as in its configuration, such as
    /// limits.burst=100; may be given several times [default: what the contracts say]
    #[arg(long = "expect", value_name = "KEY=VALUE")]
    expected: Vec<String>,
    /// Wait for what takes minutes, and exit with 3 if a statement is not tried
    #[arg(long)]
    complete: bool,
    #[command(flatten)]
    provided: ProvidedOptions,
}

/// What statements need that no request can bring. Commands are for `sh -c`, and are not
/// given the administrator's password.
#[derive(Debug, Args)]
#[command(next_help_heading = "For statements that are not tried without it")]
struct ProvidedOptions {
    /// Restarts the gateway, and returns when it has ended (S1-18)
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// Writes an export of its store, such as `portcullis store export` (S1-22)
    #[arg(long, value_name = "COMMAND")]
    export: Option<String>,
    /// Writes a code that GitHub gave out for the gateway and nobody redeemed (S2-18)
    #[arg(long, value_name = "COMMAND")]
    github_code: Option<String>,
    /// Another gateway, with auth.local_accounts = false (S2-13, S2-16)
    #[arg(long, value_name = "URL")]
    without_accounts: Option<String>,
    /// Another gateway, with dialect.plain.keys = false and this administrator (S3-13)
    #[arg(long, value_name = "URL")]
    without_keys: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    #[value(alias = "text")]
    Table,
    Json,
    Junit,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectName {
    Form,
    Status,
    Envelope,
    Plain,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Form => Self::Form,
            DialectName::Status => Self::Status,
            DialectName::Envelope => Self::Envelope,
            DialectName::Plain => Self::Plain,
        }
    }
}

pub(super) fn conform(asked: ConformOptions) -> ExitCode {
    if asked.list {
        return say(&conform::list());
    }
    let only: Vec<String> = asked.only.iter().map(|id| id.to_uppercase()).collect();
    if let Some(unknown) = only.iter().find(|id| !conform::knows(id)) {
        let hint = "`portcullis conform --list` shows them";
        return fail(EXIT_CANNOT_RUN, &format!("there is no statement {unknown}; {hint}"));
    }
    let mut expected = Expected::default();
    for setting in &asked.expected {
        if let Err(message) = expected.state(setting) {
            return fail(EXIT_CANNOT_RUN, &message);
        }
    }
    let password = match admin_password(&asked.admin_user) {
        Ok(password) => Password::new(password.expose().to_owned()),
        Err(message) => return fail(EXIT_CANNOT_RUN, &message),
    };
    let tls = match tls(asked.ca.as_deref(), asked.insecure) {
        Ok(tls) => tls,
        Err(message) => return fail(EXIT_CANNOT_RUN, &message),
    };
    let options = Options {
        url: asked.url,
        tls,
        admin: asked.admin_user,
        dialects: asked.dialects.into_iter().map(Dialect::from).collect(),
        only,
        agent_path: asked.agent_path,
        ticket_path: asked.ticket_path,
        proxied_path: asked.proxied_path,
        proxied_v1_path: asked.proxied_v1_path,
        expected,
        provided: Provided {
            restart: asked.provided.restart,
            export: asked.provided.export,
            github_code: asked.provided.github_code,
            without_accounts: asked.provided.without_accounts,
            without_keys: asked.provided.without_keys,
        },
        complete: asked.complete,
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_CANNOT_RUN, &error.to_string()),
    };
    let format = asked.format.unwrap_or(ReportFormat::Table);
    let told = runtime.block_on(async {
        conform::run(&options, &password, interrupted(), |verdict| {
            if format == ReportFormat::Table {
                say(&verdict.line());
            }
        })
        .await
    });
    match told {
        Ok(report) if asked.complete && !report.is_complete() || !report.was_provided_for() => {
            write(&report, format, EXIT_INCOMPLETE.into())
        }
        Ok(report) => write(&report, format, ExitCode::SUCCESS),
        Err(message) => fail(EXIT_CANNOT_RUN, &message),
    }
}

/// Whom to believe to be the gateway.
fn tls(ca: Option<&Path>, insecure: bool) -> Result<Tls, String> {
    let describe = |error: &io::Error| trust::describe(error, "the file of --ca");
    if insecure {
        return Tls::unverified(describe);
    }
    let connector = Connector::new(ca, &[])?;
    Ok(Tls::new(Arc::clone(connector.tls().config()), describe))
}

/// `held` when no statement failed.
fn write(report: &Report, format: ReportFormat, held: ExitCode) -> ExitCode {
    for remark in &report.remarks {
        complain(remark);
    }
    let written = say(&match format {
        ReportFormat::Table => report.summary(),
        ReportFormat::Json => report.json(),
        ReportFormat::Junit => report.junit(),
    });
    match written {
        _ if report.failed() => ExitCode::FAILURE,
        ExitCode::SUCCESS => held,
        unwritten => unwritten,
    }
}

/// From the environment like the gateway's own, else from a prompt or standard input.
fn admin_password(name: &str) -> Result<Secret, String> {
    let password = match (std::env::var("ADMIN_PASSWORD"), std::env::var_os("ADMIN_PASSWORD_FILE"))
    {
        (Ok(password), _) => bare(Secret::new(password).expose()).into(),
        (Err(_), Some(file)) => {
            let text = std::fs::read_to_string(&file).map(Secret::new);
            let why = |error| format!("{}: {}", file.display(), why_unreadable(&error));
            bare(text.map_err(why)?.expose()).into()
        }
        (Err(_), None) => ask_password(name)?,
    };
    // To try an empty one counts as a failed attempt.
    match password.expose() {
        "" => Err(format!("no password of {name} was given: set ADMIN_PASSWORD, or type it")),
        _ => Ok(password),
    }
}

/// SIGINT or SIGTERM, both heeded from now on and not only once this is waited for.
fn interrupted() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
