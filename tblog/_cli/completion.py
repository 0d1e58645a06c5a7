"""`tblog completion`: the script by which a shell completes the command, generated from its arguments."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from tblog._cli import output
from tblog._cli.arguments import DONE, command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EXAMPLES = """
  source <(tblog completion bash)                                                     in this shell
  tblog completion bash > ~/.local/share/bash-completion/completions/tblog           in each bash from now on
  echo 'source <(tblog completion zsh)' >> ~/.zshrc                                   in zsh, behind compinit
"""

_BASH = """_tblog() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=
    if (( COMP_CWORD == 1 )); then
        words={commands}
    else
        case "${{COMP_WORDS[1]}} $before" in
{choices}
        *) [[ $word == -* ]] && case "${{COMP_WORDS[1]}}" in
{options}
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _tblog tblog
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    text = "Print a script that makes a shell complete subcommands, options and their choices; paths where none fits."
    parser = command(
        subcommands, "completion", lambda given: _print(given, subcommands.choices), text, _EXAMPLES
    )
    parser.add_argument("shell", choices=["bash", "zsh"], help="the shell")


def _print(given: argparse.Namespace, parsers: Mapping[str, argparse.ArgumentParser]) -> int:
    choices, options = [], []
    for name, parser in parsers.items():
        of_it = [action for action in _actions(parser) if action.help != argparse.SUPPRESS]
        options.append(
            f"            {name}) words={_words(one for each in of_it for one in each.option_strings)} ;;"
        )
        for action in of_it:
            if action.choices and action.option_strings:
                patterns = "|".join(f'"{name} {option}"' for option in action.option_strings)
                choices.append(f"        {patterns}) words={_words(map(str, action.choices))} ;;")
            elif action.choices:
                choices.append(f'        "{name} {name}") words={_words(map(str, action.choices))} ;;')
    script = _BASH.format(commands=_words(parsers), choices="\n".join(choices), options="\n".join(options))
    output.say(((_ZSH if given.shell == "zsh" else "") + script).rstrip())
    return DONE


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 # argparse tells of them in no other way


def _words(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))
