"""Pages of plain HTML: how their templates are read.

Belongs here: the environment of all templates. Does not belong here: any page.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader


def templates(package: str) -> Environment:
    """The templates of a package; what they are given is escaped."""
    return Environment(loader=PackageLoader(package), autoescape=True, trim_blocks=True)
