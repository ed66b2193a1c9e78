// gRPC-web and Connect by Buf's client: connect_web.mjs URL TOKEN. The server echoes gRPC-web.
import assert from "node:assert";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2]);
const { create, createFileRegistry } = require("@bufbuild/protobuf");
const wkt = require("@bufbuild/protobuf/wkt");
const { Code, createClient } = require("@connectrpc/connect");
const { createConnectTransport, createGrpcWebTransport } = require("@connectrpc/connect-web");

const [baseUrl, token] = process.argv.slice(3);
const name = ".google.protobuf.StringValue";
const method = (methodName, serverStreaming) =>
    ({ name: methodName, inputType: name, outputType: name, serverStreaming });
const file = create(wkt.FileDescriptorProtoSchema, {
    name: "echo.proto",
    package: "test",
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "Echo", method: [method("Say", false), method("Listen", true)] }],
});
const registry = createFileRegistry(file, () => wkt.file_google_protobuf_wrappers);
const service = registry.getService("test.Echo");

async function refused(call) {
    await assert.rejects(call, (error) => error.code === Code.Unauthenticated || Promise.reject(error));
}

const headers = { authorization: `Bearer ${token}` };
const web = createClient(service, createGrpcWebTransport({ baseUrl }));
assert.equal((await web.say({ value: "here" }, { headers })).value, "here");
for (const transport of [createGrpcWebTransport, createConnectTransport]) {
    const client = createClient(service, transport({ baseUrl }));
    await refused(client.say({ value: "here" }));
    await refused((async () => {
        for await (const _ of client.listen({ value: "here" })) {
            assert.fail("nothing is answered");
        }
    })());
}
