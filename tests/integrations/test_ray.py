"""Ray Tune with the callback of tblog.integrations: real searches on a local cluster, read back."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, event_files, hparams, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

SEARCH = """
import os, sys
import numpy as np, ray
from ray import tune
from tblog.integrations.ray import TBXLoggerCallback

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

def report(step, loss, config):
    tune.report({"loss": loss, "nested": {"step": step, "list": [1.0, 2.0]}, "note": "text",
                 "image": np.zeros((3, 4, 4), np.uint8), "missing": float("nan")})

def run_config(**more):
    return tune.RunConfig(name="search", storage_path=os.path.abspath("ray"), verbose=0, **more)

SPACE = {"lr": tune.grid_search([0.1, 0.01]), "net": {"width": tune.choice([np.int64(8)])}, "data": "digits"}
"""


def trials(tmp_path):
    """Return the trials' runs by learning rate."""
    runs = {path.parent for path in (tmp_path / "ray/search").rglob("*tfevents*")}
    return {hparams(run)[0]["lr"]: run for run in runs}


def test_each_trial_is_a_run_with_its_hyperparameters(run, tmp_path):
    """Nested results have tags without a fixed prefix; Ray adds no logger; arrays become images or histograms."""
    run(
        SEARCH,
        """
def train(config):
    for step in range(3):
        report(step, config["lr"] * step, config)

tune.Tuner(train, param_space=SPACE, run_config=run_config(callbacks=[TBXLoggerCallback()])).fit()
""",
    )
    found = trials(tmp_path)
    assert set(found) == {0.1, 0.01}
    for rate, logs in found.items():
        assert hparams(logs) == ({"lr": rate, "net/width": 8}, [])
        read = points(logs)
        assert read["loss"] == [(step + 1, pytest.approx(rate * step)) for step in range(3)]
        assert read["nested/step"] == [(1, 0.0), (2, 1.0), (3, 2.0)]
        assert [step for step, _ in read["missing"]] == [1, 2, 3]
        assert not [tag for tag in read if tag.startswith("ray/")]
        assert accumulator(logs).Tags()["images"] == ["image"]
        assert accumulator(logs).Tags()["histograms"] == ["nested/list"]
        assert len(event_files(logs)) == 1


RESTARTED = """
import json, tempfile
from ray.tune import Checkpoint

def train(config):
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            start = json.load(open(os.path.join(folder, "step.json")))
    for step in range(start, 6):
        if step == 4 and not os.path.exists(config["mark"]):
            open(config["mark"], "w").close()
            raise RuntimeError("a machine is gone")
        saved = None
        with tempfile.TemporaryDirectory() as folder:
            if step == 1:
                json.dump(step + 1, open(os.path.join(folder, "step.json"), "w"))
                saved = Checkpoint.from_directory(folder)
            tune.report({"loss": float(step), "attempt": float(start)}, checkpoint=saved)

SPACE = {"lr": 0.1, "mark": os.path.abspath("failed")}
"""


@pytest.mark.parametrize(
    "restored", [False, True], ids=["the trial is tried again", "the experiment is restored"]
)
def test_a_trial_goes_on_in_its_run(run, tmp_path, restored):
    """After the checkpoint only the new points remain, whether Ray resumes in the same process or a later one."""
    fit = "tune.Tuner(train, param_space=SPACE, run_config=run_config(callbacks=[TBXLoggerCallback('ray/tune')]{}))"
    if restored:
        run(SEARCH, RESTARTED, fit.format("") + ".fit()")
        again = "tune.Tuner.restore(os.path.abspath('ray/search'), train, resume_errored=True).fit()"
        run(SEARCH, RESTARTED, again)
    else:
        run(SEARCH, RESTARTED, fit.format(", failure_config=tune.FailureConfig(max_failures=1)") + ".fit()")
    (logs,) = trials(tmp_path).values()
    read = points(logs)
    assert read["ray/tune/loss"] == [(step + 1, float(step)) for step in range(6)]
    assert read["ray/tune/attempt"] == [(step + 1, 2.0 if step > 1 else 0.0) for step in range(6)]


WORKERS = """
import os, time
import numpy as np, ray
from tblog import WriterOptions
from tblog.integrations.ray import RemoteWriter

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

@ray.remote(num_cpus=0.5)
def work(writer, rank, count):
    for step in range(count):
        writer.add_scalar(f"loss/rank{rank}", step / 2, step)
    writer.add_scalar_dict({f"a/rank{rank}": rank, f"b/rank{rank}": np.float32(2)}, count)
    writer.add_histogram(f"weights/rank{rank}", np.arange(10.0), 1)
    writer.add_image(f"picture/rank{rank}", np.zeros((3, 4, 4), np.uint8), 1)
    writer.add_text("note", f"rank {rank}", rank)
    writer.flush()
    return os.getpid(), writer.dropped

writer = RemoteWriter("run", max_queue=50)
done = ray.get([work.remote(writer, rank, 3000) for rank in range(4)])
assert len({pid for pid, _ in done}) > 1
assert {dropped for _, dropped in done} == {0}
writer.add_scalar("driver", 1.0, 7)
writer.close()

@ray.remote(num_cpus=0.5)
def orphan(writer):
    writer.add_scalar("lost", 1.0, 1)
    while writer.dropped == 0:
        time.sleep(0.01)
    return writer.dropped

gone = RemoteWriter("gone")
ray.kill(gone._run)
assert ray.get(orphan.remote(gone), timeout=60) == 1

dropping = RemoteWriter("dropping", max_queue=1, options=WriterOptions(overflow="drop"))
for step in range(1000):
    dropping.add_scalar("loss", 1.0, step)
assert 0 < dropping.dropped < 1000
dropping.close()
print(1000 - dropping.dropped)
"""


def test_workers_log_to_one_run_and_wait_where_it_is_slow(run, tmp_path):
    """Several processes with small queues lose nothing and keep their order; lost or dropped records are counted."""
    printed = run(WORKERS)
    (_,) = event_files(tmp_path / "run")
    read = points(tmp_path / "run")
    for rank in range(4):
        assert read[f"loss/rank{rank}"] == [(step, step / 2) for step in range(3000)]
        assert read[f"b/rank{rank}"] == [(3000, 2.0)]
    assert read["driver"] == [(7, 1.0)]
    tags = accumulator(tmp_path / "run").Tags()
    assert len(tags["histograms"]) == len(tags["images"]) == 4
    assert len(accumulator(tmp_path / "run").Tensors("note/text_summary")) == 4
    assert len(points(tmp_path / "dropping")["loss"]) == int(printed.split()[-1])
