"""Bodies that were compressed on their way (``Content-Encoding``), bounded when they are unfolded."""

import zlib
from collections.abc import Mapping

from heterosis.serving.http.messages import Buffer
from heterosis.terms.errors import InvalidInputError, TooLargeError

_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def unfolded(body: Buffer, headers: Mapping[str, str], most: int) -> Buffer:
    """Return the body as it was before it was compressed.

    Raise InvalidInputError for a coding that is not known or not kept to, TooLargeError past ``most`` bytes.
    """
    if "content-encoding" not in headers:
        return body
    coding = headers["content-encoding"].strip().lower()
    if coding in {"identity", ""}:
        return body
    if coding not in _WINDOWS:
        raise InvalidInputError(f"content-encoding is {coding[:40]!r}; taken are: {', '.join(_WINDOWS)}")
    unfolder = zlib.decompressobj(_WINDOWS[coding])
    try:
        whole = unfolder.decompress(body, most)
    except zlib.error as error:
        raise InvalidInputError(f"the body is not what {coding} makes: {error}") from None
    if unfolder.unconsumed_tail:
        raise TooLargeError(f"the body has more than {most} bytes when it is unfolded; no more are taken")
    if not unfolder.eof or unfolder.unused_data:
        raise InvalidInputError(f"the body does not end where its {coding} data do")
    return whole
