"""gRPC by grpcio: grpc_client.py HOST:PORT CERTIFICATE TOKEN. The server echoes."""
import sys

import grpc

target, certificate, token = sys.argv[1:]
with open(certificate, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
channel = grpc.secure_channel(target, credentials)
good = [("authorization", f"Bearer {token}"), ("x-trace-bin", b"\x00\xff"), ("my_key.x", "1")]


def code(call):
    try:
        call()
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


echo = channel.unary_unary("/test.Echo/Say")
assert echo(b"hello", metadata=good, timeout=10) == b"hello"
assert echo(b"x" * 1_000_000, metadata=good, timeout=10, compression=grpc.Compression.NoCompression)
stream = channel.stream_stream("/test.Echo/Stream")
sent = [b"one", b"", b"three" * 1000]
assert list(stream(iter(sent), metadata=good, timeout=10)) == sent
fail = channel.unary_unary("/test.Echo/Fail")
assert code(lambda: fail(b"", metadata=good, timeout=10)) == grpc.StatusCode.NOT_FOUND
assert code(lambda: echo(b"", timeout=10)) == grpc.StatusCode.UNAUTHENTICATED
bad = [("authorization", "Bearer made-up")]
assert code(lambda: echo(b"", metadata=bad, timeout=10)) == grpc.StatusCode.UNAUTHENTICATED
