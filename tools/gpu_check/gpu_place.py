#!/usr/bin/env python3
"""One place with links in it, the same on every machine: the paths compiled into a bundle's binaries lead there.
Usage: gpu_place.py PLACE NAME=TARGET..."""

import os
import pathlib
import sys

PLACE = "/var/tmp/takt-gpu"


def make(place, links):
    """Points every link of `links` (name -> target) anew. Raises OSError; PermissionError if the place is somebody else's."""
    place = pathlib.Path(place)
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise PermissionError(f"{place} belongs to somebody else")
    for name, target in links.items():
        fresh = place / f".{name}.{os.getpid()}"
        fresh.symlink_to(pathlib.Path(target).absolute())
        os.replace(fresh, place / name)


if __name__ == "__main__":
    try:
        make(sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:]))
    except OSError as error:
        sys.exit(f"tools/gpu_check/gpu_place.py: {error}")
