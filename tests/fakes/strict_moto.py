"""moto with Route 53's compare-and-set. Run as ``python -m tests.fakes.strict_moto HOST PORT``.

moto 5.2 takes a DELETE of any value that a record ever had, and a CREATE beside another value, but not always one of a
value that was there before; Route 53 takes a DELETE of exactly what is there, and a CREATE where nothing is (API
reference, "ChangeResourceRecordSets").
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import Route53Backend
from werkzeug.serving import run_simple

_one_batch_at_a_time = threading.Lock()
_change_as_moto = Route53Backend.change_resource_record_sets


class InvalidChangeBatch(Route53ClientError):
    """As Route 53 words it."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidChangeBatch", f"[{message}]")


def _change(self: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    with _one_batch_at_a_time:
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
    application = DomainDispatcherApplication(create_backend_app)
    run_simple(host, int(port), application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
