"""Results of the data view: the service's numbers, their counts, downloads, and large batches."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.bodies import npy, npz
from tests.browser.playground import as_number, drop, evaluate, output, show, written

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Locator, Page

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(10, size=2000)
LOGITS = RANDOM.normal(size=(2000, 10)) * 3 + 6 * (np.arange(10) == LABELS[:, None])


def rows_of(page: Page, name: str) -> Locator:
    """Find the rows of a table by the name of its region."""
    return page.get_by_role("region", name=name, exact=True).locator("tbody tr")


def measures(page: Page) -> dict[str, list[str]]:
    """Return the measures of the calibration card by name: before, and after the fit if there was one."""
    found = rows_of(page, "Measures").evaluate_all("rows => rows.map(row => Array.from(row.cells, c => c.textContent))")
    return {name: values for name, *values in found}


def watch_frames(page: Page) -> None:
    """Record the longest time that the page did not respond."""
    page.evaluate("""() => {
      window.longest = 0;
      let last = performance.now();
      setInterval(() => {
        window.longest = Math.max(window.longest, performance.now() - last);
        last = performance.now();
      }, 5);
    }""")


def test_the_worst_rows_and_their_bars_are_the_services(data: Page, http: httpx.Client) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS)})
    drop(data, "#labels-drop", {"labels.npy": npy(LABELS)})
    expect(data.locator("#logits-name")).to_have_text("logits.npy, 160.1 kB")
    show(data)
    answer = evaluate(http, LOGITS, LABELS)
    expect(data.locator("#results")).to_contain_text("2,000 × 10")
    assert output(data, "loss") == answer["loss"]
    assert output(data, "accuracy") == answer["accuracy"]

    worst = int(np.argmax(answer["row_losses"]))
    first = rows_of(data, "Worst rows").first
    expect(first.locator("td").first).to_have_text(written(answer["row_losses"][worst]))
    first.get_by_role("button").press("Enter")
    expect(data.get_by_label("Row", exact=True)).to_have_value(str(worst))
    expect(data.locator(".detail")).to_contain_text(f"Row {worst:,}")
    shown = data.locator(".bars data").evaluate_all("(bars) => bars.map((bar) => Number(bar.value))")
    assert shown == answer["probabilities"][worst]


def test_confusion_precision_and_recall_are_counted(data: Page, http: httpx.Client) -> None:
    drop(data, "#logits-drop", {"both.npz": npz(logits=LOGITS, targets=LABELS)})
    show(data)
    predictions = np.array(evaluate(http, LOGITS, LABELS)["predictions"])
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (LABELS, predictions), 1)
    shown = [
        int(cell.replace(",", "").replace("·", "0")) for cell in data.locator(".confusion .cell").all_inner_texts()
    ]
    assert shown == counts.ravel().tolist()
    for row, (precision, recall) in zip(
        rows_of(data, "Precision and recall").all(),
        zip(np.diag(counts) / counts.sum(0), np.diag(counts) / counts.sum(1), strict=True),
        strict=True,
    ):
        assert row.locator("td").all_inner_texts()[1:] == [f"{100 * precision:.1f} %", f"{100 * recall:.1f} %"]


def test_rows_without_labels_are_shown_by_their_entropy(data: Page, http: httpx.Client) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS[:30])})
    show(data)
    request = {"logits": LOGITS[:30].tolist(), "outputs": ["entropy"]}
    entropy = max(http.post("/softmax", json=request).json()["entropy"])
    expect(rows_of(data, "Least certain rows").first.locator("td").first).to_have_text(written(entropy))
    expect(data.get_by_role("heading", name="Confusion")).to_have_count(0)
    expect(data.get_by_role("button", name="Fit the temperature")).to_have_count(0)


def test_the_downloads_hold_all_digits(
    data: Page, http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS[:20])})
    drop(data, "#labels-drop", {"labels.npy": npy(LABELS[:20])})
    show(data)
    answer = evaluate(http, LOGITS[:20], LABELS[:20])

    def saved(button: str) -> bytes:
        with data.expect_download() as download:
            data.get_by_role("button", name=button, exact=True).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path.read_bytes()

    rows = list(csv.DictReader(io.StringIO(saved("CSV").decode())))
    assert [[float(row[f"p({i})"]) for i in range(10)] for row in rows] == answer["probabilities"]
    assert [float(row["loss"]) for row in rows] == answer["row_losses"]
    assert [int(row["label"]) for row in rows] == LABELS[:20].tolist()
    arrays = np.load(io.BytesIO(saved(".npz")))
    assert arrays["probabilities"].tolist() == answer["probabilities"]
    assert arrays["row_losses"].tolist() == answer["row_losses"]
    assert arrays["predictions"].tolist() == answer["predictions"]
    assert arrays["labels"].tolist() == LABELS[:20].tolist()

    # The body that was sent, with the headers and the address that the page shows.
    code = data.locator("#data-exchange-request").inner_text()
    url, content_type = re.findall(r"'(http[^']+)'", code)[0], re.findall(r"Content-Type: ([^']+)'", code)[0]
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    body = saved("Request body")
    again = http.post(url, content=body, headers=headers).raise_for_status().json()
    assert again["row_losses"] == answer["row_losses"]
    data.get_by_role("radio", name="Python").last.check()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(data.locator("#data-exchange-request").inner_text(), names)  # noqa: S102 - the page of this project wrote the code
    assert names["reply"] == again


def test_names_in_a_download_are_quoted(data: Page) -> None:
    drop(data, "#logits-drop", {"rows.csv": b'id,"cat, ""old""",dog,label\n"a,b",1,2,dog\n'})
    show(data)
    with data.expect_download() as download:
        data.get_by_role("button", name="CSV", exact=True).click()
    first, second = csv.reader(download.value.path().read_text(encoding="utf-8").splitlines())
    assert first == ["row", "label", "prediction", "loss", 'p(cat, "old")', "p(dog)"]
    assert second[:3] == ["a,b", "dog", "dog"]


@pytest.mark.parametrize(("rows", "classes"), [(100_000, 10), (2_000, 1_000)])
def test_a_large_batch_does_not_freeze_the_page(data: Page, rows: int, classes: int) -> None:
    labels = np.arange(rows) % classes
    logits = np.zeros((rows, classes), dtype=np.float32)
    logits[np.arange(rows), labels] = 9
    drop(data, "#logits-drop", {"both.npz": npz(compressed=True, logits=logits, targets=labels)})
    watch_frames(data)
    show(data)
    expect(data.locator("#results")).to_contain_text(f"{rows:,} × {classes:,}")
    expect(data.locator(".bars li")).to_have_count(10)
    assert data.evaluate("window.longest") < 1000  # a frozen page would be busy for several seconds


def test_a_heat_map_of_1000_classes_is_not_blank(data: Page) -> None:
    logits = np.zeros((500, 1000))
    logits[np.arange(500), 2 * np.arange(500)] = 9
    drop(data, "#logits-drop", {"both.npz": npz(logits=logits, targets=2 * np.arange(500))})
    show(data)
    expect(data.locator(".bars li")).to_have_count(10)
    dark = data.locator("canvas").evaluate("""(canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      let diagonal = 0;
      for (let y = 0; y < height; y++) {
        const x = Math.floor((y / height) * width);
        const near = [-2, -1, 0, 1, 2].map((step) => data[4 * (y * width + Math.min(width - 1, Math.max(0, x + step)))]);
        diagonal += Math.min(...near) < 130;
      }
      return diagonal / height;
    }""")
    assert dark > 0.95


def test_a_click_on_the_heat_map_shows_the_row_under_it(data: Page) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS[:4])})
    show(data)
    data.get_by_label("Order").select_option("as sent")
    data.locator("canvas").click(position={"x": 20, "y": 300})
    expect(data.get_by_label("Row", exact=True)).to_have_value("2")


def test_work_that_takes_long_can_be_cancelled(data: Page) -> None:
    data.route("**/loss?*", lambda _: None)  # a service that never answers
    data.get_by_role("button", name="made-up").click()
    expect(data.locator("#progress-text")).to_have_text("Waiting for the service")
    data.get_by_role("button", name="Cancel").press("Enter")
    expect(data.locator("#progress-label")).to_be_hidden()
    expect(data.locator("#problem-data")).to_be_hidden()
    data.unroute("**/loss?*")
    data.get_by_role("button", name="made-up").click()
    expect(data.locator("#results")).to_contain_text("2,000 × 10")


def test_reading_a_large_file_can_be_cancelled(data: Page) -> None:
    data.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["1,2,3,4,5,6,7,8,9,10\\n".repeat(1_000_000)], "large.csv"));
      document.querySelector("#logits-drop").dispatchEvent(new DragEvent("drop", { dataTransfer, cancelable: true }));
    }""")
    data.get_by_role("button", name="Show", exact=True).click()
    expect(data.locator("#progress-text")).to_have_text("Reading")
    expect(data.locator("#progress")).to_have_attribute("max", "1000000")
    data.get_by_role("button", name="Cancel").click()
    expect(data.locator("#progress-label")).to_be_hidden()
    expect(data.locator("#results")).to_be_hidden()
    expect(data.locator("#data-view .problem:not(:empty)")).to_have_count(0)
    data.get_by_role("button", name="made-up").click()
    expect(data.locator("#results")).to_contain_text("2,000 × 10")


def measure(answer: dict[str, Any], labels: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the measures of an answer, computed directly from its probabilities."""
    p = np.array(answer["probabilities"])
    own, confidence = p[np.arange(len(p)), labels], p.max(1)
    bins = np.clip(np.ceil(confidence * 15) - 1, 0, 14).astype(int)
    gaps = np.bincount(bins, p.argmax(1) == labels, 15) - np.bincount(bins, confidence, 15)
    return {
        "loss": answer["loss"],
        "perplexity": float(np.exp(answer["loss"])),
        "accuracy": 100 * answer["accuracy"],
        "accuracy of the top 5": 100 * float(np.mean((p > own[:, None]).sum(1) < 5)),
        "Brier score": float(np.mean(((p - np.eye(p.shape[1])[labels]) ** 2).sum(1))),
        "expected calibration error": 100 * float(np.abs(gaps).sum() / len(p)),
    }


def test_measures_are_shown_before_and_after_the_fit(data: Page, http: httpx.Client) -> None:
    logits, labels = LOGITS[:500], LABELS[:500]
    labels = np.where(np.arange(500) % 4 == 0, 0, labels)  # a classifier that is too sure
    drop(data, "#logits-drop", {"both.npz": npz(logits=logits, targets=labels)})
    show(data)
    data.get_by_role("button", name="Fit the temperature").press("Enter")
    expect(data.locator(".dot.after").first).to_be_visible()
    heads = data.get_by_role("region", name="Measures").locator("thead th").all_inner_texts()
    temperature = as_number(heads[2].removeprefix("T = "))
    shown = measures(data)
    for column, at in enumerate((1, temperature)):
        expected = measure(evaluate(http, logits, labels, temperature=at), labels)
        assert list(shown) == list(expected)
        for name, values in shown.items():
            tolerance = 0.06 if values[column].endswith("%") else 1e-4
            assert float(values[column].removesuffix(" %")) == pytest.approx(expected[name], abs=tolerance), name
    at_best, *beside = (
        evaluate(http, logits, labels, temperature=temperature * factor)["loss"] for factor in (1, 0.99, 1.01)
    )
    assert at_best < min(beside)
    assert data.locator(".reliability").count() == 2


def test_a_fit_without_a_minimum_is_reported(data: Page) -> None:
    drop(data, "#logits-drop", {"rows.csv": b"cat,dog,label\n3,1,cat\n0,2,dog\n"})
    show(data)
    data.get_by_role("button", name="Fit the temperature").click()
    expect(data.get_by_role("region", name="Calibration")).to_contain_text("The loss has no minimum")
    expect(data.get_by_role("region", name="Measures")).to_contain_text("T = 1.00e−6")


def test_a_cancelled_fit_can_be_started_again(data: Page) -> None:
    data.get_by_role("button", name="made-up").click()
    data.route("**/calibrate?*", lambda _: None)
    data.get_by_role("button", name="Fit the temperature").click()
    expect(data.locator("#progress-text")).to_have_text("Fitting the temperature")
    data.get_by_role("button", name="Cancel").click()
    data.unroute("**/calibrate?*")
    data.get_by_role("button", name="Fit the temperature").click()
    expect(data.locator(".reliability")).to_have_count(2)
