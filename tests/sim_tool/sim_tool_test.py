"""takt-sim as a user meets it: exit codes, messages, equal runs, a sweep that goes on where it stopped."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TOOL = os.environ["TAKT_SIM"]
CONFIGS = pathlib.Path(os.environ["TAKT_CONFIGS"])
GAMING = CONFIGS / "scenarios" / "vr_gaming.xml"


def call(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)


class Run(unittest.TestCase):
    def test_prints_one_json_object(self):
        done = call("run", "--scenario", GAMING, "--policy", "edf", "--duration", "500ms", "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual([t["name"] for t in result["tasks"]], ["gaze", "hand", "pose", "context"])
        self.assertEqual(result["duration_ns"], 500_000_000)

    def test_is_equal_for_equal_seeds_and_differs_for_others(self):
        with tempfile.TemporaryDirectory() as folder:
            traces = []
            for number, seed in enumerate((3, 3, 4)):
                trace = pathlib.Path(folder) / str(number)
                call("run", "--scenario", GAMING, "--policy", "sdrm3:full", "--seed", seed, "--duration", "300ms", "--trace", trace)
                traces.append(trace.read_bytes())
        self.assertEqual(traces[0], traces[1])
        self.assertNotEqual(traces[0], traces[2])

    def test_refuses_what_it_does_not_know_with_status_2(self):
        for wrong, said in ((("--policy", "nobody"), "nobody"), (("--policy", "sdrm3:wings"), "wings"), (("--policy", "edf:drop"), "variants"),
                            (("--policy", "sdrm3", "--set", "gamma=1"), "gamma"), (("--policy", "sdrm3", "--set", "alpha=much"), "alpha"),
                            (("--policy", "edf", "--set", "alpha=1"), "alpha"), (("--policy", "edf", "--duration", "soon"), "--duration")):
            done = call("run", "--scenario", GAMING, *wrong)
            self.assertEqual(done.returncode, 2, wrong)
            self.assertIn(said, done.stderr)

    def test_tells_file_line_and_key_of_a_wrong_scenario(self):
        with tempfile.TemporaryDirectory() as folder:
            wrong = pathlib.Path(folder) / "wrong.xml"
            wrong.write_text(GAMING.read_text().replace('fps="60"', 'fps="often"'))
            done = call("run", "--scenario", wrong, "--policy", "edf")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"wrong\.xml:\d+: .*fps")


class Sweep(unittest.TestCase):
    def sweep(self, csv, *policies):
        done = call("sweep", "--scenario", GAMING, "--policy", *policies, "--system", "2ws2k", "--family", "chain", "--seed", 1,
                    "--duration", "200ms", "--csv", csv, "--jobs", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done, csv.read_text().splitlines()

    def test_writes_a_row_for_each_run_and_a_table(self):
        with tempfile.TemporaryDirectory() as folder:
            done, lines = self.sweep(pathlib.Path(folder) / "s.csv", "edf", "sdrm3:drop/alpha=0/beta=2")
        self.assertEqual(len(lines), 1 + 4 * 2)
        self.assertIn("sdrm3:drop/alpha=0/beta=2", done.stdout)

    def test_runs_only_what_is_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            csv = pathlib.Path(folder) / "s.csv"
            _, first = self.sweep(csv, "edf")
            cut = first[:3] + [first[3][:20]]  # interrupted in the middle of a row
            csv.write_text("\n".join(cut) + "\n")
            _, second = self.sweep(csv, "edf")
            _, third = self.sweep(csv, "edf", "fcfs")
        times = lambda lines: [line.rsplit(",", 1) for line in lines[1:]]
        self.assertEqual([cells for cells, _ in times(first)], [cells for cells, _ in times(second)])
        self.assertEqual(times(first)[:2], times(second)[:2], "finished rows are kept")
        self.assertEqual(len(third), 1 + 8)
        self.assertTrue(set(second) <= set(third))


if __name__ == "__main__":
    unittest.main()
