// A WebSocket by ws: agent.js URL [KEY [refused]]. With a key it is an agent.
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const [url, key, refused] = process.argv.slice(2);

async function main() {
    const socket = new WebSocket(url);
    await once(socket, "open");
    if (key) {
        socket.send(JSON.stringify({ type: "auth", api_key: key }));
        const said = JSON.parse((await once(socket, "message"))[0]);
        if (refused) {
            assert.equal(said.type, "auth_error");
            assert.equal((await once(socket, "close"))[0], 4401);
            return;
        }
        assert.equal(said.type, "auth_success");
        assert.ok(said.server_id);
    }
    for (const message of ["still there?", Buffer.from([0, 255]), "x".repeat(100_000)]) {
        socket.send(message);
        const [echo, binary] = await once(socket, "message");
        assert.equal(binary, typeof message !== "string");
        assert.deepEqual(binary ? echo : echo.toString(), message);
    }
    socket.ping();
    await once(socket, "pong");
    socket.close(1000);
    assert.equal((await once(socket, "close"))[0], 1000);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
