//! Who an upstream is told the caller is: by every credential, under every set of
//! names, and never by the caller itself.

mod claims;
mod forged;
mod told;
mod unverified;

use std::sync::LazyLock;

use http::HeaderMap;

use crate::support::upstream::visible;

/// A set of names: which field carries what is known about a caller.
struct Preset {
    name: &'static str,
    names: &'static [(&'static str, &'static str)],
}

const PORTCULLIS: Preset = Preset {
    name: "portcullis",
    names: &[
        ("user_id", "x-portcullis-user-id"),
        ("username", "x-portcullis-username"),
        ("email", "x-portcullis-email"),
        ("roles", "x-portcullis-roles"),
        ("workspace", "x-portcullis-workspace"),
        ("scheme", "x-portcullis-scheme"),
        ("key_id", "x-portcullis-key-id"),
        ("scopes", "x-portcullis-scopes"),
    ],
};

const OAUTH2_PROXY: Preset = Preset {
    name: "oauth2-proxy",
    names: &[
        ("user_id", "x-forwarded-user"),
        ("username", "x-forwarded-preferred-username"),
        ("email", "x-forwarded-email"),
        ("roles", "x-forwarded-groups"),
    ],
};

const AUTHELIA: Preset = Preset {
    name: "authelia",
    names: &[("username", "remote-user"), ("email", "remote-email"), ("roles", "remote-groups")],
};

const GRAFANA: Preset = Preset {
    name: "grafana",
    names: &[
        ("username", "x-webauth-user"),
        ("email", "x-webauth-email"),
        ("roles", "x-webauth-role"),
    ],
};

const CUSTOM: Preset = Preset {
    name: "custom",
    names: &[
        ("user_id", "x-caller-id"),
        ("username", "x-caller"),
        ("email", "x-caller-mail"),
        ("roles", "x-caller-roles"),
        ("workspace", "x-caller-workspace"),
        ("scheme", "x-caller-scheme"),
        ("key_id", "x-caller-key"),
        ("scopes", "x-caller-scopes"),
    ],
};

impl Preset {
    fn config(&self) -> String {
        let preset = format!("[identity]\npreset = \"{}\"\n", self.name);
        if self.name != CUSTOM.name {
            return preset;
        }
        let names = self.names.iter().map(|(claim, name)| format!("{claim} = \"{name}\"\n"));
        format!("{preset}[identity.headers]\n{}", names.collect::<Vec<_>>().concat())
    }

    /// The fields that say all this, as far as this set has names for it.
    fn fields(&self, known: &[(&str, &str)]) -> Vec<(String, String)> {
        let fields = known.iter().filter_map(|(claim, value)| {
            let (_, name) = self.names.iter().find(|(named, _)| named == claim)?;
            Some(((*name).to_owned(), (*value).to_owned()))
        });
        sorted(fields.collect())
    }
}

const REFERENCE: &str = include_str!("../gateway/CONFIG.md");

/// The names in a row of the reference's table of fields, in small letters. Those
/// of a whole family are left out.
fn documented(row: &str) -> Vec<String> {
    let begin = format!("| {row}: ");
    let line = REFERENCE.lines().find_map(|line| line.strip_prefix(&begin)).expect("such a row");
    let names = line.split('|').next().expect("a cell").split('`').skip(1).step_by(2);
    names.filter(|name| !name.contains('*')).map(str::to_ascii_lowercase).collect()
}

/// Every name that some upstream takes for the gateway's word.
fn identity_names() -> impl Iterator<Item = &'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let presets = [PORTCULLIS, OAUTH2_PROXY, AUTHELIA, GRAFANA];
        let names = presets.iter().flat_map(|preset| preset.names);
        let family = "x-portcullis-anything".to_owned();
        let names = names.map(|(_, name)| (*name).to_owned());
        names.chain(documented("identity")).chain([family]).collect()
    });
    NAMES.iter().map(String::as_str)
}

/// The names above, and those of `CUSTOM`.
fn all_names() -> impl Iterator<Item = &'static str> {
    identity_names().chain(CUSTOM.names.iter().map(|(_, name)| *name))
}

/// All that an upstream could take for an identity, however it is spelled: some servers
/// hand every byte that is no letter or digit to applications as one and the same.
fn identity(headers: &HeaderMap) -> Vec<(String, String)> {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let folded = |name: &str| name.chars().map(fold).collect::<String>();
    let is_identity = |name: &str| all_names().any(|known| known == folded(name));
    let fields = headers.iter().filter(|(name, _)| is_identity(name.as_str()));
    sorted(fields.map(|(name, value)| (name.to_string(), visible(value).to_owned())).collect())
}

fn sorted(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    fields.sort_unstable();
    fields
}
