"""The program of the toy image: writes its argument, IDNA-encoded, to a file."""

import sys
from pathlib import Path

import idna

Path(sys.argv[2]).write_bytes(idna.encode(sys.argv[1]))
