//! A connection that speaks RESP2, for what a test tells or asks a server itself.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Text(String),
    Number(i64),
    List(Vec<Reply>),
    Error(String),
}

impl Reply {
    #[track_caller]
    pub fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }

    #[track_caller]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("not a number: {other:?}"),
        }
    }

    /// The members of a list of texts.
    #[track_caller]
    pub fn texts(self) -> Vec<String> {
        match self {
            Self::List(members) => members.into_iter().map(Self::text).collect(),
            other => panic!("not a list: {other:?}"),
        }
    }
}

pub struct Talk(BufReader<TcpStream>);

impl Talk {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    pub async fn command(&mut self, words: &[&str]) -> io::Result<Reply> {
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let request = format!("*{}\r\n{}", words.len(), words.collect::<String>());
        self.0.write_all(request.as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Reply::Nothing,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).await?;
                    Reply::Text(String::from_utf8_lossy(&bytes[..length]).into_owned())
                }
            },
            "*" => match number()? {
                count if count < 0 => Reply::Nothing,
                count => {
                    let mut members = Vec::new();
                    for _ in 0..count {
                        members.push(Box::pin(self.reply()).await?);
                    }
                    Reply::List(members)
                }
            },
            _ => return Err(io::Error::other(format!("not RESP2: {line}"))),
        })
    }
}
