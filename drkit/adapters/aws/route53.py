"""A record set in Route 53 that tells clients where the service is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from drkit.adapters.aws.calls import AwsRejection, BusyError, Calls, was_sent
from drkit.adapters.aws.record_values import canonical_name, canonical_values, from_route53, to_route53
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.dns.answers import LOCAL_RESOLVER, Answer, ask_local_resolver, ask_servers
from drkit.config.models import Route53Target
from drkit.errors import DrkitError, RefusedError, StalePlanError, UnknownOutcomeError, UnreachableError
from drkit.ports import Clock, RecordSet

if TYPE_CHECKING:
    from types_boto3_route53.type_defs import (
        ChangeBatchTypeDef,
        ChangeTypeDef,
        ResourceRecordSetOutputTypeDef,
        ResourceRecordSetUnionTypeDef,
    )

_ASK_AGAIN_SECONDS = 1.0
"""An account has 5 requests to Route 53 in a second, for everything that runs in it."""
_PAGE = "300"
_MORE_THAN_SIMPLE = ("SetIdentifier", "AliasTarget", "HealthCheckId", "TrafficPolicyInstanceId")
_GATEWAY = (502, 504)


@dataclass(frozen=True, slots=True)
class _Zone:
    """A hosted zone; a private one has no name servers that can be asked directly."""

    name: str
    nameservers: tuple[str, ...]


class Route53Record:
    """``drkit.ports.RedirectWriter`` over one simple A, CNAME or TXT record set.

    A change is one batch, which Route 53 applies whole or not at all (API reference, "ChangeResourceRecordSets"):
    DELETE, which must name the record's exact values and TTL, and UPSERT; or CREATE, where nothing was. So the record
    is never missing, and a change by somebody else in between is noticed there, not here.

    Its control plane is in us-east-1 and slow by design: ``busy_seconds`` bounds how long a change waits behind
    another one (``PriorRequestNotComplete``) or a throttle. ``answer_seconds``: for one answer of a name server.
    """

    def __init__(
        self,
        session: AwsSession,
        clock: Clock,
        target: Route53Target,
        *,
        busy_seconds: float = 30.0,
        answer_seconds: float = 2.0,
    ) -> None:
        self._session = session
        self._clock = clock
        self._target = target
        # Of its own, for its waiting ends when a signal comes: a busy answer means that nothing was done.
        self._calls = Calls(clock, request_seconds=session.request_seconds)
        self._busy_seconds = busy_seconds
        self._answer_seconds = answer_seconds
        self._record_name = canonical_name(target.name)
        self._zone_id = target.zone_id.rpartition("/")[2]
        self._known_zone: _Zone | None = None
        self._last: tuple[RecordSet, ResourceRecordSetOutputTypeDef | None] | None = None
        self._asked: tuple[str, float] | None = None
        self._in_sync = ""

    @property
    def name(self) -> str:
        """Name and type: ``kafka.example.com A``."""
        return f"{self._record_name} {self._target.type}"

    def values_for(self, region: str) -> tuple[str, ...]:
        """The values that point at a region, in the form in which they are observed; sorted."""
        if region not in self._target.values:
            raise RefusedError(
                f"{self.name} has no values for {region}", hint="add them to drkit.yaml under redirect.values"
            )
        return canonical_values(self._target.type, self._target.values[region])

    def observe(self) -> RecordSet:
        """The control plane's value now; no values where there is no record.

        Raises ``RefusedError`` if the zone is not the expected one, or the record is not drkit's to change: with an
        alias or a routing policy, or beside a record that would send clients elsewhere.
        """
        self._zone()
        found = self._records_of_name()
        mine = self._only_mine(found)
        observed = RecordSet((), 0)
        if mine is not None:
            values = [from_route53(self._target.type, record["Value"]) for record in mine.get("ResourceRecords", ())]
            observed = RecordSet(tuple(sorted(values)), mine.get("TTL", 0))
        self._last = (observed, mine)
        return observed

    def switch(self, expected: RecordSet, region: str) -> str:
        """Delete exactly ``expected`` and set the region's values, with the configured TTL; the change's id.

        Raises ``StalePlanError`` when the record is no longer as expected, ``UnreachableError`` when nothing was sent
        or the answer was an error of AWS's own, and ``UnknownOutcomeError`` without an answer: it may yet be done.
        """
        if self._last is None or self._last[0] != expected:
            now = self.observe()
            if now != expected:
                raise self._stale(expected, now)
        current = self._last[1] if self._last else None
        wanted = self._record_set(region)
        changes: list[ChangeTypeDef] = [{"Action": "CREATE", "ResourceRecordSet": wanted}]
        if current is not None:
            # As it was observed, letter by letter: a TXT value can be written in several ways.
            exactly = cast("ResourceRecordSetUnionTypeDef", current)
            changes = [
                {"Action": "DELETE", "ResourceRecordSet": exactly},
                {"Action": "UPSERT", "ResourceRecordSet": wanted},
            ]
        batch: ChangeBatchTypeDef = {"Comment": f"drkit: to {region}", "Changes": changes}
        request = partial(
            self._session.route53().change_resource_record_sets, HostedZoneId=self._zone_id, ChangeBatch=batch
        )
        self._last, self._asked, self._in_sync = None, None, ""
        try:
            response = self._calls.write(f"change {self.name}", request, busy_seconds=self._busy_seconds)
        except AwsRejection as rejection:
            raise self._judged(rejection, expected) from rejection
        except UnreachableError as error:
            raise _judged_silence(error) from error
        return response["ChangeInfo"]["Id"].rpartition("/")[2]

    def is_in_sync(self, change_id: str) -> bool:
        """Whether every authoritative server has the change. Asks at most once a second; in between: not yet."""
        if self._in_sync == change_id:
            return True
        now = self._clock.monotonic()
        if self._asked is not None and self._asked[0] == change_id and now - self._asked[1] < _ASK_AGAIN_SECONDS:
            return False
        self._asked = (change_id, now)
        request = partial(self._session.route53().get_change, Id=change_id)
        try:
            response = self._calls.read(f"ask for the change of {self.name}", request)
        except BusyError:
            return False
        if response["ChangeInfo"]["Status"] == "INSYNC":
            self._in_sync = change_id
        return self._in_sync == change_id

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        """What each name server answers now: the configured ones, else the zone's; a silent one has no values."""
        return {server: answer.values for server, answer in self.explained_answers().items()}

    def explained_answers(self) -> Mapping[str, Answer]:
        """As ``answers``, with the reason where a server gave no values.

        A private zone without configured servers is seen through this machine's resolver, which may be a TTL behind.
        """
        seconds = min(self._answer_seconds, self._session.request_seconds)
        servers = self._target.nameservers or self._zone().nameservers
        if servers:
            return ask_servers(servers, self._record_name, self._target.type, seconds=seconds)
        return {LOCAL_RESOLVER: ask_local_resolver(self._record_name, self._target.type, seconds=seconds)}

    def _zone(self) -> _Zone:
        # What a zone's id stands for never changes, so it is asked once.
        if self._known_zone is None:
            request = partial(self._session.route53().get_hosted_zone, Id=self._zone_id)
            response = self._calls.read(f"read the hosted zone {self._zone_id}", request)
            name = canonical_name(response["HostedZone"]["Name"])
            self._check_zone(name)
            servers = response.get("DelegationSet", {}).get("NameServers", [])
            self._known_zone = _Zone(name, tuple(servers))
        return self._known_zone

    def _check_zone(self, name: str) -> None:
        hint = "correct zone_id, zone_name or name in drkit.yaml under redirect"
        if name != canonical_name(self._target.zone_name):
            raise RefusedError(
                f"the hosted zone {self._zone_id} is {name}, not {self._target.zone_name}: {self.name} is left alone",
                hint=hint,
            )
        if self._record_name != name and not self._record_name.endswith(f".{name}"):
            raise RefusedError(f"{self.name} is not in the zone {name}", hint=hint)
        if self._target.type == "CNAME" and self._record_name == name:
            raise RefusedError(f"{name} is the zone itself, which cannot be a CNAME (RFC 1034, 3.6.2)", hint=hint)

    def _records_of_name(self) -> Sequence[ResourceRecordSetOutputTypeDef]:
        # Record sets come in order of name, then type. One page holds all of a name, unless it has a routing policy,
        # which the first of them shows.
        request = partial(
            self._session.route53().list_resource_record_sets,
            HostedZoneId=self._zone_id,
            StartRecordName=f"{self._record_name}.",
            MaxItems=_PAGE,
        )
        listed = self._calls.read(f"read {self.name}", request)["ResourceRecordSets"]
        return [record for record in listed if canonical_name(record["Name"]) == self._record_name]

    def _only_mine(self, found: Sequence[ResourceRecordSetOutputTypeDef]) -> ResourceRecordSetOutputTypeDef | None:
        mine = [record for record in found if record["Type"] == self._target.type]
        types = {record["Type"] for record in found}
        reason = ""
        for record in mine:
            reason = next((f"it has {member}" for member in _MORE_THAN_SIMPLE if member in record), reason)
        if len(mine) > 1:
            reason = reason or f"there are {len(mine)} of them"
        elif "CNAME" in types and self._target.type != "CNAME":
            reason = "the name is a CNAME"
        elif self._target.type == "CNAME" and types - {"CNAME"}:
            reason = f"the name has {', '.join(sorted(types - {'CNAME'}))} records, and a CNAME stands alone"
        elif self._target.type == "A" and "AAAA" in types:
            reason = "the name has an AAAA record too, which clients with IPv6 would go on following"
        if reason:
            raise RefusedError(
                f"{self.name} in zone {self._zone_id} is not as expected: {reason}",
                hint="drkit changes simple records only: give the service a name of its own",
            )
        return mine[0] if mine else None

    def _record_set(self, region: str) -> ResourceRecordSetUnionTypeDef:
        values = [to_route53(self._target.type, value) for value in self.values_for(region)]
        return {
            "Name": f"{self._record_name}.",
            "Type": self._target.type,
            "TTL": self._target.ttl_seconds,
            "ResourceRecords": [{"Value": value} for value in values],
        }

    def _judged(self, rejection: AwsRejection, expected: RecordSet) -> DrkitError:
        # InvalidChangeBatch (of a simulation: InvalidInput) is a DELETE of what is not there as well as a value that
        # Route 53 does not take. The record itself tells which it was.
        try:
            now = self.observe()
        except DrkitError:
            return rejection
        return rejection if now == expected else self._stale(expected, now)

    def _stale(self, expected: RecordSet, now: RecordSet) -> StalePlanError:
        return StalePlanError(
            f"{self.name} was {_shown(expected)} and is now {_shown(now)}: somebody else changed it",
            hint="find out who, then plan again",
        )


def _judged_silence(error: UnreachableError) -> DrkitError:
    """What no answer means: a request that AWS has answered with an error of its own, or never got, is over."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if isinstance(cause, ClientError):
        # What a gateway did not hear the end of may go on behind it.
        is_over = cause.response["ResponseMetadata"]["HTTPStatusCode"] not in _GATEWAY
    else:
        is_over = isinstance(cause, Exception) and not was_sent(cause)
    if is_over or isinstance(error, BusyError):
        return error
    return UnknownOutcomeError(error.message, hint=error.hint)


def _shown(records: RecordSet) -> str:
    return f"{', '.join(records.values)} (TTL {records.ttl_seconds})" if records.values else "absent"
