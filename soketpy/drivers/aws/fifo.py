"""One FIFO queue of SQS: send, receive, delete, and change the time for which messages are invisible."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from soketpy.core.aws_options import AwsOptions, region_of
from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.drivers.aws.clients import AwsFault, Clients, code_of, reason_of
from soketpy.drivers.aws.sqs_messages import MOST_IN_BATCH, Entry, batch_of, batches, rounds

log = logging.getLogger("soketpy.webhooks")

PATIENCE = 10.0
"""Seconds for the answer to a call that waits for nothing."""

LONGEST_INVISIBLE = 12 * 3600
"""Seconds for which SQS keeps a message invisible after it was received, at most."""

MOST_CALLS = 8
"""Calls in progress that send messages."""

_AWS = (".amazonaws.com", ".amazonaws.com.cn")


class SqsFault(QueueUnavailable):
    """A call of SQS that failed. ``code`` is that of AWS, or empty."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Return whether the queue does not exist."""
        return "NonExistentQueue" in self.code or "QueueDoesNotExist" in self.code


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was received. ``receives`` counts how often, and ``receipt`` is needed to delete it."""

    id: str
    receipt: str
    body: str
    receives: int


class Fifo:
    """A FIFO queue. All methods raise SqsFault."""

    def __init__(self, clients: Clients, url: str, options: AwsOptions) -> None:
        self.url = url
        self._clients = clients
        self._region = region_of(options, None, url)
        parts = urlsplit(url)
        is_of_aws = (parts.hostname or "").endswith(_AWS)
        endpoint = options.endpoint or (None if is_of_aws else f"{parts.scheme}://{parts.netloc}")
        self._options = AwsOptions(
            endpoint=endpoint,
            access_key_id=options.access_key_id,
            secret_access_key=options.secret_access_key,
            session_token=options.session_token,
        )

    async def _call(self, name: str, *, wait: float = 0, **arguments: Any) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(wait + PATIENCE):
                client = await self._clients.get("sqs", self._region, self._options)
                answer: Mapping[str, Any] = await getattr(client, name)(**arguments)
                return answer
        except TimeoutError:
            raise SqsFault("SQS does not answer") from None
        except AwsFault as fault:
            code = code_of(fault) if isinstance(fault, ClientError) else ""
            raise SqsFault(f"SQS: {reason_of(fault)}", code) from None

    async def attributes(self) -> Mapping[str, str]:
        """Return the attributes of the queue."""
        answer = await self._call("get_queue_attributes", QueueUrl=self.url, AttributeNames=["All"])
        found: Mapping[str, str] = answer.get("Attributes", {})
        return found

    async def check(self) -> int:
        """Return the bytes of the largest message. Raise QueueUnavailable if the queue cannot store deliveries."""
        try:
            attributes = await self.attributes()
        except SqsFault as fault:
            if fault.is_missing:
                raise QueueUnavailable(f"there is no queue {self.url}: create it") from None
            raise
        if attributes.get("FifoQueue") != "true":
            raise QueueUnavailable(f"{self.url} is not a FIFO queue")
        if "RedrivePolicy" in attributes:
            log.warning(
                "The SQS queue has a redrive policy, which takes deliveries away: remove it",
                {"event": "sqs_redrive_policy"},
            )
        return int(attributes.get("MaximumMessageSize", 256 * 1024))

    async def create(self, attributes: Mapping[str, str]) -> None:
        """Create the queue."""
        name = self.url.rpartition("/")[2]
        answer = await self._call("create_queue", QueueName=name, Attributes={"FifoQueue": "true", **attributes})
        self.url = answer["QueueUrl"]

    async def send(self, entries: list[Entry]) -> list[Entry]:
        """Send at most ten messages. Return those that SQS will never take. Raise SqsFault if it may take some later.

        Send the same messages again after a fault: SQS does not store them twice.
        """
        answer = await self._call("send_message_batch", QueueUrl=self.url, Entries=batch_of(entries))
        failed = answer.get("Failed", ())
        for each in failed:
            if not each.get("SenderFault"):
                raise SqsFault(f"SQS: AWS answered {each.get('Code')}", str(each.get("Code")))
        return [entries[int(each["Id"])] for each in failed]

    async def send_all(self, entries: list[Entry], most_bytes: int) -> list[Entry]:
        """Send messages, each group in order. Return those that SQS will never take.

        ``most_bytes`` is the size of the largest message, and of the largest batch.
        """
        lost = [each for each in entries if len(each.body) > most_bytes]
        for one in rounds([each for each in entries if len(each.body) <= most_bytes]):
            divided = batches(one, most_bytes)
            for at in range(0, len(divided), MOST_CALLS):
                for refused in await _all(self.send(each) for each in divided[at : at + MOST_CALLS]):
                    lost += refused
        return lost

    async def receive(self, *, wait: int, invisible: int) -> list[Received]:
        """Receive up to ten messages. Wait up to ``wait`` seconds for the first one."""
        answer = await self._call(
            "receive_message",
            wait=wait,
            QueueUrl=self.url,
            MaxNumberOfMessages=MOST_IN_BATCH,
            WaitTimeSeconds=wait,
            VisibilityTimeout=invisible,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [
            Received(
                each["MessageId"],
                each["ReceiptHandle"],
                each["Body"],
                int(each.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for each in answer.get("Messages", ())
        ]

    async def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages."""
        for at in range(0, len(receipts), MOST_IN_BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": each}
                for number, each in enumerate(receipts[at : at + MOST_IN_BATCH])
            ]
            answer = await self._call("delete_message_batch", QueueUrl=self.url, Entries=entries)
            for each in answer.get("Failed", ()):
                raise SqsFault(f"SQS: AWS answered {each.get('Code')}", str(each.get("Code")))

    async def hide(self, receipts: Sequence[str], seconds: int) -> list[str]:
        """Keep received messages invisible for some seconds from now. With 0 seconds they are visible at once.

        Return the receipts that SQS no longer knows: other consumers may have these messages.
        """
        unknown = []
        for at in range(0, len(receipts), MOST_IN_BATCH):
            part = receipts[at : at + MOST_IN_BATCH]
            entries = [
                {"Id": str(number), "ReceiptHandle": each, "VisibilityTimeout": seconds}
                for number, each in enumerate(part)
            ]
            answer = await self._call("change_message_visibility_batch", QueueUrl=self.url, Entries=entries)
            unknown += [part[int(each["Id"])] for each in answer.get("Failed", ())]
        return unknown


async def _all(calls: Iterable[Awaitable[list[Entry]]]) -> list[list[Entry]]:
    """Wait for all calls, and then raise the first fault, so that no call is in progress after a fault."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for each in results:
        if isinstance(each, BaseException):
            raise each
    return [each for each in results if not isinstance(each, BaseException)]
