use super::*;
use crate::config::{MailSecurity, Rate};

/// A configuration with a route, and what is said in front of that.
fn loaded(text: &str) -> Config {
    let sources = Sources {
        file: Some(("config.toml".to_owned(), format!("{text}\n[[route]]\nupstream = \"echo\"\n"))),
        ..Sources::default()
    };
    load(sources).unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"))
}

#[test]
fn a_default_follows_the_keys_that_bound_it() {
    let console = |text: &str| {
        let console = loaded(text).console;
        (console.session_absolute, console.session_idle, console.access_ttl)
    };
    assert_eq!(console(""), (DAY * 7, DAY, SECOND * 900));
    let hour = SECOND * 3_600;
    assert_eq!(console("[console]\nsession_absolute = \"1h\""), (hour, hour, SECOND * 900));
    let short = SECOND * 60;
    assert_eq!(console("[console]\nsession_idle = \"1m\""), (DAY * 7, short, short));
    let dialects = loaded("[auth]\nrefresh_ttl = \"20m\"").dialects;
    assert!(dialects.all().all(|dialect| dialect.access_ttl == SECOND * 1_200));
    let share = |text: &str| loaded(text).upstreams[0].share_of_connections();
    let upstream = "[upstream.app]\nurl = \"http://127.0.0.1:1\"\n";
    assert_eq!(share(upstream), 512);
    assert_eq!(share(&format!("{upstream}max_connections = 9")), 5);
    assert_eq!(share(&format!("{upstream}max_connections_per_account = 9")), 9);
}

#[test]
fn a_route_takes_over_what_it_says_nothing_of() {
    let text = "[limits]\nbody_size = \"2MiB\"\n[client]\norigins = [\"https://a.example\"]\n\
                [[route]]\npath = \"/own\"\nupstream = \"echo\"\nbody_size = \"1KiB\"\n\
                origins = [\"https://b.example\"]\nrate = { requests_per_second = 7 }\n\
                [[route]]\npath = \"/any\"\nupstream = \"echo\"\nbody_size = \"unlimited\"";
    let routes = loaded(text).routes;
    let bodies: Vec<Option<u64>> = routes.iter().map(|route| route.body_bytes).collect();
    assert_eq!(bodies, [Some(1 << 10), None, Some(2 << 20)]);
    let origins: Vec<usize> = routes.iter().map(|route| route.origins.len()).collect();
    assert_eq!(origins, [2, 1, 1]);
    let rates: Vec<Rate> = routes.iter().map(|route| route.rate).collect();
    let own = Rate::Own { requests_per_second: 7, burst: 21 };
    assert_eq!(rates, [own, Rate::Common, Rate::Common]);
}

#[test]
fn an_upstream_that_a_route_makes_is_as_one_that_says_nothing() {
    let declared = loaded("[upstream.\"http://127.0.0.1:1\"]\nurl = \"http://127.0.0.1:1\"");
    let made = loaded("[[route]]\npath = \"/made\"\nupstream = \"http://127.0.0.1:1\"");
    assert_eq!(format!("{:?}", declared.upstreams[0]), format!("{:?}", made.upstreams[0]));
}

#[test]
fn off_and_zero_are_values_of_their_own() {
    let config = loaded("[timeouts]\nagent_ping = \"off\"\n[limits]\nwait = \"0s\"");
    assert_eq!((config.timeouts.agent_ping, config.limits.wait), (None, Duration::ZERO));
    let config = loaded("[timeouts]\ntunnel_idle = \"1h\"");
    assert_eq!(config.timeouts.agent_ping, Some(SECOND * 30));
    assert_eq!(config.timeouts.tunnel_idle, Some(SECOND * 3_600));
    let hsts = |text: &str| loaded(text).tls.hsts.map(|hsts| hsts.max_age);
    assert_eq!(hsts(""), None);
    assert_eq!(hsts("[tls]\nhsts = \"0s\""), Some(Duration::ZERO));
}

#[test]
fn the_url_of_a_mail_server_says_its_port_and_how_it_is_spoken_to() {
    for (url, port, security) in [
        ("smtps://gate@mail.example", 465, MailSecurity::Tls),
        ("smtp://gate@mail.example", 587, MailSecurity::StartTls),
        ("smtp://gate@mail.example:25", 25, MailSecurity::StartTls),
    ] {
        let text = format!(
            "[links]\npublic_url = \"https://g.example\"\n\
             [mail]\nurl = \"{url}\"\nfrom = \"a@b.example\""
        );
        let mail = loaded(&text).mail.expect("a mail server");
        assert_eq!((mail.port, mail.security), (port, security), "{url}");
    }
}
