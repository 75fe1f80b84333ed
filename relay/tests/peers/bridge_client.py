"""One message through the raw bridge: `URL HEX`, the reply printed as hex."""

import asyncio
import sys

try:
    from websockets.asyncio.client import connect
except ImportError:
    sys.exit("the Python module websockets is missing; `cargo xtask test` provides it")


async def main(url, payload):
    async with connect(url) as bridge:
        await bridge.send(payload)
        print((await bridge.recv()).hex())


asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2])))
