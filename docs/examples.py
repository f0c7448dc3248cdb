"""Show the examples of docstrings as code: the house writes `Example:`, griffe knows the section as `Examples:`."""

import re

import griffe


class Examples(griffe.Extension):
    """Give the section the name that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rename the section in one docstring, once it is loaded."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
