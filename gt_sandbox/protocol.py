"""HTTP as this tenant speaks it: refusals in OpenAI's error object, JSON bodies read field by field, forms with a file.

No message quotes what the caller sent beside field names that the API itself defines. So no secret and no internal
id can come back, and an unpublished name gets the very answer that an invented one gets.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse


class Refusal(Exception):
    """A request that is answered with an error. Raised anywhere below a route; rendered once, at the route."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer that the caller gets."""
        kind = _KINDS.get(self.status, "invalid_request_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status, dict(self.headers or {}))


_KINDS = {401: "authentication_error", 403: "permission_error", 500: "server_error"}


def invalid(param: str, message: str) -> Refusal:
    """A field that is missing or wrong: 400, naming it."""
    return Refusal(400, message, param=param, code="invalid_value")


def unauthorized(message: str) -> Refusal:
    """No key, or none that works: 401."""
    return Refusal(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def forbidden(message: str) -> Refusal:
    """A key that works, but not for this: 403."""
    return Refusal(403, message, code="insufficient_scope")


def not_found(message: str, *, param: str | None = None, code: str = "not_found") -> Refusal:
    """Nothing there, or nothing that this key may know of: 404, the same answer for both."""
    return Refusal(404, message, param=param, code=code)


def by_status(status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """What the framework itself refuses: unknown routes, wrong methods, bodies that cannot be parsed, crashes."""
    message, code = _BY_STATUS.get(status, ("The request was refused.", None))
    return Refusal(status, message, code=code, headers=headers)


_BY_STATUS = {
    400: ("The request body cannot be read.", "invalid_body"),
    404: ("There is no such route in the GT API.", "unknown_route"),
    405: ("This route does not take that method.", "method_not_allowed"),
    413: ("The request body is larger than 25 MiB.", "body_too_large"),
    500: ("The tenant failed while answering.", "internal_error"),
}


class Body:
    """The fields of a request. ``null`` counts as absent, and unknown fields are left alone, as OpenAI does."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    @classmethod
    async def read(cls, request: Request) -> "Body":
        """The JSON object in the request's body."""
        return cls(_parse(await request.body()))

    def get(self, name: str) -> object:
        """The field as it came; ``None`` where it is absent."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """A string that must be there and hold something."""
        value = self.optional_text(name)
        if not value:
            raise invalid(name, f"'{name}' must be a non-empty string.")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, if it is there."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(name, f"'{name}' must be a string.")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """One of a few words."""
        value = self.optional_text(name) or default
        if value not in allowed:
            raise invalid(name, f"'{name}' must be one of: {', '.join(sorted(allowed))}.")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number in a range, if it is there."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise invalid(name, f"'{name}' must be a number from {low:g} to {high:g}.")
        return value

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int | None:
        """A whole number in a range, if it is there."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(name, f"'{name}' must be a whole number.")
        if (low is not None and value < low) or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"from {low} to {high}" if low != high else f"{low}"
            raise invalid(name, f"'{name}' must be {limits}.")
        return value

    def flag(self, name: str) -> bool:
        """True or false; absent is false."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(name, f"'{name}' must be true or false.")
        return bool(value)

    def mapping(self, name: str) -> "Body":
        """An object inside; empty where it is absent."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(name, f"'{name}' must be an object.")
        return Body(value or {})


def _parse(raw: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(raw.decode(), parse_constant=_finite, parse_float=_finite)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be encoded
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object.", code="invalid_json")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


@dataclass(frozen=True, slots=True)
class Form:
    """The file part named ``file``, and the plain fields beside it."""

    filename: str
    content: bytes
    fields: Body

    @classmethod
    async def read(cls, request: Request) -> "Form":
        """The form in the request's body; a 400 naming ``file`` where that part is missing or empty."""
        await request.body()  # whole, before files are opened for its parts: a client may hang up in the middle
        async with request.form(max_files=8, max_fields=64) as form:
            part = form.get("file")
            if not isinstance(part, UploadFile):
                raise invalid("file", "Send the file as the multipart part 'file'.")
            content = await part.read()
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if not content:
            raise invalid("file", "The file is empty.")
        filename = (part.filename or "file").replace("\\", "/").rpartition("/")[2]
        return cls(filename[:255], content, Body(fields))
