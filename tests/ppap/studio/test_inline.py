"""``ppap.explore`` as a script and a notebook meet it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SCRIPT = """
import urllib.error, urllib.request
import numpy as np, torch, ppap

features = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
try:
    ppap.explore(features, labels=np.zeros((1, 3, 4), int))
except ValueError as error:
    print(error)
first = ppap.explore(features, classes=("a", "b"), labels=np.ones((2, 3, 4), int), title="mine")
second = ppap.explore([torch.from_numpy(one) for one in features])
print(first.url.split("?")[0] == second.url.split("?")[0], first.url != second.url)
print(first.url.startswith("http://127.0.0.1:"), first.batch.backbone.title)


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


print(answers(first.url))
first.close()
first.close()
print(answers(second.url))
with second:
    pass
print(answers(second.url))
third = ppap.explore(features)
print(answers(third.url))  # and the process ends by itself, without a word about it
"""


def test_in_a_script(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines() == [
        "There are 1 labels, but features for 2 images.",
        "True True",
        "True mine",
        "200",
        "200",
        "None",
        "200",
    ]


CELLS = (
    """
    import numpy as np, ppap
    features = np.random.default_rng(0).standard_normal((1, 2, 2, 4)).astype("float32")
    shown = ppap.explore(features, height=700)
    shown
    """,
    """
    import urllib.error, urllib.request
    frame = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    frame["Sec-Fetch-Dest"] = "iframe"
    inside = shown._repr_html_().split('<iframe src="')[1].split('"')[0].replace("&amp;", "&")
    for url in (inside, shown.url):
        try:
            request = urllib.request.Request(url, headers=frame)
            print(urllib.request.urlopen(request, timeout=30).status)
        except urllib.error.HTTPError as error:
            print(error.code)
    shown.close()
    """,
)


@pytest.mark.filterwarnings("ignore")  # those of the notebook's own packages
def test_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    first, second = (cell["outputs"] for cell in notebook["cells"])
    (shown,) = [output["data"] for output in first if output["output_type"] == "execute_result"]
    assert 'height="700"' in shown["text/html"]
    assert '<iframe src="http://127.0.0.1:' in shown["text/html"]
    # The page itself appears once: gradio adds no frame of its own.
    assert [output for output in first if "text/html" in output.get("data", {})] == [
        output for output in first if output["output_type"] == "execute_result"
    ]
    assert second[0]["text"].split() == ["200", "403"]
