//! Black-box tests of what operators meet: commands, the configuration, files, administration.

extern crate support;

mod administration;
mod bad_input;
mod command_line;
mod commands;
mod config;
mod conform;
mod first_run;
mod hidden_characters;
mod init;
mod openapi;
mod own_files;
mod permissions;
mod regression;
mod secrets;
mod state;
mod terminal;
mod warnings;
