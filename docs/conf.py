"""Configuration of Sphinx, which `make docs` runs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "softmax-service"
author = "the softmax-service authors"
(release,) = re.findall(r'__version__ = "(.+)"', (ROOT / "service/__init__.py").read_text("utf-8"))

extensions = ["myst_parser"]
# The source folder is the root of the repository, so that links are the same here and in a viewer of Markdown files.
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "bench/*.md",
    "docs/*.md",
]
root_doc = "docs/index"
templates_path = ["templates"]
nitpicky = True
myst_heading_anchors = 4
highlight_language = "text"
# Quotation marks around "-Infinity" are part of it.
smartquotes = False

html_theme = "furo"
html_title = f"softmax-service {release}"
html_additional_pages = {"index": "redirect.html"}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = False
html_copy_source = False
html_show_copyright = False
