"""What is measured, and what the gateway has to reach."""

from dataclasses import dataclass
from functools import partial

import load

GATEWAY = "gateway"
# The same with its state in Redis.
SHARED = "shared"


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    # Called with URL, credential field, seconds, cores, place.
    load: partial
    scheme: str = "bearer"
    path: str = "/"


SCENARIOS = (
    Scenario("jwt", "JWT, HTTP/1.1, 32 connections", partial(load.wrk, connections=32)),
    Scenario("jwt-h2", "JWT, HTTP/2, 8 connections of 8 streams", partial(load.h2load, connections=8, streams=8)),
    Scenario("basic", "Basic, bcrypt cost 12, HTTP/1.1", partial(load.wrk, connections=32), "basic"),
    Scenario("key", "API key, HTTP/1.1", partial(load.wrk, connections=32), "key"),
    Scenario("connect", "JWT, a full handshake for each request", partial(load.ab, connections=16)),
    Scenario("body", "JWT, answers of 1 MiB, HTTP/1.1", partial(load.wrk, connections=8), path="/mib"),
)


@dataclass(frozen=True)
class Held:
    """What a connection of this kind holds. Measured once, by itself."""

    about: str
    # Called with a server; gives what makes one.
    connect: partial
    connections: int = 2000
    # Most bytes for each, for the gateway.
    limit: int | None = None
    # Whether only the gateway knows it.
    own: bool = False


UNREAD_BYTES = 128 << 10
MEMORY = {
    "idle": Held("an idle TLS connection", load.idle_connection, limit=30_000),
    "agent": Held(
        "an idle agent: WebSocket over TLS, and its connection upstream", load.idle_agent, own=True
    ),
    "unread": Held("an answer over HTTP/1.1 that is not read", load.unread, 200, UNREAD_BYTES),
    "pipelined": Held(
        "500 requests in advance of answers that are not read", partial(load.unread, requests=500), 200, UNREAD_BYTES
    ),
    "unread-h2": Held(
        "an answer over HTTP/2 that is not read", partial(load.unread_streams, streams=1), 200, UNREAD_BYTES
    ),
    "unread-100": Held(
        "100 answers over HTTP/2 that are not read", partial(load.unread_streams, streams=100), 4
    ),
}


@dataclass(frozen=True)
class Target:
    """The CPU time of `of` for a request of a scenario is at most `limit` times what
    `proxy` needs for one of `against`."""

    scenario: str
    limit: float
    proxy: str
    against: str
    of: str = GATEWAY


TARGETS = (
    Target("jwt", 1.15, "nginx", "jwt"),
    Target("jwt", 0.7, "haproxy", "jwt"),
    Target("jwt", 0.45, "envoy", "jwt"),
    Target("jwt-h2", 1.15, "nginx", "jwt-h2"),
    Target("jwt-h2", 0.7, "haproxy", "jwt-h2"),
    Target("jwt-h2", 0.45, "envoy", "jwt-h2"),
    Target("basic", 1.1, GATEWAY, "jwt"),
    Target("key", 1.1, GATEWAY, "jwt"),
    Target("jwt", 1.05, GATEWAY, "jwt", of=SHARED),
    Target("connect", 0.8, "nginx", "connect"),
    Target("body", 0.7, "nginx", "body"),
)
