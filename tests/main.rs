//! Black-box tests: the real binary as a child process, real TLS sockets, and no
//! look inside.

mod administration;
mod agents;
mod architecture;
mod audit;
mod bad_input;
mod clients;
mod command_line;
mod config;
mod conform;
mod connections;
mod contract;
mod credentials;
mod cross_site;
mod durability;
mod edge;
mod first_run;
mod forward;
mod github;
mod guesses;
mod hidden_characters;
mod hostile;
mod identity;
mod init;
mod links;
mod moving;
mod openapi;
mod permissions;
mod regression;
mod replicas;
mod routes;
mod secrets;
mod support;
mod table;
mod warnings;
mod websocket;
