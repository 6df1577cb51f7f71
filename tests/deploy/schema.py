"""The JSON schema of the chart's values: ``python -m tests.deploy.schema > deploy/helm/soketpy/values.schema.json``.

The part for ``config`` follows from the settings of the server, without those that are secret.
"""

import json
from typing import Any

from soketpy.config.draft import setting_fields
from soketpy.core.apps import TABLES, app_fields
from soketpy.core.fields import Field, fields_of
from soketpy.core.history import HistoryRule

Schema = dict[str, Any]

TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array"}
ANYTHING: Schema = {"type": "object"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}([.]{LABEL})*"
LABEL_VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
HOST = rf"([*][.])?{SUBDOMAIN}"
OF_ONE_APP = ("id", "key", "secret", "keys", *TABLES)


def record(**properties: Schema) -> Schema:
    """Return the schema of an object without other properties."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def text_like(pattern: str, most: int = 253) -> Schema:
    """Return the schema of a text that is no longer than ``most`` and matches the pattern as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$", "maxLength": most}


def labels(*taken: str) -> Schema:
    """Return the schema of labels. The chart sets the labels ``taken`` itself."""
    label = text_like(LABEL_VALUE, 63)
    return {"type": "object", "properties": {name: {"not": {}} for name in taken}, "additionalProperties": label}


NAME = text_like(f"({SUBDOMAIN})?")
PATH = text_like("/[A-Za-z0-9._~!$&()*+,;=:@%/-]*", 1024)


def number(least: float = 0) -> Schema:
    return {"type": "integer", "minimum": least}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


WEBHOOK = record(
    url=TEXT,
    lambda_function=TEXT,
    event_types={"type": "array", "items": TEXT},
    filter=TEXTS,
    batching={"type": ["boolean", "null"]},
)
"""A webhook of an app, without the fields that may contain secrets."""


def schema_of(field: Field) -> Schema:
    """Return the schema of a setting. The server checks patterns and dependencies."""
    one: Schema = {"enum": list(field.choices)} if field.choices else {"type": TYPES[field.type]}
    if field.least is not None:
        one["minimum"] = field.least
    other: list[Schema] = []
    if field.auto is not None:
        other.append({"const": "auto"})
    if field.optional:
        other += [{"type": "null"}, {"const": -1}]
    if field.one_or_many:
        other.append({"type": "array", "items": one, "minItems": 1})
    if field.many:
        one = {"type": "array", "items": one}
    return {"anyOf": [one, *other]} if other else one


def config() -> Schema:
    """Return the schema of the configuration file. It has no secrets: those belong to a Secret."""
    root = record()
    for path, field in setting_fields().items():
        if field.secret or field.is_group or path == "apps":
            continue
        *groups, name = path.split(".")
        place = root["properties"]
        for group in groups:
            place = place.setdefault(group, record())["properties"]
        place[name] = schema_of(field) | {"description": field.help}
    fields = {
        name: schema_of(field) | {"description": field.help}
        for name, field in app_fields().items()
        if name not in OF_ONE_APP
    }
    root["properties"]["app_defaults"] = record(**fields)
    webhooks = {"type": "array", "items": WEBHOOK}
    rule = {name: schema_of(field) | {"description": field.help} for name, field in fields_of(HistoryRule).items()}
    history = {"type": "array", "items": record(**rule)}
    root["properties"]["apps"] = {
        "type": "array",
        "items": record(id=TEXT, key=TEXT, webhooks=webhooks, history=history, **fields),
    }
    return root


def values() -> Schema:
    """Return the schema of all values."""
    variables = {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^(SOKETPY|AWS)_[A-Z0-9_]+$": TEXT},
    }
    schema = record(
        image=record(
            repository=text_like("[A-Za-z0-9][A-Za-z0-9._:/-]*", 255),
            tag=text_like("([A-Za-z0-9_][A-Za-z0-9_.-]*)?", 128),
            digest=text_like("(sha256:[0-9a-f]{64})?"),
            pullPolicy=one_of("Always", "IfNotPresent", "Never"),
        ),
        imagePullSecrets=LIST,
        nameOverride=text_like(f"({LABEL})?", 63),
        fullnameOverride=text_like(f"({LABEL})?", 63),
        replicas=number(),
        config=config(),
        secret=record(existing=NAME, values=variables),
        env=LIST,
        podLabels=labels("app.kubernetes.io/name", "app.kubernetes.io/instance"),
        podAnnotations=TEXTS,
        volumes=LIST,
        volumeMounts=LIST,
        readinessPath=one_of("/serving", "/ready"),
        preStopSeconds=number(),
        resources=record(requests=ANYTHING, limits=ANYTHING, claims=LIST),
        nodeSelector=labels(),
        tolerations=LIST,
        affinity=ANYTHING,
        topologySpreadConstraints=LIST,
        priorityClassName=NAME,
        serviceAccount=record(create=SWITCH, name=NAME, annotations=TEXTS),
        service=record(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), port=number(1), annotations=TEXTS),
        ingress=record(
            enabled=SWITCH,
            className=NAME,
            host=text_like(f"({HOST})?"),
            path=PATH,
            tlsSecret=NAME,
            annotations=TEXTS,
        ),
        httpRoute=record(enabled=SWITCH, parentRefs=LIST, host=text_like(HOST), path=PATH),
        persistence=record(
            enabled=SWITCH,
            size=text_like("[0-9]+([.][0-9]+)?([KMGTPE]i|[kMGTPE])?", 20),
            storageClass=NAME,
            existingClaim=NAME,
        ),
        podDisruptionBudget=record(enabled=SWITCH, maxUnavailable={"anyOf": [number(1), text_like("[0-9]{1,3}%", 4)]}),
        autoscaling=record(
            enabled=SWITCH,
            minReplicas=number(1),
            maxReplicas=number(1),
            by=one_of("connections", "cpu"),
            metric=text_like("[A-Za-z_:][A-Za-z0-9_:.-]*"),
            connectionsPerPod=number(1),
            cpuPercent=number(1),
        ),
        networkPolicy=record(
            enabled=SWITCH, clients=LIST, monitoring=LIST, admin=LIST, restrictEgress=SWITCH, egress=LIST
        ),
        serviceMonitor=record(enabled=SWITCH, interval=text_like("([0-9]+(ms|[smhd]))+", 20), labels=labels()),
        prometheusRule=record(enabled=SWITCH, labels=labels()),
        **{"global": ANYTHING},
    )
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart soketpy", **schema}


def text() -> str:
    """Return the content of the file."""
    return json.dumps(values(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
