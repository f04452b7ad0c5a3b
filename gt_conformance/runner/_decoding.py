"""Compressed bodies, decoded within bounds: a small answer must not unpack to fill the memory."""

import zlib


class TooLarge(Exception):
    """The body exceeds the limit; the text says so."""


class Decoder:
    """Decodes gzip and deflate as bytes arrive, and counts what comes out. Other encodings pass as they are."""

    def __init__(self, encoding: str, longest: int) -> None:
        known = encoding.strip().lower() in {"gzip", "x-gzip", "deflate"}
        # 32 + MAX_WBITS reads the header of gzip or zlib, whichever it is.
        self._zlib = zlib.decompressobj(32 + zlib.MAX_WBITS) if known else None
        self._left = longest
        self._left_raw = longest
        self._longest = longest

    def decode(self, raw: bytes) -> bytes:
        """The decoded bytes. Raises TooLarge where the body grows beyond the limit, or is not what it says."""
        if self._zlib is None:
            data = raw
        else:
            try:
                data = self._zlib.decompress(raw, self._left + 1)
            except zlib.error:
                raise TooLarge("the body is not compressed as its content-encoding says") from None
        self._left -= len(data)
        # What came counts as well: it may decode to nothing for ever.
        self._left_raw -= len(raw)
        if self._left < 0 or self._left_raw < 0:
            raise TooLarge(f"the body exceeds {self._longest} bytes (limits.max_response_bytes)")
        return data
