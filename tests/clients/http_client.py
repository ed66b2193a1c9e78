"""Documented calls and usual ones by requests: http_client.py URL USER PASSWORD."""
import sys

import requests

base, user, password = sys.argv[1:]


def check(response, status=200):
    assert response.status_code == status, (response.request.url, response.status_code, response.text)
    return response


pair = check(
    requests.post(f"{base}/api/auth/login", json={"username": user, "password": password})
).json()
form = {"username": user, "password": password}
check(requests.post(f"{base}/api/v1/auth/login", data=form))
check(requests.post(f"{base}/api/v1/auth/login", json=form))
check(requests.get(f"{base}/things", auth=(user, password)))
check(requests.get(f"{base}/things", auth=(user, "a guess")), 401)
check(requests.get(f"{base}/things"), 401)

session = requests.Session()
session.headers["Authorization"] = f"Bearer {pair['access_token']}"
for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
    check(session.request(method, f"{base}/a path/ü?q=a b&list[]=1&x={{}}|"))
check(session.post(f"{base}/files", files={"file": ("a.bin", b"\x00\xff" * 10_000)}))
check(session.put(f"{base}/files", data=(piece for piece in (b"one", b"two"))))
check(session.post(f"{base}/x", json={}, headers={"X-Custom": "a, b", "Accept-Language": "de, en"}))
check(session.post(f"{base}/api/auth/refresh", json={"refresh_token": pair["refresh_token"]}))
check(session.post(f"{base}/api/logout"))
check(session.get(f"{base}/things"), 401)
