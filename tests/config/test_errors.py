"""Mistakes in the configuration: each error is one line that names the position and the setting."""

from collections.abc import Callable
from pathlib import Path

import pytest

from soketpy.config import ConfigError, load
from soketpy.config.files import LARGEST

Failing = Callable[..., str]
ORIGIN = "matches no origin: {} (write for example https://example.com, example.com, *.example.com or localhost:3000)"
MIXED = "{} is a name of soketi's, and {} (config.yaml:1) is one of soketpy's; a file has names of one kind: {}"
WITHOUT_QUOTES = ", which is text: write it without quotes"
COLON = "; a text that ends with a colon, or has a colon and a space in it, must be in quotes"
ONE_OF_BOTH = "use one of both"
SAFE = "A-Z, a-z, 0-9 and -._~!$'()*+,;=@"
PATH = f"must be a path such as /realtime, of {SAFE}&:, or empty, not"
HOST = "must be a host name or an address"
PORT_IN_IT = "has a port in it: leave out :{}, since the port is a setting of its own"
NO_HOST = "is neither a host name nor an address"
SAME_PORT = "port and metrics.port are both {}; give them different ports"
APP = "id: a, key: k, secret: s"


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Return the error for a file with this content, named config.yaml or otherwise."""

    def failing(content: str | bytes, name: str = "config.yaml") -> str:
        monkeypatch.chdir(tmp_path)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ConfigError) as caught:
            load(name, {}, {})
        return str(caught.value)

    return failing


NUMBER = "must be a whole number from 0 to 65535, not"
NO_URL = "instead of a URL; tls, username, password and db are settings of their own"
SQL_URL = "instead of a URL; tls, username, password and database are settings of their own"
LARGEST_NUMBER = 2**53
ABOVE_0 = f"must be a number above 0 and at most {LARGEST_NUMBER}, not"
NO_LIST = "must be a table of settings, not a list"
A_LIST = "must be a list as JSON, such as [{…}], not"
FILES = [
    # names
    ("port: 1\nmetrics:\n  prot: 1\n", "3: metrics.prot: no such setting; did you mean port?"),
    ("prot: 1\n", "1: prot: no such setting; did you mean port?"),
    ("qqqqqq: 1\n", "1: qqqqqq: no such setting"),
    ("log: {Level: debug}\n", "1: log.Level: no such setting; did you mean level?"),
    ("tls.cert: c\n", "1: tls.cert: no such setting; write cert under tls:"),
    ("redis_host: c\n", "1: redis_host: no such setting; write host under redis:"),
    ("redis: {url: a}\n", f"1: redis.url: no such setting; write host and port {NO_URL}"),
    ("redis_url: a\n", f"1: redis_url: no such setting; write host and port under redis: {NO_URL}"),
    ("mysql: {url: a}\n", f"1: mysql.url: no such setting; write host and port {SQL_URL}"),
    ("key: a\n", "1: key: no such setting; write key in an item of apps: or under tls:"),
    ("client_events: a\n", "1: client_events: no such setting; write client_events under app_defaults:"),
    (
        "enableClientMessages: 1\nbounds: {}\n",
        "1: enableClientMessages: no such setting; write client_events under app_defaults:",
    ),
    (
        "max_connections: 1\n",
        "1: max_connections: no such setting; write max_connections under app_defaults: or under bounds:",
    ),
    ("level: a\n", "1: level: no such setting; write level under log:"),
    ("metrics: {level: a}\n", "1: metrics.level: no such setting; write level under log:"),
    (
        "log: {port: a}\n",
        "1: log.port: no such setting; write port at the top of the file, under metrics:, under redis:, "
        "under postgres:, under mysql: or under admin:",
    ),
    (
        f"apps: [{{{APP}, enableClientMessages: 1}}]\n",
        "1: apps[0].enableClientMessages: no such setting of an app; did you mean client_events?",
    ),
    ("1: 2\n", "1: 1: no such setting"),
    ('"a\\nb": 2\n', r"1: 'a\nb': no such setting"),
    ("app_defaults: {id: x}\n", "1: app_defaults.id: no such setting; write id in an item of apps:"),
    (
        f"apps:\n- {{{APP}, max_conections: 1}}\n",
        "2: apps[0].max_conections: no such setting of an app; did you mean max_connections?",
    ),
    ("apps: [{id: a, keys: [{key: k, secret: s, x: 1}]}]\n", "1: apps[0].keys[0].x: no such setting of a key"),
    # types
    ("port: '1'\n", f"1: port: {NUMBER} '1'{WITHOUT_QUOTES}"),
    ("port: true\n", f"1: port: {NUMBER} true"),
    ("port: 1.5\n", f"1: port: {NUMBER} 1.5"),
    ("port: 1.0\n", f"1: port: {NUMBER} 1.0"),
    ("port: null\n", f"1: port: {NUMBER} null"),
    ("port: [1]\n", f"1: port: {NUMBER} a list"),
    ("port: {a: 1}\n", f"1: port: {NUMBER} a table"),
    ("port: 0123\n", f"1: port: {NUMBER} '0123'"),
    ("port: 1:40\n", f"1: port: {NUMBER} '1:40'"),
    ("metrics: {enabled: 1}\n", "1: metrics.enabled: must be true or false, not 1"),
    ("metrics: {enabled: yes}\n", "1: metrics.enabled: must be true or false, not 'yes'"),
    ("host: 5\n", f"1: host: {HOST}, not a number; put it in quotes"),
    ("host: 'http://localhost'\n", f"1: host: {HOST}, not a URL"),
    ("host: 'http://user:password@localhost'\n", f"1: host: {HOST}, not a URL"),
    ("host: a/b\n", f"1: host: {HOST}, not 'a/b'"),
    ("host: a b\n", f"1: host: {HOST}, not 'a b'"),
    ("host: 127.0.0.1:6001\n", f"1: host: '127.0.0.1:6001' {PORT_IN_IT.format(6001)}"),
    ("host: '[::1]:6001'\n", f"1: host: '[::1]:6001' {PORT_IN_IT.format(6001)}"),
    ("host: [a, 'localhost:1']\n", f"1: host[1]: 'localhost:1' {PORT_IN_IT.format(1)}"),
    (
        "host: '0.0.0.0,::'\n",
        '1: host: \'0.0.0.0,::\' is more than one address: write a list, such as ["127.0.0.1", "::1"]',
    ),
    ("host: '*'\n", "1: host: '*' is not an address: write 0.0.0.0 for IPv4, or :: for IPv6 and IPv4"),
    ("host: 300.1.1.1\n", "1: host: '300.1.1.1' is not an IPv4 address"),
    ("host: 127.0.0.1.\n", "1: host: '127.0.0.1.' is not an IPv4 address"),
    ("host: '[127.0.0.1]'\n", "1: host: '[127.0.0.1]' is not an IPv6 address"),
    ("host: ':::1'\n", "1: host: ':::1' is not an IPv6 address"),
    ("host: 'localhost:'\n", "1: host: 'localhost:' is not an IPv6 address"),
    ("host: a..b\n", f"1: host: 'a..b' {NO_HOST}"),
    (f"host: {'ü' * 60}\n", f"1: host: '{'ü' * 59}… {NO_HOST}"),
    (f"host: {'a.' * 127}\n", f"1: host: '{'a.' * 29}a… {NO_HOST}"),
    ("host: a?b\n", f"1: host: 'a?b' {NO_HOST}"),
    ("metrics: {host: 127.0.0.1:9601}\n", f"1: metrics.host: '127.0.0.1:9601' {PORT_IN_IT.format(9601)}"),
    ("redis: {host: 'x:6379'}\n", f"1: redis.host: 'x:6379' {PORT_IN_IT.format(6379)}"),
    ("redis: {host: 'a,b'}\n", f"1: redis.host: 'a,b' {NO_HOST}"),
    (
        "redis: {cluster_nodes: ['a:1', '300.1.1.1:1']}\n",
        "1: redis.cluster_nodes[1]: '300.1.1.1:1' is not an IPv4 address",
    ),
    ("redis: {sentinels: ['a,b:1']}\n", f"1: redis.sentinels[0]: 'a,b:1' {NO_HOST}"),
    ("redis: {sentinels: ['[:]:1']}\n", "1: redis.sentinels[0]: '[:]:1' is not an IPv6 address"),
    (
        f"unix_socket: /{'s' * 120}\n",
        f"1: unix_socket: '/{'s' * 58}… is too long for a Unix socket: 121 bytes, and at most 107",
    ),
    ("port: 7000\nmetrics: {enabled: true,\n  port: 7000}\n", f"3: metrics.port: {SAME_PORT.format(7000)}"),
    ("port: 9601\nmetrics: {enabled: true}\n", f"1: port: {SAME_PORT.format(9601)}"),
    (
        "host: '::1'\nmetrics: {enabled: true, host: '[::1]', port: 6001}\n",
        f"2: metrics.port: {SAME_PORT.format(6001)}",
    ),
    ("host: ''\n", "1: host: must not be empty"),
    ("host:\n", f"1: host: {HOST}, not null"),
    ('host: "a\\0b"\n', "1: host: must not have control characters or broken Unicode in it"),
    ("cors: {origins: '*'}\n", "1: cors.origins: must be a list, not text"),
    ("cors:\n  origins:\n  - a\n  - 1\n", "4: cors.origins[1]: must be text, not a number; put it in quotes"),
    ("metrics: 5\n", "1: metrics: must be a table of settings, not a number"),
    ("apps: {}\n", "1: apps: must be a list, not a table"),
    ("apps:\n", "1: apps: must be a list, not null"),
    ("apps: [1]\n", "1: apps[0]: must be a table with an id, a key and a secret, not a number"),
    ("apps: [{id: a, keys: [k]}]\n", "1: apps[0].keys[0]: must be a table of key and secret, not text"),
    ("- 1\n", "1: the file must hold settings, each under its name"),
    ("port\n", "1: the file must hold settings, each under its name"),
    # origins that no browser sends
    (
        f"apps:\n- {{{APP}}}\n- id: b\n  key: l\n  secret: s\n  allowed_origins:\n  - 'null'\n  - https//typo\n",
        f"8: apps[1].allowed_origins[1]: 'https//typo' {ORIGIN.format('write https:// in front of the host')}",
    ),
    (
        "app_defaults: {allowed_origins: ['a.com:0']}\n",
        "1: app_defaults.allowed_origins[0]: 'a.com:0' "
        + ORIGIN.format("the port must be * or a number from 1 to 65535"),
    ),
    (
        "cors:\n  origins:\n  - https://a.com/b\n",
        "3: cors.origins[0]: 'https://a.com/b' "
        + ORIGIN.format("an origin has no path: leave out / and what belongs to it"),
    ),
    ("cors: {methods: ['GET, POST']}\n", "1: cors.methods[0]: must be one method such as POST, not 'GET, POST'"),
    ("cors: {headers: ['X A']}\n", "1: cors.headers[0]: must be the name of one header, not 'X A'"),
    # ranges and choices
    ("port: 65536\n", f"1: port: {NUMBER} 65536"),
    ("port: -1\n", f"1: port: {NUMBER} -1"),
    ("timeouts: {pong: -1}\n", "1: timeouts.pong: must be a number above 0, not -1"),
    ("timeouts: {pong: .inf}\n", "1: timeouts.pong: must be a number above 0, not '.inf'"),
    ("timeouts: {pong: 1e400}\n", f"1: timeouts.pong: {ABOVE_0} inf"),
    ("timeouts: {activity: 1e99}\n", f"1: timeouts.activity: {ABOVE_0} 1e+99"),
    (f"timeouts: {{activity: 1{'0' * 30}}}\n", f"1: timeouts.activity: {ABOVE_0} 1{'0' * 30}"),
    ("timeouts: {shutdown: 1e99}\n", f"1: timeouts.shutdown: must be a number from 0 to {LARGEST_NUMBER}, not 1e+99"),
    (
        f"workers: {2**53 + 1}\n",
        f"1: workers: must be a whole number from 1 to {LARGEST_NUMBER} or auto, not {2**53 + 1}",
    ),
    (
        f"app_defaults: {{max_connections: {2**60}}}\n",
        f"1: app_defaults.max_connections: must be a whole number from 1 to {LARGEST_NUMBER}, or null for no limit, "
        f"not {2**60}",
    ),
    ("timeouts: {shutdown: -0.1}\n", "1: timeouts.shutdown: must be a number of 0 or more, not -0.1"),
    ("bounds: {unread_in_kb: 0}\n", "1: bounds.unread_in_kb: must be a number above 0, not 0"),
    ("bounds: {memory_percent: 101}\n", "1: bounds.memory_percent: must be a number from 1 to 100, not 101"),
    (
        "bounds: {max_connections: 0}\n",
        "1: bounds.max_connections: must be a whole number of 1 or more, or null for no limit, not 0",
    ),
    ("log: {level: verbose}\n", "1: log.level: must be debug, info, warning or error, not 'verbose'"),
    ("log: {format: xml}\n", "1: log.format: must be text or json, not 'xml'"),
    ("path_prefix: realtime\n", f"1: path_prefix: {PATH} 'realtime'"),
    ("path_prefix: /a//\n", f"1: path_prefix: {PATH} '/a//'"),
    ("host: []\n", f"1: host: {HOST}, not an empty list"),
    ("host: [a, 5]\n", f"1: host[1]: {HOST}, not a number; put it in quotes"),
    ("host: [127.0.0.1, '::1', 127.0.0.1]\n", "1: host[2]: '127.0.0.1' is given twice"),
    ("metrics: {host: ['::1', '[::1]']}\n", "1: metrics.host[1]: '::1' is given twice"),
    ("host: {a: b}\n", f"1: host: {HOST}, not a table"),
    (
        "bounds: {max_http_connections: 0}\n",
        "1: bounds.max_http_connections: must be a whole number of 1 or more, or null for the default, not 0",
    ),
    # twice
    ("port: 1\nport: 2\n", "2: port: given twice, first at config.yaml:1"),
    (f"apps: [{{{APP}}}, {{id: a, key: l, secret: s}}]\n", "1: apps[1].id: 'a' is already given at config.yaml:1"),
    (f"apps:\n- {{{APP}}}\n- {{id: b, key: k, secret: s}}\n", "3: apps[1].key: 'k' is already given at config.yaml:2"),
    (
        "apps:\n- id: a\n  keys:\n  - {key: k, secret: s}\n  - {key: k, secret: t}\n",
        "5: apps[0].key: 'k' is already given at config.yaml:4",
    ),
    (
        f"apps: [{{{APP}, keys: [{{key: k, secret: s}}]}}]\n",
        "1: apps[0].key: given next to keys (config.yaml:1); use one of both",
    ),
    # missing
    ("apps:\n- id: a\n  key: k\n", "2: apps[0].secret: missing"),
    ("apps: [{id: a, secret: s}]\n", "1: apps[0].key: missing"),
    ("apps: [{key: k, secret: s}]\n", "1: apps[0].id: missing"),
    ("apps: [{}]\n", "1: apps[0].key: missing"),
    ("apps: [{id: a, keys: []}]\n", "1: apps[0].keys: must have a key and a secret in it"),
    ("apps: [{id: a, keys: [{key: k}]}]\n", "1: apps[0].keys[0].secret: missing"),
    ("tls:\n  cert: c.pem\n", "2: tls.cert: has no effect without tls.key"),
    ("tls: {key: k.pem, cert: null}\n", "1: tls.key: has no effect without tls.cert"),
    (
        "redis: {host: 'redis://user:password@redis:6379'}\n",
        "1: redis.host: must be a host name or an address, not a URL",
    ),
    ("redis: {host: redis/0}\n", "1: redis.host: must be a host name or an address, not 'redis/0'"),
    (
        "redis: {cluster_nodes: ['redis://:password@a:1']}\n",
        "1: redis.cluster_nodes[0]: must be an address such as redis-1:6379, not a URL",
    ),
    (
        "redis: {sentinels: ['a:65536']}\n",
        "1: redis.sentinels[0]: must be an address such as sentinel-1:26379, not 'a:65536'",
    ),
    (
        "redis: {cluster_nodes: ['a:0']}\n",
        "1: redis.cluster_nodes[0]: must be an address such as redis-1:6379, not 'a:0'",
    ),
    ("cache_ttl: 1e15\n", "1: cache_ttl: must be a number from 0 to 315360000, not 1000000000000000.0"),
    # together
    (
        "redis:\n  sentinels: ['a:1']\n  cluster_nodes: ['b:2']\n",
        f"2: redis.sentinels: given next to redis.cluster_nodes (config.yaml:3); {ONE_OF_BOTH}",
    ),
    (
        "redis:\n  unix_socket: /run/redis.sock\n  sentinels: ['a:1']\n",
        f"3: redis.sentinels: given next to redis.unix_socket (config.yaml:2); {ONE_OF_BOTH}",
    ),
    (
        "redis:\n  unix_socket: /run/redis.sock\n  cluster_nodes: ['a:1']\n",
        f"3: redis.cluster_nodes: given next to redis.unix_socket (config.yaml:2); {ONE_OF_BOTH}",
    ),
    (
        "redis:\n  db: 1\n  cluster_nodes: ['a:1']\n",
        "3: redis.cluster_nodes: given next to redis.db (config.yaml:2); a Redis Cluster has only database 0",
    ),
    # empty
    ("apps: [{id: '', key: k, secret: s}]\n", "1: apps[0].id: must not be empty"),
    ("apps: [{id: a, key: '', secret: s}]\n", "1: apps[0].key: must not be empty"),
    ("apps: [{id: a, key: k, secret: ''}]\n", "1: apps[0].secret: must not be empty"),
    (
        "apps: [{id: a, key: 'k:1', secret: s}]\n",
        f"1: apps[0].key: must be text of {SAFE}, and not . or .., not 'k:1'",
    ),
    (
        "apps: [{id: 1, key: k, secret: s}]\n",
        f"1: apps[0].id: must be text of {SAFE}&, and not . or .., not a number; put it in quotes",
    ),
    # both kinds of names
    (
        "bounds: {}\nadapter: {driver: local}\n",
        f"2: {MIXED.format('adapter.driver', 'bounds', 'write cluster instead of adapter.driver')}",
    ),
    (
        "cors: {origins: ['*'], origin: ['*']}\n",
        f"1: {MIXED.format('cors.origin', 'cors.origins', 'write cors.origins instead of cors.origin')}",
    ),
    (
        "timeouts: {pong: 1}\nappManager: {array: {apps: []}}\n",
        f"2: {MIXED.format('appManager.array.apps', 'timeouts', 'write apps instead of appManager.array.apps')}",
    ),
    (
        "bounds: {}\nqueue.driver: sync\n",
        f"2: {MIXED.format('queue.driver', 'bounds', 'write webhooks.queue instead of queue.driver')}",
    ),
    ("bounds: {}\nqueue: 5\n", f"2: {MIXED.format('queue', 'bounds', 'leave out queue')}"),
    # webhooks in another place
    ("webhooks: [{url: 'http://a'}]\n", f"1: webhooks: {NO_LIST}; write the webhooks of an app in an item of apps:"),
    ("log: []\n", f"1: log: {NO_LIST}"),
    ("app_defaults: {webhooks: []}\n", "1: app_defaults.webhooks: no such setting; write webhooks in an item of apps:"),
    # quotes
    ("port: '6001'\n", f"1: port: {NUMBER} '6001'{WITHOUT_QUOTES}"),
    ("timeouts: {pong: '1.5'}\n", f"1: timeouts.pong: must be a number above 0, not '1.5'{WITHOUT_QUOTES}"),
    ("strict_protocol: 'true'\n", f"1: strict_protocol: must be true or false, not 'true'{WITHOUT_QUOTES}"),
    (
        "app_defaults: {allowed_origins: [a.com, null]}\n",
        '1: app_defaults.allowed_origins[1]: must be text, not null; for the origin null, write "null" in quotes',
    ),
    (
        "cors: {origins: [~]}\n",
        '1: cors.origins[0]: must be text, not null; for the origin null, write "null" in quotes',
    ),
    # YAML
    ("port: 1\nlog: {\n", "3: not valid YAML: "),
    ("a: b: c\n", f"1: not valid YAML: mapping values are not allowed in this context{COLON}"),
    ("host: 0.0.0.0,::\n", f"1: not valid YAML: mapping values are not allowed in this context{COLON}"),
    ("port: 1\n\tlog: 1\n", "2: not valid YAML: "),
    ("port: 1\n---\nport: 2\n", "2: a second document begins; a configuration is one"),
    ("a: &x 1\nport: *x\n", "2: aliases (*name) are not understood here; write the value out"),
    ("port: !!python/object/apply:os.system ['true']\n", "1: tags (!name) are not understood here"),
    ("? [1]\n: 2\n", "1: the name of a setting must be text"),
    ("host: a\x01\n", "1: not valid YAML: "),
    ("a: " + "[" * 100 + "]" * 100, "1: nested too deeply"),
]


@pytest.mark.parametrize(("content", "expected"), FILES)
def test_a_mistake_in_yaml_names_its_line_and_setting(failing: Failing, content: str, expected: str) -> None:
    said = failing(content)
    assert said == f"config.yaml:{expected}" or (expected.endswith(" ") and said.startswith(f"config.yaml:{expected}"))


JSON = [
    ('{\n\t"metrics": {\n\t\t"prot": 1\n\t}\n}', "3: metrics.prot: no such setting; did you mean port?"),
    ('{"port":\n "x"}', f"2: port: {NUMBER} 'x'"),
    ('{"port": 1,\n "port": 2}', "2: port: given twice, first at config.json:1"),
    ('{"port": 1', "1: not valid JSON: expected ',' or '}'"),
    ('{"port": 1,\n}', "2: not valid JSON: expected a name in double quotes"),
    ('{"port" 1}', "1: not valid JSON: expected ':' after a name"),
    ('{"port": NaN}', "1: not valid JSON: not a number that JSON has"),
    ('{"port": ' + "1" * 5000 + "}", "1: not valid JSON: not a number that JSON has"),
    ('{"port": 1} x', "1: not valid JSON: something follows the end of the value"),
    ('{"port": }', "1: not valid JSON: expecting value"),
    ('{"host": "a', "1: not valid JSON: unterminated string starting at"),
    ("// no comments\n{}", "1: not valid JSON: expecting value"),
    ("", "1: not valid JSON: expecting value"),
    ("[1]", "1: the file must hold settings, each under its name"),
    ("[" * 100_000, "1: nested too deeply"),
    ('{"a":' * 100_000, "1: nested too deeply"),
    (r'{"host": "\ud800"}', "1: host: must not have control characters or broken Unicode in it"),
]


@pytest.mark.parametrize(("content", "expected"), JSON)
def test_a_mistake_in_json_names_its_line_and_setting(failing: Failing, content: str, expected: str) -> None:
    assert failing(content, "config.json") == f"config.json:{expected}"


def test_a_file_that_is_not_text_is_refused_with_its_line(failing: Failing) -> None:
    assert failing(b"port: 1\nhost: \xff\n") == "config.yaml:2: not UTF-8 text"


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match=f"^/dev/zero: larger than {LARGEST // 1024 // 1024} MiB$"):
        load("/dev/zero", {}, {})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing-here.yaml", "nothing-here.yaml: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("a\0b", r"'a\x00b': not the path of a file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(path: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, {}, {})
    assert str(caught.value) == said


SENTINEL = "must be an address such as sentinel-1:26379, not"
QUOTES = "remove the quotes: they are read as part of the value"
VARIABLES = [
    ({"SOKETPY_PORT": "x"}, f"SOKETPY_PORT: {NUMBER} 'x'"),
    ({"SOKETPY_PORT": ""}, f"SOKETPY_PORT: {NUMBER} empty"),
    ({"SOKETPY_PORT": "1_000"}, f"SOKETPY_PORT: {NUMBER} '1_000'"),
    ({"SOKETPY_PORT": "65536"}, f"SOKETPY_PORT: {NUMBER} '65536'"),
    ({"SOKETPY_PROT": "1"}, "SOKETPY_PROT: no such variable; did you mean SOKETPY_PORT?"),
    (
        {"SOKETPY_REDIS_URL": "a"},
        f"SOKETPY_REDIS_URL: no such variable; write SOKETPY_REDIS_HOST and SOKETPY_REDIS_PORT {NO_URL}",
    ),
    (
        {"SOKETPY_POSTGRES_URL": "a"},
        f"SOKETPY_POSTGRES_URL: no such variable; write SOKETPY_POSTGRES_HOST and SOKETPY_POSTGRES_PORT {SQL_URL}",
    ),
    (
        {"SOKETI_DB_POSTGRES_SSL": "1"},
        "SOKETI_DB_POSTGRES_SSL: no such variable; did you mean SOKETPY_POSTGRES_TLS?",
    ),
    ({"SOKETPY_METRICS": "1"}, "SOKETPY_METRICS: no such variable; did you mean SOKETPY_METRICS_ENABLED?"),
    ({"SOKETPY_TLS": "1"}, "SOKETPY_TLS: no such variable; write a setting of it, such as SOKETPY_TLS_CERT"),
    ({"SOKETPY_APP_NAME": "a"}, "SOKETPY_APP_NAME: no such variable"),
    (
        {"SOKETPY_APP_ENABLE_CLIENT_MESSAGES": "1"},
        "SOKETPY_APP_ENABLE_CLIENT_MESSAGES: no such variable; did you mean SOKETPY_APP_CLIENT_EVENTS?",
    ),
    ({"SOKETPY_REDIS_PASWORD": "a"}, "SOKETPY_REDIS_PASWORD: no such variable; did you mean SOKETPY_REDIS_PASSWORD?"),
    ({"SOKETPY_WEBHOOKS": "a"}, "SOKETPY_WEBHOOKS: no such variable; did you mean SOKETPY_APP_WEBHOOKS?"),
    ({"SOKETPY_APP_WEBHOOKS": "a"}, f"SOKETPY_APP_WEBHOOKS: {A_LIST} text"),
    ({f"SOKETPY_PORT{'T' * 90}": "1"}, f"SOKETPY_PORT{'T' * 48}…: no such variable"),
    ({"SOKETPY_FOO": "1"}, "SOKETPY_FOO: no such variable"),
    ({"SOKETI_FOO": "1"}, "SOKETI_FOO: no such variable"),
    ({"SOKETI_METRICS_PORT": "1"}, "SOKETI_METRICS_PORT: no such variable; did you mean SOKETI_METRICS_SERVER_PORT?"),
    ({"SOKETI_REDIS_HOST": "a"}, "SOKETI_REDIS_HOST: no such variable; did you mean SOKETI_DB_REDIS_HOST?"),
    (
        {"SOKETI_TIMEOUTS_PONG": "1"},
        "SOKETI_TIMEOUTS_PONG: no such variable; did you mean SOKETPY_TIMEOUTS_PONG?",
    ),
    ({"SOKETPY_DEBUG": "1"}, "SOKETPY_DEBUG: no such variable; did you mean SOKETPY_LOG_LEVEL?"),
    ({"SOKETPY_MODE": "full"}, "SOKETPY_MODE: no such variable"),
    (
        {"SOKETPY_MAX_CONNECTIONS": "1"},
        "SOKETPY_MAX_CONNECTIONS: no such variable; did you mean SOKETPY_APP_MAX_CONNECTIONS?",
    ),
    ({"SOKETPY_QQQQQQQQQQ": "1"}, "SOKETPY_QQQQQQQQQQ: no such variable"),
    ({"SOKETPY_CONFG": "x"}, "SOKETPY_CONFG: no such variable; did you mean SOKETPY_CONFIG?"),
    ({"SOKETPY_METRICS_ENABLED": "maybe"}, "SOKETPY_METRICS_ENABLED: must be true or false, not 'maybe'"),
    ({"SOKETPY_TIMEOUTS_PONG": "nan"}, "SOKETPY_TIMEOUTS_PONG: must be a number above 0, not 'nan'"),
    ({"SOKETPY_APPS": "x"}, f"SOKETPY_APPS: {A_LIST} text"),
    ({"SOKETPY_APPS": "{}"}, f"SOKETPY_APPS: {A_LIST} a table"),
    ({"SOKETPY_APPS": ""}, f"SOKETPY_APPS: {A_LIST} empty"),
    ({"SOKETPY_APP_KEYS": "{}"}, f"SOKETPY_APP_KEYS: {A_LIST} a table"),
    ({"SOKETPY_TIMEOUTS_PONG": "1e99"}, f"SOKETPY_TIMEOUTS_PONG: {ABOVE_0} '1e99'"),
    ({"SOKETPY_APPS": "[{]"}, "SOKETPY_APPS: not valid JSON: expected a name in double quotes"),
    ({"SOKETPY_APPS": '[{"id":"a","key":"k"}]'}, "SOKETPY_APPS: apps[0].secret: missing"),
    ({"SOKETPY_APP_SECRET": ""}, "SOKETPY_APP_SECRET: must not be empty"),
    ({"SOKETPY_APPS": "[]", "SOKETPY_APP_ID": "a"}, "SOKETPY_APP_ID: apps[0].key: missing"),
    ({"SOKETPY_TLS_CERT": "c"}, "SOKETPY_TLS_CERT: has no effect without SOKETPY_TLS_KEY"),
    ({"SOKETPY_TLS_KEY": "c"}, "SOKETPY_TLS_KEY: has no effect without SOKETPY_TLS_CERT"),
    ({"SOKETPY_TLS_PASSPHRASE": "c"}, "SOKETPY_TLS_PASSPHRASE: has no effect without SOKETPY_TLS_KEY"),
    ({"SOKETI_SSL_CERT": "c"}, "SOKETI_SSL_CERT: has no effect without SOKETI_SSL_KEY"),
    ({"SOKETI_SSL_PASS": "c"}, "SOKETI_SSL_PASS: has no effect without SOKETI_SSL_KEY"),
    ({"SOKETI_DB_REDIS_SENTINELS": '["a b"]'}, f"SOKETI_DB_REDIS_SENTINELS: [0]: {SENTINEL} 'a b'"),
    ({"SOKETPY_CORS_ORIGINS": "a,,b"}, "SOKETPY_CORS_ORIGINS: must not be empty"),
    ({"SOKETPY_HOST": "\udcff"}, "SOKETPY_HOST: must not have control characters or broken Unicode in it"),
    ({"SOKETPY_PORT": "'6001'"}, f"SOKETPY_PORT: {QUOTES}"),
    ({"SOKETPY_METRICS_ENABLED": "'1'"}, f"SOKETPY_METRICS_ENABLED: {QUOTES}"),
    ({"SOKETPY_METRICS_ENABLED": '"true"'}, f"SOKETPY_METRICS_ENABLED: {QUOTES}"),
    ({"SOKETPY_TIMEOUTS_PONG": "'1.5'"}, f"SOKETPY_TIMEOUTS_PONG: {QUOTES}"),
    ({"SOKETPY_LOG_FORMAT": "'json'"}, f"SOKETPY_LOG_FORMAT: {QUOTES}"),
    ({"SOKETPY_HOST": "'::1'"}, f"SOKETPY_HOST: {QUOTES}"),
    ({"SOKETPY_APP_SECRET": '"s"'}, f"SOKETPY_APP_SECRET: {QUOTES}"),
    ({"SOKETPY_APPS": "'[]'"}, f"SOKETPY_APPS: {QUOTES}"),
    ({"SOKETPY_CORS_ORIGINS": "'https://a','https://b'"}, f"SOKETPY_CORS_ORIGINS: {QUOTES}"),
    ({"SOKETI_DEBUG": "'1'"}, f"SOKETI_DEBUG: {QUOTES}"),
    ({"SOKETI_PORT": "'1'"}, f"SOKETI_PORT: {QUOTES}"),
    ({"SOKETI_PROT": "1"}, "SOKETI_PROT: no such variable; did you mean SOKETI_PORT?"),
    ({"SOKETI_PORT": "x"}, f"SOKETI_PORT: {NUMBER} 'x'"),
    ({"SOKETI_DEBUG": "x"}, "SOKETI_DEBUG: must be true or false, not 'x'"),
]


@pytest.mark.parametrize(("environ", "said"), VARIABLES)
def test_a_mistake_in_the_environment_names_the_variable(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, environ, {})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"port": "x"}, f"--port: {NUMBER} 'x'"),
        ({"unix_socket": 5.5}, "--unix-socket: must be text, or null for none, not a number; put it in quotes"),
        ({"no_such": 1}, "--no-such: no such flag"),
    ],
)
def test_a_mistake_in_a_flag_names_the_flag(flags: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, flags)
    assert str(caught.value) == said


def test_a_mistake_counts_even_where_another_source_wins(failing: Failing, tmp_path: Path) -> None:
    said = failing("port: x\n")
    with pytest.raises(ConfigError) as caught:
        load("config.yaml", {"SOKETPY_PORT": "1"}, {"port": 2})
    assert str(caught.value) == said == f"config.yaml:1: port: {NUMBER} 'x'"


def test_a_contradiction_between_two_sources_names_both() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"SOKETI_DB_REDIS_SENTINELS": "a:1", "SOKETPY_REDIS_CLUSTER_NODES": "b:2"}, {})
    said = "given next to redis.cluster_nodes (SOKETPY_REDIS_CLUSTER_NODES); use one of both"
    assert str(caught.value) == f"SOKETI_DB_REDIS_SENTINELS: {said}"


@pytest.mark.parametrize(("name", "text", "nothing"), [("SENTINELS", "a:1", ""), ("DB", "3", "0")])
def test_a_setting_that_another_source_empties_contradicts_nothing(name: str, text: str, nothing: str) -> None:
    soketis = {f"SOKETI_DB_REDIS_{name}": text, "SOKETI_DB_REDIS_CLUSTER_NODES": "b:2"}
    with pytest.raises(ConfigError, match="given next to"):
        load(None, soketis, {})
    assert load(None, {**soketis, f"SOKETPY_REDIS_{name}": nothing}, {}).redis.cluster_nodes == ("b:2",)


HIDDEN = "hunter22"
LEAKS = [
    f"apps: [{{id: a, key: k, secret: [{HIDDEN}]}}]",
    f'apps: [{{id: a, key: k, secret: "{HIDDEN}\\0"}}]',
    "apps: [{id: a, key: k, secret: 22334455}]",
    f'apps: [{{id: a, key: k, secret: "{HIDDEN}"}}, {{id: b, key: k, secret: "{HIDDEN}"}}]',
    "tls: {cert: c, key: k, passphrase: 22334455}",
    f"tls: {{passphrase: {HIDDEN}}}",
    f"apps:\n- id: a\n  secret: {HIDDEN}: {HIDDEN}\n",
    f"apps:\n- id: a\n  secret: '{HIDDEN}\n",
]


@pytest.mark.parametrize("content", LEAKS)
def test_no_message_shows_a_secret(failing: Failing, content: str) -> None:
    said = failing(content)
    assert HIDDEN not in said
    assert "22334455" not in said
