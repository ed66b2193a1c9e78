"""A WebSocket by websockets: agent.py URL [KEY [refused]]. With a key it is an agent."""
import asyncio
import json
import sys

import websockets


async def main(url, key=None, refused=None):
    async with websockets.connect(url) as socket:
        if key:
            await socket.send(json.dumps({"type": "auth", "api_key": key}))
            said = json.loads(await socket.recv())
            if refused:
                assert said["type"] == "auth_error", said
                await socket.wait_closed()
                assert socket.close_code == 4401, socket.close_code
                return
            assert said["type"] == "auth_success", said
            assert said["server_id"], said
        for message in ("still there?", b"\x00\xff", "x" * 100_000, ["in", "three", "pieces"]):
            await socket.send(message)
            whole = "".join(message) if isinstance(message, list) else message
            assert await socket.recv() == whole
        await (await socket.ping())
    assert socket.close_code == 1000, socket.close_code


asyncio.run(main(*sys.argv[1:]))
