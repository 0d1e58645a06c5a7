"""Train a small network on handwritten digits and log it as a person would.

Run it by `make demo`, or `python examples/demo.py --help`. It needs no GPU and no download.
"""

from __future__ import annotations

import argparse
import socket
import time
from dataclasses import fields
from pathlib import Path

import torch
from tqdm import tqdm

from digits import insights, logbook
from digits.data import load_splits
from digits.model import DigitNet
from digits.training import Config, evaluate, training_steps
from tblog import SummaryWriter
from tblog.adapters.parameters import ParameterWatch
from tblog.adapters.system import SystemSampler
from tblog.stats import Stats

RUNS = Path("runs")


def parse_arguments(arguments: list[str] | None) -> tuple[Path, Config]:
    """Return the log directory and the configuration."""
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits and log it.")
    default = RUNS / time.strftime("digits-%Y-%m-%d_%H-%M-%S")
    parser.add_argument(
        "--logdir", type=Path, default=default, help="where the run goes (default: %(default)s)"
    )
    for field in fields(Config):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            help="default: %(default)s",
        )
    given = vars(parser.parse_args(arguments))
    return given.pop("logdir"), Config(**given)


def train(logdir: Path, config: Config) -> list[SummaryWriter]:
    """Train with `config`, log below `logdir`, and return the closed writers."""
    # A network this small runs fastest on one thread, above all on a busy machine.
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    train_split, validation_split = load_splits(config.seed)
    model = DigitNet(dropout=config.dropout)
    steps_per_epoch = -(-len(train_split) // config.batch_size)
    total = config.epochs * steps_per_epoch

    with (
        SummaryWriter(logdir) as writer,
        SummaryWriter(logdir / "train") as train_writer,
        SummaryWriter(logdir / "validation") as validation_writer,
        ParameterWatch(model, steps_per_epoch, histograms=False) as watch,
        SystemSampler(period_secs=1, total_steps=total) as sampler,
        tqdm(training_steps(model, train_split, config), total=total, unit="step") as progress,
    ):
        steps = logbook.StepLog(writer, train_writer, validation_writer)
        logbook.log_start(writer, model, train_split, config)
        insights.log_layers(writer, model, train_split.images)
        for number, step in enumerate(progress):
            evaluation = evaluate(model, validation_split)
            steps.log_step(step, evaluation, number)
            sampler.step()
            writer.add_records(watch.records(), number)
            if step.ends_epoch:
                progress.set_postfix(epoch=step.epoch + 1, accuracy=f"{evaluation.accuracy:.1%}")
                steps.log_epoch(number)
                logbook.log_epoch(writer, model, validation_split, evaluation, number)
                insights.log_maps(writer, model, validation_split, number)
                writer.add_records(sampler.records(), number)
        logbook.log_end(writer, model, validation_split, evaluation, number)
        insights.log_explanations(writer, model, validation_split, number)
    return [writer, train_writer, validation_writer]


def report(logdir: Path, writers: list[SummaryWriter], seconds: float) -> str:
    """Say where the run is, how to look at it, and what logging it cost."""
    stats = sum((writer.stats for writer in writers), start=Stats())
    root = logdir.resolve().parent
    or_make = "      (or: make view)" if logdir.parent == RUNS else ""
    return f"""
The run is in {logdir}

To look at it
  here               tensorboard --logdir {logdir.parent}{or_make}, then open http://localhost:6006/
  in a notebook      %load_ext tensorboard
                     %tensorboard --logdir {root}
  from a server      there: tensorboard --logdir {root}
                     here:  ssh -N -L 6006:localhost:6006 {socket.gethostname()}, then open http://localhost:6006/

What logging cost
  records            {stats.written:,} of {stats.queued:,} written, {stats.dropped} dropped, {stats.failed} failed
  on disk            {stats.bytes / 1e6:.1f} MB
  in the background  {stats.worker_secs:.2f} s of work, beside {seconds:.1f} s of training, drawing and logging
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the demo."""
    logdir, config = parse_arguments(arguments)
    started = time.perf_counter()
    writers = train(logdir, config)
    print(report(logdir, writers, time.perf_counter() - started))


if __name__ == "__main__":
    main()
