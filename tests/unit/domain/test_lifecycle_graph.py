"""The picture of a run's life has what the table has."""

from __future__ import annotations

import json

from click.testing import CliRunner

from drkit.cli import cli
from drkit.domain.lifecycle import TRANSITIONS, Phase
from drkit.domain.lifecycle_graph import graph_document


def test_every_cell_of_the_table_is_in_the_document() -> None:
    answer = CliRunner().invoke(cli, ["runs", "graph", "--output", "json"])
    document = json.loads(answer.stdout)
    assert document == graph_document()
    cells = {(one["from"], one["trigger"], one["to"]) for one in document["transitions"]}
    expected = set()
    for one in TRANSITIONS:
        sources = one["source"] if isinstance(one["source"], list) else [one["source"]]
        expected |= {(str(source), str(one["trigger"]), str(one["dest"])) for source in sources}
    assert cells == expected
    assert {one["phase"] for one in document["phases"] if one["is_final"]} == {
        phase.value for phase in Phase if phase.is_final
    }


def test_the_picture_has_guards_and_ends() -> None:
    shown = CliRunner().invoke(cli, ["runs", "graph"]).stdout
    assert "running --> undoing: undo (unless is past no return)" in shown
    assert "running --> verification_missed: miss (if is complete and if has missed)" in shown
    assert shown.count("--> [*]") == sum(phase.is_final for phase in Phase)
