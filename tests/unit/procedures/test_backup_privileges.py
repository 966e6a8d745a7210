"""What scheduled backups really ask of AWS, held against the policies that are printed for their roles.

A proxy between drkit and moto keeps every request; a small evaluator says which statement of a policy allows it.
Nothing may be missing, and nothing may be there that was not used.
"""

from __future__ import annotations

import fnmatch
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from drkit.adapters.aws.objects import Protection, S3ObjectStore
from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.aws.sns import SnsAlerter
from drkit.backup.sync_archive import SyncArchive, archive_label
from drkit.backup.vault import Replica, Vault
from drkit.config.iam_policy import backup_policy, prune_policy
from drkit.config.models import Settings
from drkit.domain.alerts import Alert, AlertKind
from drkit.domain.mm2_records import OffsetSync
from drkit.domain.retention import Keep
from drkit.domain.schedules import JobSpec, parse_jobs
from drkit.domain.sync_log import LoggedSync
from drkit.procedures.backups import Backups
from drkit.procedures.scheduled_jobs import BackupJob, LookJob
from drkit.procedures.watch import Watch
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.world import World
from tests.fakes.http_server import Request, ScriptedHttpServer, forward, http_server
from tests.fakes.moto import moto_endpoint, no_aws_identity
from tests.fakes.service import SOURCE, FakeService
from tests.unit.config.sample import VALID, settings

__all__ = ["moto_endpoint", "no_aws_identity"]

ACCOUNT = "123456789012"
STATE, TAIPEI, TOKYO = "shop-drkit", "backups-taipei", "backups-tokyo"
KEY = f"arn:aws:kms:ap-east-2:{ACCOUNT}:key/1234"
LOOK, ALL = parse_jobs("10s:groups,1h:all")


@dataclass(frozen=True)
class Ask:
    """One permission that a request needs."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """A service whose clusters are in memory, and whose AWS is moto behind a proxy that keeps the requests."""

    settings: Settings
    fake: FakeService
    world: World
    session: AwsSession
    proxy: ScriptedHttpServer

    def jobs(self) -> tuple[LookJob, BackupJob]:
        """As a service that has just begun has them."""
        primary = lambda: LineageRecord(self.world.store).read().primary(SOURCE)  # noqa: E731
        watch = Watch(self.world, primary, uuid.uuid4().hex)
        return LookJob(LOOK, self.world, watch, primary), BackupJob(ALL, self.world, self.backups)

    @property
    def backups(self) -> Backups:
        return Backups(self.world, lambda: SOURCE, lambda: None)

    def asked(self) -> list[Ask]:
        """What was asked for since the last time."""
        asked = [ask for request in self.proxy.requests for ask in needed(request)]
        self.proxy.requests.clear()
        return asked


def configured(zone_id: str) -> Settings:
    document: dict[str, Any] = json.loads(json.dumps(VALID))
    document["aws"] = {"account_id": ACCOUNT}
    document["state"] = {"bucket": STATE, "region": "ap-southeast-1", "prefix": "shop/staging/"}
    document["regions"]["taipei"]["backup"] = {
        "bucket": TAIPEI,
        "region": "ap-east-2",
        "prefix": "/kafka/",
        "kms_key_id": KEY,
        "object_lock": "governance",
        "object_lock_days": 7,
    }
    document["regions"]["tokyo"]["backup"] = {"bucket": TOKYO, "region": "ap-northeast-1"}
    document["redirect"][0] |= {"zone_id": zone_id, "zone_name": "example.internal."}
    document["alerts"] = {"sns_topic_arn": f"arn:aws:sns:ap-northeast-1:{ACCOUNT}:backups"}
    return settings(document)


@pytest.fixture(scope="module")
def service(moto_endpoint: str, no_aws_identity: None) -> Iterator[Service]:
    """One for all tests, as moto is."""
    with http_server(forward(moto_endpoint)) as proxy:
        fake = FakeService(settings())
        session = AwsSession(
            fake.clock, region="ap-southeast-1", endpoint_url=proxy.url, account_id=ACCOUNT, setup_seconds=30.0
        )
        zone = session.route53().create_hosted_zone(Name="example.internal.", CallerReference=uuid.uuid4().hex)
        found = configured(zone["HostedZone"]["Id"])
        prepare(session, found)
        world = replace(
            fake.world,
            settings=found,
            store=store(session, fake, STATE, "ap-southeast-1", "shop/staging"),
            vault=Vault([Replica("taipei", locked(session, fake)), Replica("tokyo", store(session, fake, TOKYO))]),
            redirects=[Route53Record(session, fake.clock, target) for target in found.redirect],
        )
        yield Service(found, fake, world, session, proxy)


@pytest.fixture(scope="module")
def hour(service: Service, moto_endpoint: str) -> list[Ask]:
    """What everything asks for that comes about: first and later looks and backups, new topics, a message."""
    fake = service.fake
    orders = fake.topic()
    fake.write(orders, 5)
    fake.source.cluster.commit("billing", {orders: 3})
    topic = fake.target.cluster.topic_ids[fake.flow.offset_syncs_topic]
    # Not through the proxy, which would only take its time.
    direct = AwsSession(fake.clock, region="ap-southeast-1", endpoint_url=moto_endpoint, setup_seconds=30.0)
    archive = SyncArchive(store(direct, fake, STATE, prefix="shop/staging"), archive_label(fake.flow), topic)
    for number in range(31):
        fake.sync(orders, number, number)
        archive.append([LoggedSync(number, 0, OffsetSync(orders, number, number))])
    fake.sync(orders, 31, 31)
    service.proxy.requests.clear()
    service.session.check_account()
    look, backup = service.jobs()
    for job in (look, backup):
        assert job.newest()[0] is None
    # The first looks join the small objects of the archive, the last ones forget the first.
    for _ in range(2):
        succeed(look, backup)
        fake.topic(f"shop.staging.{uuid.uuid4().hex}")
        fake.clock.sleep(1200.0)
    # Other processes: their looks begin generations of their own, and they read how old the newest ones are.
    for _ in range(3):
        again, _ = service.jobs()
        assert again.newest()[0] is not None
        succeed(again)
        fake.clock.sleep(1200.0)
    assert backup.newest()[0] is not None
    alerter = SnsAlerter(service.session, str(service.settings.alerts.sns_topic_arn))
    alerter.send(Alert.of(AlertKind.FAILING, "FAILING", "why"))
    return service.asked()


def succeed(*jobs: LookJob | BackupJob) -> None:
    for job in jobs:
        covered = job.run()
        assert covered.failure is None, covered.failure


def prepare(session: AwsSession, found: Settings) -> None:
    s3, record = session.s3("us-east-1"), found.redirect[0]
    for bucket in (STATE, TAIPEI, TOKYO):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=bucket == TAIPEI)
    changed: Any = {"Name": record.name, "Type": record.type, "TTL": record.ttl_seconds}
    changed |= {"ResourceRecords": [{"Value": value} for value in record.values["taipei"]]}
    batch: Any = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": changed}]}
    session.route53().change_resource_record_sets(HostedZoneId=record.zone_id, ChangeBatch=batch)
    session.sns("ap-northeast-1").create_topic(Name="backups")


def store(session: AwsSession, fake: FakeService, bucket: str, region: str = TOKYO, prefix: str = "") -> S3ObjectStore:
    region = "ap-northeast-1" if region == TOKYO else region
    return S3ObjectStore(session, fake.clock, bucket=bucket, region=region, prefix=prefix, request_seconds=10.0)


def locked(session: AwsSession, fake: FakeService) -> S3ObjectStore:
    return S3ObjectStore(
        session,
        fake.clock,
        bucket=TAIPEI,
        region="ap-east-2",
        prefix="/kafka/",
        request_seconds=10.0,
        protection=Protection(KEY, "governance", 7),
    )


def needed(request: Request) -> Iterator[Ask]:
    """The permissions that a request needs (Service Authorization Reference)."""
    url, headers = urlsplit(request.target), request.headers
    path, query = unquote(url.path), parse_qs(url.query)
    if path == "/":
        yield from _called(parse_qs(request.body.decode()))
    elif path.startswith("/2013-04-01/hostedzone/"):
        zone, _, what = path.removeprefix("/2013-04-01/hostedzone/").partition("/")
        assert (request.method, what) in (("GET", ""), ("GET", "rrset"))
        action = "route53:ListResourceRecordSets" if what else "route53:GetHostedZone"
        yield Ask(action, f"arn:aws:route53:::hostedzone/{zone}")
    else:
        bucket, _, key = path.removeprefix("/").partition("/")
        yield from _of_bucket(request.method, bucket, key, query, headers)


def _called(form: Mapping[str, list[str]]) -> Iterator[Ask]:
    (action,) = form["Action"]
    if action == "GetCallerIdentity":
        yield Ask("sts:GetCallerIdentity", "*")
    else:
        yield Ask(f"sns:{action}", form["TopicArn"][0])


def _of_bucket(
    method: str, bucket: str, key: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> Iterator[Ask]:
    arn = f"arn:aws:s3:::{bucket}"
    key_use = {"kms:ViaService": "s3.ap-east-2.amazonaws.com"}
    if not key:
        assert (method, query["list-type"]) == ("GET", ["2"])
        yield Ask("s3:ListBucket", arn, {"s3:prefix": query["prefix"][0]})
        return
    if method == "GET":
        yield Ask("s3:GetObject", f"{arn}/{key}")
        # Without it S3 says of an object that is not there that it may not be read.
        yield Ask("s3:ListBucket", arn, {"s3:prefix": key})
        if bucket == TAIPEI:
            yield Ask("kms:Decrypt", KEY, key_use)
        return
    if method == "DELETE":
        yield Ask("s3:DeleteObject", f"{arn}/{key}")
        return
    assert method == "PUT"
    conditions = {f"s3:{name}": headers[name] for name in ("if-match", "if-none-match") if name in headers}
    yield Ask("s3:PutObject", f"{arn}/{key}", conditions)
    if "x-amz-object-lock-mode" in headers:
        yield Ask("s3:PutObjectRetention", f"{arn}/{key}")
    if "x-amz-server-side-encryption-aws-kms-key-id" in headers:
        yield Ask("kms:GenerateDataKey", headers["x-amz-server-side-encryption-aws-kms-key-id"], key_use)


Use = tuple[str, str, str]
"""A part of a policy that can be used by itself: statement, action, resource or pattern of a prefix."""


def parts(policy: Mapping[str, Any]) -> set[Use]:
    """All parts of a policy."""
    found = set()
    for statement in policy["Statement"]:
        prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", [])
        for action in statement["Action"]:
            found |= {(statement["Sid"], action, one) for one in (prefixes or statement["Resource"])}
    return found


def allowed_by(policy: Mapping[str, Any], ask: Ask) -> set[Use]:
    """The parts of a policy that allow what is asked for."""
    found: set[Use] = set()
    for statement in policy["Statement"]:
        resources = [one for one in statement["Resource"] if fnmatch.fnmatchcase(ask.resource, one)]
        if ask.action not in statement["Action"] or not resources:
            continue
        matched = _conditions(statement.get("Condition", {}), ask.context)
        if matched is not None:
            found |= {(statement["Sid"], ask.action, one) for one in (matched or resources)}
    return found


def _conditions(condition: Mapping[str, Any], context: Mapping[str, str]) -> list[str] | None:
    """None if they do not hold; else the patterns of a prefix that match."""
    matched: list[str] = []
    for operator, tests in condition.items():
        for key, expected in tests.items():
            if operator == "Null":
                assert expected == "false"
                if key not in context:
                    return None
            elif operator == "StringEquals":
                if context.get(key) != expected:
                    return None
            else:
                assert (operator, key) == ("StringLike", "s3:prefix")
                patterns = [one for one in expected if fnmatch.fnmatchcase(context.get(key, ""), one)]
                if not patterns:
                    return None
                matched += patterns
    return matched


def judge(policy: Mapping[str, Any], asked: Sequence[Ask]) -> tuple[list[Ask], set[Use]]:
    """What was asked for in vain, and what nobody used."""
    used: set[Use] = set()
    refused = []
    for ask in asked:
        found = allowed_by(policy, ask)
        used |= found
        if not found:
            refused.append(ask)
    return refused, parts(policy) - used


def test_the_role_that_makes_backups_may_do_what_it_does_and_nothing_else(service: Service, hour: list[Ask]) -> None:
    refused, unused = judge(backup_policy(service.settings, (LOOK, ALL)), hour)
    assert refused == []
    assert unused == set()


@pytest.mark.parametrize("job", [LOOK, ALL], ids=["groups", "all"])
def test_a_role_for_one_job_may_do_what_that_job_does_and_no_other(
    service: Service, hour: list[Ask], job: JobSpec
) -> None:
    service.proxy.requests.clear()
    service.session.check_account()
    look, backup = service.jobs()
    one: LookJob | BackupJob = look if job.is_look else backup
    assert one.newest()[0] is not None
    succeed(one)
    policy = backup_policy(service.settings, (job,), alerts=False)
    assert judge(policy, service.asked())[0] == []
    both = backup_policy(service.settings, (LOOK, ALL))
    for other in both["Statement"]:
        if other not in policy["Statement"]:
            assert judge({"Statement": [other]}, hour)[1] == set(), "the other job needs what this one does not"


def test_the_role_that_prunes_may_do_what_it_does_and_no_write(service: Service) -> None:
    fake = service.fake
    _, backup = service.jobs()
    for _ in range(3):
        fake.topic(f"shop.staging.{uuid.uuid4().hex}")
        succeed(backup)
        fake.clock.sleep(7200.0)
    service.proxy.requests.clear()
    service.session.check_account()
    # What `drkit backup prune` asks first: whether an unfinished run uses a backup.
    assert list(service.world.store.list("runs/")) == []
    pruned = service.backups.prune(Keep(last=1))
    assert pruned["removed"]
    asked = service.asked()
    policy = prune_policy(service.settings)
    refused, unused = judge(policy, asked)
    assert refused == []
    # There were no runs to read, and nothing in the first bucket was damaged, for which the second is read.
    assert {sid for sid, *_ in unused} <= {"ReadRuns", "ReadBackups1"}
    assert not [ask for ask in asked if ask.action == "s3:PutObject"]
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert "s3:PutObject" not in actions


def test_the_role_that_makes_backups_can_remove_none_and_write_over_none(service: Service) -> None:
    policy = backup_policy(service.settings, (LOOK, ALL))
    manifest = f"arn:aws:s3:::{TAIPEI}/kafka/backups/manifests/taipei/x.json"
    state = f"arn:aws:s3:::{STATE}/shop/staging"
    for ask in (
        Ask("s3:DeleteObject", manifest),
        Ask("s3:PutObject", manifest),
        Ask("s3:PutObject", manifest, {"s3:if-match": '"x"'}),
        Ask("s3:PutObject", f"{state}/lineage.json", {"s3:if-none-match": "*"}),
        Ask("s3:GetObject", f"{state}/runs/x/0.json"),
        Ask("s3:ListBucket", f"arn:aws:s3:::{STATE}", {"s3:prefix": ""}),
    ):
        assert allowed_by(policy, ask) == set(), ask


def test_the_evaluator_notices_what_is_missing_and_what_is_too_much() -> None:
    policy = backup_policy(configured("Z1"), (ALL,))
    read = Ask("s3:GetObject", f"arn:aws:s3:::{TOKYO}/backups/x")
    refused, unused = judge(policy, [read, Ask("s3:DeleteObject", f"arn:aws:s3:::{TOKYO}/backups/x")])
    assert [ask.action for ask in refused] == ["s3:DeleteObject"]
    assert ("ReadBackups1", "s3:GetObject", f"arn:aws:s3:::{TOKYO}/backups/*") not in unused
    assert ("TellThatAJobFails", "sns:Publish", f"arn:aws:sns:ap-northeast-1:{ACCOUNT}:backups") in unused


def test_with_msk_iam_the_role_reads_the_clusters_or_becomes_who_does() -> None:
    document: dict[str, Any] = json.loads(json.dumps(VALID))
    document["fence"] = {"kind": "hook", "put": ["x"], "lift": ["x"]}
    document["regions"]["taipei"]["cluster"]["auth"] = {"mechanism": "iam", "region": "ap-east-2"}
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"
    document["regions"]["tokyo"]["cluster"]["auth"] = {"mechanism": "iam", "region": "ap-northeast-1", "role_arn": role}
    by_sid = {one["Sid"]: one for one in backup_policy(settings(document), (LOOK, ALL))["Statement"]}
    assert by_sid["BecomeReaderOf1"]["Resource"] == [role]
    assert "kafka-cluster:ReadData" in by_sid["ReadTopics0"]["Action"]
    mine = [action for one in by_sid.values() for action in one["Action"] if action.startswith("kafka-cluster:")]
    assert all(action.partition(":")[2].startswith(("Connect", "Describe", "ReadData")) for action in mine)
    for sid, kind in (("ReadCluster0", "cluster"), ("ReadTopics0", "topic"), ("ReadGroups0", "group")):
        (resource,) = by_sid[sid]["Resource"]
        assert resource.startswith(f"arn:aws:kafka:ap-east-2:REPLACE-ME:{kind}/REPLACE-ME-taipei/")
    without = backup_policy(settings(document), (ALL,))["Statement"]
    assert not [one for one in without if "kafka-cluster:ReadData" in one["Action"]], "a backup reads no records"


@pytest.mark.parametrize(
    ("key", "account"), [("alias/backups", "REPLACE-ME"), (f"arn:aws:kms:tokyo:{ACCOUNT}:alias/backups", ACCOUNT)]
)
def test_the_key_of_an_alias_is_named_by_it(key: str, account: str) -> None:
    document: dict[str, Any] = json.loads(json.dumps(VALID))
    document["regions"]["tokyo"]["backup"] = {"bucket": "b", "kms_key_id": key}
    statements = {one["Sid"]: one for one in backup_policy(settings(document), (ALL,))["Statement"]}
    use = statements["UseKeyOfBackups0"]
    assert use["Resource"] == [f"arn:aws:kms:tokyo:{account}:key/*"]
    assert use["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/backups"}


def test_in_china_arns_and_services_have_other_names() -> None:
    document: dict[str, Any] = json.loads(json.dumps(VALID))
    document["state"]["region"] = "cn-north-1"
    document["regions"]["tokyo"]["backup"] = {"bucket": "b", "region": "cn-northwest-1", "kms_key_id": "k"}
    statements = {one["Sid"]: one for one in backup_policy(settings(document), (ALL,))["Statement"]}
    assert statements["ReadBackups0"]["Resource"] == ["arn:aws-cn:s3:::b/backups/*"]
    via = statements["UseKeyOfBackups0"]["Condition"]["StringEquals"]["kms:ViaService"]
    assert via == "s3.cn-northwest-1.amazonaws.com.cn"
