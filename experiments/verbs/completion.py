"""``evenhand completion``: prints a script that completes commands in a shell."""

from importlib import import_module

from experiments.cli.arguments import VerbParser, Words
from experiments.terminal import exit_on, say
from lit_models.errors import ConfigError

EPILOG = """\
  evenhand completion bash > ~/.local/share/bash-completion/completions/evenhand
  evenhand completion zsh > ~/.zfunc/_evenhand          a folder of fpath"""

PARSER = VerbParser("completion", "Print a script that completes commands in bash, zsh or tcsh.", EPILOG)
PARSER.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def completion(words: Words) -> int:
    """Prints the script; ``words`` are those behind ``completion``."""
    options = PARSER.parse_args(words)
    import experiments.cli.entry_point  # registers types and classes
    from experiments.__main__ import VERBS
    from experiments.cli.shell_completion import script

    assert experiments.cli.entry_point
    with exit_on(ConfigError):
        say(script(options.shell, {verb: import_module(f"experiments.verbs.{verb}").PARSER for verb in VERBS}))
    return 0
