"""How long drkit waits, for each thing that it waits for."""

from __future__ import annotations

from pydantic import PositiveFloat

from drkit.config.base import Model


class Timeouts(Model):
    """Deadlines, in seconds."""

    request_seconds: PositiveFloat = 10.0
    """One remote call."""
    health_seconds: PositiveFloat = 3.0
    """One answer of a cluster in a health check, at most ``request_seconds``."""
    dns_seconds: PositiveFloat = 2.0
    """One answer of a name server, at most ``request_seconds``."""
    aws_setup_seconds: PositiveFloat = 5.0
    """Making a client of AWS, on top of ``request_seconds`` for its credentials."""
    journal_seconds: PositiveFloat = 30.0
    """How long the state bucket may take nothing of a run before the run stops."""
    fence_seconds: PositiveFloat = 30.0
    drain_seconds: PositiveFloat = 120.0
    """Draining the mirror, which includes waiting for open transactions."""
    consumers_seconds: PositiveFloat = 0.5
    """How long groups may go on reading on the old side before they are fenced."""
    mirror_start_seconds: PositiveFloat = 60.0
    """Until the connectors of a mirror that is begun run with all their tasks."""
    mirror_stop_seconds: PositiveFloat = 60.0
    redirect_seconds: PositiveFloat = 120.0
    clients_seconds: PositiveFloat = 30.0
    """How long arriving clients are watched."""
    lease_seconds: PositiveFloat = 30.0
    """A lease whose holder was silent for so long may be taken over."""
    local_lock_seconds: PositiveFloat = 2.0
    """Until another process lets go of this machine's copy of a journal; after that the copy lacks the event."""
    hook_end_seconds: PositiveFloat = 2.0
    """Between telling a fence hook that is late to end, and killing it; then until it is gone."""
