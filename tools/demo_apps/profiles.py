"""Measured segment times of the model on each accelerator: taken once, kept in the output folder while they hold."""

import hashlib
import json
import os
import subprocess
import xml.etree.ElementTree as xml

import machine

# As taktd gives its executors: threads that wait do not spin, and page faults stay out of the times.
PRIORITY = 15  # of the executors' real-time workers, whose budgets the 99th percentiles become
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.top_pad=67108864",
}


def key(binaries, libraries, model, accelerators):
    """What the times depend on."""
    root = xml.parse(model / "model.xml").getroot()
    digest = lambda file: hashlib.sha256(file.read_bytes()).hexdigest()
    return {"weights": root.get("digest"), "model": digest(model / "model.xml"),
            "driver": digest(libraries / "takt-driver-cpu.so"), "executor": digest(binaries / "takt-exec"),
            "cpu": machine.cpu_name(), "accelerators": accelerators, "realtime": machine.may_use_realtime(PRIORITY)}


def measure(binaries, libraries, model, accelerators, folder, seconds, say):
    """Accelerator -> profile file. Measures all accelerators at the same time, as they will run: each core alone would be
    faster than both are together. Raises RuntimeError with what takt-exec said."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.xml" for name in accelerators}
    key_file = folder / "key.json"
    wanted = key(binaries, libraries, model, accelerators)
    if key_file.exists() and json.loads(key_file.read_text()) == wanted and all(f.exists() for f in files.values()):
        say("profiles of this model, driver and machine are there already")
        return files
    key_file.unlink(missing_ok=True)
    realtime = ["--priority", str(PRIORITY)] if wanted["realtime"] else []
    running = {}
    try:
        for name, core in accelerators.items():
            command = [binaries / "takt-exec", "--profile", files[name], "--model", model, "--driver", "cpu", "--driver-dir",
                       libraries, "--accelerator", f"name={name},cores={core}", "--batches", "1,2,4,8",
                       "--seconds", str(seconds), *realtime]
            with open(folder / f"{name}.log", "wb") as log:
                running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 env=os.environ | ENVIRONMENT)
        for name, process in running.items():
            if process.wait(seconds * 4 + 120) != 0:
                raise RuntimeError(f"takt-exec could not profile {name}:\n{(folder / f'{name}.log').read_text(errors='replace')}")
    finally:
        machine.end_processes([p.pid for p in running.values() if p.poll() is None])
    key_file.write_text(json.dumps(wanted, indent=1))
    return files
