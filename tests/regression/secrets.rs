//! Secrets that are set, but to nothing that could be one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::gateway::{ECHO, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::{Ended, Process};

const CONFIGURATION_ERROR: Option<i32> = Some(78);

/// How the gateway ends with this for its key.
async fn end_with(key: &[u8]) -> Ended {
    let config = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}");
    let installation = Installation::new().file("config.toml", &config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("run").current_dir(installation.path("")).env_clear();
    command.env("SECRET_KEY", OsStr::from_bytes(key));
    Process::start(&mut command, None).end().await
}

/// Was: both were taken for a key that is not set, and a new one was made.
#[tokio::test]
async fn a_key_that_is_empty_or_no_text_is_a_mistake_and_not_a_missing_one() {
    let mut no_text = SECRET_KEY.as_bytes().to_vec();
    no_text.push(0xff);
    for key in [b"".as_slice(), &no_text] {
        let ended = end_with(key).await;
        assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
        assert!(ended.stderr.contains("SECRET_KEY"), "{ended:?}");
    }
}
