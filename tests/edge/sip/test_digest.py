from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip import digest
from earwitness.edge.sip.digest import DigestError, DigestServer, Verdict

REALM = "earwitness"
PASSWORDS = {"anna": "sesame", 'o"hara': 'a"b\\c'}


def _find(username: str, algorithm: str) -> str | None:
    password = PASSWORDS.get(username)
    return digest.ha1(username, REALM, password, algorithm) if password is not None else None


def _server(**options: float) -> DigestServer:
    return DigestServer(REALM, b"k" * 16, **options)  # type: ignore[arg-type]


def _answer(server: DigestServer, username: str, password: str, *, now: float = 100.0, **options: object) -> str:
    challenges = server.challenges(now, b"12345678", algorithms=options.pop("algorithms", digest.ALGORITHMS))  # type: ignore[arg-type]
    value = digest.authorize(challenges, username, password, method="REGISTER", uri="sip:x", cnonce="c1", **options)  # type: ignore[arg-type]
    assert value is not None
    return value


def test_rfc7616_examples() -> None:
    """RFC 7616 §3.9.1."""
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    for algorithm, expected in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        secret = digest.ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
        assert (
            digest.response(
                secret, algorithm, "GET", "/dir/index.html", nonce, nc="00000001", cnonce=cnonce, qop="auth"
            )
            == expected
        )


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
@pytest.mark.parametrize("username", list(PASSWORDS))
def test_client_and_server_agree(username: str, algorithms: tuple[str, ...]) -> None:
    server = _server()
    value = _answer(server, username, PASSWORDS[username], algorithms=algorithms)
    assert f"algorithm={algorithms[0]}" in value
    answer = server.verify([value], "REGISTER", _find, 101.0)
    assert (answer.verdict, answer.username) == (Verdict.GOOD, username)


@pytest.mark.parametrize(("username", "password"), [("anna", "open"), ("nobody", "sesame"), ("anna", "")])
def test_wrong_password_and_unknown_user_are_alike(username: str, password: str) -> None:
    server = _server()
    value = _answer(server, username, password)
    assert server.verify([value], "REGISTER", _find, 101.0).verdict is Verdict.WRONG


def test_an_unknown_user_cannot_use_the_stand_in_hash() -> None:
    server = _server()
    nonce = digest.parse_challenge(server.challenges(100.0, b"12345678")[0]).nonce
    value = digest.response("0" * 32, "MD5", "REGISTER", "sip:x", nonce)
    header = f'Digest username="ghost", realm="{REALM}", nonce="{nonce}", uri="sip:x", response="{value}"'
    assert server.verify([header], "REGISTER", _find, 101.0).verdict is Verdict.WRONG


def test_another_method_is_wrong() -> None:
    server = _server()
    assert server.verify([_answer(server, "anna", "sesame")], "INVITE", _find, 101.0).verdict is Verdict.WRONG


def test_replay_is_stale_and_a_higher_count_is_good() -> None:
    server = _server()
    first, third = (_answer(server, "anna", "sesame", nonce_count=n) for n in (1, 3))
    assert [server.verify([v], "REGISTER", _find, 101.0).verdict for v in (first, first, third, first)] == [
        Verdict.GOOD,
        Verdict.STALE,
        Verdict.GOOD,
        Verdict.STALE,
    ]


def test_without_qop_a_nonce_is_good_once() -> None:
    server = _server()
    plain = [server.challenges(100.0, b"12345678", algorithms=("MD5",))[0].replace(', qop="auth"', "")]
    value = digest.authorize(plain, "anna", "sesame", method="REGISTER", uri="sip:x", cnonce="c")
    assert value is not None
    assert "qop" not in value
    assert [server.verify([value], "REGISTER", _find, 101.0).verdict for _ in "12"] == [Verdict.GOOD, Verdict.STALE]


def test_old_and_foreign_nonces_are_stale() -> None:
    server = _server(lifetime=60.0)
    value = _answer(server, "anna", "sesame")
    assert server.verify([value], "REGISTER", _find, 161.0).verdict is Verdict.STALE
    other = DigestServer(REALM, b"other secret 16b").challenges(100.0, b"12345678")
    foreign = digest.authorize(other, "anna", "sesame", method="REGISTER", uri="sip:x", cnonce="c")
    assert foreign is not None
    assert server.verify([foreign], "REGISTER", _find, 101.0).verdict is Verdict.STALE


def test_a_nonce_is_good_only_for_the_source_that_it_was_given_to() -> None:
    server = _server()
    challenges = server.challenges(100.0, b"12345678", source="203.0.113.9")
    for password in ("sesame", "guess"):
        value = digest.authorize(challenges, "anna", password, method="REGISTER", uri="sip:x", cnonce="c")
        assert value is not None
        elsewhere = server.verify([value], "REGISTER", _find, 101.0, source="203.0.113.10")
        assert elsewhere.verdict is Verdict.STALE
    value = digest.authorize(challenges, "anna", "sesame", method="REGISTER", uri="sip:x", cnonce="c")
    assert value is not None
    assert server.verify([value], "REGISTER", _find, 101.0, source="203.0.113.9").verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("signed", "asked", "verdict"),
    [
        ("sip:+49401234@pbx", "sip:+49401234@192.0.2.1:5060;user=phone", Verdict.GOOD),
        ("sip:%2B49401234;phone-context=x@pbx", "sip:+49401234@192.0.2.1", Verdict.GOOD),
        ("tel:+49401234", "sip:+49401234@192.0.2.1", Verdict.GOOD),
        ("sip:stranger@198.51.100.66", "sip:+1900555@192.0.2.1", Verdict.MISUSED),
        ("sip:198.51.100.66", "sip:+1900555@192.0.2.1", Verdict.MISUSED),
        ("nonsense", "sip:+1900555@192.0.2.1", Verdict.MISUSED),
    ],
)
def test_credentials_are_good_for_the_number_they_were_made_for(signed: str, asked: str, verdict: Verdict) -> None:
    server = _server()
    challenges = server.challenges(100.0, b"12345678")
    value = digest.authorize(challenges, "anna", "sesame", method="INVITE", uri=signed, cnonce="c")
    assert value is not None
    answer = server.verify([value], "INVITE", _find, 101.0, request_uri=asked)
    assert (answer.verdict, answer.uri) == (verdict, signed)


def test_nonce_table_is_bounded_and_what_fell_out_cannot_be_replayed() -> None:
    server = _server(max_nonces=3)
    values = []
    for i in range(6):
        challenges = server.challenges(100.0 + i, bytes([i]) * 8)
        value = digest.authorize(challenges, "anna", "sesame", method="REGISTER", uri="sip:x", cnonce="c")
        assert value is not None
        values.append(value)
        assert server.verify([value], "REGISTER", _find, 110.0).verdict is Verdict.GOOD
        assert server.remembered <= 3
    assert {server.verify([v], "REGISTER", _find, 110.0).verdict for v in values} == {Verdict.STALE}


def test_used_nonces_are_forgotten_when_they_expire() -> None:
    server = _server(lifetime=60.0)
    server.verify([_answer(server, "anna", "sesame")], "REGISTER", _find, 101.0)
    server.verify([_answer(server, "anna", "sesame", now=200.0)], "REGISTER", _find, 201.0)
    assert server.remembered == 1


@pytest.mark.parametrize(
    "challenges",
    [
        [],
        ["Basic realm=x"],
        ["Digest realm=x"],
        ["Digest realm=x, nonce=y, algorithm=SHA-512"],
        ["Digest realm=x, nonce=y, qop=auth-int"],
    ],
)
def test_unanswerable_challenges(challenges: list[str]) -> None:
    assert digest.authorize(challenges, "u", "p", method="INVITE", uri="sip:x", cnonce="c") is None


def test_only_the_realm_asked_for_is_answered() -> None:
    challenges = ['Digest realm="other", nonce="n"']
    call: Callable[[str], str | None] = lambda realm: digest.authorize(  # noqa: E731
        challenges, "u", "p", method="INVITE", uri="sip:x", cnonce="c", realm=realm
    )
    assert call("mine") is None
    assert call("other") is not None
    assert call("") is not None


@pytest.mark.parametrize(
    "value", ["", "Digest", "Digest a", 'Digest a="b', "Digest a=b c=d", "Digest " + "a=b," * 2000]
)
def test_no_credentials_no_crash(value: str) -> None:
    assert _server().verify([value], "REGISTER", _find, 1.0).verdict is Verdict.MISSING


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_header_is_weighed_or_refused(text: str) -> None:
    for value in (text, "Digest " + text, f'Digest realm="{REALM}", username="u", nonce="AAAA", uri="x", ' + text):
        _server().verify([value], "REGISTER", _find, 1.0)
        try:
            digest.parse_challenge(value)
        except DigestError:
            continue


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=20),
    st.text(max_size=20),
)
def test_any_name_and_password_agree(username: str, password: str) -> None:
    server = _server()
    value = _answer(server, username, password)
    find: Callable[[str, str], str | None] = lambda user, algorithm: digest.ha1(user, REALM, password, algorithm)  # noqa: E731
    answer = server.verify([value], "REGISTER", find, 101.0)
    assert (answer.verdict, answer.username) == (Verdict.GOOD, username)
