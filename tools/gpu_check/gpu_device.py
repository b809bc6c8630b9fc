"""What this machine has: a GPU with its driver, a libtorch with CUDA. Nothing heavy is imported for it."""

import ctypes
import datetime
import importlib.util
import os
import pathlib
import platform
import re
import subprocess

# Where containers have the driver without telling ld.so. Nothing else may be in such a folder: it goes before our run paths.
DRIVER_FOLDERS = ("", "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib")


class Missing(Exception):
    """Why this machine cannot be used, as half a sentence."""


def load_driver():
    """libcuda and the folder that must be in LD_LIBRARY_PATH for it, "" if none."""
    for folder in DRIVER_FOLDERS:
        try:
            return ctypes.CDLL(os.path.join(folder, "libcuda.so.1")), folder
        except OSError:
            continue
    raise Missing("no NVIDIA driver (libcuda.so.1 is not there)")


def find_gpus():
    """Names of the GPUs, and the driver's folder as above. Makes no context."""
    driver, folder = load_driver()
    status = driver.cuInit(0)
    if status != 0:
        raise Missing(f"the NVIDIA driver does not start (cuInit: {status})")
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    names = []
    for index in range(count.value):
        name, device = ctypes.create_string_buffer(128), ctypes.c_int()
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    if not names:
        raise Missing("the NVIDIA driver sees no GPU")
    return names, folder


def find_torch(named=None):
    """The torch/ folder with libtorch_cuda: the one that was named, or that of this Python."""
    if named is None:
        named = os.environ.get("TAKT_TORCH_ROOT")
    if named is None:
        found = importlib.util.find_spec("torch")  # finds, does not import
        if found is None or not found.origin:
            raise Missing("no libtorch with CUDA (python3 knows no torch; name its folder with --torch)")
        named = os.path.dirname(found.origin)
    root = pathlib.Path(named).absolute()
    if not (root / "lib/libtorch_cuda.so").exists():
        raise Missing(f"no libtorch with CUDA in {root}")
    return root


def torch_version(root):
    try:
        text = (root / "version.py").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"__version__\s*=\s*['\"]([^'\"]+)", text)
    return found.group(1) if found else "unknown"


def output_of(*command):
    """A command's output, empty if it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def cpu_name():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def describe(gpus, torch, source):
    """What stands in the report's head."""
    fields = "name,driver_version,memory.total,power.limit,clocks.max.sm,clocks.sm,temperature.gpu,mig.mode.current"
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "gpus": gpus, "nvidia_smi": {"fields": fields, "rows": output_of("nvidia-smi", f"--query-gpu={fields}",
                                                                            "--format=csv,noheader").splitlines()},
            "torch": torch_version(torch), "torch_folder": str(torch), "cpu": cpu_name(), "cores": os.cpu_count(),
            "kernel": f"{platform.system()} {platform.release()}", "load": " ".join(f"{x:.2f}" for x in os.getloadavg()),
            "commit": output_of("git", "-C", str(source), "rev-parse", "--short=12", "HEAD") or "unknown"}
