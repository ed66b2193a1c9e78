"""What the documents cannot tell a caller: who it is, and which things exist.

Each call signs in anew, so that a logout ends nobody else's session. Every other
call with valid data names things that exist, so that more than refusals is seen;
what it may remove was made for it just before.
"""

import itertools
import json
import os
import random

import requests
import schemathesis

KNOWN = json.loads(os.environ["OPENAPI_KNOWN"])
NAME, EMAIL, PASSWORD = (KNOWN[key] for key in ("username", "email", "password"))
CHANCE = random.Random(1)
NUMBERS = itertools.count(1)
OWN_CALLS = requests.Session()


def call(method, path, token=None, **more):
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    url = KNOWN["url"] + path
    # In each call, for the environment's certificates come before the session's.
    more = {"headers": fields, "verify": KNOWN["certificate"], "timeout": 10, **more}
    answer = OWN_CALLS.request(method, url, **more)
    answer.raise_for_status()
    return answer.json()


def sign_in(name=NAME, password=PASSWORD):
    """An access token and a refresh token, which every contract takes."""
    pair = call("POST", KNOWN["login"], json={"username": name, "password": password})
    return pair["access_token"], pair["refresh_token"]


def made(path, **members):
    """What the administration or a contract has just made."""
    return call("POST", path, sign_in()[0], json=members)


def new_user():
    name = f"somebody-{next(NUMBERS)}"
    return made("/api/admin/users", username=name, password=PASSWORD)


def new_session():
    user = new_user()
    sign_in(user["username"])
    found = call("GET", f"/api/admin/sessions?user={user['id']}", sign_in()[0])
    return found["items"][0]


def new_member():
    workspace, user = made("/api/admin/workspaces", name="room"), new_user()
    path = f"/api/admin/workspaces/{workspace['id']}/members/{user['id']}"
    call("PUT", path, sign_in()[0], json={"role": "editor"})
    return {"id": workspace["id"], "user": user["id"]}


def new_failure():
    """One failed attempt from this address."""
    try:
        sign_in("nobody")
    except requests.HTTPError:
        pass
    return "127.0.0.1"


# For paths that begin so, what their parameters may stand for.
THINGS = {
    "/api/v1/auth/keys/": lambda: {"keyId": made("/api/v1/auth/keys", name="a")["keyId"]},
    "/api/admin/users/": lambda: {"id": new_user()["id"]},
    "/api/admin/workspaces/": new_member,
    "/api/admin/servers/": lambda: {"id": made("/api/admin/servers", name="web")["id"]},
    "/api/admin/keys/": lambda: {"id": made("/api/admin/keys", owner=new_user()["id"])["id"]},
    "/api/admin/sessions/": lambda: {"id": new_session()["id"]},
    "/api/admin/lockouts/": lambda: {"address": new_failure()},
}

# Members of bodies and queries, whatever the operation.
VALUES = {
    "refresh_token": lambda: sign_in()[1],
    "refreshToken": lambda: sign_in()[1],
    "current_password": lambda: PASSWORD,
    "workspaceId": lambda: KNOWN["workspace"],
    "owner": lambda: new_user()["id"],
    "user": lambda: new_user()["id"],
    "server": lambda: made("/api/admin/servers", name="web")["id"],
    "serverId": lambda: KNOWN["server"],
}

# Bodies of which the members belong together.
BODIES = {
    "login": lambda body: {**body, **({"email": EMAIL} if "email" in body else {"username": NAME}), "password": PASSWORD},
    # The next call must still be able to sign in.
    "changePassword": lambda body: {"current_password": PASSWORD, "new_password": PASSWORD},
}


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    def get(self, case, context):
        return sign_in()[0] if case.operation.definition.raw.get("security") else None

    def set(self, case, token, context):
        if token:
            case.headers["Authorization"] = f"Bearer {token}"


def known(values):
    return {name: VALUES[name]() if name in VALUES else value for name, value in values.items()}


@schemathesis.hook
def before_call(context, case, kwargs):
    spare_oneself(case)
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    operation = case.operation.definition.raw["operationId"]
    say_what_schemas_cannot(case)
    if CHANCE.random() < 0.5:
        return
    for path, thing in THINGS.items():
        if case.path.startswith(path):
            there = {name: value for name, value in thing().items() if name in case.path_parameters}
            case.path_parameters = {**case.path_parameters, **there}
    if isinstance(case.body, dict):
        case.body = BODIES.get(operation, known)(case.body)
    if case.query:
        case.query = known(case.query)


def say_what_schemas_cannot(case):
    """Valid data must be valid: two equal passwords, and an integer written as 3, for
    to a schema 3.0 is one as well."""
    if isinstance(case.body, dict):
        whole = lambda value: isinstance(value, float) and value.is_integer()
        case.body = {name: int(value) if whole(value) else value for name, value in case.body.items()}
        if "password_confirm" in case.body:
            case.body = {**case.body, "password_confirm": case.body["password"]}


def spare_oneself(case):
    """The administrator who calls would be gone for the calls after this one."""
    own = [name for name, value in (case.path_parameters or {}).items() if value == KNOWN["account"]]
    if own and case.method != "GET":
        case.path_parameters = {**case.path_parameters, **{name: new_user()["id"] for name in own}}
