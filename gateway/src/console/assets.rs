//! The files of the console's pages, in the binary, each under a name that changes with its
//! content.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use crate::dialect::Answer;

const STYLE: &str = include_str!("../../console/console.css");
const SCRIPT: &str = include_str!("../../console/console.js");
const LOGO: &str = include_str!("../../console/logo.svg");

/// Of a hash, in a name: enough to tell versions apart.
const HASH_BYTES: usize = 8;

/// An image that an operator gives.
#[derive(Debug, Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
    pub kind: ImageKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    Svg,
    Png,
}

struct File {
    name: String,
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl File {
    fn new(stem: &str, end: &str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        let hash = digest::digest(&digest::SHA256, &bytes);
        let hash = HEXLOWER.encode(&hash.as_ref()[..HASH_BYTES]);
        Self { name: format!("{stem}.{hash}.{end}"), media_type, bytes }
    }
}

/// Where pages find them.
#[derive(Debug, Clone)]
pub struct Paths {
    pub style: String,
    pub script: String,
    pub logo: String,
}

pub struct Assets {
    files: [File; 3],
    pub paths: Paths,
}

impl Assets {
    /// `style` follows the console's own.
    #[must_use]
    pub fn new(prefix: &str, style: Option<&str>, logo: Option<Image>) -> Self {
        let style = format!("{STYLE}{}", style.unwrap_or_default());
        let style = File::new("console", "css", "text/css; charset=utf-8", style.into_bytes());
        let script = File::new(
            "console",
            "js",
            "text/javascript; charset=utf-8",
            SCRIPT.as_bytes().to_vec(),
        );
        let logo = match logo {
            None => File::new("logo", "svg", "image/svg+xml", LOGO.as_bytes().to_vec()),
            Some(Image { bytes, kind: ImageKind::Svg }) => {
                File::new("logo", "svg", "image/svg+xml", bytes)
            }
            Some(Image { bytes, kind: ImageKind::Png }) => {
                File::new("logo", "png", "image/png", bytes)
            }
        };
        let at = |file: &File| format!("{prefix}/assets/{}", file.name);
        let paths = Paths { style: at(&style), script: at(&script), logo: at(&logo) };
        Self { files: [style, script, logo], paths }
    }

    /// A file by its name; another version's is none.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Answer> {
        let file = self.files.iter().find(|file| file.name == name)?;
        let field = |name: HeaderName, value| (name, HeaderValue::from_static(value));
        let fields = vec![
            field(CONTENT_TYPE, file.media_type),
            field(CACHE_CONTROL, "public, max-age=31536000, immutable"),
            field(X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // An image that somebody opens by itself runs nothing.
            field(http::header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        ];
        Some(Answer { status: StatusCode::OK, body: file.bytes.clone(), fields })
    }
}
