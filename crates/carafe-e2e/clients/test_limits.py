"""Requests at the ends of what may be asked for: every parameter at both ends of its range, all together."""

import itertools

#: Both ends, or as near to them as the range lets one go.
ENDS = {
    "temperature": (0, 1e-30, 2),
    "top_p": (1e-38, 1),
    "min_p": (0, 0.9999),
    "repetition_penalty": (1e-38, 3e38),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "logit_bias": ({"0": -100, "263": 100, "8191": -100}, {"0": 100, "263": -100, "8191": 100}),
}
#: Two tokens of prompt and three of output, all scored, the first of them after nothing.
REQUEST = {"prompt": "The king", "max_tokens": 3, "echo": True, "logprobs": 20, "seed": 2**63 - 1}
OUTPUT = {"min_tokens": 3, "ignore_eos": True}


def test_no_parameter_at_an_end_of_its_range_makes_a_request_fail(client):
    combinations = [dict(zip(ENDS, values, strict=True)) for values in itertools.product(*ENDS.values())]
    assert len(combinations) == 192
    for combination in combinations:
        completion = client.completions.create(model="tales", **REQUEST, extra_body=OUTPUT | combination)
        choice = completion.choices[0]
        logprobs = choice.logprobs
        assert len(logprobs.tokens) == 5, combination
        tops = [value for top in logprobs.top_logprobs[1:] for value in top.values()]
        numbers = logprobs.token_logprobs[1:] + tops
        assert all(isinstance(number, float | int) and -9999 <= number <= 0 for number in numbers), combination
        assert max(logprobs.text_offset) <= len(choice.text), combination
