"""What stands beside every figure: the machine and how busy it was; medians, and the CPU time of processes."""
import json
import os
import platform
import statistics
import time


def first_line(path, otherwise=""):
    try:
        with open(path) as f:
            return f.readline().strip()
    except OSError:
        return otherwise


def cpu_info(key):
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(key) and ": " in line:
                return line.split(": ", 1)[1].strip()
    return "unknown"


def describe():
    return {"cpu": cpu_info("model name"), "cores": os.cpu_count(), "kernel": f"Linux {platform.release()}",
            "virtual": "hypervisor" in cpu_info("flags"),
            "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not readable"),
            "load": first_line("/proc/loadavg"), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def show(m):
    print(f"machine: {m['cpu']}, {m['cores']} cores{', virtual' if m['virtual'] else ''}, {m['kernel']}, "
          f"governor {m['governor']}\n{m['date']}, load average {m['load']}")


def save(path, report):
    if path:
        with open(path, "w") as f:
            json.dump(report, f, indent=1)
            f.write("\n")


def cpu_s(pid):
    """CPU time of all threads of a process, from the scheduler's nanoseconds."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        total += int(first_line(f"/proc/{pid}/task/{task}/schedstat", "0").split()[0])
    return total / 1e9


def median(values):
    return statistics.median(values) if values else float("nan")
