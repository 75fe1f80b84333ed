"""The first lesson's server: prints who said what, answers every datagram with a greeting."""

import argparse
import socket

BUFFER_BYTES = 1024

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("port", nargs="?", type=int, default=20001)
options.add_argument("--host", default="127.0.0.1")
chosen = options.parse_args()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((chosen.host, chosen.port))
    print("UDP server up and listening at", *server.getsockname())
    while True:
        message, client = server.recvfrom(BUFFER_BYTES)
        print(f"Message from Client:{message}")
        print(f"Client IP Address:{client}")
        server.sendto(b"Hello UDP Client", client)
