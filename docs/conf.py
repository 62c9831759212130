"""Configuration of the documentation; ``make docs`` builds it with warnings as errors."""

import os
import sys
from pathlib import Path

# Before NumPy is imported: the examples are small, and several threads wait for each other where
# the cores are busy.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import skregnet  # noqa: E402

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "skregnet"
author = "skregnet developers"
copyright = "skregnet developers"
version = release = skregnet.__version__

extensions = [
    "markdown_include",
    "mathml",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "snippets", "integrations", "benchmarks"]
templates_path = ["_templates"]
suppress_warnings = []
default_role = "py:obj"

autosummary_generate = True
autodoc_typehints = "none"
# A page is about one class; its name before every method would only be cut off.
toc_object_entries_show_parents = "hide"
# The members of a class stand on its own page; numpydoc would list them a second time.
numpydoc_show_class_members = False

# Prompts are not copied, nor are the lines of output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The gallery runs examples/plot_*.py. Folders without a header of their own, such as
# examples/benchmarks, are not part of it.
EXAMPLES = HERE.parent / "examples"
if any((EXAMPLES / name).is_file() for name in ("GALLERY_HEADER.rst", "README.rst")):
    extensions.append("sphinx_gallery.gen_gallery")
    sphinx_gallery_conf = {
        "examples_dirs": str(EXAMPLES),
        "gallery_dirs": "auto_examples",
        "filename_pattern": "plot_",
        "ignore_pattern": r"__init__\.py|benchmarks",
        "within_subsection_order": "gallery_order.LectureOrder",
        "download_all_examples": False,
        "show_signature": False,
        # Times are noise, unless one is suspicious.
        "min_reported_time": 60,
        "write_computation_times": False,
        # A notebook would hold no more than the script.
        "notebook_extensions": set(),
    }
else:
    # The table of contents names the gallery.
    suppress_warnings.append("toc.not_readable")

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "skregnet"
html_static_path = ["_static"]
html_css_files = ["skregnet.css"]
html_show_sourcelink = False
html_sidebars = {
    "index": [],
    "install": [],
    "architecture": [],
    "benchmarks": [],
    "intervals": [],
    "uncertainty_benchmarks": [],
    "comparison": [],
    "comparison_tests": [],
    "extending": [],
    "performance": [],
    "whats_new": [],
}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
