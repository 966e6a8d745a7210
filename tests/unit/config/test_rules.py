"""Rules between values: each change of a valid file is found at its place, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from drkit.config.rules import check, principal_of
from tests.unit.config.sample import MISSING, VALID, changed, settings

IAM = {"mechanism": "iam", "region": "ap-east-2"}
MTLS = {"mechanism": "mtls", "certificate_file": "c.pem", "key_file": "k.pem", "principal": "User:CN=drkit"}
NONE = {"mechanism": "none"}
HOOK = {"kind": "hook", "put": ["fence", "put"], "lift": ["fence", "lift"]}


def dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))


def errors(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(dotted(finding.path), finding.message) for finding in check(settings(document)).errors]


def warnings(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(dotted(finding.path), finding.message) for finding in check(settings(document)).warnings]


def test_the_valid_file_is_not_complained_of() -> None:
    assert errors(VALID) == []
    assert warnings(VALID) == []


def test_the_rules_on_regions() -> None:
    assert errors(changed("primary", "osaka")) == [("primary", "osaka is not one of the regions taipei, tokyo")]
    same = "source and target must be two clusters"
    assert errors(changed("regions.tokyo.cluster.bootstrap", "10.0.0.1:9092,127.31.1.10:9092")) == [
        ("regions.tokyo.cluster.bootstrap", f"names a broker of taipei: {same}")
    ]
    assert errors(changed("regions.tokyo.cluster.cluster_id", "cluster-1")) == [
        ("regions.tokyo.cluster.cluster_id", f"is that of taipei: {same}")
    ]
    assert errors(changed("regions.tokyo.cluster.cluster_id", " ")) == [
        ("regions.tokyo.cluster.cluster_id", "is empty: drkit changes nothing on a cluster it cannot recognise")
    ]


@pytest.mark.parametrize("bootstrap", ["kafka", "kafka:", "kafka:0", "kafka:65536", "a:1, b:2", "a:1,", "http://a:1"])
def test_a_bootstrap_that_is_no_list_of_addresses(bootstrap: str) -> None:
    [(path, message)] = errors(changed("regions.taipei.cluster.bootstrap", bootstrap))
    assert path == "regions.taipei.cluster.bootstrap"
    assert "is not host:port" in message


@pytest.mark.parametrize("bootstrap", ["b-1.x.kafka.ap-east-2.amazonaws.com:9098", "a:1,b:2", "[::1]:9092"])
def test_a_bootstrap_that_is_one(bootstrap: str) -> None:
    assert errors(changed("regions.taipei.cluster.bootstrap", bootstrap)) == []


def test_a_region_is_an_alias_and_a_path() -> None:
    for name in ("to.kyo", "../tokyo", "tokyo_1", "-tokyo"):
        document = changed("redirect", [])
        document["regions"][name] = document["regions"].pop("tokyo")
        message = "may hold letters, digits and hyphens only: it is MM2's alias of the cluster"
        assert errors(document) == [(f"regions.{name}", message)]


def test_the_state_is_where_it_survives_the_primary() -> None:
    assert [path for path, _ in errors(changed("state.region", "taipei"))] == ["state.region"]
    assert errors(changed("state.region", "tokyo")) == []
    for bucket in ("Shop", "a", "shop_drkit", "shop..drkit", "arn:aws:s3:::shop"):
        assert [path for path, _ in errors(changed("state.bucket", bucket))] == ["state.bucket"]
    for prefix in ("/shop", "shop//staging/"):
        assert [path for path, _ in errors(changed("state.prefix", prefix))] == ["state.prefix"]


def test_secrets_belong_to_who_can_resolve_them() -> None:
    secret = "connect:${file:/etc/x:key}"
    assert [path for path, _ in errors(changed("regions.taipei.cluster.auth.password", secret))] == [
        "regions.taipei.cluster.auth.password"
    ]
    assert [path for path, _ in errors(changed("regions.tokyo.cluster.mirror_auth.password", "env:X"))] == [
        "regions.tokyo.cluster.mirror_auth.password"
    ]
    connect = {"url": "https://connect", "username": "drkit", "password": secret}
    assert [path for path, _ in errors(changed("regions.tokyo.connect", connect))] == ["regions.tokyo.connect.password"]
    connect = {"url": "https://connect", "username": "drkit"}
    assert errors(changed("regions.tokyo.connect", connect)) == [
        ("regions.tokyo.connect", "username and password belong together")
    ]
    assert [path for path, _ in warnings(changed("regions.tokyo.cluster.mirror_auth", None))] == [
        "regions.tokyo.cluster.mirror_auth"
    ]


def test_a_password_in_clear_text_over_a_network_is_worth_a_warning() -> None:
    auth = {"mechanism": "plain", "username": "drkit", "password": "env:X"}
    document = changed("regions.taipei.cluster.auth", auth)
    assert warnings(document) == []
    away = changed("regions.taipei.cluster.bootstrap", "kafka.taipei:9096", document)
    assert [path for path, _ in warnings(away)] == ["regions.taipei.cluster.auth.mechanism"]
    redirect_by_text = changed("redirect", [], away)
    assert [
        path for path, _ in warnings(changed("regions.taipei.cluster.tls", {"enabled": True}, redirect_by_text))
    ] == ["redirect"]


@pytest.mark.parametrize("url", ["connect:8083", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://[::1"])
def test_a_url_that_is_none(url: str) -> None:
    expected = "is not an http:// or https:// URL"
    assert errors(changed("regions.tokyo.connect.url", url)) == [("regions.tokyo.connect.url", expected)]
    assert errors(changed("regions.tokyo.health.http.0.url", url)) == [("regions.tokyo.health.http.0.url", expected)]
    assert errors(changed("aws", {"endpoint_url": url})) == [("aws.endpoint_url", expected)]


def test_a_url_holds_no_credentials() -> None:
    [(path, message)] = errors(changed("regions.tokyo.connect.url", "https://drkit:hunter2@connect"))
    assert path == "regions.tokyo.connect.url"
    assert "hunter2" not in message


def test_the_mirror_into_the_standby_must_be_known_and_the_one_back_should() -> None:
    assert [path for path, _ in errors(changed("regions.tokyo.connect", MISSING))] == ["regions.tokyo.connect"]
    assert [path for path, _ in warnings(changed("regions.taipei.connect", MISSING))] == ["regions.taipei.connect"]
    external = changed("replication.driver", "external", changed("regions.tokyo.connect", MISSING))
    assert errors(external) == []


def test_acls_fence_no_iam_identity() -> None:
    document = changed("regions.taipei.cluster.auth", IAM)
    assert errors(document) == [("fence.kind", "acl does not bind IAM identities, and taipei use IAM: use kind: hook")]
    assert errors(changed("fence", HOOK, document)) == []


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        ("orders", "is no principal"),
        ("User:", "is no principal"),
        ("Group:orders", "is no principal"),
        ("User:*", "would stop the mirror"),
        ("User:drkit", "is drkit's own"),
        ("User:mirror", "is the mirror's"),
    ],
)
def test_a_principal_that_must_not_be_fenced(principal: str, reason: str) -> None:
    [(path, message)] = errors(changed("fence.principals", ["User:orders", principal]))
    assert path == "fence.principals.1"
    assert reason in message


def test_the_principals_of_identities() -> None:
    clusters = [
        settings(changed("regions.taipei.cluster.auth", auth)).regions["taipei"].cluster for auth in (NONE, MTLS, IAM)
    ]
    assert [principal_of(cluster.auth) for cluster in clusters] == ["User:ANONYMOUS", "User:CN=drkit", None]
    anonymous = changed("fence.principals", ["User:ANONYMOUS"], changed("regions.taipei.cluster.auth", NONE))
    assert [path for path, _ in errors(anonymous)] == ["fence.principals.0"]


@pytest.mark.parametrize(
    ("topics", "reason"),
    [
        ([], "is empty"),
        ([".*"], "matches every name"),
        ([".+"], "matches every name"),
        (["(?s).*"], "matches every name"),
        (["shop\\.staging\\.(a|b){1,2}"], "holds a comma"),
        ([" shop\\.staging\\.a"], "has blanks at its ends"),
        (["shop\\.staging\\.("], "is no regular expression"),
        (["shop\\.staging\\.\\p{L}+"], "is no regular expression"),
        (["shop.staging.order"], "may match topics outside shop.staging., which a fence does not stop"),
        (["shop\\.staging\\.a|bank\\..*"], "may match topics outside shop.staging."),
        (["shop\\.staging\\.?.*"], "may match topics outside shop.staging."),
        (["bank\\..*"], "may match topics outside shop.staging."),
    ],
)
def test_topics_that_would_do_harm(topics: list[str], reason: str) -> None:
    found = errors(changed("replication.topics", topics))
    assert [path for path, _ in found] == ["replication.topics" + (".0" if topics else "")]
    assert reason in found[0][1]


def test_every_group_is_fine_and_a_comma_is_not() -> None:
    assert errors(changed("replication.groups", [".*"])) == []
    assert [path for path, _ in errors(changed("replication.groups", ["a,b"]))] == ["replication.groups.0"]


def test_an_alias_is_not_the_first_segment_of_topics() -> None:
    document = changed("project", "tokyo", changed("replication.topics", [r"tokyo\.staging\..*"]))
    assert [path for path, _ in errors(document)] == ["regions.tokyo"]


def test_a_lease_outlives_slow_requests() -> None:
    assert errors(changed("timeouts", {"request_seconds": 10, "lease_seconds": 29.9})) == [
        ("timeouts.lease_seconds", "must be at least 3 times request_seconds, 30: else a slow answer loses it")
    ]
    assert errors(changed("timeouts", {"request_seconds": 10, "lease_seconds": 30})) == []


def redirect(**fields: Any) -> dict[str, Any]:
    return changed("redirect", [{**VALID["redirect"][0], **fields}])


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"zone_id": "/hostedzone/Z1"}, "zone_id", "without /hostedzone/"),
        ({"zone_name": "exa mple"}, "zone_name", "is no domain name"),
        ({"name": "kafka.example.com"}, "name", "is not inside the zone example.internal."),
        ({"name": "notexample.internal"}, "name", "is not inside the zone example.internal."),
        ({"nameservers": ["10.0.0.1:53", "a b"]}, "nameservers.1", "is not host or host:port"),
        ({"values": {"taipei": ["127.0.0.1"]}}, "values", "has no values for tokyo"),
        ({"values": {"taipei": ["1.1.1.1"], "tokyo": []}}, "values.tokyo", "never deletes a record"),
        ({"values": {"taipei": ["1.1.1.1"], "tokyo": ["1.1.1"]}}, "values.tokyo.0", "is no IPv4 address"),
        ({"values": {"taipei": ["1.1.1.1"], "tokyo": ["::1"]}}, "values.tokyo.0", "is no IPv4 address"),
        ({"values": {"taipei": ["1.1.1.1"], "tokyo": ["2.2.2.2", "2.2.2.2"]}}, "values.tokyo", "a value twice"),
        ({"values": {"taipei": ["1.1.1.1", "2.2.2.2"], "tokyo": ["2.2.2.2", "1.1.1.1"]}}, "values", "are the same"),
        (
            {"values": {"taipei": ["1.1.1.1"], "tokyo": ["2.2.2.2"], "osaka": ["3.3.3.3"]}},
            "values.osaka",
            "osaka is not one of the regions taipei, tokyo",
        ),
        ({"type": "CNAME", "values": {"taipei": ["a.b"], "tokyo": ["c d"]}}, "values.tokyo.0", "is no host name"),
        ({"type": "CNAME", "values": {"taipei": ["a.b"], "tokyo": ["c", "d"]}}, "values.tokyo", "has one value"),
        ({"type": "CNAME", "values": {"taipei": ["a.b"], "tokyo": ["A.B."]}}, "values", "are the same"),
        (
            {"type": "CNAME", "name": "example.internal", "values": {"taipei": ["a"], "tokyo": ["b"]}},
            "type",
            "a zone's own name cannot be a CNAME",
        ),
        ({"type": "TXT", "values": {"taipei": ["a:1"], "tokyo": ["x" * 256]}}, "values.tokyo.0", "1 to 255"),
        ({"type": "TXT", "values": {"taipei": ["a:1"], "tokyo": ["é"]}}, "values.tokyo.0", "printable ASCII"),
        ({"type": "TXT", "values": {"taipei": ["a:1"], "tokyo": ['"b:1"']}}, "values.tokyo.0", "without quotes"),
    ],
)
def test_a_redirect_that_route_53_or_a_client_would_not_take(fields: dict[str, Any], path: str, reason: str) -> None:
    [(found, message)] = errors(redirect(**fields))
    assert found == f"redirect.0.{path}"
    assert reason in message


def test_trailing_dots_and_case_do_not_matter() -> None:
    assert errors(redirect(name="Kafka.Example.Internal.", zone_name="example.internal")) == []
    assert errors(redirect(type="CNAME", values={"taipei": ["a.b."], "tokyo": ["c.d"]})) == []


def test_the_same_record_is_not_redirected_twice() -> None:
    second = {**VALID["redirect"][0], "name": "KAFKA.example.internal."}
    assert errors(changed("redirect", [*VALID["redirect"], second])) == [
        ("redirect.1.name", "is the same record as redirect[0]")
    ]


def test_what_a_redirect_cannot_promise_is_a_warning() -> None:
    assert [path for path, _ in warnings(redirect(ttl_seconds=300))] == ["redirect.0.ttl_seconds"]
    assert [path for path, _ in warnings(changed("redirect", []))] == ["redirect"]
    tls = changed("regions.tokyo.cluster.tls", {"enabled": True})
    [(path, message)] = warnings(tls)
    assert path == "redirect.0.type"
    assert message.startswith("brokers of tokyo use TLS: a client that bootstraps from kafka.example.internal refuses")
    text = changed("redirect.0.type", "TXT", changed("redirect.0.values", {"taipei": ["a:1"], "tokyo": ["b:1"]}, tls))
    assert warnings(text) == []


def test_drkits_own_topics_and_group_are_always_left_out() -> None:
    replication = settings(changed("replication.topics_exclude", [r"shop\.staging\.private"])).replication
    assert replication.topics_exclude == (
        r"shop\.staging\.private",
        r".*[.-]internal",
        r"__.*",
        r"\..*",
        r".*\.drkit\.canary",
    )
    assert settings(changed("replication.groups_exclude", [])).replication.groups_exclude == (r".*\.drkit\.canary",)
