"""What the documents cannot tell a caller: who it is, and which things exist.

Each call signs in anew, so that a logout ends nobody else's session. Every other
call with valid data names things that exist, so that more than refusals is seen.
"""

import json
import os
import random

import requests
import schemathesis

KNOWN = json.loads(os.environ["OPENAPI_KNOWN"])
CHANCE = random.Random(1)


def call(method, path, body=None, form=None):
    url = KNOWN["url"] + path
    answer = requests.request(method, url, json=body, data=form, verify=KNOWN["certificate"], timeout=10)
    answer.raise_for_status()
    return answer.json()


def sign_in():
    """An access token and a refresh token of the document's own contract."""
    name, password = KNOWN["username"], KNOWN["password"]
    match KNOWN["document"]:
        case "form":
            pair = call("POST", "/api/v1/auth/login", form={"username": name, "password": password})
        case "status" | "admin":
            pair = call("POST", "/api/auth/login", {"username": name, "password": password})
        case "envelope":
            return call("POST", "/api/auth/login", {"email": KNOWN["email"], "password": password})["data"]["token"], None
        case "plain":
            pair = call("POST", "/api/v1/auth/login", {"username": name, "password": password})
            return pair["token"], pair["refreshToken"]
    return pair["access_token"], pair["refresh_token"]


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    def get(self, case, context):
        return sign_in()[0] if case.operation.definition.raw.get("security") else None

    def set(self, case, token, context):
        if token:
            case.headers["Authorization"] = f"Bearer {token}"


BODIES = {
    "login": lambda body: {**({"email": KNOWN["email"]} if "email" in body else {"username": KNOWN["username"]}), "password": KNOWN["password"]},
    "refresh": lambda body: {next(iter(body)): sign_in()[1]},
    "changePassword": lambda body: {"current_password": KNOWN["password"], "new_password": KNOWN["password"]},
}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode.is_negative or CHANCE.random() < 0.5:
        return
    known = BODIES.get(case.operation.definition.raw["operationId"])
    if known and isinstance(case.body, dict) and case.body:
        case.body = known(case.body)
