"""Rows of one's own: every way in, every refusal beside its field, and numbers that are the service's."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.playground import drop, npy, open_page, show, written

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    import numpy.typing as npt
    from playwright.sync_api import Page

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(10, size=2000)
LOGITS = RANDOM.normal(size=(2000, 10)) * 3 + 6 * (np.arange(10) == LABELS[:, None])


def evaluate(http: httpx.Client, logits: npt.NDArray[Any], labels: npt.NDArray[Any], **more: Any) -> dict[str, Any]:
    """What the service answers about rows."""
    outputs = ["loss", "row_losses", "accuracy", "probabilities", "predictions"]
    request = {"logits": logits.tolist(), "targets": labels.tolist(), "outputs": outputs, **more}
    answer: dict[str, Any] = http.post("/loss", json=request).raise_for_status().json()
    return answer


def output(page: Page, name: str) -> float:
    """A number of the reply on the page."""
    return float(page.locator(f"#results [data-output={name}]").get_attribute("data-value") or "nan")


@pytest.fixture
def data(page: Page, server: str) -> Page:
    """The page at its second view."""
    open_page(page, server, "#data")
    return page


def test_a_dropped_npy_of_2000_rows_is_shown_with_its_labels(data: Page, http: httpx.Client, screenshots: Path) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS)})
    drop(data, "#labels-drop", {"labels.npy": npy(LABELS)})
    expect(data.locator("#logits-name")).to_have_text("logits.npy, 160.1 kB")
    show(data)
    answer = evaluate(http, LOGITS, LABELS)
    expect(data.locator("#results")).to_contain_text("2,000 × 10")
    assert output(data, "loss") == answer["loss"]
    assert output(data, "accuracy") == answer["accuracy"]

    worst = int(np.argmax(answer["row_losses"]))
    first = data.get_by_role("region", name="Worst rows").locator("tbody tr").first
    expect(first.locator("td").first).to_have_text(written(answer["row_losses"][worst]))
    first.get_by_role("button").click()
    assert data.get_by_label("Row", exact=True).input_value() == str(worst)
    shown = data.locator(".bars data").evaluate_all("(bars) => bars.map((bar) => Number(bar.value))")
    assert shown == answer["probabilities"][worst]

    hits = data.locator(".confusion .hit").all_inner_texts()
    right = np.bincount(LABELS[np.equal(LABELS, answer["predictions"])], minlength=10)
    assert [int(hit.replace(",", "")) for hit in hits] == right.tolist()
    data.screenshot(path=screenshots / "playground-data.png", full_page=True)


def test_a_npy_of_any_numbers_goes_to_the_service_as_it_is(data: Page, http: httpx.Client) -> None:
    data.locator("#labels-text").fill(" ".join(map(str, LABELS[:50])))
    for kind, dtype in (("float32", "float32"), ("float16", "float32"), ("int32", "float64"), (">f8", "float64")):
        logits = (LOGITS[:50] * 4).astype(kind)
        drop(data, "#logits-drop", {f"{kind}.npy": npy(np.asfortranarray(logits))})
        show(data)
        assert output(data, "loss") == evaluate(http, logits, LABELS[:50], dtype=dtype)["loss"], kind


def test_rows_without_labels_are_shown_by_their_entropy(data: Page, http: httpx.Client) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS[:30])})
    show(data)
    request = {"logits": LOGITS[:30].tolist(), "outputs": ["entropy"]}
    entropy = max(http.post("/softmax", json=request).json()["entropy"])
    least = data.get_by_role("region", name="Least certain rows").locator("tbody tr td").first
    expect(least).to_have_text(written(entropy))
    expect(data.get_by_text("Confusion")).to_have_count(0)


PASTED = {
    "csv": ("2, 3, 4\n3, 1, -3", "1, 0"),
    "semicolons": ("2;3;4\n3;1;-3", "label\n1\n0"),
    "csv with a column of labels": ("cat,dog,label,cow\n2,3,1,4\n3,1,0,-3\n", ""),
    "json": ("[[2, 3, 4], [3, 1, -3]]", "[1, 0]"),
    "a request": ('{"logits": [[2, 3, 4], [3, 1, -3]], "targets": [1, 0]}', ""),
}


def test_rows_may_be_pasted_as_csv_and_as_json(data: Page, http: httpx.Client) -> None:
    expected = evaluate(http, np.array([[2, 3, 4], [3, 1, -3]]), np.array([1, 0]))
    for format_, (logits, labels) in PASTED.items():
        data.locator("#logits-text").fill(logits)
        data.locator("#labels-text").fill(labels)
        show(data)
        assert output(data, "loss") == expected["loss"], format_


def test_a_single_row_and_an_excluded_class_are_welcome(data: Page) -> None:
    data.locator("#logits-text").fill('[2, "-Infinity", 4]')
    data.locator("#labels-text").fill("1")
    show(data)
    expect(data.locator("#results [data-output=loss]")).to_have_text("∞")


BAD = [
    ("cut.npy", npy(LOGITS)[:-8], "logits", "logits does not hold as many bytes as its shape and dtype ask for."),
    ("text.npy", npy(np.array(["a", "b"])), "logits", "logits must hold numbers only"),
    ("ragged.json", b"[[1, 2], [3]]", "logits", "logits must be a rectangle"),
    ("half.json", b"[[1, 2", "logits", "This is not JSON"),
    ("words.csv", b"1,2\n3,four\n", "logits", "Line 2, column 2 is not a number."),
    ("nan.npy", npy(np.array([[1.0, np.inf]])), "logits", "logits"),
    ("far.csv", b"0\n7\n", "labels", "7"),
    ("short.csv", b"0\n", "labels", "targets has shape (1,)"),
    ("table.npy", npy(np.zeros((2, 3))), "labels", "The labels must have one axis"),
]


def test_a_bad_file_shows_its_problem_beside_its_field(data: Page) -> None:
    for name, content, field, problem in BAD:
        if field == "labels":
            data.locator("#logits-text").fill("1 2\n3 4")
        drop(data, f"#{field}-drop", {name: content})
        data.get_by_role("button", name="Show", exact=True).click()
        expect(data.locator(f"#problem-data-{field}")).to_contain_text(problem)
        expect(data.locator("#results")).to_be_hidden()


def test_nothing_to_show_is_said_so(data: Page) -> None:
    data.get_by_role("button", name="Show", exact=True).click()
    expect(data.locator("#problem-data-logits")).to_contain_text("There are no logits yet")


def test_the_fitted_temperature_is_where_the_services_derivative_is_0(data: Page, http: httpx.Client) -> None:
    logits, labels = LOGITS[:500], LABELS[:500]
    drop(data, "#logits-drop", {"logits.npy": npy(logits)})
    data.locator("#labels-text").fill("\n".join(map(str, labels)))
    show(data)
    data.get_by_role("button", name="Fit the temperature").click()
    fitted = data.locator(".whole tbody tr").nth(1)
    expect(fitted).to_be_visible()
    temperature = float(re.findall(r"[\d.]+", fitted.locator("th").inner_text())[0])

    def slope(at: float) -> float:
        request = {"logits": logits.tolist(), "targets": labels.tolist(), "temperature": at}
        answer = http.post("/gradient", json={**request, "outputs": ["temperature_gradient"]}).json()
        return float(answer["temperature_gradient"])

    assert slope(temperature - 1e-3) < 0 < slope(temperature + 1e-3)
    loss = evaluate(http, logits, labels, temperature=temperature)["loss"]
    assert float(fitted.locator("td").first.inner_text()) == pytest.approx(loss, abs=1e-4)
    expect(data.locator(".dot.after").first).to_be_visible()


def test_the_results_can_be_taken_along_with_all_their_digits(
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
    assert [[float(row[f"p{i}"]) for i in range(10)] for row in rows] == answer["probabilities"]
    assert [float(row["loss"]) for row in rows] == answer["row_losses"]
    assert [int(row["label"]) for row in rows] == LABELS[:20].tolist()
    assert json.loads(saved("JSON"))["probabilities"] == answer["probabilities"]

    # the body that was sent, with the headers and the address that are shown
    code = data.locator("#data-exchange-request").inner_text()
    url, content_type = re.findall(r"'(http[^']+)'", code)[0], re.findall(r"Content-Type: ([^']+)'", code)[0]
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    body = saved("Request body")
    again = http.post(url, content=body, headers=headers).raise_for_status().json()
    assert again["row_losses"] == answer["row_losses"]
    data.get_by_role("radio", name="Python").last.check()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(data.locator("#data-exchange-request").inner_text(), names)  # noqa: S102 - the code is ours
    assert names["reply"] == again


def test_many_rows_do_not_freeze_the_page(data: Page) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(np.tile(LOGITS, (10, 1)))})
    drop(data, "#labels-drop", {"labels.npy": npy(np.tile(LABELS, 10))})
    data.evaluate("""() => {
      window.longest = 0;
      const start = (window.last = performance.now());
      setInterval(() => {
        window.longest = Math.max(window.longest, performance.now() - window.last);
        window.last = performance.now();
        window.whole = window.last - start;
      }, 5);
    }""")
    show(data)
    expect(data.locator("#results")).to_contain_text("20,000 × 10")
    longest, whole = data.evaluate("[window.longest, window.whole]")
    assert longest < whole / 2


def test_work_that_takes_long_can_be_cancelled(data: Page) -> None:
    data.route("**/loss", lambda _: None)  # a service that never answers
    data.get_by_role("button", name="made-up").click()
    expect(data.locator("#progress-text")).to_have_text("Waiting for the service")
    data.get_by_role("button", name="Cancel").click()
    expect(data.locator("#progress-label")).to_be_hidden()
    expect(data.locator("#problem-data")).to_be_hidden()
    data.unroute("**/loss")
    data.get_by_role("button", name="made-up").click()
    expect(data.locator("#results")).to_contain_text("2,000 × 10")


def test_a_cancelled_fit_can_be_started_again(data: Page) -> None:
    data.get_by_role("button", name="made-up").click()
    data.route("**/gradient", lambda _: None)
    data.get_by_role("button", name="Fit the temperature").click()
    expect(data.locator("#progress-text")).to_have_text("Fitting: request 1, T = 1.0000")
    data.get_by_role("button", name="Cancel").click()
    data.unroute("**/gradient")
    data.get_by_role("button", name="Fit the temperature").click()
    expect(data.locator(".whole tbody tr")).to_have_count(2)


def test_a_click_on_the_heat_map_shows_the_row_under_it(data: Page) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS[:4])})
    show(data)
    data.get_by_label("Order").select_option("as sent")
    data.locator("canvas").click(position={"x": 20, "y": 300})
    assert data.get_by_label("Row", exact=True).input_value() == "2"
