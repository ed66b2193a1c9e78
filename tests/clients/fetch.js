// Documented calls and usual ones by Node's fetch: fetch.js URL USER PASSWORD.
"use strict";
const assert = require("node:assert");

const [base, username, password] = process.argv.slice(2);

async function call(path, status, init) {
    const response = await fetch(base + path, init);
    assert.equal(response.status, status, path);
    return response;
}

async function main() {
    const json = (body) => ({
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
    });
    const pair = await (await call("/api/auth/login", 200, json({ username, password }))).json();
    const form = new URLSearchParams({ username, password });
    await call("/api/v1/auth/login", 200, { method: "POST", body: form });
    const authorization = `Bearer ${pair.access_token}`;
    for (const method of ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]) {
        await call("/a path/ü?q=a b&list[]=1", 200, { method, headers: { authorization } });
    }
    const data = new FormData();
    data.set("file", new Blob([new Uint8Array(20_000)]), "a.bin");
    await call("/files", 200, { method: "POST", headers: { authorization }, body: data });
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    await call("/things", 200, { method: "POST", headers: { authorization: basic } });
    await call("/things", 401);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
