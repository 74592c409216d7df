import pytest

from carafe_bench.timing import RequestTimes, figures, window_rate


def request(*tokens, sent=0.0, prompt=10):
    return RequestTimes(prompt, sent, list(tokens))


def test_one_request_counts_from_its_first_token():
    found = figures([request(0.5, 0.6, 0.7)])
    assert found["decode_tokens_per_second"] == pytest.approx(10)
    assert found["prompt_tokens_per_second"] == pytest.approx(20)
    assert found["ttft_p50_ms"] == pytest.approx(500)
    assert found["tokens_per_second"] == pytest.approx(3 / 0.7)


def test_several_requests_count_while_all_are_generating():
    assert window_rate([request(0.1, 0.3, 0.5, 0.7), request(0.3, 0.5, 0.7, 0.9)]) == pytest.approx(10)


def test_requests_one_after_the_other_count_as_a_whole():
    requests = [request(0.1, 0.2), request(0.3, 0.4)]
    assert window_rate(requests) is None
    assert figures(requests)["decode_tokens_per_second"] == pytest.approx(10)


def test_a_request_that_was_sent_later_waits_from_then():
    assert figures([request(0.5, sent=0.4)])["ttft_p50_ms"] == pytest.approx(100)
