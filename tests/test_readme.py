"""What README.md shows exists and runs."""

import re
from pathlib import Path

import pytest

# The example shows the defaults that users get.
pytestmark = pytest.mark.user_defaults

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    accuracy, on_new_rows = re.search(r"accuracy (0\.\d+) .* (0\.\d+) on", printed).groups()
    assert min(float(accuracy), float(on_new_rows)) > 0.9
    (inside,) = re.findall(r"contain (\d+)%", printed)
    assert 80 < int(inside) < 98


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(target):
    assert target.startswith("https://") or (ROOT / target).exists()


@pytest.mark.parametrize("heading", ["Quick start", "Test"])
def test_a_command_is_one_line(heading):
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block.startswith("python3 -m venv .venv && ")
    assert block.count("\n") == 1
