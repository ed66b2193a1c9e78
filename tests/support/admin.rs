//! Talks to a running gateway's administration as the command line does, without a
//! process for each request.

use std::io;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::within;

/// The reply to one request, of the gateway whose store lies in `directory`; an
/// error when it goes before it has answered.
pub async fn ask(directory: &Path, request: &Value) -> io::Result<Value> {
    let talk = async {
        let mut stream = UnixStream::connect(directory.join("admin.sock")).await?;
        stream.write_all(format!("{request}\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        serde_json::from_str(&line).map_err(io::Error::from)
    };
    within("a reply of the administration", talk).await
}
