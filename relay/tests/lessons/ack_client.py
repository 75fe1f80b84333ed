"""The second lesson's client: waits two seconds for the acknowledgement, and no longer."""

import argparse
import socket

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("port", nargs="?", type=int, default=9999)
options.add_argument("--host", default="127.0.0.1")
options.add_argument("--message", default="Hello from the client")
chosen = options.parse_args()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(2)
    client.sendto(chosen.message.encode(), (chosen.host, chosen.port))
    try:
        reply, server = client.recvfrom(4096)
        print(f"Reply: {reply.decode()}")
    except socket.timeout:
        print("No reply received in time")
