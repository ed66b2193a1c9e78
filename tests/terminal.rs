//! What people see who start the gateway and its commands on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::installation::Installation;
use crate::support::process::Process;
use crate::support::{eventually, within};

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n";

/// Starts the binary on a terminal of its own, which util-linux's `script` makes; its lines,
/// of both streams, are those of standard output.
fn on_terminal(place: &Installation, arguments: &str, input: Option<&str>) -> Process {
    on_terminal_with(place, arguments, input, None)
}

fn on_terminal_with(
    place: &Installation,
    arguments: &str,
    input: Option<&str>,
    variable: Option<(&str, &str)>,
) -> Process {
    Process::start(&mut terminal(place, arguments, variable), input)
}

fn terminal(place: &Installation, arguments: &str, variable: Option<(&str, &str)>) -> Command {
    // Whoever runs the tests may ignore a hangup (`nohup`), and children inherit that.
    let mut command = Command::new("env");
    let binary = env!("CARGO_BIN_EXE_portcullis");
    command
        .args([
            "--default-signal=HUP,INT,QUIT",
            "script",
            "--quiet",
            "--return",
            "--flush",
            "--command",
        ])
        .arg(format!("{binary} {arguments}"))
        .arg("/dev/null")
        .current_dir(place.path(""))
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("TERM", "xterm"), ("SHELL", "/bin/sh")])
        .env("HOME", place.path(""))
        .envs(variable);
    command
}

async fn shown(process: &Process, word: &str) -> String {
    let line = process.stdout.find(|lines| lines.iter().find(|line| line.contains(word)).cloned());
    within(word, line).await.unwrap_or_else(|| panic!("{word} is never shown"))
}

fn installation() -> Installation {
    Installation::new().file("config.toml", &format!("{LISTENER}{ECHO}"))
}

#[tokio::test]
async fn the_first_password_stands_out_and_is_kept_nowhere() {
    let place = installation();
    let process = on_terminal(&place, "run", None);
    let line = shown(&process, "password  ").await;
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.len(), 2, "nothing else stands on its line: {line}");
    let listening = shown(&process, "listening").await;
    let address = listening.split("https://").nth(1).expect("an address").trim().to_owned();
    shown(&process, "  state  data").await;
    let curl = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
        .arg(place.path("certs/server.pem"))
        .args(["-u", &format!("{ADMIN}:{}", words[1])])
        .arg(format!("https://{}/", address.replace("127.0.0.1", "localhost")))
        .output();
    assert_eq!(String::from_utf8_lossy(&curl.expect("curl").stdout), "200");
    assert!(!place.path("data/admin_password").exists());
    // The line of the request, in colours, which are words to no other program.
    let line = shown(&process, "GET ").await;
    assert!(line.contains("\u{1b}[32m200\u{1b}[0m") && line.contains("admin/basic"), "{line:?}");
}

// Was: it went on, kept its port, and nobody saw it.
#[tokio::test]
async fn a_gateway_whose_terminal_is_closed_stops() {
    let place = installation();
    // Of two commands the shell waits for the first, as it does where people type.
    let terminal = on_terminal(&place, "run; exit", None);
    let listening = shown(&terminal, "listening").await;
    let address = listening.split("https://").nth(1).expect("an address").trim().to_owned();
    shown(&terminal, "try  curl").await;
    terminal.signal(Signal::KILL);
    eventually("the gateway to stop", async || {
        TcpStream::connect(&*address).await.is_err().then_some(())
    })
    .await;
}

// The kernel tells the gateway before the terminal is gone when its shell ends first.
#[tokio::test]
async fn a_gateway_stops_with_its_terminal_that_closes_after_its_shell() {
    let place = installation();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).expect("a terminal");
    unlockpt(&terminal).expect("it can be opened");
    let inside = ioctl_tiocgptpeer(&terminal, flags).expect("its other end");
    let streams = || inside.try_clone().expect("one more descriptor");
    let mut command = Command::new("env");
    // Two commands: the shell waits for the first, as it does where people type.
    let binary = env!("CARGO_BIN_EXE_portcullis");
    let mut shell = command
        .args(["--default-signal=HUP,INT,QUIT", "setsid", "--ctty", "sh", "-c"])
        .arg(format!("{binary} run; exit"))
        .current_dir(place.path(""))
        .stdin(streams())
        .stdout(streams())
        .stderr(streams())
        .spawn()
        .expect("a shell");
    drop((inside, command));

    let mut terminal = File::from(terminal);
    rustix::io::ioctl_fionbio(&terminal, true).expect("a descriptor");
    let mut shown = String::new();
    let mut read = |word: &str| {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = terminal.read(&mut part) {
            shown.push_str(&String::from_utf8_lossy(&part[..length]));
        }
        shown.contains(word).then(|| shown.clone())
    };
    let lines = eventually("the gateway", async || read("try  curl")).await;
    let address = lines.split("listening").nth(1).and_then(|rest| rest.split("https://").nth(1));
    let address = address.and_then(|rest| rest.lines().next()).expect("an address").to_owned();
    shell.kill().expect("it runs");
    shell.wait().expect("it is a child");
    eventually("the signal", async || read("SIGHUP")).await;
    TcpStream::connect(&*address).await.expect("its terminal is there");
    drop(terminal);
    eventually("the gateway to stop", async || {
        TcpStream::connect(&*address).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn colours_are_left_out_for_whoever_wants_none() {
    for (variable, coloured) in [(("NO_COLOR", "1"), false), (("NO_COLOR", ""), true)] {
        // The one before may not have let its store go yet.
        let place = installation();
        let process = on_terminal_with(&place, "run", None, Some(variable));
        let listening = shown(&process, "listening").await;
        let url = listening.split_whitespace().last().expect("an address").to_owned();
        let url = url.replace("127.0.0.1", "localhost");
        let asked = Command::new("curl").args(["-sk", "-o", "/dev/null", &url]).status();
        assert!(asked.expect("curl").success());
        let line = shown(&process, "GET ").await;
        assert_eq!(line.contains('\u{1b}'), coloured, "{variable:?} {line:?}");
    }
}

#[tokio::test]
async fn a_question_is_answered_on_the_terminal() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "ann has this one", &[]).await;
    let place = gateway.installation();
    let kept = on_terminal(place, "user remove ann", Some("n\n")).end().await;
    assert!(kept.stdout.contains("[y/N]") && kept.stdout.contains("nothing was done"), "{kept:?}");
    assert_eq!(kept.status.code(), Some(1), "{kept:?}");
    Client::basic(&gateway, "ann", "ann has this one").get("/").await.expect(200);
    let removed = on_terminal(place, "user remove ann", Some("y\n")).end().await;
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    Client::basic(&gateway, "ann", "ann has this one").get("/").await.expect(401);
}

/// The store at rest is one command's at a time.
#[tokio::test]
async fn nobody_waits_while_another_is_asked() {
    let place = Installation::new();
    let password = Some("ann has this one\n");
    assert!(place.run(&["user", "add", "ann"], password).await.status.success());
    let (answers, mut answer) = std::io::pipe().expect("a pipe");
    let asked = Process::start_with(&mut terminal(&place, "user remove ann", None), answers);
    shown(&asked, "[y/N]").await;
    let listed = place.run(&["user", "list"], None).await;
    assert!(listed.status.success() && listed.stdout.contains("ann"), "{listed:?}");
    answer.write_all(b"y\n").expect("somebody reads");
    assert!(asked.end().await.status.success());

    assert!(place.run(&["user", "add", "ann"], password).await.status.success());
    let (input, mut answer) = std::io::pipe().expect("a pipe");
    let unread = input.try_clone().expect("a pipe");
    let mut change = place.command("", &["user", "passwd", "ann"]);
    let asked = Process::start_with(&mut change, input);
    answer.write_all(b"ann has another").expect("there is room");
    eventually("the password is read", async || {
        (rustix::io::ioctl_fionread(&unread).expect("a pipe") == 0).then_some(())
    })
    .await;
    let listed = place.run(&["user", "list"], None).await;
    assert!(listed.status.success() && listed.stdout.contains("ann"), "{listed:?}");
    answer.write_all(b"\n").expect("somebody reads");
    assert!(asked.end().await.status.success());
}
