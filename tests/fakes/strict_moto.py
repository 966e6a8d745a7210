"""moto with the compare-and-set of Route 53 and S3. Run as ``python -m tests.fakes.strict_moto HOST PORT``.

moto 5.2 takes a DELETE of any value that a record ever had, and a CREATE beside another value, but not always one of a
value that was there before; Route 53 takes a DELETE of exactly what is there, and a CREATE where nothing is (API
reference, "ChangeResourceRecordSets").

moto looks at a condition (``If-Match``) and writes in two steps, between which another thread may write: requests that
may change something are handled one at a time.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import Route53Backend
from werkzeug.serving import run_simple
from werkzeug.wsgi import get_input_stream

_READS = ("GET", "HEAD", "OPTIONS")
_change_as_moto = Route53Backend.change_resource_record_sets


class InvalidChangeBatch(Route53ClientError):
    """As Route 53 words it."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidChangeBatch", f"[{message}]")


class OneWriteAtATime:
    """A WSGI application whose changes do not overlap."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle one request."""
        if environ["REQUEST_METHOD"] in _READS:
            return self._application(environ, start_response)
        # The body is read before the lock is taken: a slow sender holds up nobody.
        body = get_input_stream(environ).read()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        with self._lock:
            return list(self._application(environ, start_response))


def _change(self: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    state = {
        (_name(one.name), one.type, one.set_identifier): _content(one.ttl, one.records)
        for one in self.get_hosted_zone(zoneid).rrsets
    }
    for change in change_list:
        wanted = change["ResourceRecordSet"]
        key = (_name(wanted["Name"]), wanted["Type"], wanted.get("SetIdentifier"))
        shown = f"resource record set [name='{key[0]}', type='{key[1]}']"
        values = [record["Value"] for record in wanted.get("ResourceRecords", ())]
        if change["Action"] == "CREATE" and key in state:
            raise InvalidChangeBatch(f"Tried to create {shown} but it already exists")
        if change["Action"] == "DELETE":
            if key not in state:
                raise InvalidChangeBatch(f"Tried to delete {shown} but it was not found")
            if state.pop(key) != _content(wanted.get("TTL"), values):
                raise InvalidChangeBatch(
                    f"Tried to delete {shown} but the values provided do not match the current values"
                )
        else:
            state[key] = _content(wanted.get("TTL"), values)
    judged = [{**change, "Action": change["Action"].replace("CREATE", "UPSERT")} for change in change_list]
    _change_as_moto(self, zoneid, judged)


def _name(name: str) -> str:
    return name.rstrip(".").lower() + "."


def _content(ttl: object, values: list[str]) -> tuple[str, list[str]]:
    return str(ttl), sorted(values)


def main() -> None:
    """Serve until the process ends."""
    Route53Backend.change_resource_record_sets = _change  # type: ignore[method-assign]
    host, port = sys.argv[1:]
    application = OneWriteAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple(host, int(port), application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
