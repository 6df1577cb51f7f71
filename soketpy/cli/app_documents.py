"""The check of the documents that a server of ``--admin-url`` sends. Another server may send anything."""

from typing import Any

from soketpy.core.app_registry import DEFAULTS


def is_page(document: Any) -> bool:
    """Return whether a decoded answer is a page of apps."""
    if not isinstance(document, dict) or not isinstance(apps := document.get("apps"), list):
        return False
    following = document.get("next", 0)
    return (following is None or isinstance(following, str)) and all(map(is_app, apps))


def is_app(document: Any) -> bool:
    """Return whether a decoded answer is an app, with the values that the command reads."""
    if not isinstance(document, dict) or not isinstance(document.get("id"), str):
        return False
    webhooks, defaults, keys = document.get("webhooks", []), document.get(DEFAULTS, []), document.get("keys")
    return all(isinstance(each, list) for each in (webhooks, defaults, keys)) and all(map(_is_key, keys or ()))


def _is_key(document: Any) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("key"), str):
        return False
    ends_at = document.get("ends_at")
    return ends_at is None or (isinstance(ends_at, int | float) and not isinstance(ends_at, bool))
