import pytest

from carafe_bench.tenants import figures, jain_index


def request(sent, *tokens):
    return {"prompt_tokens": 64, "sent": sent, "tokens": list(tokens)}


def tenant(*requests, refused=0):
    return {"concurrent": 1, "refused": refused, "requests": list(requests)}


def answer(*tenants):
    return {"tenants": list(tenants), "generator_processor_seconds": 1.0, "wall_seconds": 10.0}


def test_jains_index_is_one_if_all_have_the_same_and_a_share_of_all_if_one_has_everything():
    assert jain_index([7, 7, 7, 7]) == 1
    assert jain_index([5, 0, 0, 0]) == 0.25
    # (1 + 2 + 3)² / (3 · (1 + 4 + 9))
    assert jain_index([1, 2, 3]) == pytest.approx(36 / 42)


def test_nothing_has_no_index():
    with pytest.raises(ValueError, match="nobody got anything"):
        jain_index([0, 0])


def test_only_tokens_that_come_while_all_are_at_work_count():
    # of 8 seconds the first 2 are left out, and so is what comes after the 8th
    modest = [tenant(request(3, 4, 5)), tenant(request(1, 2, 2.5), request(6, 7, 8)), tenant(request(7, 8, 9))]
    found = figures(answer(*modest, tenant(request(0, 1, 2, 3, 4, 5, 6))), ["modest_1", "modest_2", "modest_3", "flooding"], 8)
    assert [found[f"modest_{number}_tokens_per_second"] * 6 for number in (1, 2, 3)] == [2, 3, 1]
    assert found["flooding_tokens_per_second"] * 6 == 4
    assert found["jain_index"] == pytest.approx(jain_index([2, 3, 1, 4]))


def test_only_modest_tenants_waits_count_and_refusals_of_all():
    # of the requests, one waits from before the part that counts until after its beginning, and one until after its end
    modest = [tenant(request(3, 4), refused=1), tenant(request(0, 1, 3), request(1, 7)), tenant(request(7, 9), request(9, 20))]
    found = figures(answer(*modest, tenant(request(3, 8), refused=2)), ["modest_1", "modest_2", "modest_3", "flooding"], 8)
    assert found["modest_ttft_p50_ms"] == pytest.approx(2000)
    assert found["modest_ttft_p99_ms"] == pytest.approx(5920)
    assert found["refused"] == 3
    assert found["generator_share"] == pytest.approx(0.1)


def test_who_waits_for_nothing_has_no_time_to_the_first_token():
    tenants = [tenant(request(0, 1, 3))] * 4
    found = figures(answer(*tenants), ["modest_1", "modest_2", "modest_3", "flooding"], 8)
    assert "modest_ttft_p50_ms" not in found
    assert found["jain_index"] == 1
