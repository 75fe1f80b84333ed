"""The first lesson's client: says hello and prints the reply."""

import argparse
import socket

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("port", nargs="?", type=int, default=20001)
options.add_argument("--host", default="127.0.0.1")
chosen = options.parse_args()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.sendto(b"Hello UDP Server", (chosen.host, chosen.port))
    reply, server = client.recvfrom(1024)
    print(f"Message from Server {reply}")
