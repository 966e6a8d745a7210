"""What a refused command must not have changed: ACLs, group offsets, connectors, DNS records, stored state."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import boto3
from botocore.config import Config
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from drkit.sandbox import Sandbox

STANDBY = "ap-northeast-1"
PRIMARY = "ap-east-2"


def fingerprint(status: dict[str, Any], *, regions: tuple[str, ...] = (PRIMARY, STANDBY)) -> dict[str, Any]:
    """Everything that drkit could have changed, from the sandbox's own status document."""
    return {
        "acls": {region: acls(status, region) for region in regions},
        "offsets": {region: group_offsets(status, region) for region in regions if region != PRIMARY},
        "connectors": {region: connectors(status, region) for region in regions},
        "dns": record_sets(status),
        "objects": stored_objects(status),
    }


def admin(status: dict[str, Any], region: str) -> AdminClient:
    """An administrator of a region's cluster."""
    return AdminClient({**status["regions"][region]["clients"]["admin"], "socket.timeout.ms": 5000})


def acls(status: dict[str, Any], region: str) -> list[str]:
    """Every ACL, as text."""
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    client = admin(status, region)
    return sorted(str(binding) for binding in client.describe_acls(everything).result(10))


def group_offsets(status: dict[str, Any], region: str) -> dict[str, list[str]]:
    """Committed offsets of every group."""
    client = admin(status, region)
    groups = sorted(group.group_id for group in client.list_consumer_groups().result(10).valid)
    return {
        group: sorted(
            f"{position.topic}-{position.partition}@{position.offset}"
            for position in client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
            .result(10)
            .topic_partitions
        )
        for group in groups
    }


def connectors(status: dict[str, Any], region: str) -> dict[str, str]:
    """Each connector's state."""
    url = f"{status['regions'][region]['connect_url']}/connectors?expand=status"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.loads(answer.read())
    return {name: item["status"]["connector"]["state"] for name, item in sorted(found.items())}


def aws(status: dict[str, Any], service: str) -> Any:
    """A client of the simulated AWS."""
    session: Any = boto3
    return session.client(
        service,
        endpoint_url=status["aws"]["endpoint_url"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=3, read_timeout=5),
    )


def record_sets(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Every record set of every zone."""
    route53 = aws(status, "route53")
    zones = [zone["Id"] for zone in route53.list_hosted_zones()["HostedZones"]]
    return [
        record
        for zone in zones
        for record in route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    ]


def stored_objects(status: dict[str, Any]) -> dict[str, str]:
    """Every object of every bucket but the lease, which a look at the lease may create."""
    s3 = aws(status, "s3")
    return {
        f"{bucket['Name']}/{item['Key']}": item["ETag"]
        for bucket in s3.list_buckets()["Buckets"]
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    }


def name_the_new_cluster(box: Sandbox, region: str) -> None:
    """What an operator does who has rebuilt a region: put the cluster's id into drkit.yaml."""
    found = AdminClient(dict(box.status().regions[region].clients["admin"])).list_topics(timeout=10).cluster_id
    before, _, rest = box.config.read_text().partition(f"{region}:")
    old = rest.split('cluster_id: "', 1)[1].split('"', 1)[0]
    assert old != found
    box.config.write_text(f"{before}{region}:{rest.replace(old, found)}")
