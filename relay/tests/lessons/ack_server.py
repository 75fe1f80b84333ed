"""The second lesson's server: acknowledges every datagram by sending its bytes back."""

import argparse
import socket

BUFFER_BYTES = 4096

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("port", nargs="?", type=int, default=9999)
options.add_argument("--host", default="127.0.0.1")
chosen = options.parse_args()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((chosen.host, chosen.port))
    print("ack server listening at", *server.getsockname())
    while True:
        message, client = server.recvfrom(BUFFER_BYTES)
        print(f"received {message} from {client}")
        server.sendto(b"ack:" + message, client)
