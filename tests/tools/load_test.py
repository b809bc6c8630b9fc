"""How much work the demo's streams are, from a profile and a model file made for the test."""

import pathlib
import tempfile
import unittest

import load

MODEL = """<model name="m"><segment name="preprocess"/><segment name="a" widths="0.5 1"/><segment name="b" widths="0.5 1"/>
<subnet name="0.5-0.5" widths="0.5 0.5" accuracy="0.60"/><subnet name="0.5-1.0" widths="0.5 1" accuracy="0.72"/>
<subnet name="1.0-1.0" widths="1 1" accuracy="0.70"/></model>"""
PROFILE = """<profile model="m"><cost segment="preprocess" form="rgb-32x32" batch="1" p50="100us" p99="1ms"/>
<cost segment="preprocess" form="nv12-1280x720" batch="1" p50="600us" p99="1ms"/>
<cost segment="a" out="0.5" batch="1" p50="400us" p99="1ms"/><cost segment="a" out="1" batch="1" p50="0.9ms" p99="1ms"/>
<cost segment="a" out="1" batch="8" p50="5ms" p99="6ms"/>
<cost segment="b" in="0.5" out="0.5" batch="1" p50="300us" p99="1ms"/>
<cost segment="b" in="0.5" out="1" batch="1" p50="700us" p99="1ms"/>
<cost segment="b" in="1" out="1" batch="1" p50="1ms" p99="1ms"/></profile>"""


class Load(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as folder:
            model, profile = pathlib.Path(folder) / "model.xml", pathlib.Path(folder) / "p.xml"
            model.write_text(MODEL)
            profile.write_text(PROFILE)
            self.subnets = load.read_subnets(model)
            self.costs = [load.Costs(profile), load.Costs(profile)]

    def test_of_a_frame_follows_the_widths_of_its_subnet(self):
        named = {s.name: s for s in self.subnets}
        self.assertEqual(self.costs[0].of(named["1.0-1.0"], "rgb-32x32", alone=True), 2e6)
        self.assertEqual(self.costs[0].of(named["0.5-1.0"], "rgb-32x32", alone=True), 1.2e6)
        self.assertEqual(self.costs[0].of(named["1.0-1.0"], "nv12-1280x720", alone=True), 2.5e6)

    def test_of_a_soft_frame_is_its_share_of_the_best_batch(self):
        named = {s.name: s for s in self.subnets}
        self.assertEqual(self.costs[0].of(named["1.0-1.0"], "rgb-32x32"), 1e5 + 5e6 / 8 + 1e6)
        hard = load.base_streams()[0]
        self.assertEqual(load.load_of([hard], self.costs, self.subnets), 30 * 2.5e-3 / 2)  # alone, on one of two

    def test_takes_the_widest_subnet_as_the_full_one_and_a_uniform_one_that_is_accurate_enough_as_the_narrow_one(self):
        self.assertEqual(load.full_subnet(self.subnets).name, "1.0-1.0")
        self.assertEqual(load.narrow_subnet(self.subnets).name, "1.0-1.0")  # 0.60 is under 0.85 of 0.72
        self.subnets[0].accuracy = 0.63
        self.assertEqual(load.narrow_subnet(self.subnets).name, "0.5-0.5")

    def test_is_filled_up_to_the_target_with_equal_soft_clients(self):
        streams = load.plan_streams(self.costs, self.subnets, 0.7)
        extra = [s for s in streams if s.name.startswith("soft-")]
        self.assertGreaterEqual(len(extra), 2)
        self.assertEqual(len({s.fps for s in extra}), 1)
        self.assertAlmostEqual(load.load_of(streams, self.costs, self.subnets), 0.7, places=3)

    def test_takes_frames_from_the_soft_stream_if_the_others_are_enough(self):
        streams = load.plan_streams(self.costs, self.subnets, 0.09)
        self.assertEqual([s.name for s in streams], ["hard", "soft", "cascade"])
        self.assertLess(streams[1].fps, load.SOFT_FPS)

    def test_durations_have_units(self):
        self.assertEqual([load.nanoseconds(t) for t in ("250ns", "0.5us", "8ms", "2s")], [250, 500, 8e6, 2e9])
        with self.assertRaises(ValueError):
            load.nanoseconds("8")


if __name__ == "__main__":
    unittest.main()
