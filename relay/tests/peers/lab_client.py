"""A lab session by the letter of PROTOCOL.md: `ADDRESS HOST PORT MESSAGE`, one sendto, one reply."""

import asyncio
import json
import socket
import struct
import sys

try:
    from websockets.asyncio.client import connect
except ImportError:
    sys.exit("the Python module websockets is missing; `cargo xtask test` provides it")


async def main(relay, host, port, message):
    async with connect(f"ws://{relay}/lab", subprotocols=["udp-lab.v1"]) as lab:
        print("protocol", json.loads(await lab.recv())["protocol"])
        await lab.send('{"op":"open","call":1,"socket":5,"kind":"udp","family":"ipv4"}')
        head = struct.pack("!BBBxII4sH", 1, 4, 1, 5, 77, socket.inet_aton(host), int(port))
        await lab.send(head + message.encode())
        sent_ns = None
        async for received in lab:
            if isinstance(received, str):
                event = json.loads(received)
                print("call", event["call"], event["event"])
            elif received[0] == 0x83:
                number_of_socket, sent_ns, number, size = struct.unpack("!4xIQII", received)
                print("sent", number_of_socket, number, size)
            elif received[0] == 0x81:
                number_of_socket, at_ns, size, ip, source = struct.unpack_from("!4xIQI4sH", received)
                print("source", socket.inet_ntoa(ip), source)
                print("received", number_of_socket, size, received[26:])
                print("later", sent_ns < at_ns)
                break
        await lab.send('{"op":"close","call":2,"socket":5}')
        print("call 2", json.loads(await lab.recv())["event"])


asyncio.run(main(*sys.argv[1:]))
