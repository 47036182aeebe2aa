"""HTML elements as strings: whatever is not made here is escaped."""

from __future__ import annotations

from html import escape

VOID = {"meta", "img", "wbr"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, /, *children: object, **attributes: object) -> Html:
    """``element("td", "a < b", class_="best")``.

    Text and attributes are escaped, children that are Html are not. An attribute's trailing
    underscore is left out, others become hyphens; one that is None is left out, one that is True
    stands without a value.
    """
    opening = tag
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        opening += f" {attribute}" if value is True else f' {attribute}="{escape(str(value))}"'
    if tag in VOID:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{join(*children)}</{tag}>")


def join(*children: object) -> Html:
    """Elements and text one after another."""
    return Html("".join(c if isinstance(c, Html) else escape(str(c)) for c in children))
