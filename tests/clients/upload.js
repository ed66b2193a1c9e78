// Uploads that are refused, by Node's fetch: upload.js URL TOKEN STATUS:PATH...
"use strict";
const assert = require("node:assert");

const [base, token, ...cases] = process.argv.slice(2);

async function main() {
    for (const one of cases) {
        const [status, path] = one.split(":");
        const headers = status === "403" ? { authorization: `Bearer ${token}` } : {};
        for (const size of [1 << 10, 1 << 20, 10 << 20]) {
            const body = new Uint8Array(size);
            const response = await fetch(base + path, { method: "POST", headers, body });
            assert.equal(response.status, Number(status), `${one}, ${size} bytes`);
            await response.arrayBuffer();
        }
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
