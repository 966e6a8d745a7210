"""Whether the pieces of a sandbox answer. Every question has a short deadline and no error: an answer or none."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from drkit.sandbox.layout import Endpoint

if TYPE_CHECKING:
    from dns.message import Message

_QUESTION_SECONDS: Final = 1.0
# A proxy of the user's must not stand between a sandbox and itself.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def accepts_connections(endpoint: Endpoint) -> bool:
    """Whether something listens."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=_QUESTION_SECONDS):
            return True
    except OSError:
        return False


def can_listen(endpoint: Endpoint, *, datagrams: bool = False) -> bool:
    """Whether the port is free."""
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if not datagrams:
            # Connections of a past listener that linger in TIME_WAIT do not matter.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
            if not datagrams:
                probe.listen()
        except OSError:
            return False
    return True


def http_answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with _DIRECT.open(url, timeout=_QUESTION_SECONDS):
            return True
    except (OSError, urllib.error.URLError):
        return False


def worker_is_ready(url: str) -> bool:
    """Whether a Kafka Connect worker has read what its cluster holds, and is a member of it (KIP-1017).

    Before Kafka 3.9 nothing tells: there it is enough that it answers.
    """
    try:
        with _DIRECT.open(f"{url}/health", timeout=_QUESTION_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.NOT_FOUND and http_answers(f"{url}/connectors")
    except (OSError, urllib.error.URLError):
        return False


def broker_answers(settings: Mapping[str, str | int | float | bool]) -> bool:
    """Whether the broker gives its metadata to this client."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # librdkafka would write its failed attempts to stderr.
    client = AdminClient({**settings, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        return bool(client.list_topics(timeout=_QUESTION_SECONDS).brokers)
    except KafkaException:
        return False


def dns_responds(server: Endpoint) -> bool:
    """Whether the server says anything, if only that it cannot answer."""
    return _ask(server, "version.bind", "TXT") is not None


def dns_has(server: Endpoint, name: str, record_type: str) -> bool:
    """Whether the server has a record of that name and type."""
    answer = _ask(server, name, record_type)
    return answer is not None and bool(answer.answer)


def _ask(server: Endpoint, name: str, record_type: str) -> Message | None:
    import dns.exception
    import dns.message
    import dns.query

    question = dns.message.make_query(name, record_type)
    try:
        return dns.query.udp(question, server.host, port=server.port, timeout=_QUESTION_SECONDS)
    except (dns.exception.DNSException, OSError):
        return None


def holder_of(endpoint: Endpoint) -> str:
    """``" by NAME (pid N)"`` of the process that listens there; nothing where this user may not know."""
    import psutil

    try:
        for connection in psutil.net_connections("inet4"):
            address = connection.laddr
            if (
                address
                and address.port == endpoint.port
                and address.ip in (endpoint.host, "0.0.0.0")
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
