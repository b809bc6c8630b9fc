"""tools/gpu-check without a GPU: what it runs, what it leaves out, when it stops; its report and figures on sample data."""

import contextlib
import io
import json
import os
import pathlib
import stat
import subprocess
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as xml

import gpu_check
import gpu_device
import gpu_figures
import gpu_place
import gpu_report
import gpu_steps

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LINES = {"title": "Launch over nodes", "x": "nodes", "y": "us", "log_x": True, "limit": 4.0,
         "series": [{"name": "bare", "points": [[1, 2.5], [100, 3.0]]}, {"name": "takt <all>", "points": [[100, 3.4], [1, 2.6]]}]}
BARS = {"title": "Isolation", "unit": "us", "bars": [["alone", 10.0], ["beside bulk", 14.0]], "limit": 15.0}
MEASURED = {"targets": [{"name": "P14 a", "what": "launch over a bare one", "value": 1.3, "limit": 1.3, "unit": "x"},
                        {"name": "P15 a", "value": 0.97, "limit": 0.97, "at_least": True},
                        {"name": "P15 b", "value": 0.95, "limit": 0.97, "at_least": True}], "figures": [LINES, BARS]}
MACHINE = {"date": "2026-11-22 12:00 UTC", "gpus": ["A GPU & more"], "nvidia_smi": {"fields": "name", "rows": ["A GPU, 580"]},
           "torch": "2.11.0+cu130", "torch_folder": "/t", "cpu": "A CPU", "cores": 16, "kernel": "Linux", "load": "0.1", "commit": "abc"}


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text + "\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Folder(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)


class Report(Folder):
    def write_run(self, bench_status="passed"):
        out = self.folder
        state = {"machine": MACHINE, "build": {"status": "passed", "seconds": 61.5, "id": "1"},
                 "tests": {"graphs_test": {"status": "passed", "seconds": 2.0}, "faults_test": {"status": "failed", "seconds": 1.0,
                                                                                               "why": "exit status 1"}},
                 "bench": {"bench-gpu-launch": {"status": bench_status, "seconds": 30.0}}}
        (out / "bench").mkdir()
        (out / "logs").mkdir()
        (out / "state.json").write_text(json.dumps(state))
        (out / "bench/bench-gpu-launch.json").write_text(json.dumps(MEASURED))
        (out / "logs/faults_test.txt").write_text("an assertion that failed\n")
        (out / "logs/graphs_test.txt").write_text("all is well\n")
        (out / "logs/bench-gpu-launch.txt").write_text("launch 3.4 us\n")
        return gpu_report.write(out), (out / "report.txt").read_text(encoding="utf-8")

    def test_tells_met_targets_from_missed_ones(self):
        report, text = self.write_run()
        self.assertEqual([target["met"] for target in report["targets"]], [True, True, False])
        self.assertRegex(text, r"met +P14 a +1\.3 x \(<= 1\.3\)  launch over a bare one")
        self.assertRegex(text, r"MISSED +P15 b +0\.95 +\(>= 0\.97\)")

    def test_shows_what_failed_and_what_benchmarks_printed(self):
        _, text = self.write_run()
        self.assertIn("tests: 1 ok, 1 FAILED", text)
        self.assertIn("an assertion that failed", text)
        self.assertIn("launch 3.4 us", text)
        self.assertNotIn("all is well", text)

    def test_is_complete_only_if_all_was_run(self):
        report, text = self.write_run()
        self.assertTrue(report["complete"])
        self.assertNotIn("NOT COMPLETE", text)

    def test_says_that_something_was_not_run_and_takes_no_figures_of_it(self):
        report, text = self.write_run(bench_status="not run")
        self.assertFalse(report["complete"])
        self.assertIn("NOT COMPLETE", text)
        self.assertEqual((report["targets"], report["figures"]), ([], []))

    def test_of_an_empty_folder_claims_nothing(self):
        report = gpu_report.write(self.folder)
        self.assertFalse(report["complete"])
        self.assertIn("nothing was run yet", (self.folder / "report.txt").read_text(encoding="utf-8"))

    def test_writes_a_figure_a_file(self):
        report, _ = self.write_run()
        self.assertEqual(report["figures"], ["figures/gpu-launch-launch-over-nodes.svg", "figures/gpu-launch-isolation.svg"])
        for name in report["figures"]:
            self.assertTrue(xml.parse(self.folder / name).getroot().tag.endswith("svg"))


class Figures(unittest.TestCase):
    def elements(self, image, name):
        return [e.attrib for e in xml.fromstring(image).iter(f"{{http://www.w3.org/2000/svg}}{name}")]

    def test_draw_larger_values_higher_and_curves_from_left_to_right(self):
        bare, takt = (e["points"].split() for e in self.elements(gpu_figures.draw(LINES), "polyline"))
        self.assertGreater(float(bare[0].split(",")[1]), float(bare[1].split(",")[1]))
        self.assertLess(float(takt[0].split(",")[0]), float(takt[1].split(",")[0]))

    def test_keep_every_mark_on_the_paper(self):
        for figure in (LINES, LINES | {"log_y": True}, LINES | {"series": [{"name": "one", "points": [[5, 5]]}]}):
            image = gpu_figures.draw(figure)
            height = float(xml.fromstring(image).attrib["height"])
            for mark in self.elements(image, "circle"):
                self.assertTrue(0 <= float(mark["cx"]) <= gpu_figures.WIDTH and 0 <= float(mark["cy"]) <= height, mark)

    def test_draw_bars_in_proportion(self):
        alone, beside = [float(e["width"]) for e in self.elements(gpu_figures.draw(BARS), "rect")[1:]]
        self.assertAlmostEqual(beside / alone, 1.4, places=2)

    def test_draw_nothing_of_nothing(self):
        self.assertIsNone(gpu_figures.draw({"title": "empty", "series": [{"name": "a", "points": []}]}))

    def test_use_round_ticks_around_the_values(self):
        self.assertEqual(gpu_figures.ticks(0.0, 4.0, False), [0, 1, 2, 3, 4])
        self.assertEqual(gpu_figures.ticks(3, 900, True), [1, 10, 100, 1000])
        for low, high in ((0.0, 0.037), (2.1, 9.7), (5, 5), (0.0, 123456.0)):
            marks = gpu_figures.ticks(low, high, False)
            self.assertTrue(marks[0] <= low and high <= marks[-1] * (1 + 1e-9) and 2 <= len(marks) <= 8, (low, high, marks))


class Steps(Folder):
    """A bundle whose programs are scripts; each notes that it ran."""

    def make_bundle(self, programs):
        bundle, place = self.folder / "bundle", self.folder / "place"
        tests = []
        for name, text in programs.items():
            write_script(bundle / "build/bin" / name, f"echo {name} >>{self.folder}/ran\n{text}")
            if not name.startswith("bench-"):
                label = "unit" if name.startswith("cpu") else "gpu"
                tests.append({"name": name, "command": [str(place / "build/bin" / name)],
                              "properties": [{"name": "LABELS", "value": [label]}, {"name": "TIMEOUT", "value": 30},
                                             {"name": "ENVIRONMENT", "value": ["MARK=set by the test"]}]})
        tests.append({"name": "not_built_test", "properties": [{"name": "LABELS", "value": ["gpu"]}]})
        (bundle / "lib").mkdir(exist_ok=True)
        (bundle / "tests.json").write_text(json.dumps({"tests": tests}))
        (bundle / "bundle.txt").write_text("kind=binaries\narch=x86_64-linux-gnu\ntorch=2.11.0\n")
        (self.folder / "site/torch").mkdir(parents=True, exist_ok=True)
        (self.folder / "site/torch/version.py").write_text("__version__ = '2.11.0+cu130'\n")
        patched = unittest.mock.patch.object(gpu_place, "PLACE", str(place))
        patched.start()
        self.addCleanup(patched.stop)
        return bundle

    def check(self, bundle, minutes=5.0):
        """One call, as the program makes it. Returns the state and the programs that ran."""
        (self.folder / "ran").write_text("")
        run = gpu_steps.Run(self.folder / "out", self.folder / "site/torch", "", bundle, minutes)
        run.state["machine"] = MACHINE
        with contextlib.redirect_stdout(io.StringIO()):
            if gpu_steps.build(run):
                gpu_steps.test(run)
                gpu_steps.bench(run)
        return run.state, (self.folder / "ran").read_text().split()

    def statuses(self, results):
        return {name: result["status"] for name, result in results.items()}

    def test_run_the_label_alone_and_tell_passed_failed_and_skipped(self):
        bundle = self.make_bundle({"a_test": '[ "$MARK" = "set by the test" ]', "b_test": "exit 3", "c_test": "exit 77",
                                   "cpu_test": "", "d_test": "kill -SEGV $$"})
        state, _ = self.check(bundle)
        self.assertEqual(self.statuses(state["tests"]),
                         {"a_test": "passed", "b_test": "failed", "c_test": "skipped", "d_test": "failed"})
        self.assertEqual(state["tests"]["d_test"]["why"], "ended by SIGSEGV")

    def test_check_memory_too_where_a_sanitizer_lies_beside_libtorch(self):
        bundle = self.make_bundle({"a_test": "", gpu_steps.MEMCHECKED: ""})
        write_script(self.folder / "site/nvidia/cu13/bin/compute-sanitizer",
                     f'echo memcheck >>{self.folder}/ran\n[ "$2" = memcheck ] && shift 4 && exec "$@"')
        state, ran = self.check(bundle)
        self.assertEqual(ran, ["a_test", gpu_steps.MEMCHECKED, "memcheck", gpu_steps.MEMCHECKED])
        self.assertEqual(self.statuses(state["tests"])[f"memcheck_{gpu_steps.MEMCHECKED}"], "passed")

    def test_go_on_where_the_last_call_stopped(self):
        bundle = self.make_bundle({"a_test": "", "b_test": "exit 1", "bench-gpu-x": 'echo {} >"$2"'})
        self.check(bundle)
        state, ran = self.check(bundle)
        self.assertEqual(ran, ["b_test"])
        self.assertEqual(self.statuses(state["bench"]), {"bench-gpu-x": "passed"})

    def test_forget_results_of_another_build(self):
        self.check(self.make_bundle({"a_test": ""}))
        _, ran = self.check(self.make_bundle({"a_test": "true"}))
        self.assertEqual(ran, ["a_test"])

    def test_start_nothing_once_the_time_is_over_and_say_so(self):
        state, ran = self.check(self.make_bundle({"a_test": "", "bench-gpu-x": ""}), minutes=0.0)
        self.assertEqual(ran, [])
        self.assertEqual(self.statuses(state["tests"] | state["bench"]), {"a_test": "not run", "bench-gpu-x": "not run"})

    def test_end_a_program_with_all_it_started_when_the_time_is_over(self):
        bundle = self.make_bundle({"a_test": f"sleep 100 & echo $! >{self.folder}/child; wait"})
        state, _ = self.check(bundle, minutes=1 / 60)
        self.assertEqual(state["tests"]["a_test"]["status"], "not run")
        child = int((self.folder / "child").read_text())
        path = pathlib.Path(f"/proc/{child}/stat")
        self.assertTrue(not path.exists() or path.read_text().rsplit(")", 1)[1].split()[0] in "ZX")

    def test_refuse_a_bundle_of_another_libtorch(self):
        bundle = self.make_bundle({"a_test": ""})
        (self.folder / "site/torch/version.py").write_text("__version__ = '2.6.0'\n")
        state, ran = self.check(bundle)
        self.assertEqual((state["build"]["status"], ran), ("failed", []))
        self.assertIn("here is 2.6.0", state["build"]["why"])

    def test_give_programs_no_library_path_of_the_caller(self):
        bundle = self.make_bundle({"a_test": '[ -z "$LD_LIBRARY_PATH" ]'})
        with unittest.mock.patch.dict(os.environ, LD_LIBRARY_PATH="/somewhere"):
            state, _ = self.check(bundle)
        self.assertEqual(state["tests"]["a_test"]["status"], "passed")


class Stop(Folder):
    def stop(self, **patches):
        out, said = self.folder / "out", io.StringIO()
        with contextlib.ExitStack() as stack:
            for name, value in patches.items():
                stack.enter_context(unittest.mock.patch.object(gpu_device, name, value))
            stack.enter_context(contextlib.redirect_stderr(said))
            status = gpu_check.main(["--out", str(out), "--bundle", str(self.folder / "no-bundle")])
        self.assertFalse(out.exists())
        return status, said.getvalue()

    def test_in_one_line_where_there_is_no_driver(self):
        missing = unittest.mock.Mock(side_effect=gpu_device.Missing("no NVIDIA driver"))
        self.assertEqual(self.stop(load_driver=missing), (77, "tools/gpu-check: stops: no NVIDIA driver\n"))

    def test_in_one_line_where_the_driver_does_not_start(self):
        driver = unittest.mock.Mock()
        driver.cuInit.return_value = 100
        self.assertEqual(self.stop(load_driver=lambda: (driver, "")),
                         (77, "tools/gpu-check: stops: the NVIDIA driver does not start (cuInit: 100)\n"))

    def test_in_one_line_where_there_is_no_libtorch_with_cuda(self):
        with unittest.mock.patch.dict(os.environ, TAKT_TORCH_ROOT=str(self.folder)):
            status, said = self.stop(find_gpus=lambda: (["A GPU"], ""))
        self.assertEqual((status, said), (77, f"tools/gpu-check: stops: no libtorch with CUDA in {self.folder}\n"))

    def test_in_one_line_where_the_bundle_is_none(self):
        status, said = self.stop(find_gpus=lambda: (["A GPU"], ""), find_torch=lambda _: self.folder)
        self.assertEqual((status, said.count("\n")), (77, 1))
        self.assertIn("is no bundle of tools/bundle-deps", said)


class Place(Folder):
    def test_points_its_links_anew(self):
        place = self.folder / "place"
        gpu_place.make(place, {"build": "/one"})
        gpu_place.make(place, {"build": "/two"})
        self.assertEqual(os.readlink(place / "build"), "/two")
        self.assertEqual(os.listdir(place), ["build"])

    def test_follows_nobodys_link(self):
        (self.folder / "elsewhere").mkdir()
        (self.folder / "place").symlink_to(self.folder / "elsewhere")
        with self.assertRaises(PermissionError):
            gpu_place.make(self.folder / "place", {"build": "/one"})


class CudaFolder(unittest.TestCase):
    def folder(self, **environment):
        return subprocess.run([ROOT / "tools/setup", "--cuda-folder"], env={"PATH": os.environ["PATH"], "HOME": "/h"} | environment,
                              capture_output=True, text=True, check=True).stdout.strip()

    def test_is_the_one_that_the_build_looks_in(self):
        recipe = (ROOT / "tools/cmake/cuda.cmake").read_text(encoding="utf-8")
        name = pathlib.Path(self.folder()).name
        self.assertIn(f"$ENV{{HOME}}/.cache/takt/{name}/torch", recipe)
        self.assertIn(f"$ENV{{XDG_CACHE_HOME}}/takt/{name}/torch", recipe)

    def test_can_be_named(self):
        self.assertEqual(self.folder(TAKT_CUDA_WHEELS="/w"), "/w")
        self.assertTrue(self.folder(XDG_CACHE_HOME="/c").startswith("/c/takt/"))


if __name__ == "__main__":
    unittest.main()
