"""Maps the root folders onto the import package `sciu`; everything else is in pyproject.toml.

`sciu` is a namespace package: the folders stay at the root, and no bare `models` or `tools` reaches
anybody's site-packages. See docs/decisions/0001-root-folders-as-package.md.
"""

from setuptools import find_packages, setup

ROOMS = ("pipeline", "models", "purification", "tools")

setup(
    package_dir={f"sciu.{room}": room for room in ROOMS},
    packages=[f"sciu.{name}" for room in ROOMS for name in (room, *(f"{room}.{sub}" for sub in find_packages(room)))],
    package_data={
        **{f"sciu.{room}": ["py.typed"] for room in ROOMS},
        "sciu.tools.report": ["template/*"],
        "sciu.tools.review": ["page/*"],
    },
)
