"""Counting: verdicts, percentiles, recovery, and what the trace says that the accelerators ran."""

import json
import pathlib
import tempfile
import unittest

import answers

MS = 1_000_000


def frame(tag, verdict="done", **more):
    entry = {"tag": tag, "label": 3, "due_ns": tag * 10 * MS, "submitted_ns": tag * 10 * MS, "verdict": verdict}
    if verdict in answers.VERDICTS:
        entry |= {"latency_ns": 5 * MS, "seen_ns": 6 * MS, "subnet": "1.0-1.0-1.0-1.0", "top1": 3, "accelerator": 0,
                  "start_ns": tag * 10 * MS, "end_ns": tag * 10 * MS + 5 * MS}
    return entry | more


def stream(*frames, **more):
    return answers.Stream("soft", "soft", 60.0, 33 * MS, frames=list(frames), **more)


class Summary(unittest.TestCase):
    def test_counts_every_verdict_and_no_credit_as_submitted(self):
        s = answers.summarise(stream(frame(0), frame(1, "missed", top1=-1), frame(2, "no_credit"), frame(3, "late")))
        self.assertEqual(s["submitted"], 4)
        self.assertEqual({k: n for k, n in s["verdicts"].items() if n}, {"done": 1, "missed": 1, "no_credit": 1, "late": 1})
        self.assertLessEqual(set(answers.VERDICTS) | {"no_credit"}, set(s["verdicts"]))
        self.assertEqual(s["on_time"], 0.25)

    def test_takes_latency_accuracy_and_subnets_from_answers_with_a_result_only(self):
        s = answers.summarise(stream(frame(0, latency_ns=2 * MS), frame(1, latency_ns=4 * MS, top1=7, subnet="0.5-0.5-0.5-0.5"),
                                     frame(2, "dropped", latency_ns=90 * MS, top1=-1, subnet="")))
        self.assertEqual(s["accuracy"], 0.5)
        self.assertEqual(s["latency_ns"], {"p50": 2 * MS, "p95": 4 * MS, "p99": 4 * MS, "max": 4 * MS})
        self.assertEqual(s["subnets"], {"1.0-1.0-1.0-1.0": 1, "0.5-0.5-0.5-0.5": 1})

    def test_of_a_stream_without_answers_is_all_numbers(self):
        s = answers.summarise(stream(frame(0, "no_credit"), frame(1, "refused")))
        self.assertEqual((s["on_time"], s["accuracy"], s["latency_ns"]["p99"]), (0, 0, 0))
        self.assertEqual(s["verdicts"]["refused"], 1)

    def test_sees_frames_that_were_answered_twice_or_never(self):
        self.assertTrue(answers.answered_once(stream(frame(0), frame(1, "restarted"), frame(2, "no_credit"))))
        self.assertFalse(answers.answered_once(stream(frame(0), frame(0))))
        self.assertFalse(answers.answered_once(stream(frame(0), frame(1, "unanswered"))))
        self.assertFalse(answers.answered_once(stream(frame(0), strays=1)))


class Percentile(unittest.TestCase):
    def test_is_the_ceiling_of_q_times_n(self):
        values = list(range(1, 101))
        self.assertEqual([answers.percentile(values, q) for q in (0.5, 0.95, 0.99, 1.0)], [50, 95, 99, 100])
        self.assertEqual(answers.percentile([7], 0.01), 7)
        self.assertEqual(answers.percentile([1, 2, 3], 0.5), 2)


class Recovery(unittest.TestCase):
    def test_counts_to_the_first_answer_begun_after_the_kill_on_that_accelerator(self):
        killed = 100 * MS
        frames = [frame(1, accelerator=1, start_ns=99 * MS, end_ns=101 * MS),    # had begun before
                  frame(2, accelerator=0, start_ns=110 * MS, end_ns=115 * MS),   # on the other accelerator
                  frame(3, "error", accelerator=1, start_ns=120 * MS, end_ns=121 * MS, top1=-1),
                  frame(4, accelerator=1, start_ns=400 * MS, end_ns=420 * MS),
                  frame(5, accelerator=1, start_ns=380 * MS, end_ns=410 * MS)]
        self.assertEqual(answers.recovery_ms(frames, 1, killed), 310.0)

    def test_that_did_not_happen_has_no_time(self):
        self.assertIsNone(answers.recovery_ms([frame(1, accelerator=0, start_ns=200 * MS)], 1, 100 * MS))


class BySecond(unittest.TestCase):
    def test_puts_frames_into_the_second_they_were_due_in(self):
        frames = [frame(0, due_ns=0), frame(1, "missed", due_ns=999 * MS), frame(2, due_ns=1000 * MS), frame(3, due_ns=5000 * MS)]
        self.assertEqual(answers.on_time_by_second(stream(*frames), 0, 2), [[1, 2], [1, 1]])


class Logs(unittest.TestCase):
    def read(self, *lines):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.jsonl"
            path.write_text("\n".join(lines))
            return answers.read_log(path)

    def open_line(self, name):
        return json.dumps({"event": "open", "stream": name, "class": "soft", "fps": 15, "deadline_ns": 66 * MS})

    def test_with_a_cascade_have_two_streams(self):
        logs = self.read(self.open_line("cascade"), self.open_line("cascade-full"), json.dumps(frame(0) | {"stream": "cascade"}),
                         json.dumps(frame(0) | {"stream": "cascade-full"}), json.dumps(frame(1) | {"stream": "cascade"}))
        self.assertEqual({n: len(s.frames) for n, s in logs.items()}, {"cascade": 2, "cascade-full": 1})

    def test_cut_off_in_the_middle_of_a_line_keep_the_lines_before(self):
        logs = self.read(self.open_line("soft"), json.dumps(frame(0)), json.dumps(frame(1))[:20])
        self.assertEqual(len(logs["soft"].frames), 1)


class Trace(unittest.TestCase):
    def test_pairs_starts_with_ends_and_ends_at_the_loss_of_the_accelerator(self):
        lines = ["0,release,soft,1,0,-,-", "10,start,soft,1,0,cpu0,1.0", "20,end,soft,1,0,cpu0,1.0", "25,start,hard,1,0,cpu1,1.0",
                 "30,down,-,0,0,cpu1,-", "50,up,-,0,0,cpu1,-", "nonsense", "60,start,soft,2,0,cpu0,1.0"]
        boxes, events = answers.read_trace(lines, 0, 100)
        self.assertEqual([(b.stream, b.start_ns, b.end_ns) for b in boxes], [("soft", 10, 20), ("hard", 25, 30)])
        self.assertEqual([(t, k) for t, k, _ in events], [(30, "down"), (50, "up")])

    def test_shows_the_hard_segment_that_interrupts_a_soft_one(self):
        soft, hard = answers.Box(0, 100, "soft", 0, "cpu0", ""), answers.Box(40, 60, "hard", 0, "cpu0", "")
        self.assertEqual(answers.flatten([hard, soft]), [(0, 40, "soft"), (40, 60, "hard"), (60, 100, "soft")])
        shares = answers.busy_by_bin([soft, hard], "cpu0", 0, 100, 5)
        self.assertEqual([dict(s) for s in shares[1:4]], [{"soft": 1.0}, {"hard": 1.0}, {"soft": 1.0}])

    def test_counts_a_batch_once(self):
        pair = [answers.Box(0, 50, "soft", 0, "cpu0", ""), answers.Box(0, 50, "soft-2", 0, "cpu0", "")]
        shares = answers.busy_by_bin(pair, "cpu0", 0, 100, 1)
        self.assertEqual(sum(shares[0].values()), 0.5)


if __name__ == "__main__":
    unittest.main()
