"""Refusals: every error leaves as OpenAI's error object, and says no more than the caller already knows.

No message quotes what the caller sent beside field names that the API itself defines. So no secret and no internal
id can come back, and an unpublished name gets the very answer that an invented one gets.
"""

from collections.abc import Mapping

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
