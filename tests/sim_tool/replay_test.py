"""takt-sim replay as a user meets it: the fixture of tests/sim/samples/replay."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TOOL = os.environ["TAKT_SIM"]
FOLDER = pathlib.Path(os.environ["TAKT_REPLAY"])


def replay(trace=FOLDER / "trace.csv", *arguments, policy="edf", config=FOLDER / "takt.xml"):
    command = [TOOL, "replay", "--recorded", trace, "--config", config, "--policy", policy, *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


class Replay(unittest.TestCase):
    def test_prints_the_result_with_the_recorded_one_beside_it(self):
        done = replay()
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual([t["name"] for t in result["tasks"]], ["camera", "closer"])
        self.assertEqual(result["recorded"]["tasks"][0]["on_time"], 2)
        self.assertEqual(result["recorded"]["tasks"][0]["hit_rate"], 0.5)
        self.assertEqual(result["tasks"][0]["on_time"], 3)
        self.assertGreater(result["sla"], result["recorded"]["hit_rate"])

    def test_is_equal_each_time(self):
        self.assertEqual(replay(policy="sdrm3:full").stdout, replay(policy="sdrm3:full").stdout)

    def test_writes_the_trace_of_the_replay(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder) / "again"
            self.assertEqual(replay(FOLDER / "trace.csv", "--trace", trace).returncode, 0)
            self.assertIn("10000000,start,camera,0,0,fast,full", trace.read_text())

    def test_refuses_a_malformed_trace_with_its_line_and_status_2(self):
        good = (FOLDER / "trace.csv").read_text()
        for wrong, said in ((good.replace("1013000000,end", "soon,end", 1), r"trace\.csv:7: time_ns"), ("", r"trace\.csv:1: open"),
                            (good.replace("fast,full", "quick,full"), r"trace\.csv:\d+: accelerator: 'quick'"), ("\0" * 99 + "\n", r"trace\.csv:1: ")):
            with tempfile.TemporaryDirectory() as folder:
                trace = pathlib.Path(folder) / "trace.csv"
                trace.write_text(wrong)
                done = replay(trace)
            self.assertEqual(done.returncode, 2, said)
            self.assertRegex(done.stderr, said)

    def test_refuses_files_and_policies_that_do_not_exist_with_status_2(self):
        for done, said in ((replay(FOLDER / "none.csv"), "none.csv"), (replay(config=FOLDER / "none.xml"), "none.xml"), (replay(policy="nobody"), "nobody")):
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
