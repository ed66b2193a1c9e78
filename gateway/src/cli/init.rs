//! `portcullis init`: a small configuration to begin with.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use crate::config::file::{Sources, load};

use super::configuration::{CONVENTIONAL, named};
use super::output::{fail, say, unwritable};
use crate::files::in_shell;

use super::{EXIT_CONFIG, Place};

/// What is written, but for the upstream.
const TEMPLATE: &str = r#"# Portcullis. Every key has a default but where traffic goes; what is commented
# out shows the default. All keys: gateway/CONFIG.md. Try it: portcullis check

# [[listener]]
# address = "[::]:8443"

# [tls]                       # neither written: self-signed, made in certs/
# certificate = "certs/server.pem"
# key = "certs/server.key"

# Accounts are made by administrators: portcullis user add NAME
[auth]
registration = "closed"       # "open": anybody may make one

# From where /api/admin answers. Commands on this machine do not need it.
[admin]
networks = ["127.0.0.0/8", "::1"]

# [client]
# trusted_proxies = []        # a balancer in front, like ["10.0.0.7"]

# Where traffic goes: a URL, or "echo", which is built in and answers what it was
# asked. The longest path wins.
[[route]]
path = "/"
upstream = UPSTREAM
# roles = ["user"]            # who may pass; without it, whoever has an account
"#;

pub(super) fn init(place: &Place, to: Option<String>) -> ExitCode {
    let path = named(place).unwrap_or_else(|| CONVENTIONAL[0].into());
    let upstream = toml::Value::String(to.unwrap_or_else(|| "echo".to_owned()));
    let text = TEMPLATE.replace("UPSTREAM", &upstream.to_string());
    // Before anything is written: the URL may be none.
    let name = path.display().to_string();
    if let Err(problems) = load(Sources { file: Some((name, text.clone())), ..Sources::default() })
    {
        return fail(EXIT_CONFIG, &format!("{problems}\nnothing was written"));
    }
    match write_new(&path, &text) {
        Ok(()) => {
            // What the environment names, every command finds.
            let option = match &place.config {
                Some(_) => format!("--config {} ", in_shell(&path)),
                None => String::new(),
            };
            let path = path.display();
            say(&format!("{path} written; portcullis {option}run starts the gateway\n"))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fail(1, &format!("{} exists and was not changed", path.display()))
        }
        Err(error) => {
            fail(1, &format!("{} cannot be written: {}", path.display(), unwritable(&error)))
        }
    }
}

/// Whole or not at all, and never over what is there.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}
