//! skopeo and a container registry behind the gateway: sign in, push, look and pull, by
//! password and by API key.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::backends::Backend;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};

use super::{client, fails, succeeds};

/// More than fits into the buffers on the way.
const LAYER_BYTES: u32 = 3 << 20;

/// An image of one layer, in skopeo's `dir:` form.
struct Image {
    config: Vec<u8>,
    layer: Vec<u8>,
}

fn hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Image {
    fn new() -> Self {
        // Nothing that a compressor makes much smaller.
        let mixed = (0..LAYER_BYTES).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
        let layer: Vec<u8> = mixed.collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))] },
        });
        Self { config: config.to_string().into_bytes(), layer }
    }

    fn write(&self, directory: &Path) {
        let described = |kind: &str, bytes: &[u8]| {
            let digest = format!("sha256:{}", hex(bytes));
            json!({ "mediaType": kind, "size": bytes.len(), "digest": digest })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &self.layer)],
        });
        std::fs::create_dir(directory).expect("a directory can be made");
        for (name, bytes) in [
            ("version", b"Directory Transport Version: 1.1\n".to_vec()),
            ("manifest.json", manifest.to_string().into_bytes()),
            (&hex(&self.config), self.config.clone()),
            (&hex(&self.layer), self.layer.clone()),
        ] {
            std::fs::write(directory.join(name), bytes).expect("a file can be written");
        }
    }
}

/// Signed in as somebody, or as nobody yet.
struct Skopeo<'a> {
    gateway: &'a Gateway,
    name: &'a str,
}

impl Skopeo<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = client("skopeo");
        command.args(["--insecure-policy", "--tmpdir"]).arg(self.gateway.path("."));
        command.args(arguments).arg("--authfile").arg(self.gateway.path(self.name));
        command
    }

    /// A directory in which it finds the gateway's certificate.
    fn trust(&self) -> String {
        let trusted = self.gateway.path("trusted");
        std::fs::create_dir_all(&trusted).expect("a directory can be made");
        std::fs::copy(self.gateway.path("server.pem"), trusted.join("ca.crt")).expect("a copy");
        trusted.to_str().expect("a path of text").to_owned()
    }

    fn login(&self, user: &str, password: &str) -> Command {
        let mut command = self.command(&["login", "--cert-dir", &self.trust()]);
        command.args(["--username", user, "--password", password, &self.host()]);
        command
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.gateway.address().port())
    }

    fn image(&self) -> String {
        format!("docker://{}/team/app:1", self.host())
    }

    fn push(&self, from: &Path) -> Command {
        let from = format!("dir:{}", from.display());
        self.command(&["copy", "--dest-cert-dir", &self.trust(), &from, &self.image()])
    }

    fn pull(&self, to: &Path) -> Command {
        let to = format!("dir:{}", to.display());
        self.command(&["copy", "--src-cert-dir", &self.trust(), &self.image(), &to])
    }
}

#[tokio::test]
async fn skopeo_signs_in_pushes_and_pulls_by_password_and_by_key() {
    let registry = Backend::registry().await;
    let routes = format!("{}[[route]]\nupstream = \"registry\"\n", registry.section("registry"));
    let gateway = Gateway::start(&routes).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let image = Image::new();
    let given = gateway.path("given");
    image.write(&given);
    for (name, user, password) in [("by-password", ADMIN, ADMIN_PASSWORD), ("by-key", "ci", &key)] {
        let skopeo = Skopeo { gateway: &gateway, name };
        let refused = fails(skopeo.push(&given), &gateway).await;
        assert!(refused.contains("unauthorized") || refused.contains("401"), "{refused}");
        let refused = fails(skopeo.login(user, "wrong"), &gateway).await;
        assert!(refused.contains("invalid username/password"), "{refused}");
        let output = succeeds(skopeo.login(user, password), &gateway).await;
        assert!(output.contains("Login Succeeded!"), "{output}");
        succeeds(skopeo.push(&given), &gateway).await;
        let inspect = ["inspect", "--cert-dir", &skopeo.trust(), &skopeo.image()];
        let seen = succeeds(skopeo.command(&inspect), &gateway).await;
        let seen: Value = serde_json::from_str(&seen).expect("JSON");
        assert_eq!(seen["RepoTags"], json!(["1"]), "{seen}");
        let pulled = gateway.path(format!("pulled-{name}"));
        succeeds(skopeo.pull(&pulled), &gateway).await;
        let config = std::fs::read(pulled.join(hex(&image.config))).expect("it was pulled");
        assert_eq!(config, image.config);
    }
}
