"""What a bridge to an echo server must do, as an independent client sees it: `URL CHECK`."""

import asyncio
import sys

try:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed
except ImportError:
    sys.exit("the Python module websockets is missing; `cargo xtask test` provides it")

WINDOW = 32


def pattern(size):
    return bytes((offset * 7 + size) % 251 for offset in range(size))


async def sizes(bridge):
    for size in (0, 1, 1024, 1472, 9000, 65507):
        await bridge.send(pattern(size))
        assert await bridge.recv() == pattern(size), f"{size} bytes came back changed"


async def text(bridge):
    await bridge.send("Grüße, 世界")
    assert await bridge.recv() == "Grüße, 世界".encode()


async def fragments(bridge):
    async def parts():
        for number in range(50):
            yield pattern(20 + number)
            await (await bridge.ping())

    await bridge.send(parts())
    whole = b"".join(pattern(20 + number) for number in range(50))
    assert await bridge.recv() == whole, "the fragments were not one datagram"


async def thousand(bridge):
    """At most WINDOW datagrams are on their way, or a socket buffer on the path might overflow."""
    sent = [b"%d:" % number + pattern(number) for number in range(1000)]
    for number, payload in enumerate(sent):
        if number >= WINDOW:
            assert await bridge.recv() == sent[number - WINDOW], f"datagram {number - WINDOW}"
        await bridge.send(payload)
    for payload in sent[-WINDOW:]:
        assert await bridge.recv() == payload


async def too_large(bridge, size):
    try:
        await bridge.send(bytes(size))
        await bridge.recv()
    except ConnectionClosed as closed:
        print(closed.rcvd.code, closed.rcvd.reason)
    else:
        sys.exit("the bridge stays open")


async def main(url, check, *numbers):
    async with connect(url, max_size=None) as bridge:
        await globals()[check](bridge, *map(int, numbers))
        print(check, "done")


asyncio.run(main(*sys.argv[1:]))
