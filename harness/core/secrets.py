"""Passwords and keys: how they come in, and that they stay out of records and messages."""

import os
import re
from typing import Final

KEY_VARIABLE: Final = "MEMBENCH_API_KEY"
"""Where the service's bearer key comes from. Not an option: everybody on a machine sees a command line."""

_CREDENTIALS = re.compile(r"(://[^/@:?#]*):[^/@]*@")
_PARAMETER = re.compile(r"([?&\s]password=)[^&\s]*", re.IGNORECASE)


def hide_password(text: str) -> str:
    """A URL, or any text with URLs in it, with each password replaced by ***."""
    return _PARAMETER.sub(r"\1***", _CREDENTIALS.sub(r"\1:***@", text))


def authorization() -> dict[str, str]:
    """The header that a service with keys wants of every request; none where no key is given."""
    key = os.environ.get(KEY_VARIABLE, "")
    return {"Authorization": f"Bearer {key}"} if key else {}
