"""The catalogue file: the topics of a service, what they have in common, and what is different per environment.

Read like ``drkit.yaml``: every error at once, each with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, PositiveInt, ValidationError

from drkit.config.base import Model
from drkit.config.explain import explain
from drkit.config.load import text_of
from drkit.config.yaml_text import Document, Problem, parse
from drkit.domain.topic_catalogue import WantedTopic, collisions, name_fault, segment_fault
from drkit.errors import ConfigError

FILE_NAME: Final = "topics.yaml"
_EXAMPLE: Final = "topics.example.yaml"

Environment = Literal["development", "staging", "production"]
ConfigValue = str | int | float | bool


class Overrides(Model):
    """What is said of topics; what is left out is said elsewhere."""

    partitions: PositiveInt | None = None
    replication_factor: PositiveInt | None = None
    configs: dict[str, ConfigValue] = Field(default_factory=dict)


class Defaults(Model):
    """What every topic has that does not say otherwise."""

    partitions: PositiveInt
    replication_factor: PositiveInt
    configs: dict[str, ConfigValue] = Field(default_factory=dict)


class CatalogueTopic(Overrides):
    """One topic: ``{project}.{environment}.{domain}.{event}``."""

    domain: str
    event: str
    environments: dict[Environment, Overrides] = Field(default_factory=dict)
    """What is different of this topic in an environment."""


class Catalogue(Model):
    """The whole file. The nearest word counts: topic and environment, topic, environment, defaults."""

    defaults: Defaults
    environments: dict[Environment, Overrides] = Field(default_factory=dict)
    topics: tuple[CatalogueTopic, ...]

    def wanted(self, topic: CatalogueTopic, project: str, environment: Environment) -> WantedTopic:
        """The topic as it is to be in an environment."""
        # The nearest one last, so that its word counts.
        said: list[Overrides | Defaults] = [self.defaults]
        said += [self.environments[environment]] if environment in self.environments else []
        said += [topic]
        said += [topic.environments[environment]] if environment in topic.environments else []
        partitions = [one.partitions for one in said if one.partitions is not None]
        replicas = [one.replication_factor for one in said if one.replication_factor is not None]
        configs = {key: _text(value) for one in said for key, value in one.configs.items()}
        return WantedTopic(
            f"{project}.{environment}.{topic.domain}.{topic.event}", partitions[-1], replicas[-1], configs
        )


def load_catalogue(path: Path, project: str, environment: Environment) -> tuple[WantedTopic, ...]:
    """The topics of an environment, by name.

    Raises ``ConfigError`` with every error: of the file, and of names that break the convention, are too long, or
    would be the same to Kafka.
    """
    document = parse(text_of(path, FILE_NAME))
    catalogue = _catalogue(document) if not document.problems else None
    problems = list(document.problems)
    wanted: list[WantedTopic] = []
    if catalogue is not None:
        wanted = [catalogue.wanted(topic, project, environment) for topic in catalogue.topics]
        problems += _faults(document, catalogue, wanted)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in sorted(problems, key=lambda one: (one.line, one.dotted_path)))
        count = len(problems)
        raise ConfigError(
            f"{path} has {count} error{'s' if count > 1 else ''}\n{lines}",
            hint="correct the file, then: drkit topics check",
        )
    return tuple(sorted(wanted, key=lambda topic: topic.name))


def example_text() -> str:
    """A commented catalogue, for the platform of ``ap-east-2`` and ``ap-northeast-1``."""
    return (Path(__file__).parent / _EXAMPLE).read_text(encoding="utf-8")


def _catalogue(document: Document) -> Catalogue | None:
    if not isinstance(document.value, dict):
        document.problems.append(Problem(0, (), "must be a mapping; drkit topics example shows one"))
        return None
    try:
        return Catalogue.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        document.problems.extend(explain(error, document, Catalogue.model_json_schema()))
        return None


def _faults(document: Document, catalogue: Catalogue, wanted: list[WantedTopic]) -> Iterator[Problem]:
    """What is wrong with names. ``wanted`` is in the order of the file."""
    places: dict[str, int] = {}
    for number, (topic, named) in enumerate(zip(catalogue.topics, wanted, strict=True)):
        path = ("topics", number)
        line = document.line(path)
        faults = [("domain", segment_fault(topic.domain)), ("event", segment_fault(topic.event))]
        faults += [("", name_fault(named.name))]
        for key, fault in faults:
            if fault:
                where = (*path, key) if key else path
                yield Problem(document.line(where), where, fault)
        if named.name in places:
            yield Problem(line, path, f"{named.name} is given twice: first on line {places[named.name]}")
        places.setdefault(named.name, line)
    for name, other in collisions(places, ()):
        number = [topic.name for topic in wanted].index(other)
        message = f"{other} and {name} (line {places[name]}) are the same to Kafka: it makes no difference of . and _"
        yield Problem(places[other], ("topics", number), message)


def _text(value: ConfigValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
