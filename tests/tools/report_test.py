"""The report: complete, self-contained, well-formed, and honest about what was missed."""

import json
import pathlib
import re
import tempfile
import unittest
import xml.etree.ElementTree as xml

import answers
import charts
import report
import service

MS = 1_000_000
SECOND = 1_000_000_000


def write_phase(folder, name, started, missed=0, killed=None):
    """A phase of two seconds with a hard and a soft stream; `missed` of the 60 hard frames are."""
    phase = folder / name
    phase.mkdir()
    trace = []
    for stream, rate in (("hard", 30), ("soft", 60)):
        lines = [{"event": "open", "stream": stream, "class": stream, "fps": rate, "deadline_ns": 33 * MS}]
        for tag in range(2 * rate):
            due = started + tag * SECOND // rate
            lost = stream == "hard" and tag < missed
            lines.append({"tag": tag, "label": 1, "due_ns": due, "submitted_ns": due, "verdict": "missed" if lost else "done",
                          "latency_ns": 4 * MS, "seen_ns": 5 * MS, "subnet": "" if lost else "0.5-0.5-0.5-0.5",
                          "top1": -1 if lost else 1, "accelerator": tag % 2, "start_ns": due + MS, "end_ns": due + 4 * MS})
            trace += [f"{due + MS},start,{stream},{tag},0,cpu{tag % 2},0.5",
                      f"{due + 4 * MS},end,{stream},{tag},0,cpu{tag % 2},0.5"]
        (phase / f"{stream}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (phase / "trace.csv").write_text("\n".join(trace))
    logs = answers.read_logs(phase)
    facts = {"killed_ns": killed, "killed_accelerator": "cpu1", "recovery_ms": 321.0} if killed else {}
    return {"name": name, "seconds": 2, "load": 0.7, "started_ns": started,
            "streams": [answers.summarise(logs[n]) for n in ("hard", "soft")]} | facts


def make_result(folder, missed=0):
    phases = [write_phase(folder, "nominal", 100 * SECOND), write_phase(folder, "overload", 200 * SECOND, missed),
              write_phase(folder, "fault", 300 * SECOND, killed=301 * SECOND)]
    return {"phases": phases, "machine": {"cpu": "A <quick> & odd one", "cores": 2, "realtime": False}, "policy": "edf"}


class Report(unittest.TestCase):
    def render(self, missed=0):
        with tempfile.TemporaryDirectory() as folder:
            return report.render(make_result(pathlib.Path(folder), missed), folder)

    def test_needs_nothing_from_outside(self):
        text = self.render()
        self.assertNotRegex(text, r"<(script|link|img|iframe)\b")
        outside = [u for u in re.findall(r"https?://[^\"' <]+", text) if u != "http://www.w3.org/2000/svg"]
        self.assertEqual(outside, [])

    def test_is_well_formed_and_escapes_what_the_machine_says(self):
        text = self.render()
        xml.fromstring(text.replace("<!doctype html>", "").replace("<br>", "<br/>")
                       .replace('<meta charset="utf-8">', "").replace('<meta name="viewport" content="width=device-width">', ""))
        self.assertIn("A &lt;quick&gt; &amp; odd one", text)

    def test_says_which_phase_missed_its_targets(self):
        cards = self.render(missed=1).split('<div class="card">')[1:]
        self.assertIn("targets met", cards[0])
        self.assertIn("hard under target", cards[1])
        self.assertIn("98.3 %", cards[1])

    def test_shows_the_recovery_of_the_killed_executor(self):
        text = self.render()
        self.assertIn("321 ms", text)
        self.assertIn("cpu1 killed", text)

    def test_can_be_made_without_any_answer(self):
        with tempfile.TemporaryDirectory() as folder:
            result = make_result(pathlib.Path(folder))
            for log in pathlib.Path(folder).glob("*/hard.jsonl"):
                log.write_text(log.read_text().splitlines()[0])
            for phase in result["phases"]:
                logs = answers.read_logs(pathlib.Path(folder) / phase["name"])
                phase["streams"] = [answers.summarise(logs[n]) for n in ("hard", "soft")]
            self.assertIn("hard", report.render(result, folder))


class Words(unittest.TestCase):
    def test_never_call_almost_all_all(self):
        self.assertEqual(charts.percent(0.99996), "99.9 %")
        self.assertEqual(charts.percent(1.0), "100 %")
        self.assertEqual(charts.percent(None), "-")

    def test_of_durations_have_three_digits(self):
        self.assertEqual([charts.duration(v) for v in (950, 12_345, 1_234_567, 33 * MS, 2_480 * MS)],
                         ["950 ns", "12.3 us", "1.23 ms", "33 ms", "2.48 s"])


class Configuration(unittest.TestCase):
    def test_has_a_device_and_a_profile_for_each_accelerator(self):
        profiles = {"cpu0": "p0.xml", "cpu1": "p1.xml"}
        text = service.configuration({"cpu0": 2, "cpu1": 5}, "/a & b/model", profiles, "/run/x", "t.csv", "edf")
        root = xml.fromstring(text)
        self.assertEqual([a.get("cores") for a in root.iter("accelerator")], ["2", "5"])
        self.assertEqual([p.get("file") for p in root.iter("profile")], ["p0.xml", "p1.xml"])
        self.assertEqual(root.find("model").get("directory"), "/a & b/model")


if __name__ == "__main__":
    unittest.main()
