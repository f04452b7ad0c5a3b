"""Multipart forms with one file."""

from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request

from .answers import invalid
from .body import Body


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
