"""Starts, asks and ends the processes that measure."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

from heterosis.profiling.probe import BOOTSTRAP, Answer, Broken, Job, Loaded, Measure, Measured
from heterosis.profiling.sampling import Measurement, Start
from heterosis.terms import Variant
from heterosis.terms.errors import HeterosisError

PATIENCE_S = 180.0
"""A process that says nothing for so long, beyond the time it was given, hangs."""

LAST_WORDS_BYTES = 400


class ProbeError(HeterosisError):
    """A configuration that cannot be measured: it failed, or its process died. The message says why."""


class Bench:
    """One configuration, ready to be measured; a context manager that ends its process."""

    def __init__(self, pipeline: str, variant: Variant, threads: int, cores: Sequence[int], inputs: str) -> None:
        """Start a process on these cores and wait until it has loaded the variant, and answered once."""
        answers, theirs = os.pipe()
        self._answers = answers
        self._received = b""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the bench
        started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", BOOTSTRAP, ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            pass_fds=(theirs,),
            start_new_session=True,  # Ctrl-C reaches it through us
        )
        os.close(theirs)
        job = Job(
            pipeline=pipeline,
            stage=variant.stage,
            variant=variant,
            threads=threads,
            inputs=inputs,
            started=started,
            answers=theirs,
        )
        try:
            answer = self._ask(job, PATIENCE_S)
            assert isinstance(answer, Loaded)  # noqa: S101 - the only answer to that
            self.start: Start = answer.start
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def measure(self, batch: int, seconds: float, *, whole: bool = False) -> Measurement:
        """Measure a batch size for about so many seconds, or exactly; raise ProbeError where that fails."""
        answer = self._ask(Measure(batch=batch, seconds=seconds, whole=whole), 4 * seconds + PATIENCE_S)
        assert isinstance(answer, Measured)  # noqa: S101 - the only answer to that
        return answer.measurement

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        os.close(self._answers)
        self._output.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def _ask(self, question: Job | Measure, patience_s: float) -> Answer:
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(msgspec.json.encode(question) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ProbeError(self._epitaph()) from None
        answer: Answer = msgspec.json.decode(self._line(time.monotonic() + patience_s), type=Answer)
        if isinstance(answer, Broken):
            raise ProbeError(answer.reason)
        return answer

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ProbeError(f"its process gave no answer in {PATIENCE_S:.0f} s and was ended")
            part = os.read(self._answers, 65536)
            if not part:
                raise ProbeError(self._epitaph())
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _epitaph(self) -> str:
        """How the process ended, and its last words."""
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
        words = self._output.read().decode(errors="replace").strip()
        return f"its process {how}" + (f": …{words}" if words else "")
