//! `portcullis config`: which settings there are, and which are in force.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::effective::{SourceFile, to_json, to_toml};
use crate::config::named_files::Files;
use crate::config::schema::schema;
use crate::console::texts::Texts;

use super::configuration::load_from;
use super::output::say;
use super::{Format, Place, Printed, RunOptions};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the JSON Schema of the configuration file, for editors and other tools
    ///
    /// Even Better TOML and taplo take it by a first line in the file:
    /// #:schema ./portcullis.schema.json
    Schema,
    /// Print the console's texts as TOML, for the file that console.texts names
    ///
    /// Of the file only those lines are needed that say something else; the texts of an update
    /// are then the console's own where nothing was written.
    Texts,
    /// Print every setting in force, and where each comes from
    ///
    /// As TOML that loads to the same configuration, with origins in comments, or with
    /// --format json. Secrets are starred.
    Print(PrintOptions),
}

#[derive(Debug, Args)]
pub(super) struct PrintOptions {
    /// Defaults, environment and options included; there is no other form
    #[arg(long)]
    effective: bool,
    #[command(flatten)]
    printed: Printed,
    #[command(flatten)]
    run: RunOptions,
}

impl ConfigCommand {
    /// With options of `run` that stand before the command.
    ///
    /// # Errors
    /// When they mean nothing here, or stand behind it too.
    pub(super) fn after(self, before: RunOptions) -> Result<Self, &'static str> {
        match self {
            Self::Print(options) => {
                before.and(options.run).map(|run| Self::Print(PrintOptions { run, ..options }))
            }
            Self::Schema if before.is_given() => Err("the schema is the same with any option"),
            Self::Schema => Ok(Self::Schema),
            Self::Texts if before.is_given() => Err("the texts are the same with any option"),
            Self::Texts => Ok(Self::Texts),
        }
    }
}

pub(super) fn config(place: impl Fn(Option<Printed>) -> Place, command: ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Texts => say(&texts()),
        ConfigCommand::Schema => say(&format!("{:#}\n", schema())),
        ConfigCommand::Print(mut options) => {
            let printed = std::mem::take(&mut options.printed);
            print(&place(Some(printed)), options)
        }
    }
}

fn print(place: &Place, options: PrintOptions) -> ExitCode {
    // The one form that there is.
    let PrintOptions { effective: _, printed: _, run } = options;
    let loaded = match load_from(place, run, Files::Needed) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let (name, text) = loaded.file.unwrap_or_default();
    let file = SourceFile { name: &name, text: &text };
    if place.format == Some(Format::Json) {
        return say(&format!("{:#}\n", to_json(&loaded.settings, file)));
    }
    say(&to_toml(&loaded.settings, file))
}

/// Every text of the console by its key.
fn texts() -> String {
    let line = |(key, text): &(&str, &str)| format!("{key} = {}\n", toml::Value::from(*text));
    Texts::OWN.iter().map(line).collect()
}
