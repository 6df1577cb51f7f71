"""The checks that decide whether a client may connect."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from soketpy.core.admission import Hello, admit
from soketpy.core.apps import App, Key, StaticApps
from soketpy.protocol.errors import Code, ConnectionRefused
from tests.fakes import APP

HELLO = Hello(key="app-key", protocol="7", origin=None, secure=False)


def refused(hello: Hello, app: App = APP, strict: bool = False) -> ConnectionRefused:
    with pytest.raises(ConnectionRefused) as caught:
        admit(hello, StaticApps([app]), strict)
    return caught.value


def test_a_client_connects_to_the_app_of_its_key() -> None:
    second = App(id="2", keys=(Key("two", "x"), Key("two-new", "x")))
    apps = StaticApps([APP, second])
    assert admit(HELLO, apps, False) is APP
    assert admit(changed(HELLO, key="two-new"), apps, False) is second


def test_a_path_that_is_not_of_an_app_is_4005() -> None:
    assert refused(changed(HELLO, key=None)).code == 4005


def test_an_unknown_key_is_4001_and_is_named_in_part() -> None:
    fault = refused(changed(HELLO, key="x" * 10_000))
    assert fault.code == 4001
    assert "x" * 100 in fault.message
    assert len(fault.message) < 200


def test_a_disabled_app_is_4003() -> None:
    assert refused(HELLO, replace(APP, enabled=False)).code == 4003


def test_an_app_for_tls_only_is_4000_without_tls() -> None:
    app = replace(APP, tls_only=True)
    assert refused(HELLO, app).code == 4000
    assert admit(changed(HELLO, secure=True), StaticApps([app]), False) is app


@pytest.mark.parametrize("protocol", ["5", "6", "7", "07", None, ""])
def test_protocols_5_to_7_are_served_and_none_is_served_as_7(protocol: str | None) -> None:
    assert admit(changed(HELLO, protocol=protocol), StaticApps([APP]), False) is APP


@pytest.mark.parametrize("protocol", ["0", "4", "8", "77", "7" * 5_000])
def test_another_protocol_is_4007(protocol: str) -> None:
    assert refused(changed(HELLO, protocol=protocol)).code == 4007


@pytest.mark.parametrize("protocol", ["seven", "7.0", "-7", " 7", "٧"])
def test_a_protocol_that_is_no_number_is_4006(protocol: str) -> None:
    assert refused(changed(HELLO, protocol=protocol)).code == 4006


@pytest.mark.parametrize("protocol", [None, ""])
def test_no_protocol_is_4008_in_strict_mode(protocol: str | None) -> None:
    assert refused(changed(HELLO, protocol=protocol), strict=True).code == 4008


def test_an_origin_that_the_app_does_not_list_is_4009() -> None:
    app = replace(APP, allowed_origins=("https://example.com",))
    assert refused(changed(HELLO, origin="https://evil.example"), app).code == 4009
    assert refused(HELLO, app).code == 4009
    assert admit(changed(HELLO, origin="https://example.com"), StaticApps([app]), False) is app


def test_the_checks_come_in_this_order() -> None:
    """The reason that a client can do the least about comes first."""
    app = replace(APP, enabled=False, tls_only=True, allowed_origins=("example.com",))
    hello = Hello(key=None, protocol="x", origin=None, secure=False)
    codes = [refused(hello, app).code]
    hello = changed(hello, key="no-such-key")
    codes.append(refused(hello, app).code)
    hello = changed(hello, key="app-key")
    codes.append(refused(hello, app).code)
    app = replace(app, enabled=True)
    codes.append(refused(hello, app).code)
    hello = changed(hello, secure=True)
    codes.append(refused(hello, app).code)
    hello = changed(hello, protocol="7")
    codes.append(refused(hello, app).code)
    assert codes == [
        Code.NO_SUCH_PATH,
        Code.NO_SUCH_APP,
        Code.APP_DISABLED,
        Code.TLS_ONLY,
        Code.BAD_VERSION,
        Code.UNAUTHORIZED,
    ]
