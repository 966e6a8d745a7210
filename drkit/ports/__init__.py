"""What steps see of the outside world: small Protocols, implemented by ``adapters`` and by the tests' fakes.

Every call has a deadline (``timeouts.request_seconds`` of the configuration, unless it takes its own) and raises

* ``UnreachableError`` when nothing answered in time or the connection broke,
* ``AuthError`` when the system refused the identity or the operation,
* ``DrkitError`` leaves named in the docstring for what is particular to the call.

Writers are Protocols of their own, so that a dry run is given readers only.
"""

from drkit.ports.alerts import Alerter
from drkit.ports.clock import Clock, Progress
from drkit.ports.connect import ConnectorState, ConnectorStatus, ConnectReader, ConnectWriter
from drkit.ports.health import HealthProbe, ProbeAnswer, ProbeStatus
from drkit.ports.inventory import InventoryReader, InventoryWriter, LogTimes
from drkit.ports.kafka import KafkaReader, KafkaWriter, PartitionFailure, ProbeOutcome, ReadRange, TopicTail
from drkit.ports.pages import Page, Pages, PageServer
from drkit.ports.registry import RegistryReader, RegistryWriter
from drkit.ports.store import ObjectStore, PreconditionFailed, StoredObject
from drkit.ports.traffic import FenceDriver, RecordSet, RedirectTarget, RedirectWriter

__all__ = [
    "Alerter",
    "Clock",
    "ConnectReader",
    "ConnectWriter",
    "ConnectorState",
    "ConnectorStatus",
    "FenceDriver",
    "HealthProbe",
    "InventoryReader",
    "InventoryWriter",
    "KafkaReader",
    "KafkaWriter",
    "LogTimes",
    "ObjectStore",
    "Page",
    "PageServer",
    "Pages",
    "PartitionFailure",
    "PreconditionFailed",
    "ProbeAnswer",
    "ProbeOutcome",
    "ProbeStatus",
    "Progress",
    "ReadRange",
    "RecordSet",
    "RedirectTarget",
    "RedirectWriter",
    "RegistryReader",
    "RegistryWriter",
    "StoredObject",
    "TopicTail",
]
