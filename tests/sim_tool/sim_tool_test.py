"""takt-sim as a user meets it: exit codes, messages, equal runs, a sweep that goes on where it stopped, a report."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree

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

    def test_varies_scenarios_beside_what_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            csv = pathlib.Path(folder) / "s.csv"
            done = call("sweep", "--scenario", GAMING, CONFIGS / "scenarios" / "drone_indoor.xml", "--policy", "edf", "bound:fluid", "--system", "2ws2k",
                        "--family", "chain", "--level", 0.95, "--seed", 1, "--duration", "200ms", "--csv", csv, "--vary", "probability=1")
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = [line.split(",") for line in csv.read_text().splitlines()[1:]]
        self.assertEqual({(r[0], r[4]) for r in rows}, {("VR_Gaming/probability=1", "edf"), ("VR_Gaming/probability=1", "bound:fluid")},
                         "the other has no triggers")
        edf, bound = sorted(rows, key=lambda r: r[4] != "edf")
        self.assertEqual(edf[6], bound[6], "they count the same frames")
        self.assertLessEqual(int(bound[7]), int(edf[7]))

    def test_refuses_a_variation_that_it_does_not_know(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call("sweep", "--scenario", GAMING, "--policy", "edf", "--csv", pathlib.Path(folder) / "s.csv", "--vary", "luck=1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("luck", done.stderr)


class Reproduce(unittest.TestCase):
    TINY = ("reproduce", "sdrm3", "--quick", "--scenario", GAMING, "--system", "2ws2k", "--duration", "100ms", "--jobs", 2)

    def reproduce(self, out, *more):
        done = call(*self.TINY, "--out", out, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_writes_rows_a_report_and_a_page_that_needs_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "r"
            done = self.reproduce(out)
            self.assertIn("edf+drop", done.stdout)
            self.assertGreater(len((out / "cells-100ms.csv").read_text().splitlines()), 80)
            page = (out / "report.html").read_text()
            text, summary = (out / "report.md").read_text(), (out / "summary.md").read_text()
        for heading in ("Against the targets", "Main comparison", "By family and level", "Against each rival", "What was published",
                        "The strongest sdrm3", "Ablations", "Sensitivity", "The tuner", "By scenario and system"):
            self.assertIn("## " + heading, text)
            self.assertIn("<h2>" + heading, page)
        self.assertIn("## Against the targets", summary)
        tree = xml.etree.ElementTree.fromstring(re.sub("<!DOCTYPE html>", "", page))
        self.assertGreater(len(list(tree.iter("{http://www.w3.org/2000/svg}svg"))), 10)
        self.assertFalse(list(tree.iter("script")))
        self.assertNotRegex(page, r"(src|href)=|url\(|@import")
        self.assertNotRegex(page, r"\b(nan|inf)\b")

    def test_runs_nothing_again(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "r"
            self.reproduce(out)
            first = (out / "cells-100ms.csv").read_text()
            self.reproduce(out)
            self.assertEqual(first, (out / "cells-100ms.csv").read_text(), "wall times included")

    def test_goes_on_after_an_interruption(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "r"
            csv = out / "cells-100ms.csv"
            whole = subprocess.Popen([TOOL, *map(str, self.TINY), "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while whole.poll() is None and not (csv.exists() and csv.read_text().count("\n") > 5):
                time.sleep(0.001)
            whole.send_signal(signal.SIGINT)
            whole.wait()
            before = {line for line in csv.read_text().splitlines() if line.count(",") == 13}
            self.reproduce(out)
            self.assertLessEqual({line for line in before if line[0] != "s"}, set(csv.read_text().splitlines()))

    def test_searches_for_the_strongest_sdrm3(self):
        with tempfile.TemporaryDirectory() as folder:
            done = call(*self.TINY, "--search-only", "--out", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"strongest sdrm3 by violations: sdrm3\S*\nstrongest sdrm3 by UXCost: +sdrm3")

    def test_refuses_what_it_does_not_know(self):
        with tempfile.TemporaryDirectory() as folder:
            for wrong in (("--own", "nobody"), ("--system", "abacus"), ("--duration", "soon"), ("--rival", "sdrm3:wings")):
                done = call(*self.TINY, "--out", folder, *wrong)
                self.assertEqual(done.returncode, 2, wrong)


class Tuner(unittest.TestCase):
    def tuner(self, csv, *more):
        return call("tuner", "--scenario", GAMING, CONFIGS / "scenarios" / "drone_indoor.xml", "--duration", "50ms", "--seed", 1, "--tuner-seed", 2,
                    "--tuner", "sdrm3:full/window_ms=20", "--windows", 12, "--jobs", 2, "--csv", csv, *more)

    def test_holds_cold_and_warm_runs_against_a_grid_of_81_points(self):
        with tempfile.TemporaryDirectory() as folder:
            csv, out = pathlib.Path(folder) / "t.csv", pathlib.Path(folder) / "t.txt"
            done = self.tuner(csv, "--out", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("VR_Gaming", done.stderr, "progress")
            rows, text = csv.read_text(), out.read_text()
            again = self.tuner(csv)
            self.assertEqual(again.stdout, text)
            self.assertEqual(csv.read_text(), rows, "nothing runs again, wall times included")
        for scenario in ("VR_Gaming", "Drone_Indoor"):
            fixed = {line.split(",")[4] for line in rows.splitlines() if line.startswith(scenario)}
            grid = {f"sdrm3:drop+supernet/alpha={a / 4:g}/beta={b / 4:g}" for a in range(9) for b in range(9)}
            self.assertLessEqual(grid, fixed)
            for start in ("cold", "warm"):
                self.assertRegex(text, rf"{scenario} +{start} +[01] of  1 +[0-5-] ")
        self.assertRegex(text, r"cold: within five steps in most runs in [012], in every run in [012] of 2 scenarios")

    def test_refuses_what_it_does_not_know(self):
        with tempfile.TemporaryDirectory() as folder:
            for wrong, said in ((("--system", "abacus"), "abacus"), (("--tuner", "sdrm3:wings"), "wings"), (("--tuner", "edf"), "alpha"),
                                (("--tuner", "sdrm3"), "not a tuner")):
                done = self.tuner(pathlib.Path(folder) / "t.csv", *wrong)
                self.assertEqual(done.returncode, 2, wrong)
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
