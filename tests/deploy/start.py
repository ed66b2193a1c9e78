"""Whether what deploy/ ships starts and serves: the image's command, or the unit's, with
the user, the environment and the files that Docker or systemd would give it, and no others.

start.py BINARY image DOCKERFILE
start.py BINARY unit UNIT [DROP_IN...]

Neither Docker nor systemd takes part: in a directory that holds what the image holds, chroot
and setpriv do what is promised about users, capabilities, volumes and credentials. It needs
root, and a network in which no port is taken.
"""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEADLINE = 20
UID = 65532
UPSTREAM = "http://127.0.0.1:3000"
CONFIG = f'[[route]]\npath = "/"\nupstream = "{UPSTREAM}"\n'
GATEWAY = "/usr/bin/portcullis"
# What a credential holds, be it a password or a secret key.
GIVEN = "0123456789abcdef0123456789abcdef"


class Upstream(BaseHTTPRequestHandler):
    """Says who it is told is calling."""

    def do_GET(self):
        body = self.headers["X-Portcullis-Username"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def require(holds, fault):
    if not holds:
        raise SystemExit(fault)


def make_root(binary, root):
    """What the image holds, and beside it in /stage what becomes the user."""
    programs = {binary: GATEWAY, shutil.which("setpriv"): "/stage/setpriv"}
    for program, target in list(programs.items()):
        linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        programs |= {library: library for library in re.findall(r"(/\S+) \(0x", linked)}
    for source, target in programs.items():
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(f"root:x:0:0::/:\nnonroot:x:{UID}:{UID}::/home/nonroot:\n")
    (root / "etc/group").write_text(f"root:x:0:\nnonroot:x:{UID}:\n")
    (root / "tmp").mkdir(mode=0o1777)


def make_certificate(directory):
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", directory / "privkey.pem", "-out", directory / "fullchain.pem"],
        check=True,
        capture_output=True,
    )


class Service:
    """One way to start the gateway: in `root`, with this environment, in this directory."""

    def __init__(self, root, state, environment, working="/", capabilities=()):
        self.root, self.state, self.environment = root, root / state.lstrip("/"), environment
        kept = "".join(f",+{capability}" for capability in capabilities)
        self.become = ["/stage/setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs"]
        self.become += [f"--bounding-set=-all{kept}"]
        if kept:
            self.become += [f"--inh-caps=-all{kept}", f"--ambient-caps=-all{kept}"]
        (root / working.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.working = working

    def enter(self):
        os.chroot(self.root)
        os.chdir(self.working)

    def process(self, command, **options):
        return subprocess.Popen([*self.become, *command], env=self.environment, preexec_fn=self.enter, **options)

    def serves(self, command, health, port=8443, authority=None, password=None):
        """Starts it, signs in as the administrator, and stops it; the password is returned."""
        given = set(self.root.rglob("*"))
        with (self.root / "said").open("w+") as said:
            gateway = self.process(command, stdout=said, stderr=said)
            try:
                end = time.monotonic() + DEADLINE
                while self.process(health, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() != 0:
                    fault = (self.root / "said").read_text
                    require(gateway.poll() is None, f"it does not start: {fault()}")
                    require(time.monotonic() < end, f"it is not healthy: {fault()}")
                    time.sleep(0.05)
                self.is_found_by_root()
                password = password or (self.state / "admin_password").read_text().strip()
                tls = ssl.create_default_context(cafile=authority or self.state / "certs/server.pem")
                connection = http.client.HTTPSConnection("localhost", port, context=tls, timeout=DEADLINE)
                basic = b64encode(f"admin:{password}".encode()).decode()
                connection.request("GET", "/", headers={"Authorization": f"Basic {basic}"})
                response = connection.getresponse()
                seen = response.status, response.read()
                require(seen == (200, b"admin"), f"the upstream's response is {seen}")
                connection.close()
                gateway.send_signal(signal.SIGTERM)
                require(gateway.wait(DEADLINE) == 0, "it does not stop cleanly")
                self.is_found_by_root()
                self.forgets_the_first_password()
            finally:
                gateway.kill()
                gateway.wait()
        self.keeps_to_its_state(given)
        return password

    def by_root(self, *command, **more):
        """Commands beside it, which are told nothing."""
        return subprocess.run(
            [GATEWAY, *command],
            env={"HOME": "/root"},
            preexec_fn=self.enter,
            capture_output=True,
            text=True,
            **more,
        )

    def is_found_by_root(self):
        """Whether it runs or has stopped."""
        found = self.by_root("user", "list")
        require("admin" in found.stdout, f"root's commands do not find it: {found.stderr}")

    def forgets_the_first_password(self):
        kept = self.state / "admin_password"
        if not kept.exists():
            return
        changed = self.by_root("user", "passwd", "admin", input=kept.read_text())
        require(changed.returncode == 0, f"root sets no password: {changed.stderr}")
        require(not kept.exists(), f"the former password stays: {changed.stderr}")

    def begins_nothing_anew(self, command):
        """Beside what version 0.1 left, in data of the working directory."""
        former = self.root / self.working.lstrip("/") / "data"
        former.mkdir()
        os.chown(former, UID, UID)
        for path in self.state.iterdir():
            if path.is_file():
                path.rename(former / path.name)
        refused = self.process(command, stderr=subprocess.PIPE, text=True)
        _, said = refused.communicate(timeout=DEADLINE)
        require(refused.returncode != 0 and str(former)[len(str(self.root)) :] in said, f"it passes over {former}: {said}")

    def keeps_to_its_state(self, given):
        for path in set(self.root.rglob("*")) - given:
            if path.lstat().st_uid == UID:
                require(path.is_relative_to(self.state), f"{path.relative_to(self.root)} was made beside the state")
        require(self.state.stat().st_mode & 0o077 == 0, "others can look into the state")


def image(root, dockerfile):
    """The last stage's instructions, as Docker carries them out."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text().rsplit("\nFROM ", 1)[1])
    said = dict(re.findall(r"^([A-Z]+) (.+)$", text, re.MULTILINE))
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/home/nonroot", "HOSTNAME": "0123456789ab"}
    environment |= dict(shlex.split(found)[0].split("=", 1) for found in re.findall(r"^ENV (.+)$", text, re.MULTILINE))
    require(said["USER"] == f"{UID}:{UID}", "another user")
    volume = said["VOLUME"]
    (copied,) = re.findall(r"^COPY --from=build --chown=65532:65532 /made\S* (\S+)$", text, re.MULTILINE)
    require(copied == volume, "a new volume is not the user's")
    (root / volume.lstrip("/")).mkdir(parents=True, mode=0o700)
    os.chown(root / volume.lstrip("/"), UID, UID)
    entry = json.loads(said["ENTRYPOINT"])
    health = json.loads(said["HEALTHCHECK"].split("CMD", 1)[1])
    service = Service(root, volume, environment, said["WORKDIR"])
    password = service.serves([*entry, "run", "--to", UPSTREAM], health)
    (root / "etc/portcullis").mkdir(exist_ok=True)
    (root / "etc/portcullis/config.toml").write_text(CONFIG)
    # The same volume: the password of the first start is good.
    command = [*entry, *json.loads(said["CMD"])]
    service.serves(command, health, password=password)
    service.begins_nothing_anew(command)


def entries(files):
    """The assignments of a unit and its drop-ins; an empty one takes back those before it."""
    found = {}
    for file in files:
        for line in file.read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                name, value = line.split("=", 1)
                found[name] = [*found.get(name, []), value] if value else []
    return found


def unit(root, files):
    """The unit's service, as systemd starts it."""
    said = entries(files)
    state = f"/var/lib/{said['StateDirectory'][-1]}"
    (root / state.lstrip("/")).mkdir(parents=True, mode=int(said["StateDirectoryMode"][-1], 8))
    os.chown(root / state.lstrip("/"), UID, UID)
    environment = {"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": state}
    credentials = f"/run/credentials/{files[0].name}"
    for loaded in said.get("LoadCredential", []):
        name, path = loaded.split(":")
        source, target = root / path.lstrip("/"), root / f"{credentials}/{name}".lstrip("/")
        if not source.exists():
            make_certificate(source.parent)
        if not source.exists():
            source.write_text(f"{GIVEN}\n")
        source.chmod(0o600)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        os.chown(target, UID, UID)
        target.chmod(0o400)
    for value in said["Environment"]:
        environment |= dict([shlex.split(value)[0].replace("%d", credentials).split("=", 1)])
    ambient = said.get("AmbientCapabilities", [])
    require(set(ambient) <= set(said["CapabilityBoundingSet"]), "a capability that it may not have")
    require(not ambient or said["PrivateUsers"][-1] == "no", "a capability of a user namespace, not of the host")
    port = int(environment.get("PORTCULLIS_LISTEN", ":8443").rsplit(":", 1)[1])
    authority = root / "etc/letsencrypt/live/gateway.example.com/fullchain.pem"
    capabilities = [capability.removeprefix("CAP_").lower() for capability in ambient]
    service = Service(root, state, environment, said["WorkingDirectory"][-1], capabilities)
    given = GIVEN if "ADMIN_PASSWORD_FILE" in environment else None
    (command,) = said["ExecStart"]

    def start(options, password):
        words = [word for part in command.split() for word in (options if part == "$OPTIONS" else [part])]
        return service.serves(words, [GATEWAY, "healthcheck"], port, authority if authority.exists() else None, password)

    password = start(["--to", UPSTREAM], given)
    (root / "etc/portcullis").mkdir(exist_ok=True)
    (root / "etc/portcullis/config.toml").write_text(CONFIG)
    start(environment["OPTIONS"].split(), password)
    service.begins_nothing_anew([word for word in command.split() if word != "$OPTIONS"])


def main():
    binary, kind, *files = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 3000), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="portcullis-start-") as place:
        root = Path(place)
        root.chmod(0o755)
        make_root(binary, root)
        if kind == "image":
            image(root, Path(files[0]))
        else:
            unit(root, [Path(file) for file in files])


if __name__ == "__main__":
    main()
