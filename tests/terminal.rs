//! What people see who start the gateway and its commands on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
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

/// A terminal, on which a shell runs as it does where people type.
struct Terminal {
    /// `None` once it is closed.
    end: Option<File>,
    shell: Child,
    shown: String,
}

impl Terminal {
    /// `$PORTCULLIS` in the line is the gateway's binary.
    fn run(place: &Installation, line: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let end = openpt(flags).expect("a terminal");
        unlockpt(&end).expect("it can be opened");
        let inside = ioctl_tiocgptpeer(&end, flags).expect("its other end");
        let streams = || inside.try_clone().expect("one more descriptor");
        let shell = Command::new("env")
            .args(["--default-signal=HUP,INT,QUIT", "setsid", "--ctty", "sh", "-c", line])
            .current_dir(place.path(""))
            .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
            .stdin(streams())
            .stdout(streams())
            .stderr(streams())
            .spawn()
            .expect("a shell");
        let end = File::from(end);
        rustix::io::ioctl_fionbio(&end, true).expect("a descriptor");
        Self { end: Some(end), shell, shown: String::new() }
    }

    /// Waits until it shows a word; everything that it has shown.
    async fn shows(&mut self, word: &str) -> String {
        let end = self.end.as_mut().expect("it is open");
        let shown = &mut self.shown;
        eventually(word, async || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = end.read(&mut part) {
                shown.push_str(&String::from_utf8_lossy(&part[..length]));
            }
            shown.contains(word).then(|| shown.clone())
        })
        .await
    }

    fn close(&mut self) {
        self.end = None;
    }

    /// To the shell, or to what it has become.
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.shell.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a child has a process id"), signal).expect("it runs");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn address_in(lines: &str) -> String {
    let address = lines.split("https://").nth(1).and_then(|rest| rest.split_whitespace().next());
    address.expect("an address").to_owned()
}

/// What a gateway has written to the file `log`, once a word is in it.
async fn logged(place: &Installation, word: &str) -> String {
    eventually(word, async || {
        let lines = std::fs::read_to_string(place.path("log")).unwrap_or_default();
        lines.contains(word).then_some(lines)
    })
    .await
}

// Was: it went on where its terminal outlived its shell by a moment.
#[tokio::test]
async fn a_gateway_stops_when_the_shell_ends_in_which_it_was_started() {
    let place = installation();
    // Of two commands the shell waits for the first.
    let mut terminal = Terminal::run(&place, "$PORTCULLIS run; exit");
    terminal.shows("try  curl").await;
    terminal.signal(Signal::KILL);
    let shown = terminal.shows("stopped").await;
    assert!(shown.contains("SIGHUP") && !shown.contains("ignored"), "{shown}");
}

// Was: it went on, for its streams do not lead to the terminal.
#[tokio::test]
async fn a_gateway_that_writes_to_a_file_stops_with_its_terminal() {
    let place = installation();
    let mut terminal = Terminal::run(&place, "$PORTCULLIS run >log 2>&1; exit");
    logged(&place, "listening").await;
    terminal.close();
    let lines = logged(&place, "stopped").await;
    assert!(!lines.contains("ignored"), "{lines}");
}

#[tokio::test]
async fn a_hangup_that_somebody_sends_changes_nothing_and_the_end_of_the_terminal_stops() {
    let place = installation();
    let mut terminal = Terminal::run(&place, "exec $PORTCULLIS run");
    let address = address_in(&terminal.shows("try  curl").await);
    terminal.signal(Signal::HUP);
    terminal.shows("unsupported signal ignored").await;
    TcpStream::connect(&*address).await.expect("it goes on");
    terminal.close();
    let ended = terminal.shell.wait().expect("it is a child");
    assert!(ended.success(), "{ended:?}");
}

#[tokio::test]
async fn a_gateway_under_nohup_survives_its_terminal() {
    let place = installation();
    let mut terminal = Terminal::run(&place, "exec nohup $PORTCULLIS run >log 2>&1");
    let lines = logged(&place, "\"address\":\"127.0.0.1:").await;
    let address = lines.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let address = address.expect("an address");
    terminal.close();
    logged(&place, "unsupported signal ignored").await;
    TcpStream::connect(address).await.expect("it goes on");
}

/// As a second signal of the operator's does.
#[tokio::test]
async fn the_end_of_the_terminal_cuts_no_drain() {
    let place = installation()
        .file("config.toml", &format!("{LISTENER}{ECHO}[timeouts]\ndrain_delay = \"2s\"\n"));
    let mut terminal = Terminal::run(&place, "exec $PORTCULLIS run >log 2>&1");
    logged(&place, "listening").await;
    terminal.signal(Signal::TERM);
    logged(&place, "stopping").await;
    terminal.close();
    let lines = logged(&place, "stopped").await;
    assert!(!lines.contains("immediately"), "{lines}");
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
