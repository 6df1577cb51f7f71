"""One table of DynamoDB with apps: the calls, their limits and their faults."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError, NoCredentialsError

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.core.aws_options import AwsOptions, region_of
from soketpy.drivers.aws.clients import AwsFault, Clients, code_of, reason_of
from soketpy.drivers.aws.dynamo_items import ID, KEY, Attribute, Item, as_read

INDEX = "AppKeyIndex"
"""The index that finds an app by its key, as soketi names it."""

MOST_IN_BATCH = 100
"""Items that one call reads, or one transaction writes, at most."""

MOST_CALLS = 16
"""Calls in progress for one lookup, at most."""

MOST_WITH_ONE_KEY = 100
"""Apps with the same key that are found, at most."""

MOST_SCANNED = 100
"""Calls of one scan, at most. DynamoDB reads 1 MB in each."""

ROUNDS = 8
"""Calls for the items that DynamoDB did not process, at most. The pauses between them add up to 5 s at most."""

SHORTEST_PAUSE = 0.05
"""Seconds before the first repetition, at most. Each further pause may be twice as long."""

ATTEMPTS = 3
"""Attempts of one call that the library makes."""

_MISSING = "ResourceNotFoundException"
_CANCELED = "TransactionCanceledException"
_CONFLICTS = {"ConditionalCheckFailed", "TransactionConflict", "None"}
PERMANENT = {
    _MISSING,
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
}
"""Codes of AWS that the same request gets again. An operator must change something first."""

S = TypeVar("S")
T = TypeVar("T")


class DynamoFault(RegistryUnavailable):
    """A call of DynamoDB that failed. ``code`` is that of AWS, or empty."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a fault that will stay into RegistryRefused."""
    try:
        yield
    except DynamoFault as fault:
        if fault.code in PERMANENT:
            raise RegistryRefused(str(fault)) from None
        raise


@dataclass(frozen=True, slots=True)
class Shape:
    """The status of a table and of its index, and the types (S or N) of their keys; empty if a key is another one."""

    active: bool
    id_type: str
    key_type: str


class Table:
    """A table with apps. All methods raise DynamoFault. ``timeout`` is in seconds, for each call."""

    def __init__(self, name: str, options: AwsOptions, *, timeout: float) -> None:
        self.name = name
        self._options = options
        self._timeout = timeout
        self._clients = Clients(connect_timeout=timeout, read_timeout=timeout, attempts=ATTEMPTS)

    async def close(self) -> None:
        """Close all connections. The next call opens new ones."""
        await self._clients.close()

    async def describe(self) -> Shape | None:
        """Return the shape of the table, or None if there is no such table."""
        try:
            table = (await self._call("describe_table"))["Table"]
        except DynamoFault as fault:
            if fault.code == _MISSING:
                return None
            raise
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        index = next((each for each in table.get("GlobalSecondaryIndexes", ()) if each["IndexName"] == INDEX), None)
        statuses = {table["TableStatus"], "ACTIVE" if index is None else index["IndexStatus"]}
        id_type = types[ID] if _keys(table) == [(ID, "HASH")] else ""
        key_type = types[KEY] if index is not None and (KEY, "HASH") in _keys(index) else ""
        return Shape(statuses <= {"ACTIVE", "UPDATING"}, id_type, key_type)

    async def create(self) -> None:
        """Create the table as soketi's documentation has it, paid per request. Do nothing if another one does it."""
        try:
            await self._call(
                "create_table",
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (ID, KEY)],
                KeySchema=[{"AttributeName": ID, "KeyType": "HASH"}],
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": INDEX,
                        "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                ],
            )
        except DynamoFault as fault:
            if fault.code != "ResourceInUseException":
                raise

    async def get(self, ids: Collection[Attribute]) -> list[Item]:
        """Return the items with these different ids, as they are now (a consistent read)."""
        found: list[Item] = []
        wanted = list(ids)
        batches = [wanted[at : at + MOST_IN_BATCH] for at in range(0, len(wanted), MOST_IN_BATCH)]
        for items in await gather(self._get_batch, batches):
            found += items
        return found

    async def _get_batch(self, ids: Sequence[Attribute]) -> list[Item]:
        """Return the items with these ids. DynamoDB leaves items out if they are too large or too many at once."""
        found: list[Item] = []
        keys: Sequence[Item] = [{ID: each} for each in ids]
        for round_ in range(ROUNDS):
            request = {self.name: {"Keys": keys, "ConsistentRead": True}}
            answer = await self._call("batch_get_item", of_table=False, RequestItems=request)
            arrived = answer.get("Responses", {}).get(self.name, ())
            found += arrived
            keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", ())
            if not keys:
                return found
            if not arrived:
                await asyncio.sleep(random.uniform(0, SHORTEST_PAUSE * 2**round_))  # noqa: S311
        raise DynamoFault(f"DynamoDB, table {self.name}: it limits the reads (UnprocessedKeys)")

    async def ids_of_key(self, key: Attribute) -> list[Attribute]:
        """Return the ids of the apps that have this first key, as the index has them."""
        answer = await self._call(
            "query",
            IndexName=INDEX,
            KeyConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": KEY},
            ExpressionAttributeValues={":key": key},
            ProjectionExpression=ID,
            Limit=MOST_WITH_ONE_KEY,
        )
        return [each[ID] for each in answer["Items"]]

    async def scan(self) -> AsyncIterator[Attribute]:
        """Yield the ids of all items, in no order. Raise DynamoFault if the table is too large for this."""
        start: dict[str, Any] = {}
        for _ in range(MOST_SCANNED):
            answer = await self._call("scan", ProjectionExpression=ID, ConsistentRead=True, **start)
            for each in answer["Items"]:
                yield each[ID]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        raise DynamoFault(f"DynamoDB, table {self.name}: it is larger than {MOST_SCANNED} MB, too large for a list")

    async def is_empty(self) -> bool:
        """Return whether the table has no item."""
        return not (await self._call("scan", ProjectionExpression=ID, ConsistentRead=True, Limit=1))["Items"]

    async def write(self, operations: Sequence[Mapping[str, Any]]) -> bool:
        """Make all changes or none, as one transaction. Return False if a condition was not met."""
        try:
            await self._call("transact_write_items", of_table=False, TransactItems=operations)
        except _Canceled as fault:
            if fault.codes <= _CONFLICTS:
                return False
            code = sorted(fault.codes - _CONFLICTS)[0]
            raise DynamoFault(f"{fault}: {code}", code) from None
        return True

    def put(self, item: Item, before: Item | None) -> Mapping[str, Any]:
        """Return the operation that writes an item, if the stored one is as it was read."""
        return {"Put": {"TableName": self.name, "Item": item, **as_read(before)}}

    def delete(self, before: Item) -> Mapping[str, Any]:
        """Return the operation that deletes an item, if the stored one is as it was read."""
        return {"Delete": {"TableName": self.name, "Key": {ID: before[ID]}, **as_read(before)}}

    async def _call(self, name: str, *, of_table: bool = True, **arguments: Any) -> Mapping[str, Any]:
        if of_table:
            arguments["TableName"] = self.name
        text = f"DynamoDB, table {self.name}"
        try:
            async with asyncio.timeout(self._timeout):
                client = await self._clients.get("dynamodb", region_of(self._options, None, ""), self._options)
                answer: Mapping[str, Any] = await getattr(client, name)(**arguments)
                return answer
        except TimeoutError:
            raise DynamoFault(f"{text}: no answer within {self._timeout:g} s") from None
        except NoCredentialsError:
            raise DynamoFault(f"{text}: no credentials of AWS were found") from None
        except ClientError as fault:
            code = code_of(fault)
            reason = "it does not exist" if code == _MISSING else reason_of(fault)
            if code == _CANCELED:
                reasons = fault.response.get("CancellationReasons", ())
                raise _Canceled(f"{text}: {reason}", {str(each.get("Code")) for each in reasons}) from None
            raise DynamoFault(f"{text}: {reason}", code) from None
        except AwsFault as fault:
            raise DynamoFault(f"{text}: {reason_of(fault)}") from None


class _Canceled(DynamoFault):
    """A transaction that was not made. ``codes`` are the reasons, one for each operation."""

    def __init__(self, reason: str, codes: set[str]) -> None:
        super().__init__(reason, _CANCELED)
        self.codes = codes


async def gather(call: Callable[[S], Awaitable[T]], arguments: Iterable[S]) -> list[T]:
    """Make a call with each argument, at most ``MOST_CALLS`` at a time. Then raise the first fault, if any."""
    slots = asyncio.Semaphore(MOST_CALLS)

    async def run(argument: S) -> T:
        async with slots:
            return await call(argument)

    results = await asyncio.gather(*map(run, arguments), return_exceptions=True)
    for each in results:
        if isinstance(each, BaseException):
            raise each
    return [each for each in results if not isinstance(each, BaseException)]


def _keys(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the attributes and their roles in the key of a table or an index."""
    return [(each["AttributeName"], each["KeyType"]) for each in described["KeySchema"]]
