"""python_frames.py SOCKET MODEL SECONDS: a closed loop of frames with takt.py; prints one line of JSON. PYTHONPATH: takt.py."""
import json
import sys
import time

import takt

path, model, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
times = []
with takt.Client(path, "bench") as client, client.open(model, deadline_ms=1000) as stream:
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds + 0.5:
        with stream.frame() as frame:
            frame.input(0)[:8] = 1
        with client.next_answer(timeout=5) as answer:
            answer.output(0)
        if now > begin + 0.5:
            times.append((time.perf_counter() - now) * 1e6)
times.sort()
at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
print(json.dumps({"n": len(times), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999)}))
