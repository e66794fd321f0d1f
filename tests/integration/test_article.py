"""The worked example: three logits, a layer of three nodes, the gradient by the chain rule, one step of descent."""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING, Any

import pytest

from tests.connections import ask

if TYPE_CHECKING:
    import httpx

LOGITS = [3.0, 1.0, -3.0]
OUTPUTS_BEFORE = [0.5, -1.0, 2.0]
WEIGHTS = [[0.2, -0.4, 0.1], [0.5, 0.3, -0.2], [-0.1, 0.6, 0.4]]
NODES = range(3)
RATE = 0.1


def exact(expected: Any) -> Any:
    """Return an approximate comparison to the last digits."""
    return pytest.approx(expected, rel=1e-14)


def softmax(logits: list[float]) -> list[float]:
    """Return the softmax as its formula says: e^z_i over their sum."""
    exponentials = [exp(logit) for logit in logits]
    return [exponential / sum(exponentials) for exponential in exponentials]


def layer() -> list[float]:
    """Return z4, z5 and z6 of a layer of three nodes."""
    return [sum(weight * output for weight, output in zip(row, OUTPUTS_BEFORE, strict=True)) for row in WEIGHTS]


def test_three_logits_become_probabilities_that_sum_to_1(http: httpx.Client) -> None:
    probabilities = ask(http, "softmax", logits=LOGITS)["probabilities"]
    assert probabilities == exact(softmax(LOGITS))
    assert all(0 < probability < 1 for probability in probabilities)
    assert sum(probabilities) == exact(1)


def test_the_largest_logit_is_the_prediction(http: httpx.Client) -> None:
    answer = ask(http, "softmax", logits=[LOGITS, LOGITS[::-1]])
    assert answer["predictions"] == [0, 2]


def test_each_node_of_the_layer_weighs_every_output_before_it(http: httpx.Client) -> None:
    request = {"inputs": OUTPUTS_BEFORE, "weights": WEIGHTS, "outputs": ["logits", "probabilities"]}
    answer = ask(http, "softmax", **request)
    assert answer["logits"] == exact(layer())
    assert answer["probabilities"] == exact(softmax(layer()))


@pytest.mark.parametrize("right", NODES)
def test_loss_is_minus_the_log_probability_of_the_right_class(http: httpx.Client, right: int) -> None:
    expected = -log(softmax(LOGITS)[right])
    one_hot = [float(node == right) for node in NODES]
    assert ask(http, "loss", logits=LOGITS, targets=right)["loss"] == exact(expected)
    assert ask(http, "loss", logits=LOGITS, targets=one_hot)["loss"] == exact(expected)


def test_the_loss_of_several_classes_sums_over_all_of_them(http: httpx.Client) -> None:
    targets = [0.2, 0.5, 0.3]
    expected = -sum(target * log(a) for target, a in zip(targets, softmax(LOGITS), strict=True))
    assert ask(http, "loss", logits=LOGITS, targets=targets)["loss"] == exact(expected)


@pytest.mark.parametrize("i", NODES)
@pytest.mark.parametrize("j", NODES)
def test_the_derivative_of_softmax_has_two_cases(http: httpx.Client, i: int, j: int) -> None:
    a = softmax(LOGITS)
    jacobian = ask(http, "softmax", logits=LOGITS, outputs=["jacobian"])["jacobian"]
    assert jacobian[j][i] == exact(a[j] * (1 - a[j]) if i == j else -a[j] * a[i])


@pytest.mark.parametrize("right", NODES)
def test_gradient_of_the_right_class_is_its_probability_less_1(http: httpx.Client, right: int) -> None:
    a = softmax(layer())
    gradient = ask(http, "gradient", logits=layer(), targets=right)["logits_gradient"]
    assert gradient == exact([a[i] - 1 if i == right else a[i] for i in NODES])


@pytest.mark.parametrize("right", NODES)
def test_gradient_equals_the_chain_rule_of_loss_and_softmax(http: httpx.Client, right: int) -> None:
    by_probability = -1 / softmax(LOGITS)[right]
    jacobian = ask(http, "softmax", logits=LOGITS, outputs=["jacobian"])["jacobian"]
    gradient = ask(http, "gradient", logits=LOGITS, targets=right)["logits_gradient"]
    assert gradient == exact([by_probability * derivative for derivative in jacobian[right]])


def test_a_loss_of_ones_own_is_chained_to_softmax_the_same_way(http: httpx.Client) -> None:
    by_probabilities = [0.0, -1 / softmax(LOGITS)[1], 0.0]
    chained = ask(http, "gradient", logits=LOGITS, probabilities_gradient=by_probabilities)
    direct = ask(http, "gradient", logits=LOGITS, targets=1)
    assert chained["logits_gradient"] == exact(direct["logits_gradient"])


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("k", NODES)
def test_weights_gradient_is_node_gradient_times_input(http: httpx.Client, node: int, k: int) -> None:
    answer = ask(http, "gradient", inputs=OUTPUTS_BEFORE, weights=WEIGHTS, targets=0)
    expected = answer["logits_gradient"][node] * OUTPUTS_BEFORE[k]
    assert answer["weights_gradient"][node][k] == exact(expected)


@pytest.mark.parametrize("k", NODES)
def test_inputs_gradient_sums_over_the_nodes(http: httpx.Client, k: int) -> None:
    answer = ask(http, "gradient", inputs=OUTPUTS_BEFORE, weights=WEIGHTS, targets=0)
    expected = sum(answer["logits_gradient"][node] * WEIGHTS[node][k] for node in NODES)
    assert answer["inputs_gradient"][k] == exact(expected)


def test_descent_moves_the_weights_against_their_gradient(http: httpx.Client) -> None:
    answer = ask(http, "gradient", inputs=OUTPUTS_BEFORE, weights=WEIGHTS, targets=0, learning_rate=RATE)
    for node in NODES:
        gradient = answer["weights_gradient"][node]
        assert answer["updated_weights"][node] == exact([WEIGHTS[node][k] - RATE * gradient[k] for k in NODES])


def test_a_step_of_gradient_descent_lowers_the_loss(http: httpx.Client) -> None:
    before = ask(http, "gradient", inputs=OUTPUTS_BEFORE, weights=WEIGHTS, targets=0, learning_rate=RATE)
    after = ask(http, "loss", inputs=OUTPUTS_BEFORE, weights=before["updated_weights"], targets=0)
    assert after["loss"] < before["loss"]


def test_scores_2_3_and_4_have_the_digits_that_are_printed(http: httpx.Client) -> None:
    answer = ask(http, "softmax", logits=[2, 3, 4])
    assert [round(probability, 4) for probability in answer["probabilities"]] == [0.0900, 0.2447, 0.6652]


def test_scores_2_3_4_have_the_printed_gradient(http: httpx.Client) -> None:
    gradient = ask(http, "gradient", logits=[2, 3, 4], targets=1)["logits_gradient"]
    assert [round(derivative, 4) for derivative in gradient] == [0.0900, -0.7553, 0.6652]
