#!/usr/bin/env python3
"""What a machine with a GPU needs of a build, as names of targets. Usage: gpu_targets.py BUILD [LABEL]"""

import json
import re
import subprocess
import sys

LABEL = "gpu"
# The service and its tools, and the tests of libtorch's CPU side: they tell whether a failure is the GPU's.
ALWAYS = ("taktd", "takt-exec", "taktctl", "takt-offline", "takt-train", "takt-driver-null", "takt-driver-cpu",
          "takt-driver-cuda", "takt", "cpu_driver_test", "models_test")


def tests_in(listing, label):
    """(name, command, properties) of every test with the label. `listing`: of ctest --show-only=json-v1; the command is empty
    while the program is not built."""
    found = []
    for test in json.loads(listing)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        if label in properties.get("LABELS", []):
            found.append((test["name"], test.get("command", []), properties))
    return found


def list_tests(build, label=LABEL):
    """The same of a configured build. Tests for a GPU are those of the configuration gpu."""
    command = ["ctest", "--test-dir", str(build), "-C", LABEL, "--show-only=json-v1"]
    return tests_in(subprocess.run(command, capture_output=True, text=True, check=True).stdout, label)


def wanted(build, label=LABEL):
    """The targets, in order. A test program has the name of its test."""
    command = ["cmake", "--build", str(build), "--target", "help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^(\S+): phony$", known, re.MULTILINE))
    mine = {name for name, _, _ in list_tests(build, label)} | set(ALWAYS) | {n for n in names if n.startswith("bench-gpu-")}
    return sorted(mine & names)


if __name__ == "__main__":
    print("\n".join(wanted(*sys.argv[1:3])))
