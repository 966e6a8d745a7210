"""The difference between connectors that run and connectors as rendered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.mirror_plan import ActionKind, Change, ConnectorAction, differences, plan_apply

CONFIG = st.dictionaries(st.sampled_from(["a", "b", "c", "name"]), st.sampled_from(["1", "2"]))


def test_each_connector_is_created_updated_or_kept() -> None:
    wanted = {"new": {"name": "new", "a": "1"}, "changed": {"a": "1", "b": "2"}, "same": {"a": "1"}}
    live = {
        "changed": {"name": "changed", "a": "0", "c": "3"},
        "same": {"name": "same", "a": "1"},
        "foreign": {"x": "y"},
    }
    assert plan_apply(live, wanted) == (
        ConnectorAction("new", ActionKind.CREATE),
        ConnectorAction(
            "changed", ActionKind.UPDATE, (Change("a", "0", "1"), Change("b", None, "2"), Change("c", "3", None))
        ),
        ConnectorAction("same", ActionKind.KEEP),
    )


def test_a_secret_that_somebody_wrote_out_is_not_repeated() -> None:
    live = {
        "source.cluster.sasl.jaas.config": 'password="hunter2"',
        "ssl.key.password": "hunter2",
        "ssl.keystore.key": "x",
    }
    changes = differences(live, {"source.cluster.sasl.jaas.config": 'password="${file:/x:y}"'})
    assert changes == (
        Change("source.cluster.sasl.jaas.config", "(hidden)", "(hidden)"),
        Change("ssl.key.password", "(hidden)", None),
        Change("ssl.keystore.key", "(hidden)", None),
    )


@given(CONFIG, CONFIG)
def test_after_the_plan_is_done_nothing_is_left_to_do(live: dict[str, str], wanted: dict[str, str]) -> None:
    [action] = plan_apply({"c": live}, {"c": wanted})
    done = live if action.kind is ActionKind.KEEP else wanted
    [again] = plan_apply({"c": {**done, "name": "c"}}, {"c": wanted})
    assert again == ConnectorAction("c", ActionKind.KEEP)
