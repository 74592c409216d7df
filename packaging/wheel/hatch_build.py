"""Says that the wheel holds a program of Linux on x86-64, for any Python 3."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):
    """Gives the wheel its tag; `wheel tags` makes it narrower, by what auditwheel finds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Set the tag."""
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
