"""What a sandbox holds from the start: topics, the state bucket, the DNS zone and its record. All of it idempotent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.errors import StoppedError
from drkit.sandbox.aws_client import AWS_REGION, aws_client
from drkit.sandbox.layout import PRIMARY, STANDBY, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT: Final = "genai-demo"
EVENTS: Final = ("order.confirmed", "order.cancelled", "payment.settled", "customer.registered", "inventory.reserved")
ZONE: Final = "genai-demo.internal."
BOOTSTRAP_NAME: Final = "kafka.genai-demo.internal"
RECORD_TTL_SECONDS: Final = 1
STATE_BUCKET: Final = "drkit-state"
BACKUP_BUCKETS: Final = {name: f"drkit-backups-{name}" for name in (PRIMARY, STANDBY)}
"""Each region has one, in itself."""
BUCKETS: Final = {STATE_BUCKET: AWS_REGION, **{bucket: region for region, bucket in BACKUP_BUCKETS.items()}}
"""Every bucket, and its region."""
PARTITIONS: Final = 6

_REQUEST_SECONDS: Final = 15.0


def service_topics(environment: str) -> dict[str, int]:
    """The service's topics and their numbers of partitions. MM2 makes them on the other side."""
    return {f"{PROJECT}.{environment}.{event}": PARTITIONS for event in EVENTS}


def canary_topic(environment: str) -> dict[str, int]:
    """Drkit's own topic, which is on both sides and never mirrored."""
    return {f"{PROJECT}.{environment}.drkit.canary": 1}


def create_topics(settings: Mapping[str, str | int | float | bool], topics: Mapping[str, int]) -> None:
    """Create the topics that are missing. Raises ``StoppedError`` when the broker refuses one."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({**settings, "log_level": 0})
    wanted = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name, partitions in topics.items()]
    for name, created in admin.create_topics(wanted, request_timeout=_REQUEST_SECONDS).items():
        try:
            created.result(_REQUEST_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StoppedError(
                    f"topic {name} could not be created: {error.args[0].str()}", hint="drkit sandbox up again"
                ) from error


def create_buckets(endpoint_url: str, buckets: Mapping[str, str]) -> None:
    """Create the buckets that are missing: name to region."""
    s3 = aws_client("s3", endpoint_url)
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket, region in buckets.items():
        if bucket not in existing:
            # moto takes a bucket of any region at one endpoint.
            where: Any = {"LocationConstraint": region}
            aws_client("s3", endpoint_url, region=region).create_bucket(Bucket=bucket, CreateBucketConfiguration=where)


def create_zone(layout: Layout) -> str:
    """Create the zone, and the record that points at the primary, where they are missing; the zone's id.

    A record that is there stays as it is: drkit may have moved it.
    """
    route53 = aws_client("route53", layout.aws_url)
    zones = [zone for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"] == ZONE]
    if zones:
        zone_id: str = zones[0]["Id"]
    else:
        created = route53.create_hosted_zone(
            Name=ZONE,
            CallerReference="drkit-sandbox",
            # MSK's names live in private zones.
            HostedZoneConfig={"PrivateZone": True},
            VPC={"VPCRegion": "ap-east-2", "VPCId": "vpc-0drkit"},
        )
        zone_id = created["HostedZone"]["Id"]
    records = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    if not any(record["Name"] == f"{BOOTSTRAP_NAME}." for record in records):
        value = layout.record_value(PRIMARY)
        route53.change_resource_record_sets(
            HostedZoneId=zone_id,
            ChangeBatch={
                "Changes": [
                    {
                        "Action": "CREATE",
                        "ResourceRecordSet": {
                            "Name": f"{BOOTSTRAP_NAME}.",
                            "Type": layout.record_type,
                            "TTL": RECORD_TTL_SECONDS,
                            "ResourceRecords": [{"Value": f'"{value}"' if layout.record_type == "TXT" else value}],
                        },
                    }
                ]
            },
        )
    return zone_id.removeprefix("/hostedzone/")
