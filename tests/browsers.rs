//! Black-box tests of what browsers meet: the console, its sign-in and links, cookies, other origins.

extern crate support;

mod console;
mod cors;
mod cross_site;
mod github;
mod links;
