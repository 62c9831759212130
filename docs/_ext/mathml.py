"""Formulas as MathML, which browsers show by themselves: no script, and no network.

Docutils translates LaTeX to it; a command that it does not know is a warning, and so an error of
the build.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)

# To LaTeX the two digits of \frac12 are two arguments, to docutils they are one number.
_TWO_DIGITS = re.compile(r"(\\[td]?frac)\s*(\d)\s*(\d)")
_ONE_DIGIT = re.compile(r"(\\(?:[td]?frac|sqrt))\s*(\d)")
# What browsers make of its operators: bars that stretch and stand apart, functions that touch their
# arguments, and sums in the lines of a table that are as small as in running text.
_REFINED = (
    (re.compile(r"<mo[^>]*>([|‖])</mo>"), r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
    (
        re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*<mo stretchy=\"false\">\()"),
        '<mo>&ApplyFunction;</mo><mspace width="0.17em"></mspace>',
    ),
    (re.compile(r'<mtable class="ams-align">'), '<mtable class="ams-align" displaystyle="true">'),
)


def to_mathml(latex, *, is_block):
    """Translate LaTeX to MathML.

    Parameters
    ----------
    latex : str
        A formula. With line breaks it is aligned at its ampersands.
    is_block : bool
        Whether it stands on a line of its own.

    Returns
    -------
    mathml : str
        One element ``math``.
    """
    if is_block and r"\\" in latex and r"\begin{" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    latex = _ONE_DIGIT.sub(r"\1{\2}", _TWO_DIGITS.sub(r"\1{\2}{\3}", latex))
    mathml = tex2mathml(latex.strip(), as_block=is_block)
    for pattern, replacement in _REFINED:
        mathml = pattern.sub(replacement, mathml)
    return mathml


def _visit(translator, node, *, is_block):
    try:
        formula = to_mathml(node.astext(), is_block=is_block)
    except MathError as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        raise nodes.SkipNode from error
    if is_block:
        translator.body.append(f'<div class="math">{formula}</div>\n')
    else:
        translator.body.append(f'<span class="math">{formula}</span>')
    raise nodes.SkipNode


def _visit_math(translator, node):
    _visit(translator, node, is_block=False)


def _visit_displaymath(translator, node):
    _visit(translator, node, is_block=True)


def setup(app):
    """Connect to Sphinx."""
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
