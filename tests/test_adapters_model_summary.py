"""Tests of adapters/model_summary.py: the numbers equal torchinfo's, and the model is unchanged."""

from __future__ import annotations

import gc
import runpy
import sys
import weakref
from collections import UserDict
from pathlib import Path

import pytest
import torch
import torchinfo
from torch import nn
from torchvision.models import resnet18

from tblog.adapters._tables import table
from tblog.adapters.model_summary import model_summary
from tblog.errors import InvalidValueError, MissingDependencyError
from tblog.records import HparamsRecord, ScalarRecord, TextRecord
from tests.reading import accumulator
from tests.untouched import untouched

EXAMPLES = Path(__file__).parents[1] / "examples" / "adapters"

SIZE = (1, 3, 224, 224)


@pytest.fixture(scope="module")
def resnet():
    """Return a ResNet-18 with random weights."""
    return resnet18()


@pytest.fixture
def model():
    """Return a small network with its own statistics and randomness."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(16, 2))


def scalars(records):
    """Return the numbers, by tag."""
    return {record.tag: record.value for record in records if isinstance(record, ScalarRecord)}


def layers(text):
    """Return the rows of the layers' table as lists of cells, the header first."""
    lines = text.split("\n\n")[-1].splitlines()
    rows = [[cell.strip(" \u2003\u2007\u2008") for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


class TestNumbers:
    """Compared with torchinfo."""

    def test_resnet_18_has_its_well_known_totals(self, resnet):
        """Parameters, operations and sizes are those that torchinfo prints."""
        totals = scalars(model_summary(resnet, SIZE, tag="net"))
        assert totals["net/parameters"] == totals["net/trainable_parameters"] == 11_689_512
        assert f"{totals['net/mult_adds'] / 1e9:.2f}" == "1.81"
        assert f"{totals['net/input_megabytes']:.2f}" == "0.60"
        assert f"{totals['net/forward_backward_megabytes']:.2f}" == "39.75"
        assert f"{totals['net/parameter_megabytes']:.2f}" == "46.76"
        wanted = torchinfo.summary(resnet, SIZE, verbose=0, device="cpu")
        assert totals["net/mult_adds"] == wanted.total_mult_adds
        assert totals["net/forward_backward_megabytes"] == wanted.total_output_bytes / 1e6

    def test_each_row_is_torchinfos(self, resnet):
        """The layers, their shapes and their counts are torchinfo's, in its order, at its depth."""
        columns = [
            "input_size",
            "output_size",
            "kernel_size",
            "num_params",
            "params_percent",
            "mult_adds",
            "trainable",
        ]
        (record,) = model_summary(resnet, SIZE, depth=2, columns=columns, scalars=False)
        printed = str(
            torchinfo.summary(
                resnet,
                SIZE,
                depth=2,
                col_names=columns,
                verbose=0,
                device="cpu",
                col_width=24,
                row_settings=("var_names",),
            )
        )
        theirs = [line for line in printed.splitlines() if "(" in line and "[" in line]
        rows = layers(record.text)[1:]
        assert len(rows) == len(theirs) == 19
        for row, line in zip(rows, theirs, strict=True):
            path, kind, *cells = row
            assert f"{kind} ({path.strip('`').rsplit('.', 1)[-1]})" in line
            for cell in cells:
                shape = "[" + ", ".join(cell.split(" x ")) + "]" if " x " in cell else cell
                assert shape in line

    def test_paths_are_those_of_named_modules(self, resnet):
        """The first column can be copied into another adapter's `layers`."""
        (record,) = model_summary(resnet, depth=4, scalars=False)
        paths = [row[0].strip("`") for row in layers(record.text)[2:]]
        assert paths == [name for name, _ in resnet.named_modules() if name]

    def test_frozen_parameters_are_counted_apart(self, model):
        """Trainable parameters exclude those that need no gradient."""
        model[0].requires_grad_(False)
        totals = scalars(model_summary(model, (2, 3, 4, 4)))
        assert (
            totals["model_summary/parameters"] - totals["model_summary/trainable_parameters"] == 3 * 4 * 9 + 4
        )

    def test_a_slice_of_a_data_set_counts_as_large_as_it_is(self, model):
        """The input's size is that of its elements, not of the storage behind the view."""
        data = torch.zeros(100, 3, 4, 4)
        totals = scalars(model_summary(model, input_data=data[:1]))
        assert totals["model_summary/input_megabytes"] == 3 * 4 * 4 * 4 / 1e6

    def test_totals_become_hyperparameters_if_asked(self, model):
        """The record has the exact numbers under the scalars' names."""
        records = model_summary(model, (1, 3, 4, 4), hparams=True)
        (hparams,) = [record for record in records if isinstance(record, HparamsRecord)]
        assert hparams.hparams == scalars(records)
        assert hparams.hparams["model_summary/parameters"] == sum(p.numel() for p in model.parameters())


class TestInputs:
    """The ways to give an input."""

    def test_several_inputs_of_several_types(self):
        """Shapes and dtypes in lists, or the arguments by name, give the same table."""

        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = nn.Embedding(10, 4)
                self.linear = nn.Linear(3, 4)

            def forward(self, tokens, features, scale=1):
                return (self.embedding(tokens).sum(1) + self.linear(features)) * scale

        by_size = model_summary(Two(), [(2, 5), (2, 3)], dtypes=[torch.long, torch.float], scale=2)
        data = {"tokens": torch.zeros(2, 5, dtype=torch.long), "features": torch.zeros(2, 3)}
        by_data = model_summary(Two(), input_data=data)
        assert by_size[0].text == by_data[0].text
        assert scalars(by_size)["model_summary/input_megabytes"] == (2 * 5 * 8 + 2 * 3 * 4) / 1e6

    def test_any_mapping_holds_arguments_by_name(self, model):
        """A tokenizer returns a mapping that is not a dict."""
        image = torch.rand(2, 3, 4, 4)
        texts = [model_summary(model, input_data=kind({"input": image}))[0].text for kind in (dict, UserDict)]
        assert texts[0] == texts[1]

    def test_inputs_have_the_models_precision(self, model):
        """A model in float64 accepts an input given by its size alone."""
        assert (
            scalars(model_summary(model.double(), (1, 3, 4, 4)))["model_summary/input_megabytes"] == 384 / 1e6
        )

    def test_without_an_input_the_model_does_not_run(self, model):
        """Counts are present, shapes are not."""
        model.register_forward_pre_hook(lambda *_: pytest.fail("it ran"))
        text, *rest = model_summary(model)
        assert layers(text.text)[0] == ["Layer", "Type", "Parameters", "Trainable"]
        assert [record.tag for record in rest] == [
            "model_summary/parameters",
            "model_summary/trainable_parameters",
        ]


class TestTheModelIsLeftAlone:
    """State, output and memory."""

    @pytest.mark.parametrize("size", [(2, 3, 4, 4), (2, 5, 4, 4)])
    def test_the_model_is_as_before(self, model, size, capfd):
        """Statistics, modes, gradients and random state are unchanged and nothing is printed, even on failure."""
        model(torch.rand(2, 3, 4, 4)).sum().backward()
        model[1].eval()
        with untouched(model):
            try:
                model_summary(model, size, mode="train")
            except InvalidValueError:
                assert size[1] == 5
        assert capfd.readouterr() == ("", "")

    def test_the_model_is_not_kept_alive(self):
        """Torchinfo's cache of forward passes does not hold the model."""
        model = nn.Sequential(nn.Linear(2, 2))
        alive = weakref.ref(model)
        model_summary(model, (1, 2))
        del model
        gc.collect()
        assert alive() is None


class TestText:
    """The Markdown."""

    def test_the_table_is_regular(self, model):
        """All rows have as many cells as the header, and a rule follows the header."""
        (text,) = model_summary(model, (1, 3, 4, 4), scalars=False)
        assert isinstance(text, TextRecord)
        lines = text.text.split("\n\n")[-1].splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) == set("|- ")

    def test_numbers_are_aligned(self):
        """Spaces as wide as a digit or a comma pad shorter numbers."""
        text = table(["name", "number"], [["a", "1,234"], ["b", "56"], ["c", ""]], {1})
        assert text.splitlines()[2:] == ["| a | 1,234 |", "| b | \u2007\u2008\u200756 |", "| c |  |"]

    def test_the_totals_are_in_words(self, resnet):
        """The text begins with the most wanted numbers."""
        assert model_summary(resnet, SIZE)[0].text.startswith(
            "**11,689,512** parameters, 11,689,512 of them trainable; **1,814,083,944** mult-adds\n\n"
            "Megabytes: input 0.60, forward/backward 39.75, parameter 46.76, total 87.11\n\n"
        )

    def test_chosen_columns_come_in_the_given_order(self, model):
        """The header follows the argument."""
        text = model_summary(model, (1, 3, 4, 4), columns=["trainable", "input_size"], depth=1)[0].text
        assert layers(text)[0] == ["Layer", "Type", "Trainable", "Input shape"]


class TestErrors:
    """Errors for arguments that do not fit."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (
                {"input_size": (1, 5, 4, 4)},
                r"Sequential failed on \(1, 5, 4, 4\): .*expected input.*to have 3 channels",
            ),
            ({"input_size": (1, 3), "input_data": torch.zeros(1)}, "both input_size and input_data"),
            ({"input_size": ()}, r"input_size was \(\)"),
            ({"input_size": [(1, 2), (3,)], "dtypes": [torch.long]}, "with 1 dtypes"),
            ({"columns": ["params"]}, "no column 'params'; give some of input_size, "),
            ({"columns": ["num_params", "mult_adds"]}, "'mult_adds' needs a forward pass"),
            ({"depth": -1}, "depth was -1"),
            ({"mode": "test"}, "mode was 'test'"),
        ],
    )
    def test_what_does_not_fit(self, model, arguments, said):
        """The message says what was given and what is wanted."""
        with pytest.raises(InvalidValueError, match=said):
            model_summary(model, **arguments)

    def test_a_missing_torchinfo_is_named(self, model, monkeypatch):
        """The error names the extra that installs the package."""
        monkeypatch.setitem(sys.modules, "torchinfo", None)
        with pytest.raises(MissingDependencyError, match=r"tblog\[adapters\]"):
            model_summary(model)


class TestExample:
    """The program in examples/adapters."""

    def test_it_logs_what_the_documentation_shows(self, tmp_path, monkeypatch):
        """TensorBoard's reader finds each network's totals in its own run."""
        monkeypatch.syspath_prepend(EXAMPLES)
        runpy.run_path(str(EXAMPLES / "model_summary.py"))["main"](tmp_path)
        totals = [
            accumulator(tmp_path / name).Scalars("model_summary/parameters")[0].value
            for name in ("digits", "resnet18", "vgg11")
        ]
        assert totals == [38_282, 11_689_512, 132_863_336]
