"""takt.py against a fake broker: what a user writes, what comes back, and what happens when things go wrong.

Run by ctest with TAKT_LIBRARY, TAKT_FAKE_DAEMON and TAKT_CLIENT_FOLDER set.
"""

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
except ImportError:
    print("numpy is missing: install python3-numpy to run this test")
    sys.exit(77)  # ctest calls this skipped

sys.path.insert(0, os.environ["TAKT_CLIENT_FOLDER"])
import takt  # noqa: E402

PICTURE = dict(picture="nv12", width=64, height=48)
BYTES = 64 * 48 * 3 // 2


class Broker:
    """The fake broker as a process; complains at the end if the client did something wrong."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "takt.sock")
        self.process = subprocess.Popen([os.environ["TAKT_FAKE_DAEMON"], self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        return self

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait() == 0, "the broker has complaints, see above"
        self.process.stdout.close()
        self.folder.cleanup()


class TaktTest(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker())

    def enterContext(self, context):  # unittest has it from 3.11 on
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def client(self):
        return self.enterContext(takt.Client(self.broker.path))

    def next_answer(self, client):
        answer = client.next_answer(timeout=20)
        self.assertIsNotNone(answer)
        return answer

    def test_models_say_what_they_take(self):
        models = self.client().models
        self.assertEqual(list(models), ["slim_resnet", "adder"])
        image = models["slim_resnet"].inputs["image"]
        self.assertEqual((image.picture, image.shape, image.dtype), ("nv12", (1080, 1280), np.uint8))
        self.assertEqual(models["slim_resnet"].outputs["logits"].shape, (100,))
        self.assertEqual(models["slim_resnet"].metrics, ["top1"])
        self.assertEqual(models["adder"].inputs["left"].dtype, np.float32)
        self.assertAlmostEqual(models["adder"].best_accuracy, 0.7, places=5)

    def test_a_submitted_array_comes_back_as_its_answer(self):
        client = self.client()
        stream = client.open("slim_resnet", fps=30, deadline_ms=33, criticality="hard", **PICTURE)
        self.assertEqual(stream.admission.outcome, "accepted")
        self.assertEqual(stream.admission.bound_ms, 33)
        self.assertEqual((stream.admission.subnet, stream.admission.accelerator), ("0.5", "cpu0"))
        self.assertTrue(stream.submit(np.full((72, 64), 3, np.uint8), tag=12, deadline_ms=20))
        answer = self.next_answer(client)
        self.assertIs(answer.verdict, takt.Verdict.DONE)
        self.assertIs(answer.stream, stream)
        self.assertEqual((answer.tag, answer.subnet, answer.is_notice), (12, "0.5", False))
        self.assertGreater(answer.deadline_ns, 0)
        logits = answer.outputs["logits"]
        self.assertEqual((logits.shape, logits.dtype, logits[0], logits[99]), ((100,), np.float32, 3 * BYTES, 99))
        self.assertFalse(logits.flags.writeable)
        self.assertTrue((answer.input(0) == 3).all())
        self.assertIsNone(answer.output(1))
        answer.release()
        answer.release()
        with self.assertRaises(ValueError):
            answer.output(0)

    def test_a_frame_is_written_in_place(self):
        client = self.client()
        stream = client.open("slim_resnet", **PICTURE)
        with stream.frame(tag=1) as f:
            self.assertEqual(f.input(0).shape, (72, 64))
            f.input(0)[...] = 2
            with self.assertRaises(IndexError):
                f.input(1)
        with contextlib.suppress(KeyError), stream.frame(tag=2):
            raise KeyError  # not handed in
        answer = self.next_answer(client)
        self.assertEqual((answer.tag, answer.outputs["logits"][0]), (1, 2 * BYTES))
        answer.release()
        self.assertEqual(list(client.answers(timeout=0)), [])

    def test_several_inputs_bytes_and_lists_are_taken(self):
        client = self.client()
        stream = client.open("adder")
        self.assertTrue(stream.submit([1, 2, 3, 4], np.zeros(4)))
        self.assertTrue(stream.submit(bytes(16), np.zeros((2, 2), np.float32)))
        for wrong in ([np.zeros(4)], [np.zeros(5), np.zeros(4)]):
            with self.assertRaises(ValueError):
                stream.submit(*wrong)
        with self.assertRaises(TypeError):
            stream.submit(np.zeros(4, complex), np.zeros(4))
        tags = [answer.tag for _, answer in zip(range(2), client.answers(timeout=20))]
        self.assertEqual(tags, [0, 1])

    def test_without_a_slot_frames_are_skipped(self):
        client = self.client()
        stream = client.open("slim_resnet", slots=1, **PICTURE)
        self.assertTrue(stream.submit(bytes(BYTES)))
        self.assertFalse(stream.submit(bytes(BYTES)))
        with self.assertRaises(takt.NoCredit):
            stream.frame()
        for _ in client.answers(timeout=20):
            break  # a loop that is left has released its answer, too
        self.assertTrue(stream.submit(bytes(BYTES)))

    def test_a_refused_stream_says_what_would_fit(self):
        client = self.client()
        self.broker.say("refuse")
        with self.assertRaises(takt.NotAdmitted) as caught:
            client.open("slim_resnet", fps=1000, deadline_ms=1, criticality="hard", **PICTURE)
        self.assertEqual(caught.exception.admission.outcome, "refused")
        self.assertEqual(caught.exception.admission.feasible_period_ms, 50)
        self.assertIn("50.000 ms", str(caught.exception))

    def test_mistakes_are_explained(self):
        client = self.client()
        for wrong in (dict(picture="jpeg"), dict(criticality="harsh"), dict(trigger="top1 ? 3"), dict(fps=1, period_ms=1)):
            with self.assertRaises(ValueError):
                client.open("slim_resnet", **{**PICTURE, **wrong})
        with self.assertRaisesRegex(takt.Error, "set picture, width and height"):
            client.open("slim_resnet")
        with self.assertRaisesRegex(takt.Disconnected, "start taktd"):
            takt.Client("no-such-socket")

    def test_presets_and_cascades(self):
        client = self.client()
        parent = client.open(preset="front camera")
        self.assertEqual((parent.model, parent.inputs[0].shape), ("slim_resnet", (1080, 1280)))
        child = client.open("slim_resnet", parent=parent, trigger="top1 < 0.6")
        self.assertEqual(child.inputs, [])
        self.assertEqual(parent.update(deadline_ms=40).bound_ms, 40)

    def test_a_restart_goes_unnoticed_but_for_its_answers(self):
        client = self.client()
        stream = client.open("slim_resnet", **PICTURE)
        generation = client.generation
        self.broker.say("restart")
        done = 0
        while done < 3:
            stream.submit(bytes(BYTES))
            done += sum(answer.verdict is takt.Verdict.DONE for answer in client.answers(timeout=0.01))
        self.assertEqual(client.generation, generation + 1)
        self.assertTrue(client.connected)

    def test_closed_things_say_so(self):
        client = self.client()
        stream, other = client.open("slim_resnet", **PICTURE), client.open("slim_resnet", **PICTURE)
        frame = other.frame()
        stream.submit(bytes(BYTES))
        answer = self.next_answer(client)
        stream.close()
        stream.close()
        with self.assertRaises(ValueError):
            stream.submit(bytes(BYTES))
        client.close()
        for use in (lambda: other.submit(bytes(BYTES)), lambda: frame.input(0), lambda: answer.outputs, client.fileno):
            with self.assertRaises(ValueError):
                use()
        frame.discard()
        answer.release()

    def test_asyncio(self):
        client = self.client()
        stream = client.open("slim_resnet", **PICTURE)

        async def run():
            tags = []
            stream.submit(bytes(BYTES))
            async for answer in client.answers_async():
                tags.append(answer.tag)
                if len(tags) == 5:
                    return tags
                stream.submit(bytes(BYTES))

        self.assertEqual(asyncio.run(asyncio.wait_for(run(), 60)), [0, 1, 2, 3, 4])

    def test_the_example_of_the_readme(self):
        with open(os.path.join(os.environ["TAKT_CLIENT_FOLDER"], "README.md")) as file:
            example = re.search(r"```python\n(.*?)```", file.read(), re.S)[1]
        self.assertLessEqual(len(example.strip().splitlines()), 10)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
            camera = os.path.join(folder, "camera.nv12")
            with open(camera, "wb") as file:
                file.write(bytes(1280 * 720 * 3 // 2) * 3)
            os.environ["TAKT_SOCKET"] = self.broker.path
            exec(compile(example.replace("camera.nv12", camera), "README.md", "exec"), {})
        self.assertEqual(said.getvalue().splitlines(), [f"{tag} DONE 99" for tag in range(3)])


if __name__ == "__main__":
    unittest.main()
