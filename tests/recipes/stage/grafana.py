"""What Grafana does with `[auth.proxy]` and the settings in the recipe: the user is whom
X-WEBAUTH-USER names, made at the first visit.

grafana.py PORT
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Grafana(BaseHTTPRequestHandler):
    def do_GET(self):
        login = self.headers["X-WEBAUTH-USER"]
        status = 200 if login else 401
        user = {"login": login, "email": self.headers["X-WEBAUTH-EMAIL"]} if login else {"message": "Unauthorized"}
        body = json.dumps(user).encode()
        self.send_response(status)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Grafana).serve_forever()
