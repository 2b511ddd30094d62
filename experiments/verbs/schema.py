"""``evenhand schema``: prints the JSON schema of configuration files."""

import json

from experiments.cli.arguments import VerbParser, Words
from experiments.terminal import exit_on, say
from lit_models.errors import ConfigError

EPILOG = """\
  evenhand schema > evenhand.schema.json

Editors check and complete a file for -c that begins with the line

  # yaml-language-server: $schema=evenhand.schema.json"""

PARSER = VerbParser("schema", "Print the JSON schema of configuration files, for editors.", EPILOG)


def schema(words: Words) -> int:
    """Prints the schema; ``words`` are those behind ``schema``."""
    PARSER.parse_args(words)
    import experiments.cli.entry_point  # registers types and classes
    from experiments.cli.config_schema import config_schema

    assert experiments.cli.entry_point
    with exit_on(ConfigError):
        say(json.dumps(config_schema(), indent=2))
    return 0
