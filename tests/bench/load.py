"""The load generators: how they are run, and what is read from what they print."""

import json
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {**os.environ, "OPENSSL_CONF": str(Path(__file__).parent / "openssl.cnf")}


@dataclass(frozen=True)
class Outcome:
    requests: int
    seconds: float
    p99_ms: float


class Failed(Exception):
    """Something else than 200 was answered, or the generator's words were not understood."""


def find(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise Failed(f"no {pattern!r} in:\n{text}")
    return found[1]


def run(cores, command):
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores))]
    done = subprocess.run(
        [*pinned, *map(str, command)], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def milliseconds(text):
    """wrk's `850.00us`, `1.02ms`, `1.50s`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def wrk(url, field, seconds, cores, place, connections):
    """HTTP/1.1 on connections that stay."""
    options = ["-t", 1, "-c", connections, "-d", f"{seconds}s", "--latency", "-H", ": ".join(field)]
    text = run(cores, ["wrk", *options, url])
    if "Non-2xx" in text or "Socket errors" in text:
        raise Failed(text)
    requests, took = int(find(r"(\d+) requests in", text)), find(r"requests in (\S+),", text)
    if not requests:
        raise Failed(text)
    return Outcome(requests, milliseconds(took) / 1000, milliseconds(find(r"\n\s+99%\s+(\S+)", text)))


def h2load(url, field, seconds, cores, place, connections, streams):
    """HTTP/2, with several streams on each connection."""
    log = place / "h2load.log"
    log.unlink(missing_ok=True)
    tls = ["--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--groups", "X25519"]
    options = ["-t", 1, "-c", connections, "-m", streams, "-D", seconds, "--log-file", log, "-H", ": ".join(field)]
    text = run(cores, ["h2load", *tls, *options, url])
    requests = int(find(r"requests: \d+ total, \d+ started, (\d+) done", text))
    if int(find(r"(\d+) 2xx", text)) != requests or int(find(r"(\d+) failed", text)) or not requests:
        raise Failed(text)
    find(r"(Application protocol: h2\n)", text)
    find(r"(Cipher: TLS_AES_128_GCM_SHA256\n)", text)
    taken = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return Outcome(requests, seconds, taken[len(taken) * 99 // 100] / 1000)


def ab(url, field, seconds, cores, place, connections):
    """A new connection, with a full handshake, for each request."""
    csv = place / "ab.csv"
    options = ["-q", "-c", connections, "-t", seconds, "-n", 500_000, "-e", csv, "-H", ": ".join(field)]
    text = run(cores, ["ab", *options, url])
    requests = int(find(r"Complete requests:\s+(\d+)", text))
    if int(find(r"Failed requests:\s+(\d+)", text)) or "Non-2xx" in text or not requests:
        raise Failed(text)
    find(r"(TLSv1.3,TLS_AES_128_GCM_SHA256)", text)
    taken = float(find(r"Time taken for tests:\s+([\d.]+)", text))
    rows = dict(line.split(",") for line in csv.read_text().splitlines()[1:])
    return Outcome(requests, taken, float(rows["99"]))


def bytes_each(server, count, connect):
    """Bytes that the server holds for each connection that `connect` makes.

    The caller gives a server that was just started: memory freed before would hide the cost.
    """
    # What is allocated once, for whoever comes first, is not of a connection.
    connections = [connect() for _ in range(min(count, 20))]
    try:
        before = settled_bytes(server)
        connections += [connect() for _ in range(count)]
        return (settled_bytes(server) - before) / count
    finally:
        for connection in connections:
            connection.close()


def settled_bytes(server):
    """What the server holds once it has dealt with all that was sent."""
    held, seen = server.resident_bytes(), 0
    while held != seen:
        time.sleep(0.5)
        held, seen = server.resident_bytes(), held
    return held


def idle_connection(server):
    """A way to make TLS connections that have had one request."""
    context = tls(server)
    field = ": ".join(server.credentials["bearer"])
    text = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{field}\r\n\r\n".encode()

    def connect():
        connection = dial(server, context)
        connection.sendall(text)
        receive(server, connection, lambda answer: answer.endswith(b"backend\n"))
        return connection

    return connect


def idle_agent(server):
    """A way to make WebSockets over TLS that have had their first message."""
    context = tls(server)
    message = json.dumps({"type": "auth", "api_key": server.credentials["agent"][1]}).encode()
    # A text frame under a mask that changes nothing.
    text = UPGRADE.encode() + bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message

    def connect():
        connection = dial(server, context)
        connection.sendall(text)
        receive(server, connection, lambda answer: b'"auth_success"' in answer and answer.endswith(b"}"))
        return connection

    return connect


def unread(server, requests=1):
    """A way to make connections that ask for large answers and read nothing of them."""
    context = tls(server)
    field = ": ".join(server.credentials["bearer"])
    text = f"GET {LARGE} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{field}\r\n\r\n" * requests

    def connect():
        connection = dial(server, context)
        connection.sendall(text.encode())
        return connection

    return connect


def unread_streams(server, streams):
    """The same over HTTP/2, with windows as large as can be."""
    context = tls(server, "h2")
    window = struct.pack(">I", 0x7FFFFFFF)
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", f"127.0.0.1:{server.port}"), (":path", LARGE)]
    name, value = server.credentials["bearer"]
    head = b"".join(literal(*field) for field in [*fields, (name.lower(), value)])
    sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">H", 4) + window)
    sent += frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF - 0xFFFF))
    for stream in range(streams):
        # Whole, with its head.
        sent += frame(1, 0x1 | 0x4, 2 * stream + 1, head)

    def connect():
        connection = dial(server, context)
        connection.sendall(sent)
        return connection

    return connect


def frame(kind, flags, stream, payload):
    """RFC 9113, section 4.1."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """RFC 7541, section 6.2.3: a field that no table is to keep."""

    def text(of):
        # An integer with a prefix of 7 bits.
        length, octets = len(of), b""
        if length < 127:
            return bytes([length]) + of.encode()
        length -= 127
        while length >= 128:
            octets += bytes([length % 128 | 128])
            length //= 128
        return bytes([127]) + octets + bytes([length]) + of.encode()

    return b"\x10" + text(name) + text(value)


LARGE = "/large"
UPGRADE = (
    "GET /agents HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def tls(server, protocol="http/1.1"):
    context = ssl.create_default_context(cafile=server.values["certificate"])
    context.set_alpn_protocols([protocol])
    return context


def dial(server, context):
    tcp = socket.create_connection(("127.0.0.1", server.port))
    return context.wrap_socket(tcp, server_hostname="127.0.0.1")


def receive(server, connection, is_complete):
    answer = b""
    while not is_complete(answer):
        part = connection.recv(4096)
        if not part:
            raise Failed(f"{server.name} closed a connection: {answer}")
        answer += part
