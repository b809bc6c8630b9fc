"""The steps: build, test, bench, train. Each leaves what it did in the state, so that another call goes on from there."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import gpu_device
import gpu_place
import gpu_targets

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH_SECONDS, TEST_SECONDS, MEMCHECK_SECONDS = 240, 300, 600
MEMCHECKED = "gpu_agreement_test"  # the short set: every kernel that a model runs


class Run:
    """One call: where things are, what was done, how long it may still take."""

    def __init__(self, out, torch, driver_folder, bundle, minutes, label=gpu_targets.LABEL):
        self.out, self.torch = pathlib.Path(out).absolute(), torch
        self.bundle = pathlib.Path(bundle).absolute() if bundle else None
        self.facts = read_facts(self.bundle)
        self.label = label
        self.end = time.monotonic() + minutes * 60
        self.environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}  # it would go before our paths
        if driver_folder:
            self.environment["LD_LIBRARY_PATH"] = driver_folder
        (self.out / "logs").mkdir(parents=True, exist_ok=True)
        (self.out / "bench").mkdir(exist_ok=True)
        self.state = self.load_state()
        self.build = pathlib.Path(gpu_place.PLACE) / "build" if self.has_binaries() else SOURCE / "build/gpu"

    def has_binaries(self):
        return self.facts.get("kind") == "binaries"

    def load_state(self):
        try:
            return json.loads((self.out / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def save(self):
        fresh = self.out / "state.json.new"
        fresh.write_text(json.dumps(self.state, indent=1), encoding="utf-8")
        os.replace(fresh, self.out / "state.json")

    def left(self):
        return self.end - time.monotonic()

    def run(self, name, command, limit, environment=None, folder=None, end_signal=signal.SIGKILL):
        """Runs a program into logs/NAME.txt. Returns its result; a program over its limit is ended with all it started."""
        log = self.out / "logs" / f"{name}.txt"
        limit, started = min(limit, self.left()), time.monotonic()
        with open(log, "wb") as output:
            try:
                process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                           cwd=folder, env=self.environment | (environment or {}), start_new_session=True)
            except OSError as error:
                return {"status": "failed", "seconds": 0.0, "why": str(error)}
            try:
                code = process.wait(max(limit, 1))
            except subprocess.TimeoutExpired:
                code = None
                end_group(process, end_signal)
        result = {"seconds": round(time.monotonic() - started, 1)}
        if code is None and self.left() <= 0:
            return result | {"status": "not run", "why": "the time of this call ended; run it again"}
        if code is None:
            return result | {"status": "timeout", "why": f"over its limit of {limit:.0f} s"}
        return result | judge(code, log)


def end_group(process, first):
    """Ends the program and what it started: with `first`, then without asking."""
    for sign, patience in ((first, 60), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


def judge(code, log):
    """A program's status by its exit status and, for tests that leave themselves out, by what it printed."""
    if code == 77:
        return {"status": "skipped"}
    if code != 0:
        return {"status": "failed", "why": f"exit status {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"}
    skipped = re.findall(r"^\[  SKIPPED \] (\d+) test", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return {"status": "passed"} | ({"why": f"{skipped[-1]} of its cases were skipped"} if skipped else {})


def read_facts(bundle):
    """bundle.txt as a table; empty without a bundle."""
    if bundle is None:
        return {}
    try:
        lines = (bundle / "bundle.txt").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise gpu_device.Missing(f"{bundle} is no bundle of tools/bundle-deps ({error.strerror})") from error
    return dict(line.split("=", 1) for line in lines if "=" in line)


def identity(build):
    """Changes when a program or module of the build does."""
    digest = hashlib.sha256()
    for file in sorted([*build.glob("bin/*"), *build.glob("lib/*.so*")]):
        facts = file.stat()
        digest.update(f"{file.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


# ---- build


def build(run):
    """True if there is a build to go on with."""
    result = take_binaries(run) if run.has_binaries() else compile_all(run)
    if result["status"] == "passed":
        result["id"] = identity(run.build)
        if result["id"] != run.state.get("build", {}).get("id"):
            run.state.pop("tests", None)
            run.state.pop("bench", None)
    run.state["build"] = result
    run.save()
    return result["status"] == "passed"


def take_binaries(run):
    """Puts a bundle's programs where they want to be, and looks whether everything they need is found."""
    version = gpu_device.torch_version(run.torch)
    if version.split("+")[0] != run.facts.get("torch"):
        return {"status": "failed", "why": f"the bundle was built with libtorch {run.facts.get('torch')}, here is {version}"}
    try:
        gpu_place.make(gpu_place.PLACE, {"source": SOURCE, "build": run.bundle / "build", "site": run.torch.parent,
                                         "lib": run.bundle / "lib"})
    except OSError as error:
        return {"status": "failed", "why": f"{gpu_place.PLACE} cannot be made: {error}"}
    lost = []
    for file in sorted([*run.build.glob("bin/*"), *run.build.glob("lib/*.so")]):
        found = subprocess.run(["ldd", file], capture_output=True, text=True, env=run.environment, check=False).stdout
        lost += [f"{file.name}: {name}" for name in re.findall(r"^\s*(\S+) => not found", found, re.MULTILINE)]
    (run.out / "logs/build.txt").write_text("\n".join(lost) + "\n", encoding="utf-8")
    return {"status": "failed", "why": f"not found: {', '.join(lost[:5])}"} if lost else {"status": "passed"}


def configure_options(run):
    options = [f"-DTAKT_TORCH_ROOT={run.torch}", f"-DTAKT_CUDA_ROOT={run.torch}"]
    if run.bundle:
        options += [f"-DCMAKE_PREFIX_PATH={run.bundle}/usr", f"-DPKG_CONFIG_EXECUTABLE={run.bundle}/bin/pkg-config",
                    f"-DCMAKE_LIBRARY_ARCHITECTURE={run.facts['arch']}", f"-DOPENSSL_ROOT_DIR={run.bundle}/usr",
                    f"-DCMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES={run.bundle}/usr/include"]  # tl/expected.hpp is no package
        if not any((folder / "crt/host_defines.h").exists() for folder in
                   (run.torch.parent / "nvidia/cu13/include", pathlib.Path("/usr/local/cuda/include"))):
            options.append(f"-DTAKT_CUDA_INCLUDE={run.bundle}/cuda/include")
    return options


def compile_all(run):
    command = ["cmake", "--preset", "gpu", "-S", str(SOURCE), *configure_options(run)]
    configured = run.run("configure", command, 300, folder=SOURCE)
    if configured["status"] != "passed":
        return configured
    skipped = (run.build / "cuda-status.txt").read_text(encoding="utf-8").strip()
    if skipped.startswith("skipped"):
        return {"status": "failed", "why": f"the CUDA module: {skipped}"}
    return run.run("build", ["cmake", "--build", str(run.build), "--parallel", str(os.cpu_count()), "--target",
                             *gpu_targets.wanted(run.build, run.label)], 1500)


# ---- test


def list_tests(run):
    """Those that are built: what should be, is a target of the build step, which failed otherwise."""
    if run.has_binaries():
        found = gpu_targets.tests_in((run.bundle / "tests.json").read_text(encoding="utf-8"), run.label)
    else:
        found = gpu_targets.list_tests(run.build, run.label)
    return [entry for entry in found if entry[1]]


def go_through(run, kind, entries):
    """Runs what has not passed yet, one at a time. `entries`: (name, how to run it)."""
    earlier = run.state.get(kind, {})
    results = {name: earlier[name] if earlier.get(name, {}).get("status") == "passed" else {"status": "not run"}
               for name, _ in entries}
    run.state[kind] = results
    for index, (name, start) in enumerate(entries):
        if results[name]["status"] != "passed" and run.left() > 0:
            print(f"tools/gpu-check: {kind} {index + 1} of {len(entries)}: {name} ...", flush=True)
            results[name] = start()
            print(f"tools/gpu-check: {name}: {results[name]['status']} in {results[name]['seconds']} s"
                  f"{', ' + results[name]['why'] if 'why' in results[name] else ''}", flush=True)
            run.save()
    run.save()


def test(run):
    def starter(name, command, properties):
        environment = dict(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))
        folder = run.out if run.has_binaries() else properties.get("WORKING_DIRECTORY")
        return lambda: run.run(name, command, properties.get("TIMEOUT", TEST_SECONDS), environment, folder)

    tests = list_tests(run)
    entries = [(entry[0], starter(*entry)) for entry in tests]
    sanitizer = find_sanitizer(run.torch)
    for name, command, properties in tests:
        if name == MEMCHECKED and sanitizer:
            slow = properties | {"TIMEOUT": MEMCHECK_SECONDS}
            entries.append((f"memcheck_{name}", starter(f"memcheck_{name}", memcheck(sanitizer, command), slow)))
    if not sanitizer:
        print("tools/gpu-check: no compute-sanitizer here (a CUDA toolkit or the package nvidia-cuda-sanitizer-api has it): "
              "memory is not checked", flush=True)
    go_through(run, "tests", entries)


def find_sanitizer(torch):
    """compute-sanitizer of a toolkit or of a package beside libtorch; None if there is none."""
    beside = pathlib.Path(torch).parent / "nvidia/cu13/bin/compute-sanitizer"
    return str(beside) if beside.exists() else shutil.which("compute-sanitizer")


def memcheck(sanitizer, command):
    """The command under memcheck; single precision is enough, the kernels of half differ in the library only."""
    return [sanitizer, "--tool", "memcheck", "--error-exitcode", "1", *command, "--gtest_filter=*/0"]


# ---- bench


def bench(run):
    def starter(program):
        command = [str(program), "--json", str(run.out / "bench" / f"{program.name}.json")]
        return lambda: run.run(program.name, command, BENCH_SECONDS, {"OMP_WAIT_POLICY": "PASSIVE"}, run.out)

    go_through(run, "bench", [(program.name, starter(program)) for program in sorted(run.build.glob("bin/bench-gpu-*"))])


# ---- train


def train(run, data, more):
    """takt-train on CUDA; stopped at the end of the time as by Ctrl-C, which keeps its checkpoint."""
    folder = run.out / "train"
    resume = ["--resume"] if folder.is_dir() and any(folder.iterdir()) else []
    command = [str(run.build / "bin/takt-train"), "slim", "--device", "cuda", "--data", str(data), "--out", str(folder)]
    run.state["train"] = run.run("train", command + resume + more, run.left(), {"OMP_WAIT_POLICY": "PASSIVE"}, run.out,
                                 signal.SIGINT)
    run.save()
