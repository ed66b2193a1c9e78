//! `check --connect`: what the configuration names, tried from here.

mod certificates;
mod store;

use serde_json::{Value, json};

use crate::support::gateway::{ECHO, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;
use crate::support::upstream::{Kind, Refusing, Unreachable, Upstream, ok};

async fn check(config: &str, more: &[&str]) -> Ended {
    let installation =
        Installation::new().file("config.toml", config).env("SECRET_KEY", SECRET_KEY);
    installation.run(&[&["check", "--connect"], more].concat(), None).await
}

/// What is said of each connection, and the exit code.
async fn connections(config: &str) -> (Vec<Value>, Option<i32>) {
    let ended = check(config, &["--format", "json"]).await;
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let tried = answer["connections"].as_array().unwrap_or_else(|| panic!("{ended:?}"));
    (tried.clone(), ended.status.code())
}

#[tokio::test]
async fn every_upstream_is_tried_and_told_of_in_the_order_of_the_file() {
    let clear = Upstream::http1(ok).await;
    let h1 = Upstream::http(Kind::TlsHttp1, ok).await;
    let h2 = Upstream::http(Kind::TlsHttp2, ok).await;
    let refusing = Refusing::new();
    let route = format!("[[route]]\nupstream = \"{}\"\n", refusing.url());
    let sections = [clear.section("a"), h1.section("b"), h2.section("c")].concat();
    let (tried, code) = connections(&format!("{sections}{route}")).await;
    assert_eq!(code, Some(1), "{tried:?}");
    let good = |name: &str, upstream: &Upstream, spoken: &str| {
        let at = upstream.url();
        let address = at.split("://").nth(1).expect("a URL has an address");
        json!({ "what": name, "at": at, "state": "good", "detail": format!("{address}{spoken}") })
    };
    assert_eq!(tried.len(), 4, "{tried:?}");
    assert_eq!(tried[0], good("upstream a", &clear, ""));
    assert_eq!(tried[1], good("upstream b", &h1, ", TLS 1.3, http/1.1"));
    assert_eq!(tried[2], good("upstream c", &h2, ", TLS 1.3, h2"));
    assert_eq!([&tried[3]["what"], &tried[3]["at"]], ["upstream", refusing.url().as_str()]);
    assert_eq!(tried[3]["state"], "failed");
    let detail = tried[3]["detail"].as_str().expect("a reason");
    assert!(detail.contains("refused"), "{detail}");
    assert!(clear.requests().is_empty(), "nothing is asked of an upstream");
}

/// It waits for a request, which none is sent.
#[tokio::test]
async fn an_upstream_that_says_nothing_of_itself_is_good_however_little_time_it_has_to_connect() {
    let silent = Upstream::raw(|mut wire| async move {
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let section = format!(
        "[upstream.app]\nurl = \"{}\"\nconnect_timeout = \"100ms\"\n\
         [[route]]\nupstream = \"app\"\n",
        silent.url()
    );
    let (tried, code) = connections(&section).await;
    assert_eq!((code, &tried[0]["state"]), (Some(0), &json!("good")), "{tried:?}");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_used_is_named_with_the_reason() {
    let distrusted = Upstream::http(Kind::TlsHttp1, ok).await;
    let clear = Upstream::http1(ok).await;
    let full = Unreachable::new().await;
    for (url, timeout, reason) in [
        (
            distrusted.url(),
            "10s",
            "TLS: the certificate is self-signed: if it is the server's own, put this certificate into `roots`",
        ),
        (clear.url().replace("http:", "https:"), "10s", "TLS: "),
        (full.url(), "300ms", "no response within 300ms"),
    ] {
        let section = format!("[upstream.app]\nurl = \"{url}\"\nconnect_timeout = \"{timeout}\"\n");
        let ended = check(&format!("{section}{ECHO}"), &[]).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("1 of 1 cannot be used"), "{ended:?}");
        let line = ended.stdout.lines().find(|line| line.starts_with("upstream app "));
        let line = line.unwrap_or_else(|| panic!("{ended:?}"));
        for word in ["failed", url.as_str(), reason] {
            assert!(line.contains(word), "{word:?} is not in {line:?}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_in_the_file_is_said_before_anything_is_tried() {
    let upstream = Upstream::http1(ok).await;
    let ended = check(&format!("[limits]\nbrust = 5\n{}", upstream.routes()), &[]).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert_eq!(upstream.connections(), 0);
    let ended = check(ECHO, &[]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn an_upstream_that_speaks_tls_where_none_is_written_is_told_and_the_reverse() {
    let clear = Upstream::http1(ok).await;
    let tls = Upstream::http(Kind::TlsHttp1, ok).await;
    for (url, words) in [
        (tls.url().replacen("https://", "http://", 1), "uses TLS on this port: write https://"),
        (clear.url().replacen("http://", "https://", 1), "does not use TLS on this port"),
    ] {
        let (tried, code) = connections(&format!("[[route]]\nupstream = \"{url}\"\n")).await;
        assert_eq!(code, Some(1), "{tried:?}");
        let detail = tried[0]["detail"].as_str().expect("a reason");
        assert!(detail.contains(words), "{words:?} is not in {detail:?}");
    }
    assert!(clear.requests().is_empty() && tls.requests().is_empty());
}
