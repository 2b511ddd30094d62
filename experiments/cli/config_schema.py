"""JSON schema of the configuration files that ``-c`` takes, for editors: names, types and descriptions of settings."""

import json
from collections.abc import Iterable
from typing import Any

from jsonargparse import ArgumentParser

import datamodules
import lit_models
from datamodules import DataModule
from experiments.cli.arguments import RUN_OPTIONS
from experiments.run.precision import AnyPrecisionTrainer
from lit_models import ConfigError, LitModel
from lit_models.data_facts import FACTS

Schema = dict[str, Any]

CLASS: Schema = {
    "anyOf": [
        {"type": ["string", "null"]},
        {
            "type": "object",
            "properties": {"class_path": {"type": "string"}, "init_args": {"type": "object"}},
            "additionalProperties": {"type": "object"},
        },
    ]
}
"""A class by its name, or by ``class_path`` and ``init_args``: not every class that may be named is listed."""

CLASSES = {
    "model": ("loss", "optimizer", "network"),
    "data": ("datamodule",),
    "trainer": ("accelerator", "strategy", "profiler"),
}
"""Settings that take a class, by the section they are in."""

FREE: dict[str, dict[str, Schema]] = {
    "model": {"schedule": {"type": ["object", "null"]}, "metrics": {"type": ["object", "null"]}},
    "data": {},
    "trainer": {
        "callbacks": {"anyOf": [CLASS, {"type": "array", "items": CLASS}]},
        "plugins": {"anyOf": [CLASS, {"type": "array", "items": CLASS}]},
        "logger": {"anyOf": [CLASS, {"type": "boolean"}, {"type": "array", "items": CLASS}]},
        "precision": {"type": ["string", "integer", "null"]},
    },
}
"""Settings that take objects or several classes, with their schemas."""


def config_schema() -> Schema:
    """Returns the JSON schema (draft 2020-12) of a configuration.

    Files may have a part of the settings, so that none is required. Settings of Evenhand's models and data sets are
    checked by name and type; those of other classes are not.

    Raises:
        ConfigError: If the installed jsonargparse makes no schemas.
    """
    definitions: Schema = {}
    properties: Schema = {
        "$schema": {"type": "string"},
        "seed_everything": {"type": ["integer", "boolean"], "description": "seed of the training; drawn if left out"},
        **{name: _typed(kind, default, text) for name, kind, default, _, text in RUN_OPTIONS},
        "ckpt_path": {"type": ["string", "null"]},
        "weights_only": {"type": ["boolean", "null"]},
        "trainer": _settings(AnyPrecisionTrainer, "trainer", definitions),
    }
    for section, package, base in (("model", lit_models, LitModel), ("data", datamodules, DataModule)):
        named = {name: getattr(package, name) for name in package.__all__}
        classes = {name: kind for name, kind in named.items() if isinstance(kind, type) and issubclass(kind, base)}
        properties[section] = _one_of(section, package.__name__, classes.items(), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of evenhand fit",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _one_of(section: str, package: str, classes: Iterable[tuple[str, type]], definitions: Schema) -> Schema:
    """Returns the schema of a class with its settings, which are those of the class that is named."""
    conditions, names = [], []
    for name, kind in classes:
        settings = _settings(kind, section, definitions)
        definitions[f"{section}.{name}"] = settings
        names += [name, f"{package}.{name}"]
        condition = {"required": ["class_path"], "properties": {"class_path": {"enum": names[-2:]}}}
        then = {"properties": {"init_args": {"$ref": f"#/$defs/{section}.{name}"}}}
        conditions.append({"if": condition, "then": then})
    path = {"anyOf": [{"enum": names}, {"type": "string", "description": "import path of a class of your own"}]}
    # Not one of two schemas, of which an editor would say no more than that neither holds.
    return {
        "type": ["string", "object"],
        "examples": names[::2],
        "properties": {"class_path": path, "init_args": {"type": "object"}, "dict_kwargs": {"type": "object"}},
        "additionalProperties": False,
        "allOf": conditions,
    }


def _settings(kind: type, section: str, definitions: Schema) -> Schema:
    """Returns the schema of the arguments of a class; its definitions are added to those of all."""
    free = {**dict.fromkeys(CLASSES[section], CLASS), **FREE[section]}
    parser = ArgumentParser(exit_on_error=False)
    skip = {*free, *(FACTS if section == "model" else ())}
    added = parser.add_class_arguments(kind, fail_untyped=False, sub_configs=True, skip=skip)
    if not hasattr(parser, "get_completion_script"):
        raise ConfigError("the installed jsonargparse makes no JSON schemas; install version 4.53 or a later one")
    made = json.loads(parser.get_completion_script("jsonschema")) if added else {}
    definitions |= {name: _partial(each) for name, each in made.get("$defs", {}).items()}
    properties = {name: _partial(each) for name, each in made.get("properties", {}).items() if name != "$schema"}
    return {"type": "object", "properties": {**properties, **free}, "additionalProperties": False}


def _partial(schema: Any) -> Any:
    """Returns a schema without required properties."""
    if isinstance(schema, list):
        return [_partial(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _partial(each) for name, each in schema.items() if not (name == "required" and isinstance(each, list))
    }


def _typed(kind: Any, default: Any, text: str) -> Schema:
    """Returns the schema of an option of a run, which is a text, a whole number or a truth value."""
    names = [name for each, name in ((str, "string"), (int, "integer")) if kind == each | None]
    return {"type": [*names, "null"] if names else "boolean", "default": default, "description": text}
