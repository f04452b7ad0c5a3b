"""Faults of image generation."""

import base64

from ._fault import Area
from ._parts import IMAGES, amended, error, instead, saying

fault = Area("images")
_NOTHING = base64.b64encode(b"nothing to see").decode()

FAULTS = (
    fault(
        "images-500",
        "Image generation fails with 500.",
        instead(IMAGES, error(500, "no model")),
        checks="images.generates",
        places="images",
    ),
    fault(
        "images-none",
        "Image generation gives an empty list.",
        amended(IMAGES, lambda body: body.update(data=[])),
        checks="images.generates",
        places="images",
    ),
    fault(
        "images-of-broken-base64",
        "The base64 of an image is broken.",
        amended(IMAGES, lambda body: body["data"][0].update(b64_json="not base64!")),
        checks="images.generates",
        places="images",
    ),
    fault(
        "images-no-image",
        "The bytes of an image are no image.",
        saying(IMAGES, {"created": 1, "data": [{"b64_json": _NOTHING}]}),
        checks="images.generates",
        places="images",
    ),
)
