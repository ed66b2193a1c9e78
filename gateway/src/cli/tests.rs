//! What command lines are read as, and which are refused.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use uuid::Uuid;

use super::named::Named;
use super::*;

const ID: &str = "01980000-0000-7000-8000-000000000001";

fn parse(line: &str) -> Result<Arguments, ErrorKind> {
    let words = std::iter::once("portcullis").chain(line.split_whitespace());
    Arguments::try_parse_from(words).map_err(|error| error.kind())
}

/// A line, and whether it was read as what it means.
type Row = (&'static str, fn(&Command) -> bool);

#[test]
fn lines_are_read_as_what_they_mean() {
    let rows: &[Row] = &[
        ("run", |read| matches!(read, Command::Run(options) if !options.is_given())),
        (
            "serve --to http://a:1",
            |read| matches!(read, Command::Run(options) if options.to.as_deref() == Some("http://a:1")),
        ),
        ("run --log-format json", |read| {
            matches!(read, Command::Run(RunOptions { log_format: Some(LogFormat::Json), .. }))
        }),
        ("validate --strict", |read| {
            matches!(read, Command::Check(CheckOptions { strict: true, connect: false, .. }))
        }),
        ("user ls --format text", |read| {
            let Command::User(Group { printed, command: UserCommand::List }) = read else {
                return false;
            };
            printed.format == Some(Format::Table)
        }),
        ("user add ann --role a --role b", |read| {
            let Command::User(Group { command: UserCommand::Add { name, roles, .. }, .. }) = read
            else {
                return false;
            };
            name == "ann" && *roles == ["a", "b"]
        }),
        ("key create --owner ann --expires-in 90d --server web", |read| {
            let Command::Key(Group { command, .. }) = read else { return false };
            let KeyCommand::Create { owner, name, server, scopes, expires_in } = command else {
                return false;
            };
            let server = server.as_ref() == Some(&Named::Name("web".to_owned()));
            owner == "ann"
                && name.is_empty()
                && server
                && scopes.is_empty()
                && *expires_in == Some(90 * 86_400)
        }),
        ("key rotate 01980000-0000-7000-8000-000000000001 --overlap 0s", |read| {
            let Command::Key(Group { command, .. }) = read else { return false };
            let id: Uuid = ID.parse().expect("an id");
            matches!(command, KeyCommand::Rotate { key, overlap: Some(0) } if *key == Named::Id(id))
        }),
        ("key rm --owner ann", |read| {
            let Command::Key(Group { command, .. }) = read else { return false };
            matches!(command, KeyCommand::Revoke { key: None, owner: Some(_), .. })
        }),
        ("session end --all --yes", |read| {
            let Command::Session(Group { command, .. }) = read else { return false };
            matches!(command, SessionCommand::End { all: true, id: None, user: None, .. })
        }),
        ("hash-password --cost 4", |read| matches!(read, Command::HashPassword { cost: Some(4) })),
        (
            "explain 401",
            |read| matches!(read, Command::Explain { what: Some(what), .. } if what == "401"),
        ),
    ];
    for (line, is_meant) in rows {
        let read = parse(line).unwrap_or_else(|kind| panic!("{line}: {kind}"));
        let command = read.command.unwrap_or_else(|| panic!("{line} has a command"));
        assert!(is_meant(&command), "{line}: {command:?}");
    }
    assert!(parse("").is_ok_and(|read| read.command.is_none()), "it runs without a word");
    let named = parse("user list --config a.toml").expect("an option of every command");
    assert_eq!(named.config, Some(PathBuf::from("a.toml")));
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for (line, kind) in [
        ("link", ErrorKind::InvalidSubcommand),
        ("run --port 1", ErrorKind::UnknownArgument),
        ("run --log-format xml", ErrorKind::InvalidValue),
        ("run --log-level loud", ErrorKind::InvalidValue),
        ("user", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("user add", ErrorKind::MissingRequiredArgument),
        ("user roles ann", ErrorKind::MissingRequiredArgument),
        ("user verify", ErrorKind::MissingRequiredArgument),
        ("user verify ann --all", ErrorKind::ArgumentConflict),
        ("user list --format xml", ErrorKind::InvalidValue),
        ("key create", ErrorKind::MissingRequiredArgument),
        ("key create --owner ann --expires-in 0", ErrorKind::ValueValidation),
        ("key create --owner ann --expires-in soon", ErrorKind::ValueValidation),
        ("key create --owner ann --expires-in 40000d", ErrorKind::ValueValidation),
        ("key revoke", ErrorKind::MissingRequiredArgument),
        ("key revoke a --owner ann", ErrorKind::ArgumentConflict),
        ("session end", ErrorKind::MissingRequiredArgument),
        ("session end a --user ann", ErrorKind::ArgumentConflict),
        ("session end --user ann --all", ErrorKind::ArgumentConflict),
        ("check --host a.example", ErrorKind::MissingRequiredArgument),
        ("check --strict --path /", ErrorKind::ArgumentConflict),
        ("hash-password --cost 31", ErrorKind::ValueValidation),
    ] {
        assert_eq!(parse(line).err(), Some(kind), "{line}");
    }
}

#[test]
fn every_command_is_described_without_a_contradiction() {
    Arguments::command().debug_assert();
}

#[test]
fn an_option_of_run_stands_before_the_command_or_behind_it() {
    let to = |url: &str| RunOptions { to: Some(url.to_owned()), ..RunOptions::default() };
    let none = RunOptions::default;
    for (before, behind, meant) in
        [(to("a"), none(), Ok("a")), (none(), to("b"), Ok("b")), (to("a"), to("b"), Err(()))]
    {
        let both = before.and(behind);
        let both = both.as_ref().map(|both| both.to.as_deref().unwrap_or_default());
        assert_eq!(both.map_err(|_| ()), meant);
    }
    assert!(none().and(none()).is_ok_and(|both| !both.is_given()));
}

#[test]
fn lengths_of_time_are_read_in_whole_seconds() {
    for (text, seconds) in [("90", Some(90)), ("2m", Some(120)), ("1d", Some(86_400))] {
        assert_eq!(parse_seconds(text).ok(), seconds, "{text}");
    }
    assert_eq!(parse_seconds_or_none("0s"), Ok(0));
    for text in ["", "0", "0s", "-1", "1y", "36501d", "99999999999999999999d"] {
        assert!(parse_seconds(text).is_err(), "{text}");
    }
}
