"""A worker process: hosts one worker, or several that do no work of their own (emulated ones), each on a thread.

Started by a launcher, which talks to it over its standard input (`heterosis.launch.control`). It ends when that closes,
so it never outlives who started it.
"""

import contextlib
import os
import socket
import threading
import traceback
from collections.abc import Callable

from heterosis.launch.control import Join, Leave, Left, Refused, decode_order, encode_line
from heterosis.serving.transport import Link, LinkEndedError
from heterosis.serving.worker import Adapt, unchanged, work


def main() -> None:
    """Host what the launcher asks for, until it closes the channel."""
    Host(socket.socket(fileno=0)).run()
    os._exit(0)  # whatever the workers are doing


class Host:
    """The workers of this process."""

    def __init__(self, channel: socket.socket, adapt: Adapt = unchanged, reach: Callable[[str], str] = str) -> None:
        """Listen to this launcher.

        ``adapt`` makes of what the router assigns what is there, ``reach`` of the address at which the router says it
        listens the one at which it can be reached from here.
        """
        self._channel = channel
        self._adapt = adapt
        self._reach = reach
        self.refused = ""
        """Why the launcher has no use for this process."""
        self._saying = threading.Lock()
        self._links: dict[str, Link] = {}

    def run(self) -> None:
        """Do as the launcher says; return when it has no more to say."""
        with self._channel.makefile("rb") as orders, contextlib.suppress(ConnectionError):
            for line in orders:
                match decode_order(line):
                    case Join() as join:
                        link = self._links[join.instance] = Link(self._reach(join.address))
                        threading.Thread(target=self._work, args=(join, link), name=join.instance, daemon=True).start()
                    case Leave(instance=instance):
                        self._end(instance)
                    case Refused(reason=reason):
                        self.refused = reason

    def _work(self, join: Join, link: Link) -> None:
        try:
            work(link, join, self._adapt)
        except LinkEndedError:
            reason = "told to end"
        except BaseException as error:  # noqa: BLE001 - whatever it is, SystemExit too, it ends this worker alone
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
        self._end(join.instance)
        link.close()
        with self._saying, contextlib.suppress(ConnectionError):
            self._channel.sendall(encode_line(Left(instance=join.instance, reason=reason)))

    def _end(self, instance: str) -> None:
        link = self._links.pop(instance, None)
        if link is not None:
            link.end()
