"""Runs a program in a terminal of its own and passes on what it prints: `PROGRAM ARGUMENT…`."""

import pty
import sys

pty.spawn(sys.argv[1:])
