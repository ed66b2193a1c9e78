"""Uploads that are refused, by requests: upload.py URL TOKEN STATUS:PATH..."""
import sys

import requests

base, token, *cases = sys.argv[1:]
session = requests.Session()
for case in cases:
    status, path = case.split(":")
    headers = {"Authorization": f"Bearer {token}"} if status == "403" else {}
    for size in (1 << 10, 1 << 20, 10 << 20):
        body = b"x" * size
        pieces = (body[at : at + 65536] for at in range(0, size, 65536))
        # Of a body in pieces nobody knows beforehand that it is too large.
        for data in (body,) if status == "413" else (body, pieces):
            response = session.post(base + path, data=data, headers=headers)
            assert response.status_code == int(status), (case, size, response.status_code)
