"""The backend and the proxies: their configuration, start, stop and credentials."""

import base64
import getpass
import grp
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import machine

TEMPLATES = Path(__file__).parent / "peers"
HELLO = b"hello from the backend\n"
SECRET = "a-secret-of-the-benchmark-of-32-bytes-or-more"
USER, PASSWORD = "bench", "correct-horse-battery-staple"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill(template, values):
    """A template with each @name@ replaced."""
    return re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), (TEMPLATES / template).read_text())


class Server:
    """A server under test: one process, with what it starts, on given cores."""

    template = ""
    # Statuses that a bad token gets; none where nobody is authenticated.
    refusal = ()
    schemes = ("bearer",)
    # Seconds until it must have started.
    patience = 20

    def __init__(self, name, place, cores, **values):
        self.name, self.place, self.cores = name, place, cores
        self.port = free_port()
        self.log = place / f"{name}.log"
        self.config = place / f"{name}-{self.template}"
        self.values = {
            "port": self.port,
            "place": place,
            "log": self.log,
            "data": place / f"{name}-data",
            "user": getpass.getuser(),
            "group": grp.getgrgid(os.getegid()).gr_name,
            "certificate": place / "server.pem",
            "key": place / "server.key",
            "both": place / "both.pem",
            "secret": SECRET,
            "secret64": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
            **values,
        }
        self.process = None
        # The request field of each scheme.
        self.credentials = {}

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self):
        self.config.write_text(fill(self.template, self.values))
        pinned = ["taskset", "--cpu-list", ",".join(map(str, self.cores))]
        with self.log.open("ab") as log, (self.place / f"{self.name}.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [*pinned, *map(str, self.command())],
                cwd=self.place,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
            )
        deadline = time.monotonic() + self.patience
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                errors = (self.place / f"{self.name}.err").read_text()
                raise SystemExit(f"{self.name} did not start:\n{errors}{self.log.read_text()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_seconds(self):
        return machine.cpu_seconds(self.process.pid)

    def resident_bytes(self):
        return machine.resident_bytes(self.process.pid)

    def url(self, path):
        return f"https://127.0.0.1:{self.port}{path}"

    def request(self, path, fields=None, body=None):
        """Status and body, over TLS, with the certificate checked."""
        context = ssl.create_default_context(cafile=self.values["certificate"])
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        try:
            connection.request("POST" if body else "GET", path, body, fields or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def open_sockets():
    """A backend for WebSockets: agrees to each, and says nothing. Its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)

    def agree():
        held = []
        while True:
            connection, _ = listener.accept()
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(4096)
            key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
            digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            accept = base64.b64encode(digest).decode()
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            held.append(connection)

    threading.Thread(target=agree, daemon=True).start()
    return listener.getsockname()[1]


class Backend(Server):
    template = "backend.conf"

    def command(self):
        return "nginx", "-p", self.place, "-c", self.config


class Gateway(Server):
    template = "gateway.toml"
    refusal = (401,)
    schemes = ("bearer", "basic", "key")

    def __init__(self, *arguments, binary, redis=None, **values):
        url = f'url = "redis://127.0.0.1:{redis}"\ndurability = "fast"' if redis else ""
        super().__init__(*arguments, store=url, **values)
        self.binary = Path(binary).resolve()

    def command(self):
        return self.binary, "--config", self.config

    def environment(self):
        return {"SECRET_KEY": SECRET}

    def version(self):
        return tool("portcullis", self.binary, "version")

    def start(self):
        super().start()
        deadline = time.monotonic() + self.patience
        # It listens to clients a moment before it takes commands.
        check = [self.binary, "--config", self.config, "healthcheck"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        while subprocess.run(check, env={**os.environ, **self.environment()}, **quiet).returncode:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} is not healthy:\n{self.log.read_text()}")
            time.sleep(0.05)
        return self

    def ask(self, *arguments, text=""):
        """Runs an administrative command beside the running gateway."""
        command = [self.binary, "--config", self.config, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        environment = {**os.environ, **self.environment()}
        return subprocess.run(command, input=text, env=environment, check=True, **pipes).stdout.strip()

    def make_credentials(self):
        """Makes a user and a key, signs the user in, and gives the field of each scheme."""
        self.ask("user", "add", USER, text=PASSWORD + "\n")
        key = self.ask("key", "create", "--owner", USER, "--name", "bench")
        server = self.ask("server", "add", "bench")
        agent = self.ask("key", "create", "--owner", USER, "--server", server)
        login = json.dumps({"username": USER, "password": PASSWORD})
        status, answer = self.request("/api/auth/login", {"Content-Type": "application/json"}, login)
        if status != 200:
            raise SystemExit(f"the gateway refused to sign {USER} in: {status} {answer}")
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return {
            "bearer": ("Authorization", "Bearer " + json.loads(answer)["access_token"]),
            "basic": ("Authorization", f"Basic {basic}"),
            "key": ("X-API-Key", key),
            "agent": ("X-API-Key", agent),
        }


class Redis(Server):
    """What a gateway with a shared store shares it through."""

    template = "redis.conf"

    def command(self):
        return "redis-server", self.config

    def version(self):
        return tool("Redis", "redis-server", "--version")


class Nginx(Server):
    template = "nginx.conf"

    def command(self):
        return "nginx", "-p", self.place, "-c", self.config

    def version(self):
        return tool("nginx", "nginx", "-v")


class Haproxy(Server):
    template = "haproxy.cfg"
    refusal = (401,)

    def command(self):
        return "haproxy", "-db", "-f", self.config

    def version(self):
        return tool("HAProxy", "haproxy", "-v")


class Envoy(Server):
    template = "envoy.yaml"
    refusal = (401, 403)

    def command(self):
        options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
        return machine.envoy(), "-c", self.config, *options

    def version(self):
        return f"Envoy {machine.ENVOY}"


PEERS = {"nginx": Nginx, "haproxy": Haproxy, "envoy": Envoy}


def tool(name, *command):
    """`name` with the first version number that the command prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return f"{name} {found[0] if found else 'of unknown version'}"


def make_certificate(place):
    """One self-signed ECDSA P-256 pair for all."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        + ["-keyout", place / "server.key", "-out", place / "server.pem"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    pair = (place / "server.pem").read_text() + (place / "server.key").read_text()
    (place / "both.pem").write_text(pair)


def spoil(field):
    """The same credential with one character of its secret changed."""
    name, value = field
    return name, value[:-6] + ("A" if value[-6] != "A" else "B") + value[-5:]


def check(proxy):
    """A proxy is measured only if it answers as it should."""

    def expect(what, seen, wanted):
        if seen not in wanted:
            raise SystemExit(f"{proxy.name}: {what}: {seen}, and not {' or '.join(map(str, wanted))}")

    for scheme in proxy.schemes:
        field = proxy.credentials[scheme]
        expect(f"a good {scheme}", proxy.request("/", dict([field])), [(200, HELLO)])
        expect("1 MiB", len(proxy.request("/mib", dict([field]))[1]), [1 << 20])
        if proxy.refusal:
            expect(f"a bad {scheme}", proxy.request("/", dict([spoil(field)]))[0], proxy.refusal)
            expect("no credential", proxy.request("/")[0], proxy.refusal)
            forged = dict([field, ("X-Portcullis-Username", "root")])
            status, who = proxy.request("/who", forged)
            expect("the name told upstream", (status, bool(who) and who != b"root"), [(200, True)])
