"""The Trainer of transformers with the callback of tblog.integrations: real trainings, read back."""

from __future__ import annotations

import json

import pytest

from tests.reading import accumulator, event_files, hparams, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODEL = """
import sys
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from tblog.integrations.transformers import TensorBoardCallback

config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
data = [{"input_ids": torch.arange(6) + row, "labels": torch.tensor(row % 2)} for row in range(16)]

def trainer(callback, steps, **more):
    arguments = TrainingArguments(
        output_dir="out", logging_steps=1, max_steps=steps, use_cpu=True, report_to="none", disable_tqdm=True,
        per_device_train_batch_size=4, eval_strategy="steps", eval_steps=2, **{"save_strategy": "no", **more},
    )
    return Trainer(
        model_init=lambda: BertForSequenceClassification(config), args=arguments, train_dataset=data,
        eval_dataset=data, callbacks=[callback],
    )
"""


def test_a_training_is_logged_as_by_the_callback_of_transformers(run, tmp_path):
    """Training and evaluation arrive with their steps, the arguments and the model's configuration as text."""
    run(
        MODEL,
        """
one = trainer(TensorBoardCallback(log_dir="run"), 4)
one.train()
one.evaluate(metric_key_prefix="test")
assert "torch.utils.tensorboard" not in sys.modules
""",
    )
    found = points(tmp_path / "run")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3, 4]
    assert [step for step, _ in found["eval/loss"]] == [2, 4]
    assert [step for step, _ in found["test/loss"]] == [4]
    assert {"train/learning_rate", "train/grad_norm", "train/epoch", "train/train_runtime"} <= set(found)
    assert {"args/text_summary", "model_config/text_summary"} <= set(
        accumulator(tmp_path / "run").Tags()["tensors"]
    )
    (arguments,) = accumulator(tmp_path / "run").Tensors("args/text_summary")
    assert json.loads(arguments.tensor_proto.string_val[0])["max_steps"] == 4


def test_a_training_goes_on_in_its_run(run, tmp_path):
    """When a training resumes from a checkpoint, only the new points remain after it."""
    run(
        MODEL,
        """
trainer(TensorBoardCallback(log_dir="run"), 6, save_strategy="steps", save_steps=2).train()
trainer(TensorBoardCallback(log_dir="run"), 8).train(resume_from_checkpoint="out/checkpoint-4")
""",
    )
    found = points(tmp_path / "run")
    assert [step for step, _ in found["train/loss"]] == list(range(1, 9))
    assert [step for step, _ in found["eval/loss"]] == [2, 4, 6, 8]


def test_a_run_has_a_directory_of_its_own_by_default(run, tmp_path):
    """The default directory is below the Trainer's, named as by the originals, unless the variable sets one."""
    run(MODEL, "trainer(TensorBoardCallback(), 1).train()")
    (named,) = (tmp_path / "out/runs").iterdir()
    assert event_files(named)
    run(MODEL, "trainer(TensorBoardCallback, 1).train()", TENSORBOARD_LOGGING_DIR="told")
    assert event_files(tmp_path / "told")


def test_each_trial_of_a_search_is_a_run_with_its_hyperparameters(run, tmp_path):
    """Trials are siblings below the directory, each with its own hyperparameters."""
    run(
        MODEL,
        """
one = trainer(TensorBoardCallback(log_dir="search"), 2)
one.hp_name = lambda trial: trial["name"]
for number, rate in enumerate((0.1, 0.01)):
    one.train(trial={"name": f"run-{number}", "learning_rate": rate})
""",
    )
    for number, rate in enumerate((0.1, 0.01)):
        trial = {"name": f"run-{number}", "learning_rate": rate}
        assert hparams(tmp_path / f"search/run-{number}") == (trial, [])
        assert [step for step, _ in points(tmp_path / f"search/run-{number}")["train/loss"]] == [1, 2]


def test_only_process_zero_of_the_world_writes(run, tmp_path):
    """A callback in another process opens no file."""
    run(
        MODEL,
        """
from transformers import TrainerState
callback = TensorBoardCallback(log_dir="run")
arguments, state = TrainingArguments("out", use_cpu=True), TrainerState(is_world_process_zero=False)
callback.on_train_begin(arguments, state, None)
callback.on_log(arguments, state, None, {"loss": 1.0})
callback.on_train_end(arguments, state, None)
""",
    )
    assert not (tmp_path / "run").exists()
