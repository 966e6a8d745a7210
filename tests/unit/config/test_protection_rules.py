"""Rules for backups, schema registries and alerts."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

import pytest

from drkit.config.base import Model
from drkit.config.example import example_text
from drkit.config.protection import Alerts, Backup, SchemaRegistry
from drkit.config.rules import check
from drkit.config.yaml_text import parse
from tests.unit.config.sample import VALID, changed, settings

TAIPEI, TOKYO = "ap-east-2", "ap-northeast-1"
NAMED: dict[str, Any] = json.loads(json.dumps(VALID).replace("taipei", TAIPEI).replace("tokyo", TOKYO))
"""Regions that have the names of AWS's."""
TOPIC = "arn:aws:sns:ap-northeast-1:111122223333:drkit"
KEY = "arn:aws:kms:ap-east-2:111122223333:key/1234"


def _document(taipei: dict[str, Any] | None = None, tokyo: dict[str, Any] | None = None) -> dict[str, Any]:
    first = changed(f"regions.{TAIPEI}.backup", {"bucket": "bucket-1", **(taipei or {})}, NAMED)
    return changed(f"regions.{TOKYO}.backup", {"bucket": "bucket-2", **(tokyo or {})}, first)


def _told(document: dict[str, Any], *, errors: bool) -> list[tuple[str, str]]:
    found = check(settings(document))
    return [(".".join(map(str, one.path)), one.message) for one in (found.errors if errors else found.warnings)]


def _one(document: dict[str, Any], path: str, words: str, *, is_error: bool) -> None:
    [(where, message)] = _told(document, errors=is_error)
    assert where == path
    assert words in message
    assert _told(document, errors=not is_error) == []


def test_a_bucket_in_each_region_is_not_complained_of() -> None:
    for document in (_document(), _document({"region": TAIPEI, "kms_key_id": KEY, "prefix": "shop/"})):
        assert _told(document, errors=True) == []
        assert _told(document, errors=False) == []


def test_the_buckets_are_two() -> None:
    _one(_document(tokyo={"bucket": "bucket-1"}), f"regions.{TOKYO}.backup.bucket", TAIPEI, is_error=True)


def test_one_bucket_alone_is_told() -> None:
    document = changed(f"regions.{TAIPEI}.backup", {"bucket": "bucket-1"}, NAMED)
    _one(document, f"regions.{TOKYO}.backup", "one bucket only", is_error=False)


@pytest.mark.parametrize("bucket", ["Bucket", "b", "a..b", "-ab", "a/b", "x" * 64, "a\n"])
def test_a_name_that_no_bucket_has(bucket: str) -> None:
    path = f"regions.{TAIPEI}.backup.bucket"
    _one(_document({"bucket": bucket}), path, "is no name of an S3 bucket", is_error=True)


@pytest.mark.parametrize("prefix", ["/shop", "shop//"])
def test_a_prefix_that_looks_like_a_path(prefix: str) -> None:
    _one(_document({"prefix": prefix}), f"regions.{TAIPEI}.backup.prefix", "slash", is_error=True)


def test_a_bucket_lies_in_its_region() -> None:
    _one(_document({"region": "eu-west-1"}), f"regions.{TAIPEI}.backup.region", f"is not {TAIPEI}", is_error=False)
    both = _told(_document({"region": TOKYO}), errors=False)
    assert [path for path, _ in both] == [f"regions.{TAIPEI}.backup.region", f"regions.{TOKYO}.backup.region"]
    assert "takes every backup" in both[1][1]


def test_where_a_region_has_a_name_of_its_own_the_buckets_has_to_be_given() -> None:
    document = changed("regions.tokyo.backup", {"bucket": "bucket-2"})
    document = changed("regions.taipei.backup", {"bucket": "bucket-1"}, document)
    assert _told(document, errors=True) == []
    hook = changed("fence", {"kind": "hook", "put": ["put"], "lift": ["lift"]}, document)
    iam = changed("regions.taipei.cluster.auth", {"mechanism": "iam", "region": TAIPEI}, hook)
    [(path, message)] = _told(iam, errors=True)
    assert path == "regions.taipei.backup.region"
    assert TAIPEI in message
    given = changed("regions.taipei.backup.region", TAIPEI, iam)
    assert _told(given, errors=True) == []


def test_a_key_is_in_the_region_of_its_bucket() -> None:
    key = KEY.replace(TAIPEI, "eu-west-1")
    _one(_document({"kms_key_id": key}), f"regions.{TAIPEI}.backup.kms_key_id", "eu-west-1", is_error=True)
    assert _told(_document({"kms_key_id": "alias/backups"}), errors=True) == []


def test_a_lock_that_makes_sense() -> None:
    path = f"regions.{TAIPEI}.backup.object_lock_days"
    _one(_document({"object_lock_days": 7}), path, "no effect", is_error=False)
    for mode, days in (("governance", 36_500), ("compliance", 400)):
        document = _document({"object_lock": mode, "object_lock_days": days})
        assert _told(document, errors=True) == _told(document, errors=False) == []
    long = _document({"object_lock": "compliance", "object_lock_days": 401})
    _one(long, path, "nobody can remove", is_error=False)
    endless = _document({"object_lock": "governance", "object_lock_days": 36_501})
    _one(endless, path, "more than S3 takes", is_error=True)


@pytest.mark.parametrize("url", ["registry:8081", "ftp://x", "http://", "http://x:0"])
def test_a_url_of_a_registry_that_is_none(url: str) -> None:
    path = f"regions.{TAIPEI}.schema_registry"
    document = changed(path, {"url": url}, NAMED)
    assert _told(document, errors=True) == [(f"{path}.url", "is not an http:// or https:// URL")]


def test_credentials_of_a_registry() -> None:
    path = f"regions.{TAIPEI}.schema_registry"
    whole = {"url": "https://registry", "username": "drkit", "password": "env:REGISTRY"}
    assert _told(changed(path, whole, NAMED), errors=True) == []
    half = {"url": "https://registry", "username": "drkit"}
    assert _told(changed(path, half, NAMED), errors=True) == [(path, "username and password belong together")]
    [(where, message)] = _told(changed(path, {"url": "https://drkit:hunter2@registry"}, NAMED), errors=True)
    assert where == f"{path}.url"
    assert "hunter2" not in message
    foreign = {**whole, "password": "connect:${file:/a:b}"}
    assert [where for where, _ in _told(changed(path, foreign, NAMED), errors=True)] == [f"{path}.password"]


def test_who_is_told() -> None:
    path = "alerts.sns_topic_arn"
    assert _told(changed("alerts", {"sns_topic_arn": TOPIC}, NAMED), errors=False) == []
    assert _told(changed("alerts", {"sns_topic_arn": TOPIC}, NAMED), errors=True) == []
    at_primary = TOPIC.replace(TOKYO, TAIPEI)
    _one(changed("alerts", {"sns_topic_arn": at_primary}, NAMED), path, "nobody is told", is_error=False)
    _one(changed("alerts", {"sns_topic_arn": "drkit"}, NAMED), path, "no ARN of an SNS topic", is_error=True)


@pytest.mark.parametrize(
    ("key", "model"), [("backup", Backup), ("schema_registry", SchemaRegistry), ("alerts", Alerts)]
)
def test_what_the_example_shows_in_comments_is_valid_and_whole(key: str, model: type[Model]) -> None:
    lines = iter(example_text().splitlines())
    first = next(line for line in lines if line.strip() == f"# {key}:")
    indent = first[: first.index("#")] + "#   "
    block = takewhile(lambda line: line.startswith(indent), lines)
    value = parse("\n".join(line.removeprefix(indent) for line in block)).value
    assert isinstance(value, dict)
    model.model_validate_json(json.dumps(value))
    assert set(value) == set(model.model_fields)
