"""An application that says by which method it was called: under Flask's own server, and
under uvicorn as ASGI."""

import sys

from flask import Flask, request

flask = Flask(__name__)


@flask.route("/open/where")
@flask.route("/where")
def where():
    return request.path


@flask.route("/<path:path>", methods=["GET", "POST", "DELETE"])
def called(path):
    return f"executed {request.method}"


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    text = f"executed {scope['method']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})


if __name__ == "__main__":
    host, port = sys.argv[1:]
    flask.run(host=host, port=int(port))
