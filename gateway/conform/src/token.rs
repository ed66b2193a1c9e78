//! Tokens as their bearer sees them: text, header, claims; the signature stays the
//! gateway's secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::report::{Check, Fault, differs, ensure};

pub struct Token {
    pub text: String,
    pub header: String,
    pub claims: Value,
    pub signature: Vec<u8>,
}

impl Token {
    pub fn read(text: &str) -> Result<Self, Fault> {
        let wrong = || Fault::Differs(format!("not a JWT: {}…", first(text, 10)));
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(wrong()) };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| wrong());
        Ok(Self {
            text: text.to_owned(),
            header: String::from_utf8(decode(header)?).map_err(|_| wrong())?,
            claims: serde_json::from_slice(&decode(claims)?).map_err(|_| wrong())?,
            signature: decode(signature)?,
        })
    }

    pub fn claim(&self, name: &str) -> &Value {
        &self.claims[name]
    }

    /// From `iat` to `exp`.
    pub fn lifetime(&self) -> Result<i64, Fault> {
        match (self.claim("iat").as_i64(), self.claim("exp").as_i64()) {
            (Some(issued), Some(expires)) => Ok(expires - issued),
            _ => differs("a token without iat and exp"),
        }
    }

    pub fn lives(&self, seconds: i64) -> Check {
        let found = self.lifetime()?;
        ensure(found == seconds, || {
            format!("expected a token that lives {seconds} s, found {found} s")
        })
    }

    pub fn begins(&self, with: &str) -> Check {
        ensure(self.text.starts_with(with), || {
            format!("expected a token that begins {with}, found {}…", first(&self.text, with.len()))
        })
    }

    /// The same token but for one bit of its signature.
    pub fn forged(&self) -> String {
        let mut signature = self.signature.clone();
        if let Some(byte) = signature.first_mut() {
            *byte ^= 1;
        }
        let signed = self.text.rsplit_once('.').map_or("", |(signed, _)| signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn first(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
