"""The machine and its processes, as /proc shows them. No process is ever named by anything but its id."""

import ctypes
import datetime
import os
import pathlib
import platform
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def cpu_name():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def facts():
    """What the result file says of the machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return {"cpu": cpu_name(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(pages / 2**30, 1), "os": system,
            "kernel": f"{platform.system()} {platform.release()}", "python": platform.python_version(),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}


def adopt_orphans():
    """Processes that lose their parent below this one become its children: executors outlive the broker, and the demo must
    still be able to end them."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def arguments_of(pid):
    """The command line of a process; empty if it ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def find_processes(program, argument):
    """Ids of the processes whose program has that file name and one of whose arguments is `argument`."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            arguments = arguments_of(entry)
            if arguments and os.path.basename(arguments[0]) == program and argument in arguments[1:]:
                found.append(int(entry))
    return sorted(found)


def is_running(pid):
    """False for processes that ended, also if nobody has waited for them yet."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")


def cpu_seconds(pid):
    """Processor time that a process has used; 0 of one that ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reap(pid):
    """Takes the exit status of a child that ended, so that nothing is left of it."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except OSError:
        pass  # not a child of ours


def end_processes(pids, patience_s=5.0):
    """SIGTERM, then SIGKILL for what is still there."""
    for sign, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 2.0)):
        for pid in pids:
            if is_running(pid):
                try:
                    os.kill(pid, sign)
                except OSError:
                    pass
        give_up = time.monotonic() + patience
        while any(is_running(pid) for pid in pids) and time.monotonic() < give_up:
            time.sleep(0.02)
            for pid in pids:
                reap(pid)


def has_realtime_thread(pid):
    """Whether any thread of the process runs under SCHED_FIFO."""
    try:
        threads = [int(t) for t in os.listdir(f"/proc/{pid}/task")]
        return any(os.sched_getscheduler(t) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO for t in threads)
    except OSError:
        return False


def may_use_realtime(priority):
    """Whether this user may run threads under SCHED_FIFO at that priority."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True
