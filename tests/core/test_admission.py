"""The checks that decide whether a client may connect."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from soketpy.core.admission import Hello, admit, find_app
from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App, Apps, Key, StaticApps
from soketpy.protocol.errors import Code, ConnectionRefused
from tests.fakes import APP

HELLO = Hello(key="app-key", protocol="7", origin=None, secure=False)


def found(hello: Hello, apps: Apps) -> App | None:
    operation = find_app(hello, apps)
    try:
        operation.send(None)
    except StopIteration as end:
        app: App | None = end.value
        return app
    raise AssertionError("the lookup of an app waits")


def refused(hello: Hello, app: App | None = APP, strict: bool = False) -> ConnectionRefused:
    with pytest.raises(ConnectionRefused) as caught:
        admit(hello, app, strict)
    return caught.value


def test_a_client_connects_to_the_app_of_its_key() -> None:
    second = App(id="2", keys=(Key("two", "x"), Key("two-new", "x")))
    apps = StaticApps([APP, second])
    assert found(HELLO, apps) is APP
    assert found(changed(HELLO, key="two-new"), apps) is second
    assert found(changed(HELLO, key="three"), apps) is None
    assert found(changed(HELLO, key=None), apps) is None


class LateApps(StaticApps):
    """Apps that are not loaded yet."""

    def by_key(self, key: str) -> App | None:
        return None


class LostApps(LateApps):
    """Apps whose database does not answer."""

    async def find_by_key(self, key: str) -> App | None:
        raise RegistryUnavailable("down")


def test_an_app_that_is_not_loaded_is_looked_up() -> None:
    assert found(HELLO, LateApps([APP])) is APP


def test_a_client_whose_app_cannot_be_looked_up_tries_again() -> None:
    with pytest.raises(ConnectionRefused) as caught:
        found(HELLO, LostApps([APP]))
    assert caught.value.code == 4100


def test_a_path_that_is_not_of_an_app_is_4005() -> None:
    assert refused(changed(HELLO, key=None)).code == 4005


def test_an_unknown_key_is_4001_and_is_named_in_part() -> None:
    fault = refused(changed(HELLO, key="x" * 10_000), None)
    assert fault.code == 4001
    assert "x" * 100 in fault.message
    assert len(fault.message) < 200


def test_a_disabled_app_is_4003() -> None:
    assert refused(HELLO, replace(APP, enabled=False)).code == 4003


def test_an_app_for_tls_only_is_4000_without_tls() -> None:
    app = replace(APP, tls_only=True)
    assert refused(HELLO, app).code == 4000
    assert admit(changed(HELLO, secure=True), app, False) is app


@pytest.mark.parametrize("protocol", ["5", "6", "7", "07", None, ""])
def test_protocols_5_to_7_are_served_and_none_is_served_as_7(protocol: str | None) -> None:
    assert admit(changed(HELLO, protocol=protocol), APP, False) is APP


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
    assert admit(changed(HELLO, origin="https://example.com"), app, False) is app


def test_the_checks_come_in_this_order() -> None:
    """The reason that a client can do the least about comes first."""
    app = replace(APP, enabled=False, tls_only=True, allowed_origins=("example.com",))
    hello = Hello(key=None, protocol="x", origin=None, secure=False)
    codes = [refused(hello, app).code]
    hello = changed(hello, key="no-such-key")
    codes.append(refused(hello, None).code)
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
