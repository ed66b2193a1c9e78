//! Black-box tests: the real binary as a child process, real TLS sockets, and no
//! look inside.

mod architecture;
mod config;
mod contract;
mod credentials;
mod first_run;
mod support;
mod table;
