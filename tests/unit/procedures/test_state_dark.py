"""The state bucket goes dark in the middle of a run, at every one of its calls: the run stops, and can be resumed."""

from __future__ import annotations

import pytest

from drkit.domain.lifecycle import Phase
from drkit.domain.run_entries import parse
from drkit.domain.run_events import StepStarted
from drkit.engine.journal import StateDarkError
from drkit.engine.step import Mode
from drkit.errors import DrkitError, ExitCode
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service
from tests.fakes.scripted import Scripted
from tests.fakes.service import SOURCE, TARGET, FakeService

EFFECTS = {
    "fence-producers": {"create_acls", "delete_acls"},
    "fence-consumers": {"create_acls"},
    "translate-offsets": {"alter_group_offsets"},
    "promote": {"create_acls", "delete_acls"},
    "redirect": {"switch"},
    "stop-mirror": {"stop", "resume"},
}
CHANGES = set().union(*EFFECTS.values()) | {"put", "delete_group", "create_topic", "set_source_offsets"}


class Darkness:
    """The bucket answers until its call number ``at`` of the run, and no more from then on."""

    def __init__(self, service: FakeService, at: int) -> None:
        self.service = service
        self._left = at
        self._before: list[int] = []
        begin = service.store._begin

        def counted(call: str, argument: str) -> object:
            if self._left == 0 and not self._before:
                service.store.is_dark = True
                self._before = [len(one.calls) for one in self._ports]
            self._left -= 1
            return begin(call, argument)

        service.store._begin = counted  # type: ignore[method-assign, assignment]

    @property
    def has_come(self) -> bool:
        return bool(self._before)

    @property
    def changes(self) -> list[str]:
        """What was changed outside the bucket since."""
        since = (one.calls[number:] for one, number in zip(self._ports, self._before, strict=True))
        return [call for calls in since for call, _ in calls if call in CHANGES]

    def ends(self) -> None:
        self._left = -1
        self.service.store.is_dark = False

    @property
    def _ports(self) -> list[Scripted]:
        s = self.service
        return [s.source, s.target, s.connect, s.redirect]


def _last_begun(service: FakeService) -> str:
    entries = (parse(service.store.objects[key]) for key in sorted(service.store.objects) if key.startswith("runs/"))
    begun = [sealed.entry.event.step for sealed in entries if isinstance(sealed.entry.event, StepStarted)]
    return begun[-1] if begun else ""


def _run(at: int, mode: Mode, *, undo_on_failure: bool) -> tuple[Move, Darkness, DrkitError | None]:
    service = mirrored_service()
    service.checkpoint(GROUP, FIRST, 10, downstream=10, at_ms=1)
    move = Move(service, mode, undo_on_failure=undo_on_failure)
    darkness = Darkness(service, at)
    try:
        move.run()
    except DrkitError as error:
        return move, darkness, error
    return move, darkness, None


@pytest.mark.parametrize("undo_on_failure", [False, True])
@pytest.mark.parametrize("mode", [Mode.PLANNED, Mode.DISASTER])
def test_at_every_call_it_stops_and_can_be_resumed(mode: Mode, undo_on_failure: bool) -> None:
    seen = 0
    for at in range(3, 200):
        move, darkness, error = _run(at, mode, undo_on_failure=undo_on_failure)
        if not darkness.has_come:
            break
        if error is None:
            # All was on record but the lease, which expires by itself.
            darkness.ends()
            assert move.state.phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED)
            continue
        assert isinstance(error, StateDarkError), (at, error)
        assert error.exit_code is ExitCode.STOPPED
        assert "nothing more was done" in error.message, at
        assert f"drkit resume {move.run_id}" in error.hint, at
        darkness.ends()
        # What had its intent on record may have been done; nothing else was.
        assert set(darkness.changes) <= EFFECTS.get(_last_begun(move.service), set()), (at, darkness.changes)
        assert move.resume().phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED), at
        _has_moved(move.service)
        seen += 1
    assert seen > 40, "every call of a run was tried"


def _has_moved(service: FakeService) -> None:
    assert service.redirect.current.values == ("2",)
    assert service.record.read().primary(SOURCE) == TARGET
    assert service.world.regions[SOURCE].fence.is_put() is True
    assert service.world.regions[TARGET].fence.is_put() is False
    assert service.target.cluster.committed[GROUP][FIRST] == 10
