// gRPC-web by Google's client: grpc_web.js URL TOKEN. The server echoes.
"use strict";
global.XMLHttpRequest = require("xhr2");
const assert = require("node:assert");
const { GrpcWebClientBase, MethodDescriptor, MethodType, StatusCode } = require("grpc-web");

const [base, token] = process.argv.slice(2);
const same = (bytes) => bytes;
const method = new MethodDescriptor(
    "/test.Echo/Say", MethodType.UNARY, Uint8Array, Uint8Array, same, same);

function call(format, metadata) {
    const client = new GrpcWebClientBase({ format });
    return client.unaryCall(base + method.getName(), new Uint8Array([1, 2, 3]), metadata, method);
}

async function main() {
    const metadata = { authorization: `Bearer ${token}`, "x-user-agent": "grpc-web-javascript/0.1" };
    for (const format of ["text", "binary"]) {
        assert.deepEqual([...(await call(format, metadata))], [1, 2, 3], format);
        await assert.rejects(call(format, {}), (error) => error.code === StatusCode.UNAUTHENTICATED);
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
