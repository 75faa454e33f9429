"""Joules of hardware that tells its power alone: samples of it, integrated by the trapezoid rule."""

import threading
import time
from collections.abc import Callable, Mapping

from heterosis.profiling.meters.register import READ_ERRORS
from heterosis.terms import UNKNOWN, Energy, Quality

PERIOD_S = 0.1


class Integrator:
    """Samples the power of some parts on a thread of its own. A part that fails once is unknown from then on."""

    def __init__(
        self,
        parts: Mapping[str, Callable[[], float]],
        *,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``parts`` return watts. With ``period_s`` 0 there is no thread: each reading is a sample."""
        self._parts = dict(parts)
        self._clock = clock
        self._lock = threading.Lock()
        self._at = clock()
        self._power_w = {name: read() for name, read in self._parts.items()}
        self._joules = dict.fromkeys(self._parts, 0.0)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if period_s:
            self._thread = threading.Thread(target=self._run, args=(period_s,), name="energy sampling", daemon=True)
            self._thread.start()

    def read(self) -> dict[str, Energy]:
        """Take a sample; return the joules so far by part."""
        with self._lock:
            self._sample()
            return {
                name: Energy(self._joules[name], Quality.SAMPLED) if name in self._power_w else UNKNOWN
                for name in self._parts
            }

    def close(self) -> None:
        """Stop sampling."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, period_s: float) -> None:
        while not self._closing.wait(period_s):
            with self._lock:
                self._sample()

    def _sample(self) -> None:
        now = self._clock()
        for name, before_w in list(self._power_w.items()):
            try:
                power_w = self._parts[name]()
            except READ_ERRORS:
                del self._power_w[name]
                continue
            self._joules[name] += (before_w + power_w) / 2 * (now - self._at)
            self._power_w[name] = power_w
        self._at = now
