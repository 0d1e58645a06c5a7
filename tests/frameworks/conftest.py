"""Shared by the tests with other frameworks: a fresh process in which tblog is patched in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.needs import need_package
from tests.processes import run_program, site_packages_without
from tests.slow import slow_but

FRAMEWORKS = {
    "accelerate",
    "clearml",
    "ignite",
    "lightning",
    "mlflow",
    "stable_baselines3",
    "transformers",
    "wandb",
}

OFFLINE = {
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MPLBACKEND": "agg",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}


@pytest.fixture(autouse=True)
def _need_framework(request: pytest.FixtureRequest) -> None:
    """Skip if the framework that names the test file is missing; in CI, fail."""
    name = request.path.stem.removeprefix("test_")
    assert name in FRAMEWORKS
    need_package(name, "frameworks")


@pytest.fixture(scope="session")
def _packages_without_tensorboard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = {"tensorboard", "tensorboard_data_server"}
    return site_packages_without(names, tmp_path_factory.mktemp("site-packages"))


@pytest.fixture(params=slow_but(["tensorboard installed"], ["tensorboard installed", "tensorboard missing"]))
def run_patched(
    request: pytest.FixtureRequest, tmp_path: Path, _packages_without_tensorboard: Path
) -> Callable[[str], str]:
    """Return a function that runs a program after `tblog.patch()`, with and without tensorboard."""
    packages = _packages_without_tensorboard if request.param == "tensorboard missing" else None

    def run(source: str) -> str:
        patched = f"import tblog\ntblog.patch()\n{source}"
        return run_program(patched, tmp_path, packages=packages, environment=OFFLINE)

    return run


IMPORTS = {
    "tblog alone": "import tblog\nMIRROR\nfrom tblog import SummaryWriter\n",
    "patch first": "import tblog\ntblog.patch()\nMIRROR\nfrom torch.utils.tensorboard import SummaryWriter\n",
    "patch last": "import tblog\nMIRROR\ntblog.patch()\nfrom torch.utils.tensorboard import SummaryWriter\n",
}


@pytest.fixture(params=slow_but(["patch first"], IMPORTS))
def run_mirrored(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], str]:
    """Return a function that runs a program under a mirroring tool, started before or after the patch.

    The first argument starts the tool; the program finds `SummaryWriter`.
    """

    def run(start: str, source: str) -> str:
        imports = IMPORTS[request.param].replace("MIRROR", start)
        check = "assert issubclass(SummaryWriter, tblog.SummaryWriter)\n"
        return run_program(imports + check + source, tmp_path, environment={**OFFLINE, "HOME": str(tmp_path)})

    return run
