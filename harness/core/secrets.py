"""Passwords stay out of records and messages."""

import re

_CREDENTIALS = re.compile(r"(://[^/@:?#]*):[^/@]*@")
_PARAMETER = re.compile(r"([?&\s]password=)[^&\s]*", re.IGNORECASE)


def hide_password(text: str) -> str:
    """A URL, or any text with URLs in it, with each password replaced by ***."""
    return _PARAMETER.sub(r"\1***", _CREDENTIALS.sub(r"\1:***@", text))
