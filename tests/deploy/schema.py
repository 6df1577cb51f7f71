"""The JSON schema of the chart's values: ``python -m tests.deploy.schema > deploy/helm/soketpy/values.schema.json``.

The part for ``config`` follows from the settings of the server, without those that are secret.
"""

import json
from typing import Any

from soketpy.config.draft import setting_fields
from soketpy.core.apps import app_fields
from soketpy.core.fields import Field

Schema = dict[str, Any]

TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array"}
ANYTHING: Schema = {"type": "object"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
OF_ONE_APP = ("id", "key", "secret", "keys", "webhooks")


def record(**properties: Schema) -> Schema:
    """Return the schema of an object without other properties."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


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
    root["properties"]["apps"] = {
        "type": "array",
        "items": record(id=TEXT, key=TEXT, webhooks=webhooks, **fields),
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
            repository=TEXT,
            tag=TEXT,
            digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
            pullPolicy=one_of("Always", "IfNotPresent", "Never"),
        ),
        imagePullSecrets=LIST,
        nameOverride=TEXT,
        fullnameOverride=TEXT,
        replicas=number(),
        config=config(),
        secret=record(existing=TEXT, values=variables),
        env=LIST,
        podLabels=TEXTS,
        podAnnotations=TEXTS,
        volumes=LIST,
        volumeMounts=LIST,
        preStopSeconds=number(),
        resources=record(requests=ANYTHING, limits=ANYTHING, claims=LIST),
        nodeSelector=TEXTS,
        tolerations=LIST,
        affinity=ANYTHING,
        topologySpreadConstraints=LIST,
        priorityClassName=TEXT,
        serviceAccount=record(create=SWITCH, name=TEXT, annotations=TEXTS),
        service=record(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), port=number(1), annotations=TEXTS),
        ingress=record(enabled=SWITCH, className=TEXT, host=TEXT, path=TEXT, tlsSecret=TEXT, annotations=TEXTS),
        httpRoute=record(enabled=SWITCH, parentRefs=LIST, host=TEXT, path=TEXT),
        persistence=record(enabled=SWITCH, size=TEXT, storageClass=TEXT, existingClaim=TEXT),
        podDisruptionBudget=record(enabled=SWITCH, maxUnavailable={"anyOf": [number(1), TEXT]}),
        autoscaling=record(
            enabled=SWITCH,
            minReplicas=number(1),
            maxReplicas=number(1),
            by=one_of("connections", "cpu"),
            metric=TEXT,
            connectionsPerPod=number(1),
            cpuPercent=number(1),
        ),
        networkPolicy=record(
            enabled=SWITCH, clients=LIST, monitoring=LIST, admin=LIST, restrictEgress=SWITCH, egress=LIST
        ),
        serviceMonitor=record(enabled=SWITCH, interval=TEXT, labels=TEXTS),
        prometheusRule=record(enabled=SWITCH, labels=TEXTS),
        **{"global": ANYTHING},
    )
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart soketpy", **schema}


def text() -> str:
    """Return the content of the file."""
    return json.dumps(values(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
