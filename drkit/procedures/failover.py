"""``failover`` and ``switchover``: the steps of both modes, in order."""

from __future__ import annotations

from drkit.steps.redirect import Redirect

NO_RETURN_AFTER = Redirect.name
