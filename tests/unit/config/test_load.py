"""Finding the file, and saying everything that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from drkit.config.load import examine, find_config, json_schema, load
from drkit.errors import ConfigError, UsageError
from tests.unit.config.sample import MISSING, VALID, changed, settings, write


def told(path: Path) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.dotted_path, problem.message) for problem in examine(path).errors]


def test_a_valid_file_is_loaded(tmp_path: Path) -> None:
    assert load(write(tmp_path, VALID)) == settings()
    assert load(write(tmp_path, VALID)).regions["tokyo"].health.http[0].name == "kafka"


def test_every_error_is_told_at_once_with_line_path_and_advice(tmp_path: Path) -> None:
    path = tmp_path / "drkit.yaml"
    path.write_text(
        """\
project: shop
environment: stagin
primary: taipei
primary: tokyo
state: {bucket: shop-drkit, region: 3.10}
regions:
  taipei:
    cluster:
      bootstrap: 127.0.0.1:9092
      auth: {mechanism: plain, username: drkit, pass_word: hunter2}
    connection: {url: x}
  tokyo:
    cluster:
      bootstrap: 127.0.0.1:9092
      cluster_id: x
      auth: {mechanism: plan}
      mirror_auth: {username: x}
      tls: {enabled: yes}
    health: {samples: 010, interval_seconds: 1:30:00}
replication:
  topics: x
  exactly_once: NO
  refresh_seconds: 1e3
  tasks_max: "4"
  replication_factor: 2.0
  checkpoint_seconds: 5m
fence:
objectives: {rpo_records: 1_000, rto_seconds: -1}
redirect:
  - zone_id: REPLACE-ME
timeouts: []
colour: red
"""
    )
    mechanisms = "none, plain, scram-sha-256, scram-sha-512, mtls, iam"
    keys = (
        "project, environment, primary, aws, state, regions, replication, fence, redirect, objectives, alerts, timeouts"
    )
    assert told(path) == [
        (2, "environment", "must be one of development, staging, production: did you mean staging?"),
        (4, "primary", "given twice: first on line 3"),
        (5, "state.region", 'must be text; write it in quotes: "3.10"'),
        (8, "regions.taipei.cluster.cluster_id", "is missing"),
        (10, "regions.taipei.cluster.auth.pass_word", "unknown key: did you mean password?"),
        (10, "regions.taipei.cluster.auth.password", "is missing"),
        (11, "regions.taipei.connection", "unknown key: did you mean connect?"),
        (16, "regions.tokyo.cluster.auth", f"must be one of {mechanisms}: did you mean plain?"),
        (17, "regions.tokyo.cluster.mirror_auth", "does not say which mechanism"),
        (18, "regions.tokyo.cluster.tls.enabled", "must be true or false; 'yes' is text here: write true"),
        (19, "regions.tokyo.health.interval_seconds",
         "must be a number; 1:30:00 is no time here: write the number of seconds, 5400"),
        (19, "regions.tokyo.health.samples",
         "must be a whole number; 010 begins with a zero, which YAML 1.1 reads as octal: write 10"),
        (21, "replication.topics", "must be a list"),
        (22, "replication.exactly_once", "must be true or false; 'NO' is text here: write false"),
        (23, "replication.refresh_seconds",
         "must be a whole number; write 1e3 out with digits and, if need be, one point between them"),
        (24, "replication.tasks_max", "must be a whole number; write 4 without quotes"),
        (25, "replication.replication_factor", "must be a whole number, without a point"),
        (26, "replication.checkpoint_seconds", "must be a whole number; write the number of seconds, 300"),
        (27, "fence", "is empty"),
        (28, "objectives.rpo_records", "must be a whole number; write 1000 without underscores"),
        (28, "objectives.rto_seconds", "must be greater than 0"),
        (30, "redirect[0].kind", "is missing"),
        (30, "redirect[0].name", "is missing"),
        (30, "redirect[0].type", "is missing"),
        (30, "redirect[0].values", "is missing"),
        (30, "redirect[0].zone_id", "fill in: it still says REPLACE-ME"),
        (30, "redirect[0].zone_name", "is missing"),
        (31, "timeouts", "must be a mapping of keys to values"),
        (32, "colour", f"unknown key; known here: {keys}"),
    ]  # fmt: skip


@pytest.mark.parametrize("secret", ["hunter2", 12345, ["hunter2"]])
def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path, secret: object) -> None:
    path = write(tmp_path, changed("regions.taipei.cluster.auth.password", secret))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "regions.taipei.cluster.auth.password" in caught.value.message
    assert "hunter2" not in str(caught.value.message)
    assert "12345" not in str(caught.value.message)


def test_rules_are_told_with_the_line_of_the_value(tmp_path: Path) -> None:
    path = write(tmp_path, changed("fence.principals", ["User:orders", "User:*"]))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "User:*" in text)
    found = [(line, "fence.principals[1]", "User:* would stop the mirror and drkit as well: name the applications")]
    assert told(path) == found


def test_a_place_with_an_error_of_its_own_gets_no_second_one(tmp_path: Path) -> None:
    path = write(tmp_path, changed("redirect.0.values.tokyo.0", "REPLACE-ME"))
    assert [message for _, _, message in told(path)] == ["fill in: it still says REPLACE-ME"]


def test_the_message_counts_and_lists_and_the_hint_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, changed("primary", MISSING)))
    path = tmp_path / "drkit.yaml"
    assert caught.value.message == f"{path} has 1 error\n  line 1, primary: is missing"
    assert caught.value.hint == "correct the file, then: drkit config check"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; drkit init --output - shows what belongs here"),
        (b"# nothing\n", "is empty; drkit init --output - shows what belongs here"),
        (b"- a\n", "must be a mapping of keys to values, beginning with project:"),
        (b"just text\n", "must be a mapping of keys to values, beginning with project:"),
    ],
)
def test_a_file_without_settings(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "drkit.yaml"
    path.write_bytes(content)
    assert [told_message for _, _, told_message in told(path)] == [message]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"project: shop\nstate: \xff\n", "is not UTF-8 (line 2)"),
        ("project: shop\n".encode("utf-16"), "is not UTF-8 (line 1)"),
        (b"#" * (256 * 1024 + 1), "is larger than 256 KiB"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "drkit.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.message == f"{path} {message}"


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, VALID)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path) == settings()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        examine(tmp_path)


def test_the_file_is_the_named_one_else_the_variables_else_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRKIT_CONFIG", raising=False)
    with pytest.raises(UsageError) as caught:
        find_config()
    assert caught.value.message == "there is no drkit.yaml here"
    assert caught.value.hint.startswith("drkit init writes one")

    here, variable, named = (tmp_path / name for name in ("drkit.yaml", "variable.yaml", "named.yaml"))
    for path in (here, variable, named):
        path.touch()
    assert find_config().resolve() == here
    monkeypatch.setenv("DRKIT_CONFIG", str(variable))
    assert find_config() == variable
    assert find_config(str(named)) == named


def test_a_named_file_that_is_not_there_is_never_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drkit.yaml").touch()
    monkeypatch.setenv("DRKIT_CONFIG", "gone.yaml")
    with pytest.raises(UsageError, match=r"DRKIT_CONFIG names gone\.yaml, which does not exist"):
        find_config()
    with pytest.raises(UsageError, match=r"--config names other\.yaml, which does not exist"):
        find_config("other.yaml")
    with pytest.raises(UsageError, match="is no file"):
        find_config(str(tmp_path))


def test_the_schema_accepts_what_the_models_accept_and_refuses_an_unknown_key() -> None:
    import jsonschema

    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(VALID, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALID, "colour": "red"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed("regions.taipei.cluster.auth.password", "hunter2"), schema)
