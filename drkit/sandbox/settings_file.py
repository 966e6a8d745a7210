"""The ``drkit.yaml`` of a sandbox."""

from __future__ import annotations

import json
import textwrap
from typing import Final

from drkit.sandbox.aws_client import AWS_REGION
from drkit.sandbox.directory import Directory, Identity
from drkit.sandbox.layout import PRIMARY, RegionLayout
from drkit.sandbox.provisioning import BACKUP_BUCKETS, BOOTSTRAP_NAME, PROJECT, RECORD_TTL_SECONDS, STATE_BUCKET, ZONE

_HEAD: Final = """\
# The drkit.yaml of a sandbox, written by `drkit sandbox up` and removed by `drkit sandbox down`.
project: {project}
environment: {environment}
primary: {primary}

aws:
  # One endpoint for every service: the simulated AWS of this sandbox.
  endpoint_url: "{aws_url}"

state:
  # Runs, the lease and the lineage: in a third region, so that the loss of either side does not take them away.
  bucket: {bucket}
  region: {aws_region}
  # A second copy of every journal, on this machine.
  local_dir: {local_dir}

regions:
"""

_REGION: Final = """\
{name}:
  cluster:
    bootstrap: "{bootstrap}"
    # drkit changes nothing on a cluster with another id.
    cluster_id: "{cluster_id}"
    auth: {{mechanism: scram-sha-512, username: drkit, password: {password}}}
    # MirrorMaker 2 has an identity of its own; its password is resolved by the Connect workers, not by drkit.
    mirror_auth: {{mechanism: scram-sha-512, username: mirror, password: {mirror_password}}}
  connect:
    url: "{connect_url}"
  # Every backup goes to the buckets of both regions.
  backup:
    bucket: {backup_bucket}
  health:
    samples: 3
    interval_seconds: 0.3
"""

_TAIL: Final = """\

replication:
  policy: identity
  topics: ['{topics}']
  groups: ['.*']
  exactly_once: {exactly_once}
  replication_factor: 1
  # New topics and groups are found within 5 s.
  refresh_seconds: 3
  checkpoint_seconds: 1

fence:
  kind: acl
  # The applications' identities. Not the mirror's: it must go on writing to the standby.
  principals: ["User:app"]

redirect:
  - kind: route53
    zone_id: {zone_id}
    zone_name: {zone}
    name: {record}
    type: {record_type}
    ttl_seconds: {ttl}
    values:
{values}
    # The sandbox's DNS server; a real zone's own servers are found by drkit.
    nameservers: ["{dns}"]

objectives:
  rpo_records: 0
  rpo_seconds: 60.0
  rto_seconds: 120.0
  replay_records: 0
"""


def settings_text(identity: Identity, directory: Directory, zone_id: str) -> str:
    """The configuration that fits the sandbox."""
    layout = identity.layout
    head = _HEAD.format(
        project=PROJECT,
        environment=identity.environment,
        primary=PRIMARY,
        aws_url=layout.aws_url,
        bucket=STATE_BUCKET,
        aws_region=AWS_REGION,
        local_dir=json.dumps(str(directory.state)),
    )
    regions = "".join(_region_text(identity, directory, region) for region in layout.regions)
    values = "".join(f'{region.name}: ["{layout.record_value(region.name)}"]\n' for region in layout.regions)
    tail = _TAIL.format(
        topics=rf"{PROJECT}\.{identity.environment}\..*",
        exactly_once=json.dumps(identity.exactly_once),
        zone_id=zone_id,
        zone=ZONE,
        record=f"{BOOTSTRAP_NAME}.",
        record_type=layout.record_type,
        ttl=RECORD_TTL_SECONDS,
        values=textwrap.indent(values, " " * 6).rstrip("\n"),
        dns=layout.dns,
    )
    return head + regions + tail


def _region_text(identity: Identity, directory: Directory, region: RegionLayout) -> str:
    text = _REGION.format(
        name=region.name,
        bootstrap=region.broker,
        cluster_id=identity.cluster_ids[region.name],
        # Absolute, so that the file may be copied and edited; JSON strings are YAML strings.
        password=json.dumps(f"file:{directory.password_file('drkit')}"),
        mirror_password=json.dumps(directory.mirror_password),
        connect_url=region.connect_url,
        backup_bucket=BACKUP_BUCKETS[region.name],
    )
    return textwrap.indent(text, "  ")
