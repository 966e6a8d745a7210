"""``drkit offsets watch``: the watch, look after look."""

from __future__ import annotations

from collections.abc import Callable

from drkit.domain.schedules import Grid
from drkit.engine.interrupt import Interrupt, InterruptedRunError
from drkit.engine.turns import turns
from drkit.procedures.watch import Look, Watch


def watch_on(
    watch: Watch, show: Callable[[Look], None], interrupt: Interrupt, *, every_seconds: float, once: bool
) -> None:
    """Look at the moments of a schedule until a signal comes, or once; then leave what is followed.

    What goes wrong in one look is shown with it, and tried again in the next. ``once``, and before the first look, it
    is raised.
    """
    try:
        with interrupt.installed():
            for _ in turns(Grid(every_seconds), watch.world.clock):
                look = watch.look()
                show(look)
                if once:
                    if look.errors:
                        raise look.errors[0]
                    return
                # A look may take longer than the time between two.
                interrupt.raise_if_asked()
    except InterruptedRunError:
        # To be ended is how a service ends.
        return
    finally:
        watch.close()
