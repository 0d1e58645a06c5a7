"""The Trainer of transformers with `report_to="tensorboard"`, on a small model with its own configuration."""

from __future__ import annotations

import pytest

from tests.reading import accumulator, event_files, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.integrations import TensorBoardCallback

config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
data = [{"input_ids": torch.arange(6) + row, "labels": torch.tensor(row % 2)} for row in range(16)]
arguments = TrainingArguments(
    output_dir="out", report_to="tensorboard", logging_steps=1, max_steps=4, use_cpu=True,
    per_device_train_batch_size=4, eval_strategy="steps", eval_steps=2, save_strategy="no", disable_tqdm=True,
)
trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=data)
trainer.train()
callback = next(c for c in trainer.callback_handler.callbacks if isinstance(c, TensorBoardCallback))
assert issubclass(callback._SummaryWriter, tblog.SummaryWriter)
"""


def test_the_trainer_of_transformers_logs_through_tblog(run_patched, tmp_path, monkeypatch):
    """Training and evaluation arrive with their steps, the arguments and the model's config as text."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "run"))
    run_patched(PROGRAM)
    (file,) = event_files(tmp_path / "run")
    found = points(tmp_path / "run")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3, 4]
    assert [step for step, _ in found["eval/loss"]] == [2, 4]
    assert {"train/learning_rate", "train/grad_norm", "train/epoch"} <= set(found)
    assert {"args/text_summary", "model_config/text_summary"} <= set(accumulator(file).Tags()["tensors"])
