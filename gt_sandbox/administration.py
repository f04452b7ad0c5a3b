"""Administration: what the tenant's administrator does with keys, outside the API and behind a token of its own.

It exists so that a rotation can be scripted against this tenant. The real one has a web page for it.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .accounts import Accounts
from .answers import Refusal, not_found, unauthorized
from .body import Body
from .keys import Key
from .wallet import Wallet

ROOT = "/sandbox"
"""The path of every route of the administration; nothing of the GT API stands there."""

_LONGEST_LIFE_S = 24 * 60 * 60


class Administration:
    """Rotates the keys of one tenant for whoever holds its token, which is never a key of the API."""

    def __init__(self, keys: Iterable[Key], wallet: Wallet, accounts: Accounts) -> None:
        self._keys = {key.name: key for key in keys}
        self._wallet = wallet
        self._accounts = accounts
        self.token = secrets.token_urlsafe(30)

    def routes(self) -> Sequence[Route]:
        """``POST /sandbox/keys/{name}/rotate``: the key's new secret as plain text, shown once."""
        return [Route(ROOT + "/keys/{name}/rotate", self._rotate, methods=["POST"])]

    async def _rotate(self, request: Request) -> Response:
        try:
            self._admit(request)
            key = self._key(request.path_params["name"])
            body = await Body.read(request) if await request.body() else Body({})
            old_alive_s = body.number("old_alive_s", 0, _LONGEST_LIFE_S) or 0
        except Refusal as refusal:
            return refusal.response()
        old = self._wallet[key.env]
        new = self._wallet.rotate(key)
        self._accounts.rotate(old, new, old_alive_s=old_alive_s)
        return PlainTextResponse(new + "\n", headers={"Cache-Control": "no-store"})

    def _admit(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self.token.encode()):
            raise unauthorized("The administration takes its own token, and no key of the API.")

    def _key(self, name: str) -> Key:
        key = self._keys.get(name)
        if key is None:
            raise not_found(f"There is no such key. There are: {', '.join(self._keys)}.", code="unknown_key")
        if key.revoked:
            raise Refusal(409, "The key is revoked: it cannot be rotated.", code="key_revoked")
        return key
