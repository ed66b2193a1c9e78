//! The console as the configuration has it, with what the operator has put in the place of its
//! texts, its logo and its colours.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::auth::password::PasswordRule;
use crate::auth::session_life::SessionLife;
use crate::auth::time::Seconds;
use crate::config::console::MAX_FILE_BYTES;
use crate::config::value::nearest;
use crate::config::{Config, ServerCreation};
use crate::console::assets::{Assets, Image, ImageKind};
use crate::console::texts::{Texts, UnknownKey};
use crate::console::{Console, LinksBy, Settings};
use crate::dialect::envelope::CALLBACK;
use crate::files;

use super::StartError;

/// Below the console's prefix, where no contract takes browsers back.
const OWN_CALLBACK: &str = "/github/callback";

/// The console, unless it is switched off.
///
/// # Errors
/// When one of its files cannot be read, or is not what it has to be.
pub fn open(config: &Config) -> Result<Option<Arc<Console>>, StartError> {
    let console = &config.console;
    if !console.enabled {
        return Ok(None);
    }
    let texts = match &console.texts {
        Some(path) => read_texts(path).map_err(|reason| unfit("texts", path, reason))?,
        None => Texts::default(),
    };
    let style = console
        .style
        .as_deref()
        .map(|path| read_text(path).map_err(|reason| unfit("style", path, reason)));
    let style = style.transpose()?;
    let logo = console
        .logo
        .as_deref()
        .map(|path| read_logo(path).map_err(|reason| unfit("logo", path, reason)));
    let logo = logo.transpose()?;
    let assets = Assets::new(&console.prefix, style.as_deref(), logo);
    Ok(Some(Arc::new(Console::new(settings(config), texts, assets))))
}

/// The console without the operator's files: for its paths.
#[must_use]
pub fn plain(config: &Config) -> Option<Arc<Console>> {
    let assets = || Assets::new(&config.console.prefix, None, None);
    let console = || Console::new(settings(config), Texts::default(), assets());
    config.console.enabled.then(|| Arc::new(console()))
}

fn settings(config: &Config) -> Settings {
    let (console, envelope) = (&config.console, &config.dialects.envelope);
    let seconds = |length: std::time::Duration| Seconds(length.as_secs());
    let public = config.github.as_ref().and_then(|github| github.public_url.as_ref());
    let callback = if envelope.enabled {
        format!("{}{CALLBACK}", envelope.prefix)
    } else {
        format!("{}{OWN_CALLBACK}", console.prefix)
    };
    Settings {
        prefix: console.prefix.clone(),
        life: SessionLife {
            idle: seconds(console.session_idle),
            absolute: seconds(console.session_absolute),
        },
        access_ttl: seconds(console.access_ttl),
        own_servers: console.server_creation == ServerCreation::Everybody,
        callback: public.map(|url| format!("{url}{callback}")),
        own_callback: !envelope.enabled,
        administration: config.admin.enabled,
        // As strict as every other way to a new password.
        password: PasswordRule {
            special: config.dialects.all().all(|it| !it.enabled || it.require_special)
                && config.dialects.all().any(|it| it.enabled),
        },
        links: match (&config.links, &config.mail) {
            (None, _) => LinksBy::Nothing,
            (Some(_), None) => LinksBy::Hand,
            (Some(_), Some(_)) => LinksBy::Mail,
        },
    }
}

fn unfit(key: &'static str, path: &Path, reason: String) -> StartError {
    StartError::ConsoleFile { key, path: path.to_owned(), reason }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = File::open(path).and_then(|file| files::read_at_most(file, MAX_FILE_BYTES));
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => "is larger than 256 KiB".to_owned(),
        _ => error.to_string(),
    })
}

fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| "is not UTF-8".to_owned())
}

fn read_texts(path: &Path) -> Result<Texts, String> {
    let table: toml::Table = read_text(path)?.parse().map_err(|error| format!("{error}"))?;
    let mut texts = Texts::default();
    for (key, value) in table {
        let toml::Value::String(text) = value else {
            return Err(format!("{key}: expected a text"));
        };
        texts.set(&key, text).map_err(|UnknownKey(key)| {
            let known = Texts::OWN.iter().map(|(key, _)| *key);
            let help = nearest(&key, known).unwrap_or_else(|| {
                "`portcullis config texts` prints the keys that there are".to_owned()
            });
            format!("{key}: there is no text of this key; {help}")
        })?;
    }
    let language = texts.language.as_bytes();
    if language.is_empty() || !language.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
        return Err("language: expected a tag like \"de\" or \"pt-BR\"".to_owned());
    }
    Ok(texts)
}

fn read_logo(path: &Path) -> Result<Image, String> {
    let bytes = read(path)?;
    let is_png = path.extension().is_some_and(|kind| kind == "png");
    if is_png && !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err("is no PNG image".to_owned());
    }
    Ok(Image { bytes, kind: if is_png { ImageKind::Png } else { ImageKind::Svg } })
}
