"""`carafe models pull` against hubs, mirrors and networks that misbehave: it ends, says what was wrong, and keeps nothing wrong.

Every play either lets the file come whole in spite of it or is refused in words. What lasts (a hub that is silent, one that sends
a byte now and then) lasts for good, and `HF_HUB_DOWNLOAD_TIMEOUT` bounds how long it is waited for; no play depends on how fast
this machine is.
"""

import gzip
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hub import Hub, Play, Request, git_hash
from pulling import CONVERTS_NOTHING, ENDS_WITHIN, Puller

pytest_plugins = ["pulling"]

QUICK = {**CONVERTS_NOTHING, "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
WEIGHTS = "model.safetensors"
FILES = {"config.json", WEIGHTS, "tokenizer.json"}


def always(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Play:
    """Answer every request in this way."""

    def play(request: Request) -> bool:
        request.finish_with(status, headers, body)
        return True

    return play


def first(count: int, play: Play) -> Play:
    """Play for this many requests, then leave them alone."""
    left = iter(range(count))
    return lambda request: next(left, None) is not None and play(request)


def for_weights(answer: Callable[[Request], object]) -> Play:
    """Answer requests for the weights' contents in this way, and leave the question for their first byte alone."""

    def play(request: Request) -> bool:
        concerned = request.path.startswith("/store/") and not request.is_probe
        if concerned:
            answer(request)
        return concerned

    return play


def for_weights_after_the_first(play: Play) -> Play:
    """Play once, at the second request for the weights' contents."""
    numbers = itertools.count()
    return lambda request: for_weights(lambda _: None)(request) and next(numbers) == 1 and play(request)


over = threading.Event()  # at the end of each test


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """End with the test what would go on for good."""
    over.clear()
    yield
    over.set()


@contextmanager
def silent() -> Iterator[str]:
    """Listen, and take connections, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def assert_whole(hub: Hub, files: dict[str, bytes]) -> None:
    assert set(files) == FILES
    assert all(contents == hub.files[name] for name, contents in files.items())


# ---- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_without_a_location_is_refused(status: int, hub: Hub, puller: Puller) -> None:
    hub.play = always(status)
    expected = f"answered {status}, a redirect, without the `Location` that says where to"
    assert expected in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 1


@pytest.mark.parametrize("status", [204, 300, 304, 305, 402, 410, 418])
def test_an_answer_that_brings_no_file_is_refused_by_its_number(status: int, hub: Hub, puller: Puller) -> None:
    hub.play = always(status, {"Location": "/elsewhere", **hub.names("config.json")})
    assert f"the hub answered {status} when asked for `config.json`" in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 1


@pytest.mark.parametrize("location", ["{path}", "config.json", "./config.json", "{url}{path}", "?again"])
def test_a_redirect_to_itself_ends(location: str, hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        place = location.format(url=hub.url, path=request.path)
        request.finish_with(307, {"Location": place, **hub.names("config.json")})
        return True

    hub.play = play
    assert "redirects more than 10 times" in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 11


@pytest.mark.parametrize("location", ["/store/{file}", "../../../../store/{file}", "{url}/store/{file}", "//{host}/store/{file}"])
def test_a_redirect_is_followed_in_every_form(location: str, hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        if request.path.startswith("/store/") or request.file not in hub.files:
            return False
        place = location.format(url=hub.url, host=hub.url.removeprefix("http://"), file=request.file)
        headers = {"Location": place, "X-Repo-Commit": hub.commit}
        request.finish_with(307, headers)
        return True

    hub.play = play
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("", "without the `Location`"),
        ("ftp://127.0.0.1/config.json", "which is neither `http` nor `https`"),
        ("http://user:secret@127.0.0.1/", "which holds a user's name"),
        ("/a path with spaces", "which is no address"),
        ("http://", "which is no address"),
    ],
)
def test_a_redirect_to_where_no_file_is_fetched_from_is_refused(location: str, sentence: str, hub: Hub, puller: Puller) -> None:
    hub.play = always(302, {"Location": location})
    assert sentence in puller.refuse(hub.repository, **QUICK)


def test_the_token_is_for_the_hub_and_for_no_other_host(hub: Hub, puller: Puller, repository: Path) -> None:
    def play(request: Request) -> bool:
        is_weights = request.file == WEIGHTS
        if is_weights:
            hub.redirect(request, f"{store.url}/store/{WEIGHTS}")
        return is_weights

    store, hub.token, hub.play = Hub(repository), "hf_secret", play
    try:
        assert_whole(hub, puller.fetch(hub.repository, HF_TOKEN="hf_secret", **QUICK))
        assert set(hub.tokens) == {"Bearer hf_secret"}
        assert set(store.tokens) == {None}
    finally:
        store.close()


# ---- ranges


def without_range(request: Request) -> bool:
    """Make the hub a mirror that answers every request with the whole file."""
    del request.headers["Range"]
    return False


def test_a_mirror_that_ignores_ranges_works(hub: Hub, puller: Puller) -> None:
    hub.play = without_range
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


def test_a_mirror_that_ignores_ranges_is_not_appended_to_what_came_before(hub: Hub, puller: Puller) -> None:
    hub.cuts = [100_000, 50_000]
    hub.play = for_weights(lambda request: without_range(request) or hub.send(request))
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))
    assert len(hub.ranges) == 3


def test_a_range_that_is_not_the_one_asked_for_makes_the_file_start_anew(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        if request.headers["Range"] not in (None, "bytes=0-0"):
            request.headers.replace_header("Range", "bytes=7-")
        return False

    hub.cuts, hub.play = [100_000], play
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


IMPOSSIBLE = ["bytes 5-1/0", "bytes 0-0/0", "bytes 9-20/10", "bytes 3-3/10", "bytes 0-0", "0-0/10", "bytes */10"]


@pytest.mark.parametrize("content_range", IMPOSSIBLE)
def test_a_first_byte_from_a_range_that_cannot_be_is_refused(content_range: str, hub: Hub, puller: Puller) -> None:
    hub.play = always(206, {**hub.names("config.json"), "Content-Range": content_range}, b"{")
    assert "was answered with another range than the first byte" in puller.refuse(hub.repository, **QUICK)
    assert not list(puller.cache.rglob("*.json"))


@pytest.mark.parametrize(
    "content_range", ["bytes 5-1/0", "bytes 100000-99999/{size}", "bytes 100000-{size}/{size}", "bytes 100000-100001/9"]
)
def test_a_part_from_a_range_that_cannot_be_makes_the_file_start_anew(content_range: str, hub: Hub, puller: Puller) -> None:
    headers = {"Content-Range": content_range.format(size=len(hub.files[WEIGHTS]))}
    hub.cuts = [100_000]
    hub.play = for_weights_after_the_first(always(206, headers, b"xx"))
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))
    assert [asked for _, asked in hub.ranges] == [None, None]


@pytest.mark.parametrize("kept", [b"more than there is" * 100_000, b"x" * 1000])
def test_a_part_that_does_not_fit_the_file_is_no_part_of_it(kept: bytes, hub: Hub, puller: Puller) -> None:
    blobs = puller.cache / "models--test--tiny/blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{hub.claimed_hash(hub.files[WEIGHTS])}.part"
    part.write_bytes(kept)
    if len(kept) < len(hub.files[WEIGHTS]):
        assert "It was thrown away" in puller.refuse(hub.repository, **QUICK)
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))
    assert not part.exists()


def test_a_part_that_lacks_nothing_is_not_asked_for_again(hub: Hub, puller: Puller) -> None:
    blobs = puller.cache / "models--test--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hub.claimed_hash(hub.files[WEIGHTS])}.part").write_bytes(hub.files[WEIGHTS])
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))
    assert hub.ranges == []


# ---- lengths and contents


def test_a_file_that_always_breaks_off_is_given_up_and_kept(hub: Hub, puller: Puller) -> None:
    hub.cuts = [1000] + [0] * 100
    sentence = puller.refuse(hub.repository, **QUICK)
    assert f"failed to fetch `{WEIGHTS}`" in sentence
    assert "what came is kept" in sentence
    assert len(hub.ranges) == 5


def test_a_file_of_which_nothing_came_is_not_said_to_be_kept(hub: Hub, puller: Puller) -> None:
    hub.cuts = [0] * 100
    sentence = puller.refuse(hub.repository, **QUICK)
    assert f"failed to fetch `{WEIGHTS}`" in sentence
    assert "is kept" not in sentence


def test_a_file_that_is_longer_than_announced_is_refused(hub: Hub, puller: Puller) -> None:
    body = hub.files[WEIGHTS] + b"and more"
    hub.play = for_weights(lambda request: request.finish_with(200, {"Content-Length": ""}, body))
    assert f"goes on after {len(hub.files[WEIGHTS])} bytes" in puller.refuse(hub.repository, **QUICK)


def test_a_length_that_changes_between_two_answers_is_refused(hub: Hub, puller: Puller) -> None:
    hub.play = for_weights(lambda request: request.finish_with(200, {}, b"short"))
    sentence = puller.refuse(hub.repository, **QUICK)
    assert "came with another length than the hub had announced" in sentence
    assert "is kept" not in sentence


def test_a_file_of_a_length_that_is_not_announced_is_taken(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        is_small = request.file == "config.json"
        if is_small:
            request.finish_with(200, {**hub.names(request.file), "Content-Length": ""}, hub.files[request.file])
        return is_small

    hub.play = play
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


def test_contents_with_another_hash_are_thrown_away(hub: Hub, puller: Puller) -> None:
    hub.play = for_weights(lambda request: request.finish_with(200, {}, bytes(len(hub.files[WEIGHTS]))))
    assert "It was thrown away; run the same command again" in puller.refuse(hub.repository, **QUICK)
    hub.play = lambda _: False
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


def with_two_ids_exchanged(tokenizer: bytes) -> bytes:
    """Return a tokenizer of the same length, in which two tokens have each other's id."""
    return tokenizer.replace(b'"a":65', b'"a":?').replace(b'"b":66', b'"b":65').replace(b'"a":?', b'"a":66')


def test_a_small_file_with_another_git_hash_is_thrown_away(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        is_tokenizer = request.file == "tokenizer.json" and not request.is_probe
        if is_tokenizer:
            request.finish_with(200, hub.names(request.file), poisoned)
        return is_tokenizer

    contents = hub.files["tokenizer.json"]
    poisoned, hub.play = with_two_ids_exchanged(contents), play
    assert len(poisoned) == len(contents)
    assert poisoned != contents
    sentence = puller.refuse(hub.repository, **QUICK)
    assert f"has the git hash {git_hash(poisoned)}; {git_hash(contents)} was expected. It was thrown away" in sentence
    assert not (puller.cache / "models--test--tiny/blobs" / git_hash(contents)).exists()
    hub.play = lambda _: False
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


@pytest.mark.parametrize("file", sorted(FILES))
def test_what_was_kept_and_is_not_what_its_name_says_is_fetched_again(file: str, hub: Hub, puller: Puller) -> None:
    puller.fetch(hub.repository, **QUICK)
    contents = hub.files[file]
    kept = puller.cache / "models--test--tiny/snapshots" / hub.commit / file
    kept.resolve().write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    result = puller.run(hub.repository, **QUICK)
    assert f"the `{file}` of `{hub.repository}` (revision `main`) that was fetched before has the " in result.stderr
    assert kept.read_bytes() == contents


def test_what_was_kept_and_is_not_what_its_name_says_is_not_used_without_a_hub(hub: Hub, puller: Puller) -> None:
    puller.fetch(hub.repository, **QUICK)
    kept = puller.cache / "models--test--tiny/snapshots" / hub.commit / "tokenizer.json"
    kept.resolve().write_bytes(with_two_ids_exchanged(hub.files["tokenizer.json"]))
    hub.close()
    sentence = puller.refuse(hub.repository, **QUICK)
    assert (
        "the `tokenizer.json` of `test/tiny` (revision `main`) was not fetched before, and the hub cannot be reached" in sentence
    )
    assert not kept.exists()


@pytest.mark.parametrize("names", [True, False])
def test_a_web_page_is_no_file(names: bool, hub: Hub, puller: Puller) -> None:
    headers = {"Content-Type": "text/html; charset=utf-8", **(hub.names("config.json") if names else {})}
    hub.play = always(200, headers, b"<html>Please log in</html>")
    assert "answered with a web page instead of the file" in puller.refuse(hub.repository, **QUICK)
    assert not list(puller.cache.rglob("*.json"))


def test_contents_that_were_compressed_on_the_way_are_refused(hub: Hub, puller: Puller) -> None:
    hub.play = always(200, {"Content-Encoding": "gzip", **hub.names("config.json")}, gzip.compress(hub.files["config.json"]))
    assert 'in the encoding "gzip"' in puller.refuse(hub.repository, **QUICK)


def test_a_hub_that_names_no_commit_is_refused(hub: Hub, puller: Puller) -> None:
    hub.play = always(200, {"ETag": '"abc"'}, b"{}")
    assert "in a way that no hub does" in puller.refuse(hub.repository, **QUICK)


def test_a_list_of_very_many_shards_is_refused(hub: Hub, puller: Puller) -> None:
    del hub.files[WEIGHTS]
    places = {f"h.{number}": f"shard-{number}.safetensors" for number in range(20_000)}
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": places}).encode()
    assert "names 20000 files; at most 1000 were expected" in puller.refuse(hub.repository, **QUICK)


def test_a_text_file_of_very_many_bytes_is_refused_before_it_is_fetched(hub: Hub, puller: Puller) -> None:
    headers = {**hub.names("config.json"), "Content-Range": f"bytes 0-0/{1 << 40}"}
    hub.play = always(206, headers, b"{")
    assert "at most 67108864 are fetched" in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 1


# ---- the list of files


BAD_LISTS = [
    b"",
    b"[]",
    b"null",
    b'{"siblings": []}',
    b'{"sha": 7}',
    b'{"sha": "a", "siblings": [{}]}',
    b'{"sha": "a", "siblings": 1}',
    b'{"sha": "../..", "siblings": []}',
    b"\xff",
    b"[" * 100_000,
]


@pytest.mark.parametrize("listing", BAD_LISTS)
def test_a_list_that_no_hub_gives_is_refused(listing: bytes, hub: Hub, puller: Puller) -> None:
    hub.list_play = always(200, {"Content-Type": "application/json"}, listing)
    assert "in a way that no hub does" in puller.refuse(hub.repository, **QUICK)
    assert hub.requests == []


def test_a_list_of_very_many_files_or_bytes_is_refused(hub: Hub, puller: Puller) -> None:
    files = [{"rfilename": f"{number}"} for number in range(100_001)]
    hub.list_play = always(200, {}, json.dumps({"sha": hub.commit, "siblings": files}).encode())
    assert "names 100001 files, where at most 100000 were expected" in puller.refuse(hub.repository, **QUICK)
    hub.list_play = always(200, {}, b" " * ((16 << 20) + 1))
    assert "the list of files of `test/tiny` (revision `main`) cannot be fetched: it goes on after" in puller.refuse(
        hub.repository, **QUICK
    )


@pytest.mark.parametrize("name", ["../../model.safetensors", "/model.safetensors", ".model.safetensors", "model.safetensors\n"])
def test_a_listed_name_that_is_not_plain_is_no_file(name: str, hub: Hub, puller: Puller) -> None:
    files = [{"rfilename": name}, {"rfilename": "config.json"}, {"rfilename": "tokenizer.json"}]
    hub.list_play = always(200, {}, json.dumps({"sha": hub.commit, "siblings": files}).encode())
    sentence = puller.refuse(hub.repository, **QUICK)
    assert "or a .gguf was expected; there is `config.json`, `tokenizer.json`;" in sentence
    assert hub.requests == []


def test_a_file_of_another_commit_than_the_list_is_refused(hub: Hub, puller: Puller) -> None:
    headers = {**hub.names("config.json"), "X-Repo-Commit": "0" * 40, "Content-Range": "bytes 0-0/9"}
    hub.play = always(206, headers, b"{")
    assert f"is answered of the commit {'0' * 40}; {hub.commit} was asked for" in puller.refuse(hub.repository, **QUICK)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500])
def test_a_hub_that_gives_no_list_is_refused_in_words(status: int, hub: Hub, puller: Puller) -> None:
    hub.list_play = always(status)
    sentence = puller.refuse(hub.repository, **QUICK)
    assert re.search("may not be read|has no repository|asks to wait|answered [0-9]+ when asked for the list of files", sentence)
    assert hub.requests == []


def test_the_token_for_the_list_goes_to_no_other_host(hub: Hub, puller: Puller, repository: Path) -> None:
    other = Hub(repository)
    try:
        hub.list_play = always(307, {"Location": f"{other.url}/api/models/test/tiny/revision/main"})
        hub.token = "hf_secret"
        assert_whole(hub, puller.fetch(hub.repository, HF_TOKEN="hf_secret", **QUICK))
        assert other.tokens == [None]
    finally:
        other.close()


# ---- time


def test_a_hub_that_says_nothing_is_waited_for_within_bounds(hub: Hub, puller: Puller) -> None:
    with silent() as url:
        sentence = puller.refuse(hub.repository, **QUICK, HF_ENDPOINT=url)
    assert "failed to fetch the list of files" in sentence
    assert "is kept" not in sentence


def dripping(request: Request, start: bytes) -> None:
    """Send some bytes at once, and then one now and then, for as long as they are read."""
    request.wfile.write(start)
    try:
        while not over.wait(0.05):
            request.wfile.write(b"x")
    except OSError:
        return


def test_contents_that_drip_are_given_up(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> None:
        asked = re.match(r"bytes=(\d+)-", request.headers["Range"] or "bytes=0-")
        start, size = int(asked[1]), len(hub.files[WEIGHTS])
        lines = ["HTTP/1.1 206 Partial", f"Content-Length: {size - start}", f"Content-Range: bytes {start}-{size - 1}/{size}"]
        dripping(request, "\r\n".join([*lines, "", ""]).encode())

    hub.play = for_weights(play)
    assert "which is too slow; what came is kept" in puller.refuse(hub.repository, **QUICK)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HT", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Ea"])
def test_headers_that_drip_are_given_up(start: bytes, hub: Hub, puller: Puller) -> None:
    hub.play = lambda request: dripping(request, start) or True
    assert "failed to fetch `config.json`" in puller.refuse(hub.repository, **QUICK)


def test_answers_that_only_announce_others_are_given_up(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        try:
            while not over.wait(0.01):
                request.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        except OSError:
            pass
        return True

    hub.play = play
    assert "failed to fetch `config.json`" in puller.refuse(hub.repository, **QUICK)


def test_an_answer_may_be_announced_by_another(hub: Hub, puller: Puller) -> None:
    def play(request: Request) -> bool:
        request.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        return False

    hub.play = play
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00" * 100_000])
def test_an_answer_that_is_no_http_is_refused(answer: bytes, hub: Hub, puller: Puller) -> None:
    hub.play = lambda request: (request.wfile.write(answer), True)[1]
    assert "failed to fetch `config.json`" in puller.refuse(hub.repository, **QUICK)


# ---- trouble


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_hub_in_trouble_is_asked_again(status: int, hub: Hub, puller: Puller) -> None:
    hub.play = first(2, always(status, {"Retry-After": "0"}))
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))


@pytest.mark.parametrize(("status", "sentence"), [(429, "asks to wait"), (500, "answered 500"), (503, "answered 503")])
def test_a_hub_that_stays_in_trouble_is_given_up(status: int, sentence: str, hub: Hub, puller: Puller) -> None:
    hub.play = always(status)
    assert sentence in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 5


def test_trouble_in_the_middle_of_a_file_is_waited_for_too(hub: Hub, puller: Puller) -> None:
    hub.cuts, hub.play = [100_000], for_weights_after_the_first(always(503, {"Retry-After": "0"}))
    assert_whole(hub, puller.fetch(hub.repository, **QUICK))
    assert [asked for _, asked in hub.ranges] == [None, "bytes=100000-"]


def test_a_hub_that_asks_for_an_hour_is_not_asked_again(hub: Hub, puller: Puller) -> None:
    hub.play = always(429, {"Retry-After": "3600"})
    assert "asks to wait for 3600 s before fetching more" in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_what_may_not_be_read_is_asked_for_once(status: int, hub: Hub, puller: Puller) -> None:
    hub.play = always(status)
    assert "may not be read" in puller.refuse(hub.repository, **QUICK)
    assert len(hub.requests) == 1


def test_two_pulls_of_one_file_do_not_write_into_each_other(hub: Hub, puller: Puller) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def play(request: Request) -> None:
        begun.set()
        go_on.wait(ENDS_WITHIN)
        hub.send(request)

    hub.play = for_weights(play)
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(puller.fetch, hub.repository, HF_HUB_DOWNLOAD_TIMEOUT=str(ENDS_WITHIN))
        assert begun.wait(ENDS_WITHIN)
        assert "is being fetched by another process" in puller.refuse(hub.repository, **QUICK)
        go_on.set()
        assert_whole(hub, fetched.result())


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://127.0.0.1", "http://", "not an address"])
def test_an_endpoint_that_is_no_web_address_is_refused(endpoint: str, puller: Puller) -> None:
    assert f"HF_ENDPOINT is `{endpoint}`" in puller.refuse("test/tiny", **QUICK, HF_ENDPOINT=endpoint)


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e9"])
def test_a_timeout_that_is_none_is_refused(seconds: str, puller: Puller) -> None:
    sentence = puller.refuse("test/tiny", **CONVERTS_NOTHING, HF_HUB_DOWNLOAD_TIMEOUT=seconds)
    assert f"HF_HUB_DOWNLOAD_TIMEOUT is `{seconds}`; 1 to 3600 seconds were expected" in sentence
