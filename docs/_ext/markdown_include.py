"""Include the repository's Markdown files, which a reader also meets outside the documentation.

``.. include:: ../CHANGELOG.md`` is turned into reStructuredText as it is read. This knows the
Markdown that these files use, and no more: headings, lists, code spans, links and tables.
"""

import re

_UNDERLINES = {2: "-", 3: "~", 4: "^"}


def to_rst(text):
    """Translate Markdown to reStructuredText.

    Parameters
    ----------
    text : str
        Markdown. A heading of the first level is left out: the including page has its own.

    Returns
    -------
    text : str
        The same as reStructuredText.
    """
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r"`\1 <\2>`__", text)
    lines, table = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if table:
            lines += _list_table(table)
            table = []
        heading = re.match(r"(#+) (.+)", line)
        if heading is None:
            lines.append(line)
        elif len(heading[1]) > 1:
            title = heading[2].strip("[]")
            lines += [title, _UNDERLINES[len(heading[1])] * len(title)]
    return "\n".join(lines)


def _list_table(rows):
    """Return the lines of a table whose second row is Markdown's rule below the head."""
    lines = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        lines += [f"   {'  -' if i else '* -'} {cell}" for i, cell in enumerate(row)]
    return [*lines, ""]


def _translate(app, relative_path, parent_docname, content):
    if relative_path.suffix == ".md":
        content[0] = to_rst(content[0])


def setup(app):
    """Connect to Sphinx."""
    app.connect("include-read", _translate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
