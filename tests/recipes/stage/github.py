"""A GitHub for the recipe: one person, who agrees at once and is in one organisation.

github.py PORT CERTIFICATE KEY ORGANISATION CLIENT_SECRET
"""

import base64
import hashlib
import json
import secrets
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

PORT, CERTIFICATE, KEY, ORGANISATION, CLIENT_SECRET = sys.argv[1:]
EMAILS = [{"email": "octocat@github.example", "primary": True, "verified": True}]
ANSWERS = {
    "/user": {"id": 583231, "login": "octocat", "name": "Mona Lisa Octocat", "avatar_url": None},
    "/user/emails": EMAILS,
    f"/user/memberships/orgs/{ORGANISATION}": {"state": "active", "role": "member"},
}
CODES, TOKENS = {}, set()


class GitHub(BaseHTTPRequestHandler):
    def do_GET(self):
        at = urlsplit(self.path)
        asked = dict(parse_qsl(at.query))
        if at.path == "/login/oauth/authorize":
            code = secrets.token_hex()
            CODES[code] = asked["code_challenge"]
            back = urlencode({"code": code, "state": asked["state"]})
            self.answer(302, {}, Location=f"{asked['redirect_uri']}?{back}")
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in TOKENS:
            self.answer(401, {"message": "Bad credentials"})
        elif (answer := ANSWERS.get(at.path.removeprefix("/api/v3"))) is not None:
            self.answer(200, answer)
        else:
            self.answer(404, {"message": "Not Found"})

    def do_POST(self):
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if form["client_secret"] != CLIENT_SECRET or CODES.pop(form["code"], None) != challenge:
            self.answer(200, {"error": "bad_verification_code"})
            return
        token = secrets.token_hex()
        TOKENS.add(token)
        self.answer(200, {"access_token": token, "scope": "read:user,user:email", "token_type": "bearer"})

    def answer(self, status, value, **fields):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, field in {"Content-Type": "application/json", "Content-Length": len(body), **fields}.items():
            self.send_header(name, field)
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), GitHub)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(CERTIFICATE, KEY)
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
