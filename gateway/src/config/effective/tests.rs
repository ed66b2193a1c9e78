use std::collections::BTreeMap;

use super::*;
use crate::config::Config;
use crate::config::file::{Sources, load_with_settings};
use crate::config::named_files::Files;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn sources(text: &str, environment: &[(&str, &str)]) -> Sources {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        file: Some(("/etc/p/config.toml".to_owned(), text.to_owned())),
        environment: environment.iter().map(own).collect(),
        ..Sources::default()
    }
}

fn loaded(sources: Sources) -> (Config, Settings) {
    load_with_settings(sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// All that a configuration says, but for the places at which it says so, and for where
/// version 0.1 would have looked.
fn content(mut config: Config) -> String {
    (config.store.former, config.tls.former) = (None, None);
    format!("{:?}", Config { warnings: Vec::new(), secret_files: Vec::new(), ..config })
}

/// Variables that stand for no key.
fn secrets(environment: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let kept = |name: &str| name.starts_with("SECRET_KEY") || name.ends_with("PASSWORD");
    let own = environment.iter().filter(|(name, _)| kept(name) || *name == "STATE_DIRECTORY");
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is printed is read again, with the same secrets and without any other variable or
/// option.
fn check(text: &str, environment: &[(&str, &str)], to: Option<&str>, listen: Option<&str>) {
    let given = Sources {
        to: to.map(str::to_owned),
        listen: listen.map(str::to_owned),
        // `--to` closes registration only where traffic is meant.
        files: Files::NotNeeded,
        ..sources(text, environment)
    };
    let kept = secrets(&given.environment);
    let kept: Vec<(&str, &str)> = kept.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (config, settings) = loaded(given);
    let file = SourceFile { name: "/etc/p/config.toml", text };
    let printed = to_toml(&settings, file);
    let again = load_with_settings(sources(&printed, &kept))
        .unwrap_or_else(|problems| panic!("{problems}\nin\n{printed}"));
    assert_eq!(content(again.0), content(config), "{text}\n{environment:?}\n{printed}");
    // Whoever prints the printed one sees the same settings.
    let values = |toml: &str| -> Vec<String> {
        toml.lines()
            .filter_map(|line| Some(line.rsplit_once(" # ")?.0.trim_end().to_owned()))
            .collect()
    };
    let twice = to_toml(&again.1, SourceFile { name: "/etc/p/config.toml", text: &printed });
    let (once, twice) = (values(&printed), values(&twice));
    let lost: Vec<_> = once.iter().filter(|line| !twice.contains(line)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

const ROUTE: &str = "[[route]]\nupstream = \"echo\"\n";

#[test]
fn what_is_printed_loads_to_the_same_configuration() {
    for text in [
        ROUTE,
        include_str!("../../../../config.toml"),
        "[limits]\nburst = 0x10\nhead_size = \"16 KiB\"\nwait = \"PT1S\"\nbody_size = 1024\n[[route]]\nupstream = \"echo\"\nbody_size = \"unlimited\"\n",
        "[[listener]]\naddress = \"127.0.0.1:1\"\n[[listener]]\naddress = \"[::1]:2\"\ntls = false\nproxy_protocol = true\n\
         [client]\ntrusted_proxies = [\"10.0.0.0/8\"]\nbelieve = [\"for\", \"host\"]\nforwarded = \"forwarded\"\n[[route]]\nupstream = \"echo\"\n",
        "[upstream.\"a b\"]\nurl = \"http://127.0.0.1:1\"\nmax_connections = 9\n[upstream.c]\nurl = \"https://c\"\nmax_connections_per_account = 3\n\
         [[route]]\npath = \"/a\"\nupstream = \"a b\"\nagents = \"any\"\n[[route]]\npath = \"/b\"\nupstream = \"c\"\nagents = true\n[[route]]\nupstream = \"c\"\npaths = \"opaque\"\nkeys = \"any\"\n",
        "[cors]\norigins = [\"https://a.example\"]\n[client]\norigins = [\"https://a.example\"]\n\
         [[route]]\npath = \"/a\"\nupstream = \"echo\"\ncors = \"gateway\"\nrate = \"none\"\n\
         [[route]]\npath = \"/b\"\nupstream = \"echo\"\ncors = { origins = [\"*\"], max_age = \"0s\", methods = [\"GET\"] }\nrate = { requests_per_second = 5 }\n\
         [[route]]\npath = \"/c\"\nupstream = \"echo\"\nmethods = [\"GET\", \"PUT\"]\nchallenge = ['Basic realm=\"a \\\"b\\\"\"']\nschemes = [\"basic\"]\nscopes = [\"x\"]\n",
        "[store]\npath = \"here\"\nurl = \"redis://gate@h/3\"\ndurability = \"replicated\"\nreplicas = 2\n[health]\nrequire_store = true\n[[route]]\nupstream = \"echo\"\n",
        "[identity]\npreset = \"custom\"\nremove = [\"X-A\"]\n[identity.headers]\nusername = \"X-B\"\n[[route]]\nupstream = \"echo\"\n",
        "[links]\npublic_url = \"https://g.example\"\n[mail]\nurl = \"smtps://mail.example\"\nfrom = \"a@b.example\"\n[[route]]\nupstream = \"echo\"\n",
        "[tls]\nhsts = \"0s\"\ncertificate = \"a.pem\"\nkey = \"/b.pem\"\n[log.levels]\nstore = \"debug\"\n[timeouts]\nagent_ping = \"off\"\n[auth]\nrealm = \"a # b\"\nrefresh_ttl = \"20m\"\n[[route]]\nid = \"one\\ntwo\\u007f\"\nupstream = \"echo\"\n",
    ] {
        check(
            text,
            &[("SECRET_KEY", SECRET), ("STORE_PASSWORD", "pw")]
                [..if text.contains("redis://gate") { 2 } else { 1 }],
            None,
            None,
        );
    }
}

#[test]
fn what_variables_and_options_say_is_printed_as_settings() {
    let environment = [
        ("PORTCULLIS_LIMITS__BURST", "7"),
        ("PORTCULLIS_HEALTH__ENABLED", "false"),
        ("PORTCULLIS_CLIENT__TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
        ("PORTCULLIS_LISTEN", "127.0.0.1:9000"),
        ("MAX_LOGIN_ATTEMPTS", "9"),
        ("RATE_LIMIT_WINDOW_SECONDS", "90"),
        ("JWT_EXPIRE_DURATION", "30m"),
        ("SECRET_KEY", SECRET),
        ("ADMIN_PASSWORD", "a good password"),
        ("STATE_DIRECTORY", "/var/lib/p"),
    ];
    check(ROUTE, &environment, None, None);
    check(ROUTE, &environment, Some("http://127.0.0.1:3000"), Some("127.0.0.1:1"));
    let given = Sources { listen: Some("127.0.0.1:1".to_owned()), ..sources(ROUTE, &environment) };
    let (_, settings) = loaded(given);
    let file = SourceFile { name: "/etc/p/config.toml", text: ROUTE };
    let printed = to_toml(&settings, file);
    let lines: Vec<String> =
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "burst = 7 # environment PORTCULLIS_LIMITS__BURST",
        "enabled = false # environment PORTCULLIS_HEALTH__ENABLED",
        "trusted_proxies = [\"10.0.0.1\", \"10.0.0.2\"] # environment PORTCULLIS_CLIENT__TRUSTED_PROXIES",
        "address = \"127.0.0.1:1\" # option --listen",
        "max_login_attempts = 9 # environment MAX_LOGIN_ATTEMPTS",
        "login_window = \"90s\" # environment RATE_LIMIT_WINDOW_SECONDS",
        "access_ttl = \"30m\" # environment JWT_EXPIRE_DURATION",
        "# path = \"/var/lib/p\" # environment STATE_DIRECTORY",
        "upstream = \"echo\" # /etc/p/config.toml:2:12",
        "wait = \"3s\" # default",
        "# SECRET_KEY = \"********\" # environment SECRET_KEY",
        "# ADMIN_PASSWORD = \"********\" # environment ADMIN_PASSWORD",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line:?} is not in\n{printed}");
    }
    for secret in [SECRET, "a good password"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let json = to_json(&settings, file);
    assert_eq!(json["limits"]["burst"]["value"], 7);
    assert_eq!(json["limits"]["burst"]["origin"], "environment PORTCULLIS_LIMITS__BURST");
    assert_eq!(json["route"][0]["upstream"]["value"], "echo");
    assert_eq!(json["secrets"]["SECRET_KEY"]["value"], "********");
    assert!(!json.to_string().contains(SECRET));
}
