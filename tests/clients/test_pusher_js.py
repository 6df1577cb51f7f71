"""pusher-js, in Chromium and in Node, against ``soketpy start``."""

from pathlib import Path

from tests.clients.conftest import OpenClient
from tests.clients.javascript import Report
from tests.clients.programs import Balancer, SoketpyServer
from tests.clients.publishers import Npm, Publisher, PyPI


def test_a_public_event_arrives(open_client: OpenClient, publisher: Publisher) -> None:
    client = open_client()
    client.subscribe("news")
    publisher.trigger("news", "headline", {"text": "Grüße 🎉"})
    assert client.hear("headline", "news") == {"text": "Grüße 🎉"}


def test_a_publisher_can_leave_out_the_client_that_caused_the_event(
    open_client: OpenClient, publisher: Publisher
) -> None:
    cause, other = open_client(connected=False), open_client()
    socket_id = cause.connected()
    for client in (cause, other):
        client.subscribe("edits")
    publisher.trigger("edits", "edited", 1, socket_id=socket_id)
    publisher.trigger("edits", "saved", 2)
    cause.hear("saved", "edits")
    other.hear("saved", "edits")
    assert "edited" not in cause.events("edits")
    assert other.events("edits").count("edited") == 1


def test_a_channel_is_empty_after_unsubscribing(open_client: OpenClient, pypi: PyPI, room: str) -> None:
    client = open_client()
    client.subscribe(room)
    assert pypi.library.channel_info(room)["occupied"] is True
    client.call("unsubscribe", channel=room)
    client.subscribe("stayed")  # once this is answered, the other has been served
    assert pypi.library.channel_info(room)["occupied"] is False


def test_a_private_channel_is_joined_through_the_auth_server(open_client: OpenClient, publisher: Publisher) -> None:
    client = open_client("ada")
    client.subscribe("private-for-ada")
    publisher.trigger("private-for-ada", "letter", "Dear Ada")
    assert client.hear("letter", "private-for-ada") == "Dear Ada"


def test_whom_the_auth_server_refuses_gets_a_subscription_error(open_client: OpenClient) -> None:
    client = open_client("bob")
    client.call("subscribe", channel="private-for-ada")
    assert client.hear("pusher:subscription_error", "private-for-ada")["status"] == 403


def test_a_client_event_that_is_refused_is_told_on_its_channel(open_client: OpenClient) -> None:
    client = open_client("ada")
    client.subscribe("private-for-ada")
    client.trigger("private-for-ada", "client-long", "x" * 9_000)
    assert client.hear("pusher:error", "private-for-ada")["code"] == 4301


def test_a_presence_channel_is_joined_through_the_auth_server(open_client: OpenClient, room: str) -> None:
    ada = open_client("ada")
    joined = ada.subscribe(f"presence-{room}")
    assert joined["count"] == 1
    assert joined["me"] == {"id": "ada", "info": {"name": "Ada Lovelace"}}
    assert open_client("bob").subscribe(f"presence-{room}")["members"] == {
        "ada": {"name": "Ada Lovelace"},
        "bob": {"name": "Robert Metcalfe"},
    }


def test_members_are_added_and_removed(open_client: OpenClient, room: str) -> None:
    ada, bob = open_client("ada"), open_client("bob")
    ada.subscribe(f"presence-{room}")
    bob.subscribe(f"presence-{room}")
    assert ada.hear("pusher:member_added", f"presence-{room}") == {"id": "bob", "info": {"name": "Robert Metcalfe"}}
    assert ada.call("members", channel=f"presence-{room}") == ["ada", "bob"]
    bob.close()
    assert ada.hear("pusher:member_removed", f"presence-{room}")["id"] == "bob"
    assert ada.call("members", channel=f"presence-{room}") == ["ada"]
    assert bob.events(f"presence-{room}") == ["pusher:subscription_succeeded"]


def test_a_second_tab_of_a_user_is_not_a_second_member(open_client: OpenClient, room: str) -> None:
    ada, first, second = open_client("ada"), open_client("bob"), open_client("bob")
    ada.subscribe(f"presence-{room}")
    first.subscribe(f"presence-{room}")
    second.subscribe(f"presence-{room}")
    first.call("disconnect")
    open_client("cleo").subscribe(f"presence-{room}")
    assert ada.hear("pusher:member_added", f"presence-{room}")["id"] == "bob"
    assert ada.hear("pusher:member_added", f"presence-{room}")["id"] == "cleo"
    assert "pusher:member_removed" not in ada.events(f"presence-{room}")


def test_an_encrypted_channel_is_decrypted(open_client: OpenClient, publisher: Publisher) -> None:
    client = open_client(build="pusher-with-encryption")
    client.subscribe("private-encrypted-safe")
    publisher.trigger("private-encrypted-safe", "secret", {"number": 42})
    assert client.hear("secret", "private-encrypted-safe") == {"number": 42}


def test_a_client_event_goes_to_the_others(open_client: OpenClient) -> None:
    first, second = open_client("ada"), open_client("bob")
    for client in (first, second):
        client.subscribe("private-chat")
    first.trigger("private-chat", "client-ask", {"text": "Tea?"})
    assert second.hear("client-ask", "private-chat") == {"text": "Tea?"}
    second.trigger("private-chat", "client-answer", "Yes")
    assert first.hear("client-answer", "private-chat") == "Yes"
    assert "client-ask" not in first.events("private-chat")


def test_a_client_event_on_a_presence_channel_says_who_sent_it(open_client: OpenClient, room: str) -> None:
    ada, bob = open_client("ada"), open_client("bob")
    for client in (ada, bob):
        client.subscribe(f"presence-{room}")
    bob.call("bindSender", channel=f"presence-{room}", event="client-typing")
    ada.trigger(f"presence-{room}", "client-typing", {})
    assert bob.hear("sender", f"presence-{room}") == "ada"


def test_a_client_event_on_a_public_channel_is_refused_and_the_connection_stays(
    open_client: OpenClient, pypi: PyPI
) -> None:
    client = open_client()
    client.subscribe("square")
    client.trigger("square", "client-shout", {})
    assert client.hear("error")["code"] == 4301
    pypi.trigger("square", "still-there", {})
    client.hear("still-there", "square")


def test_an_event_for_a_user_reaches_all_tabs_of_the_user(open_client: OpenClient, publisher: Publisher) -> None:
    first, second = open_client("ada"), open_client("ada")
    for client in (first, second):
        client.sign_in()
    publisher.send_to_user("ada", "invitation", {"to": "tea"})
    for client in (first, second):
        assert client.hear("invitation", "user") == {"to": "tea"}


def test_terminating_a_user_closes_the_users_connections(open_client: OpenClient, npm: Npm) -> None:
    cleo, again, bob = open_client("cleo"), open_client("cleo"), open_client("bob")
    for client in (cleo, again, bob):
        client.sign_in()
    npm.call("terminateUserConnections", "cleo")
    for client in (cleo, again):
        assert client.hear("error")["code"] == 4009
        client.hear("disconnected")
    bob.subscribe("terminated")
    assert "disconnected" not in bob.events()


def test_a_watchlist_tells_who_comes_and_goes(open_client: OpenClient) -> None:
    ada = open_client("ada")
    ada.sign_in()
    cleo = open_client("cleo")
    cleo.sign_in()
    ada.hear_until(lambda report: _tells(report, "online", "cleo"))
    cleo.call("disconnect")
    ada.hear_until(lambda report: _tells(report, "offline", "cleo"))


def _tells(report: Report, name: str, user: str) -> bool:
    return (report.channel, report.event) == ("watchlist", name) and user in report.data["user_ids"]


def test_a_late_subscriber_of_a_cache_channel_gets_the_last_event(
    open_client: OpenClient, publisher: Publisher, room: str
) -> None:
    publisher.trigger(f"cache-{room}", "score", {"home": 1})
    publisher.trigger(f"cache-{room}", "score", {"home": 2})
    client = open_client()
    client.subscribe(f"cache-{room}")
    assert client.hear("score", f"cache-{room}") == {"home": 2}


def test_an_empty_cache_channel_says_so(open_client: OpenClient, room: str) -> None:
    client = open_client()
    client.subscribe(f"private-cache-{room}")
    client.hear("pusher:cache_miss", f"private-cache-{room}")


def test_subscribers_are_counted(open_client: OpenClient, room: str) -> None:
    first = open_client()
    first.subscribe(room)
    assert first.hear("pusher:subscription_count", room) == {"subscription_count": 1}
    second = open_client()
    second.subscribe(room)
    assert first.hear("pusher:subscription_count", room) == {"subscription_count": 2}
    second.call("disconnect")
    assert first.hear("pusher:subscription_count", room) == {"subscription_count": 1}


def test_an_app_that_does_not_exist_is_given_up(open_client: OpenClient) -> None:
    client = open_client(key="no-such-key", connected=False)
    assert client.hear("error")["code"] == 4001
    client.hear("disconnected")
    assert client.events() == ["error", "disconnected"]


def test_a_client_is_back_after_the_server_was_killed(open_client: OpenClient, tmp_path: Path) -> None:
    with SoketpyServer(tmp_path) as server:
        client = open_client(port=server.port)
        client.subscribe("news")
        client.subscribe("presence-back")
        server.end(kill=True)
        with SoketpyServer(tmp_path, server.port):
            client.connected()
            assert client.call("delays")[0] == 1000
            client.hear("pusher:subscription_succeeded", "presence-back")
            publisher = PyPI(server.port)
            publisher.trigger(["news", "presence-back"], "again", 1)
            publisher.end()
            assert client.hear("again", "news") == 1
            assert client.hear("again", "presence-back") == 1


def test_a_client_of_a_server_that_stops_goes_to_the_next_at_once(open_client: OpenClient, tmp_path: Path) -> None:
    with SoketpyServer(tmp_path) as old, SoketpyServer(tmp_path) as new, Balancer(old.port) as balancer:
        client = open_client(port=balancer.port)
        client.subscribe("private-deploy")
        balancer.behind = new.port
        old.end()
        assert client.hear("error")["code"] == 4200
        client.connected()
        client.hear("pusher:subscription_succeeded", "private-deploy")
        assert client.call("delays")[0] == 0
        publisher = PyPI(new.port)
        publisher.trigger("private-deploy", "again", 1)
        publisher.end()
        assert client.hear("again", "private-deploy") == 1
