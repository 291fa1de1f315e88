from __future__ import annotations

import base64
import gzip
import json
import socket
import time
from dataclasses import replace

import pytest

from analysis.critic.endpoint_client import MOST_TOKENS, EndpointClient, checked, on_this_machine
from analysis.critic.endpoint_replies import KEY, NoReply, Refused
from data.errors import ImpossibleRequest
from tests.analysis.critic.scripted_endpoint import HASTE, IMPATIENCE, Scripted, ScriptedEndpoint, failing, saying

SECRET = "sk-very-secret-0123456789"
PICTURE = b"\x89PNG not looked at"
MODELS = {"data": [{"id": "tiny"}]}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)


def _client(endpoint: ScriptedEndpoint, model: str = "tiny", **patience) -> EndpointClient:
    return EndpointClient(endpoint.base, model, patience=replace(HASTE, **patience))


def _failure(endpoint: ScriptedEndpoint, **given) -> ImpossibleRequest:
    with pytest.raises(ImpossibleRequest) as failure:
        _client(endpoint, **given).complete("which?", PICTURE)
    said = str(failure.value)
    assert "\n" not in said and said.endswith(".") and len(said) < 500, "one clear sentence"
    return failure.value


def test_complete__sends_this_and_nothing_else():
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
        client = EndpointClient(endpoint.base, "tiny", 0.5)
        assert client.complete("which?", PICTURE) == "fine"
    [seen] = endpoint.seen
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    parts = [{"type": "text", "text": "which?"}, {"type": "image_url", "image_url": {"url": url}}]
    message = {"role": "user", "content": parts}
    assert seen.body == {"model": "tiny", "messages": [message], "temperature": 0.5, "max_tokens": MOST_TOKENS}
    headers = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type"}
    assert set(seen.headers) == headers


def test_complete__429_waits_as_long_as_told():
    def script(n, seen):
        return failing(429, "slow down", **{"Retry-After": "1"}) if n == 0 else saying("fine")

    with ScriptedEndpoint(script) as endpoint:
        assert _client(endpoint, longest_pause=2.0).complete("which?", PICTURE) == "fine"
    first, second = endpoint.seen
    assert 1 <= second.at - first.at < 3


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT", "soon", "-5", "1e400"])
def test_complete__no_server_makes_it_wait_for_long(asked):
    with ScriptedEndpoint(lambda n, seen: failing(429, "slow down", **{"Retry-After": asked})) as endpoint:
        began = time.monotonic()
        assert "takes no more questions for now (429: slow down)" in str(_failure(endpoint))
    assert time.monotonic() - began < 5 and len(endpoint.seen) == HASTE.tries


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_complete__server_error_passes(status):
    with ScriptedEndpoint(lambda n, seen: failing(status) if n < 2 else saying("fine")) as endpoint:
        assert _client(endpoint).complete("which?", PICTURE) == "fine"
    assert len(endpoint.seen) == 3


def test_complete__server_error_stays():
    with ScriptedEndpoint(lambda n, seen: failing(500, "out of memory")) as endpoint:
        failure = _failure(endpoint)
    assert str(failure) == f"{endpoint.base} could not answer (500: out of memory)." and not failure.again
    assert len(endpoint.seen) == HASTE.tries


@pytest.mark.parametrize("script", [saying("x", wait=5.0), saying("x" * 100, drip=0.05)], ids=["silent", "dripping"])
def test_complete__slow_reply_ends_in_time(script):
    with ScriptedEndpoint(lambda n, seen: script) as endpoint:
        failure = _failure(endpoint, read=IMPATIENCE.read, total=IMPATIENCE.total)
        taken = time.monotonic() - endpoint.seen[0].at
    assert "did not answer in time" in str(failure) and failure.again
    assert len(endpoint.seen) == 1 and taken < 3, "the judge decides whether to ask again"


def test_complete__huge_reply_is_not_read_to_its_end():
    huge = Scripted(bytes(64 << 20))
    with ScriptedEndpoint(lambda n, seen: huge) as endpoint:
        failure = _failure(endpoint)
    assert "sent more than 1,048,576 bytes" in str(failure) and failure.again


def test_complete__packed_reply_is_not_unpacked():
    packed = Scripted(gzip.compress(saying("fine").body), headers={"Content-Encoding": "gzip"})
    with ScriptedEndpoint(lambda n, seen: packed) as endpoint:
        assert "not JSON" in str(_failure(endpoint))


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_complete__cut_connection_is_tried_again(cut):
    with ScriptedEndpoint(lambda n, seen: saying("fine", cut=cut if n < 1 else 0)) as endpoint:
        assert _client(endpoint).complete("which?", PICTURE) == "fine"
    with ScriptedEndpoint(lambda n, seen: saying("fine", cut=cut)) as endpoint:
        assert "broke the connection off" in str(_failure(endpoint))
    assert len(endpoint.seen) == HASTE.tries


def test_complete__nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(NoReply, match="cannot be reached; check the address") as failure:
            EndpointClient(base, "tiny", patience=HASTE).complete("which?", PICTURE)
    assert str(failure.value).startswith(base)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (failing(401), "wants a key (401); set STILLROOM_CRITIC_KEY"),
        (failing(403), "wants a key (403)"),
        (failing(404, "The model `tiny` does not exist."), "serves no model 'tiny' (it says: The model `tiny` does not"),
        (Scripted(b'{"detail": "Not Found"}', 404), "has nothing at /chat/completions (404); give the address of its API"),
        (Scripted(b"<html>hello", 200, content_type="text/html"), "answers with a web page"),
        (Scripted(b"<!DOCTYPE html>", 404), "answers with a web page"),
        (Scripted(b"", 302, {"Location": "http://elsewhere.invalid/"}), "which is not followed"),
        (Scripted(b"", 307, {"Location": "/v2"}), "which is not followed"),
        (failing(400, "this model takes no images"), "could not answer (400: this model takes no images)"),
        (Scripted(b'{"detail": [{"msg": "x"}]}', 422), "could not answer (422)"),
        (Scripted(b'{"error": "plain words"}', 400), "could not answer (400: plain words)"),
        (failing(413, "a\n\x1b[2J" + "b" * 10_000), "could not answer (413: a [2Jbbb"),
    ],
)
def test_complete__what_will_not_pass_is_said_at_once(reply, sentence):
    with ScriptedEndpoint(lambda n, seen: reply) as endpoint:
        failure = _failure(endpoint)
    assert sentence in str(failure) and not failure.again
    assert len(endpoint.seen) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'data: {"choices": []}'])
def test_complete__reply_that_is_no_json(body):
    with ScriptedEndpoint(lambda n, seen: Scripted(body)) as endpoint:
        failure = _failure(endpoint)
    assert "not JSON" in str(failure) and failure.again


@pytest.mark.parametrize(
    "reply", [[], {}, {"choices": []}, {"choices": {}}, {"choices": [None]}, {"choices": [{"message": "A"}]}]
)
def test_complete__reply_without_an_answer(reply):
    with ScriptedEndpoint(lambda n, seen: Scripted(json.dumps(reply).encode())) as endpoint:
        failure = _failure(endpoint)
    assert "without an answer" in str(failure) and failure.again and not isinstance(failure, Refused)


def test_complete__error_in_a_reply_that_claims_success():
    with ScriptedEndpoint(lambda n, seen: failing(200, "no capacity")) as endpoint:
        assert str(_failure(endpoint)).endswith("without an answer in it: no capacity.")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"message": {"content": None, "refusal": "I will not."}}, "the model refused: I will not."),
        ({"message": {"content": ""}, "finish_reason": "content_filter"}, "a content filter stopped"),
        ({"message": {"content": None}}, "said nothing"),
        ({"message": {"content": [{"text": "A"}]}}, "said nothing"),
        ({"message": {}}, "said nothing"),
    ],
)
def test_complete__model_that_refuses(choice, sentence):
    with ScriptedEndpoint(lambda n, seen: Scripted(json.dumps({"choices": [choice]}).encode())) as endpoint:
        failure = _failure(endpoint)
    assert sentence in str(failure) and failure.again and isinstance(failure, Refused)


def test_key__only_in_the_authorization_header(monkeypatch):
    monkeypatch.setenv(KEY, f" {SECRET}\n")
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
        client = _client(endpoint)
        client.complete("which?", PICTURE)
    [seen] = endpoint.seen
    assert seen.headers.pop("Authorization") == f"Bearer {SECRET}"
    held = (seen.headers, seen.body, seen.path, client, vars(client), vars(client._session), client.body("which?", b""))
    assert SECRET not in repr(held)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_key__not_in_what_a_server_says_back(status, monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    said = json.dumps({"error": {"message": f"the model says: key {SECRET} is wrong"}, "refusal": SECRET}).encode()
    with ScriptedEndpoint(lambda n, seen: Scripted(said, status)) as endpoint:
        assert SECRET not in str(_failure(endpoint))
    with ScriptedEndpoint(lambda n, seen: saying(seen.headers["Authorization"])) as endpoint:
        assert SECRET not in _client(endpoint).complete("which?", PICTURE)


@pytest.mark.parametrize("spelled", [r"sk-a\/b+c=01", r"sk-a\u002fb\u002Bc=01"])
def test_key__not_in_what_a_server_says_back_escaped(spelled, monkeypatch):
    monkeypatch.setenv(KEY, "sk-a/b+c=01")
    said = f'{{"error": {{"message": "key {spelled} is wrong"}}}}'.encode()
    with ScriptedEndpoint(lambda n, seen: Scripted(said, 400)) as endpoint:
        assert str(_failure(endpoint)) == f"{endpoint.base} could not answer (400: key ••• is wrong)."


@pytest.mark.parametrize("key", ["1", "a", "none"])
def test_key__one_that_hides_nothing_breaks_no_answer(key, monkeypatch):
    monkeypatch.setenv(KEY, key)
    with ScriptedEndpoint(lambda n, seen: saying('{"answer": "none", "created": 1}')) as endpoint:
        assert _client(endpoint).complete("which?", PICTURE) == '{"answer": "none", "created": 1}'


@pytest.mark.parametrize("model", ["tiny\ud800", "a\nb", "a" * 1_000])
def test_serves__what_is_no_name_is_not_asked(model):
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
        assert str(_failure(endpoint, model=model)).startswith("no model is called")
    assert endpoint.seen == []


def test_key__refused_key_is_named_without_its_value(monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    with ScriptedEndpoint(lambda n, seen: failing(401)) as endpoint:
        said = str(_failure(endpoint))
    assert "refuses the key (401)" in said and KEY in said and SECRET not in said


@pytest.mark.parametrize("key", ["two words", "line\nend", "ключ", "\x7f"])
def test_key__impossible_value_is_not_shown(key, monkeypatch):
    monkeypatch.setenv(KEY, key)
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
        assert str(_failure(endpoint)) == f"{KEY} holds characters that no key has; set it again."
    assert endpoint.seen == []


def test_session__sends_no_cookie_back():
    with ScriptedEndpoint(lambda n, seen: saying("fine", headers={"Set-Cookie": "id=1"})) as endpoint:
        client = _client(endpoint)
        for _ in range(2):
            client.complete("which?", PICTURE)
    assert not any("Cookie" in seen.headers for seen in endpoint.seen)


def test_session__proxy_of_the_environment_but_not_to_this_machine(monkeypatch):
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        EndpointClient("http://models.invalid/v1", "tiny", patience=HASTE).complete("which?", PICTURE)
        with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
            _client(endpoint).complete("which?", PICTURE)
    assert [seen.path for seen in proxy.seen] == ["http://models.invalid/v1/chat/completions"]
    assert [seen.path for seen in endpoint.seen] == ["/v1/chat/completions"]


def test_session__password_of_a_netrc_file_stays_there(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine models.invalid login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        EndpointClient("http://models.invalid/v1", "tiny", patience=HASTE).complete("which?", PICTURE)
    assert "Authorization" not in proxy.seen[0].headers


def test_serves__only_model_is_taken():
    def script(n, seen):
        return Scripted(json.dumps(MODELS).encode()) if seen.method == "GET" else saying("fine")

    with ScriptedEndpoint(script) as endpoint:
        client = _client(endpoint, model="")
        assert client.complete("which?", PICTURE) == "fine" and client.serves == "tiny"
    assert [(seen.method, seen.path) for seen in endpoint.seen] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
    ]
    assert endpoint.seen[1].body["model"] == "tiny" and endpoint.seen[0].body is None


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ({"data": [{"id": name} for name in "abcdefg"]}, "serves several models; choose one of a, b, c, d, e and 2 more."),
        ({"data": [{"id": "x\n" * 500}, {"id": "b"}]}, "serves several models; choose one of x x x"),
        ({"data": [{"id": "a" * 100_000}]}, "no model is called 'aaa"),
        ({"data": [{"id": "a\ud800"}]}, "no model is called 'a'"),
        ({"data": []}, "names no model"),
        ({"data": [{"id": 3}, None, "a"]}, "names no model"),
        ([], "names no model"),
        ({"data": {"id": "a"}}, "names no model"),
    ],
)
def test_serves__otherwise_a_sentence_names_them(listed, sentence):
    with ScriptedEndpoint(lambda n, seen: Scripted(json.dumps(listed).encode())) as endpoint:
        assert sentence in str(_failure(endpoint, model=""))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" http://localhost:8000/v1/ ", "http://localhost:8000/v1"),
        ("https://models.example/v1/chat/completions", "https://models.example/v1"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1"),
        ("HTTP://Models.Example", "http://Models.Example"),
    ],
)
def test_checked__plain_addresses(given, kept):
    assert checked(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "localhost:8000/v1",
        "ftp://a/v1",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://a b/v1",
        "http://a\x00/v1",
        "http://a:99999/v1",
        "http://[::1/v1",
        "javascript:alert(1)",
        "http://a/v1\nX: y",
        "http://127.0.0.1\\.models.example/v1",
        f"http://a/{'v' * 2_000}",
    ],
)
def test_checked__what_is_no_address(given):
    with pytest.raises(ImpossibleRequest, match="such as http://localhost:8000/v1"):
        checked(given)


@pytest.mark.parametrize(
    "given", ["https://user:hunter2@a/v1", "https://hunter2@a/v1", "https://a/v1?key=hunter2", "https://a/v1#hunter2"]
)
def test_checked__credentials_are_refused_and_not_repeated(given):
    with pytest.raises(ImpossibleRequest, match=KEY) as failure:
        checked(given)
    assert "hunter2" not in str(failure.value)


def test_on_this_machine__loopback_only():
    near = (
        "http://localhost:1/v1",
        "http://127.0.0.1/v1",
        "http://127.9.9.9/v1",
        "https://[::1]/v1",
        "http://LOCALHOST./v1",
    )
    far = ("http://10.0.0.1/v1", "https://localhost.example/v1", "http://127.0.0.1.example/v1")
    assert all(map(on_this_machine, near)) and not any(map(on_this_machine, far))
