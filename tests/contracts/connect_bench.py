"""A Kafka Connect cluster under test, and connectors for it. Fake and real."""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import quote

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from drkit.domain.kafka import TopicPartition
from drkit.ports import ConnectReader, ConnectWriter
from drkit.sandbox import Fault
from tests.fakes.connect import FakeConnect
from tests.waiting import PATIENCE_SECONDS, eventually

MIRROR_CLASS = "org.apache.kafka.connect.mirror.MirrorSourceConnector"


class ConnectCluster(ConnectReader, ConnectWriter, Protocol):
    """Both ports."""


class ConnectBench(Protocol):
    """What a contract needs. Everything that is made is gone when the test is over."""

    connect: ConnectCluster
    cluster_id: str
    """Of the Kafka cluster that its workers are on."""

    def name(self) -> str:
        """The name of a connector that does not exist; it is removed with the bench."""

    def mirror(self, name: str) -> tuple[Mapping[str, str], TopicPartition]:
        """The configuration of a source connector of this name, and the one partition that it mirrors."""

    def broken(self, name: str) -> Mapping[str, str]:
        """The configuration of one that is valid and does not start."""

    def write_upstream(self, name: str, partition: TopicPartition, values: Iterable[bytes]) -> None:
        """Append records to what a connector mirrors."""

    def killed_and_started(self) -> AbstractContextManager[Callable[[], bool]]:
        """The worker is killed and starts again; whether it still starts."""


class FakeConnectBench:
    """In memory."""

    cluster_id = "cluster-1"

    def __init__(self) -> None:
        self.fake = FakeConnect(self.cluster_id)
        self.connect: ConnectCluster = self.fake
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"contract-{self._names}"

    def mirror(self, name: str) -> tuple[Mapping[str, str], TopicPartition]:
        return {"connector.class": MIRROR_CLASS}, TopicPartition(name, 0)

    def broken(self, name: str) -> Mapping[str, str]:
        self.fake.fails.add(name)
        return {"connector.class": MIRROR_CLASS}

    def write_upstream(self, name: str, partition: TopicPartition, values: Iterable[bytes]) -> None:
        ends = self.fake.upstream.setdefault(name, {})
        ends[partition] = ends.get(partition, -1) + len(list(values))

    @contextmanager
    def killed_and_started(self) -> Iterator[Callable[[], bool]]:
        self.fake.starts_for = 3
        yield lambda: self.fake.starts_for > 0


class RealConnectBench:
    """A worker of the sandbox, and the cluster upstream of it. ``template``: a mirror's configuration there.

    ``fault``: does something to the worker, and waits until it has happened.
    """

    def __init__(
        self,
        connect: ConnectCluster,
        cluster_id: str,
        url: str,
        template: Mapping[str, str],
        upstream: Mapping[str, Any],
        admins: Iterable[AdminClient],
        fault: Callable[[Fault], None],
    ) -> None:
        self._fault = fault
        self.connect = connect
        self.cluster_id = cluster_id
        self._url = url
        self._template = template
        self._upstream = {**upstream, "log_level": 0}
        self._admins = list(admins)
        self._names: list[str] = []

    def name(self) -> str:
        self._names.append(f"contract-{uuid.uuid4().hex[:12]}")
        return self._names[-1]

    def mirror(self, name: str) -> tuple[Mapping[str, str], TopicPartition]:
        self._admins[0].create_topics([NewTopic(name, 1, 1)])[name].result(PATIENCE_SECONDS)
        own = {"source.cluster.alias": f"alias-{name}", "topics": name, "tasks.max": "1", "name": name}
        return {**self._template, **own}, TopicPartition(name, 0)

    def broken(self, name: str) -> Mapping[str, str]:
        return {**self._template, "name": name, "topic.filter.class": "java.lang.String"}

    def write_upstream(self, name: str, partition: TopicPartition, values: Iterable[bytes]) -> None:
        producer = Producer(self._upstream)
        for value in values:
            producer.produce(partition.topic, value, partition=partition.partition)
        assert producer.flush(PATIENCE_SECONDS) == 0

    @contextmanager
    def killed_and_started(self) -> Iterator[Callable[[], bool]]:
        self._fault(Fault.KILL)
        with ThreadPoolExecutor(max_workers=1) as pool:
            started = pool.submit(self._fault, Fault.START)
            yield lambda: not started.done()
            started.result()

    def close(self) -> None:
        """Remove everything."""
        for name in self._names:
            request = urllib.request.Request(f"{self._url}/connectors/{quote(name, safe='')}", method="DELETE")
            with suppress(HTTPError):
                urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
        for admin in self._admins:
            gone = partial(self._is_clean, admin)
            eventually(gone, timeout_seconds=PATIENCE_SECONDS, because="topics are deleted")

    def _is_clean(self, admin: AdminClient) -> bool:
        topics = admin.list_topics(timeout=PATIENCE_SECONDS).topics
        own = [topic for topic in topics if any(name in topic for name in self._names)]
        for future in (admin.delete_topics(own) if own else {}).values():
            with suppress(Exception):
                future.result(PATIENCE_SECONDS)
        return not own
