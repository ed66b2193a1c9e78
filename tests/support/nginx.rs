//! nginx behind the gateway: TLS with a certificate of its own, HTTP/2 beside HTTP/1.1.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::backends::Backend;
use super::certificate::own_authority;
use super::fresh_host;

pub struct Nginx {
    backend: Backend,
    certificate: PathBuf,
}

impl Nginx {
    /// With these lines in its server; `$protocol` is what a connection has settled on.
    pub async fn start(lines: &str) -> Self {
        Self::listening("ssl http2", lines).await
    }

    /// As [`Self::start`], without HTTP/2.
    pub async fn without_http2(lines: &str) -> Self {
        Self::listening("ssl", lines).await
    }

    /// In clear, and in HTTP/1 alone.
    pub async fn clear(lines: &str) -> Self {
        Self::listening("", lines).await
    }

    async fn listening(options: &str, lines: &str) -> Self {
        let directory = TempDir::with_prefix("portcullis-nginx-").expect("a directory can be made");
        let (root, host) = (directory.path().to_owned(), fresh_host());
        write_certificate(&root, &host.to_string());
        let at = root.display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nuser root;\nworker_processes 1;\npid {at}/nginx.pid;\n\
             error_log {at}/error.log;\nevents {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\n{paths}\
             map $server_protocol $protocol {{ default h1; HTTP/2.0 h2; }}\n\
             server {{\nlisten {host}:{port} {options};\n\
             ssl_certificate {at}/site.pem;\nssl_certificate_key {at}/site.key;\n{lines}\n}}\n}}\n",
            port = Backend::PORT,
        );
        std::fs::write(root.join("nginx.conf"), config).expect("a file can be written");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(&root).arg("-e").arg(root.join("error.log"));
        command.arg("-c").arg(root.join("nginx.conf"));
        let backend = Backend::installed(host, command, directory).await;
        Self { backend, certificate: root.join("site.pem") }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.backend.address())
    }

    pub fn clear_url(&self) -> String {
        format!("http://{}", self.backend.address())
    }

    /// The section that declares it under this name; further keys may follow.
    pub fn section(&self, name: &str) -> String {
        let (url, roots) = (self.url(), self.certificate.display());
        format!("[upstream.{name}]\nurl = \"{url}\"\nroots = \"{roots}\"\n")
    }
}

fn write_certificate(directory: &Path, host: &str) {
    let made = own_authority([host.to_owned(), "app.example".to_owned()]);
    for (name, text) in
        [("site.pem", made.cert.pem()), ("site.key", made.signing_key.serialize_pem())]
    {
        std::fs::write(directory.join(name), text).expect("a file can be written");
    }
}
