"""`tblog completion`, in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.command import tblog

ASK = """
eval "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
complete -p tblog >&2
_tblog || true  # compgen's status where nothing fits
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def offered():
    """Return the words that bash offers for a line whose last word is incomplete."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash on this machine")
    script, _ = tblog("completion", "bash")

    def ask(*words):
        done = subprocess.run(
            [bash, "--norc", "-c", ASK, "bash", "tblog", *words],
            env={"SCRIPT": script},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "-o default" in done.stderr
        return done.stdout.split()

    return ask


def test_bash_completes_subcommands_options_and_choices(offered):
    """The words are the command's own."""
    assert offered("re") == ["report", "rename"]
    assert {"ls", "export", "import", "kept", "completion"} <= {*offered("")}
    assert offered("export", "runs", "--to", "p") == ["parquet"]
    assert offered("ls", "--so") == ["--sort"]
    assert offered("ls", "runs", "--sort", "s") == ["size", "step"]
    assert {"--run", "--tag", "--in-place", "-o"} <= {*offered("drop", "runs", "-")}


def test_bash_offers_paths_where_the_command_has_no_words_for_it(offered):
    """The list is empty, and `-o default` has bash complete files."""
    assert offered("ls", "ru") == []
    assert offered("export", "runs", "-o", "x") == []
    assert offered("none", "-") == []


def test_the_script_for_zsh_is_that_of_bash_behind_its_own_bridge():
    """Zsh has a bridge for bash scripts."""
    assert (
        tblog("completion", "zsh")[0]
        == "autoload -U +X bashcompinit && bashcompinit\n" + tblog("completion", "bash")[0]
    )


ZSH_ASK = """
autoload -Uz compinit && compinit -u -D
eval "$SCRIPT"
setopt kshArrays shWordSplit  # as the bridge does
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_tblog || true
print -l -- "${COMPREPLY[@]}"
"""


def test_zsh_completes_the_same():
    """Zsh itself runs the script, behind its own bridge."""
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("there is no zsh on this machine")
    script, _ = tblog("completion", "zsh")
    for words, expected in (
        (["re"], ["rename", "report"]),
        (["export", "runs", "--to", "p"], ["parquet"]),
        (["ls", "--so"], ["--sort"]),
        (["ls", "ru"], []),
    ):
        done = subprocess.run(
            [zsh, "-f", "-c", ZSH_ASK, "zsh", "tblog", *words],
            env={"SCRIPT": script, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )
        offered = [word for word in done.stdout.split() if word.startswith(words[-1])]  # as zsh filters them
        assert sorted(offered) == expected, done.stderr


def test_a_shell_without_a_script_is_refused():
    """The message names the supported shells."""
    assert "bash" in tblog("completion", "tcsh", status=2)[1]
