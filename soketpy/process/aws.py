"""The parts of a process that use AWS. Their library is imported only if a webhook has a Lambda function."""

import asyncio
from collections.abc import Mapping
from importlib import import_module

from soketpy.core.apps import App
from soketpy.core.aws_options import INSTALL
from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import NO_HEADERS, Outcome, Target
from soketpy.core.webhooks import Webhook


class LambdaTargetOnDemand:
    """The target of Lambda functions. It is built at the first delivery, since a reload may add the first function."""

    def __init__(self, *, timeout: float, endpoints: bool = True) -> None:
        self._timeout = timeout
        self._endpoints = endpoints
        self._target: Target | None = None

    async def send(
        self, delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """Make one attempt."""
        if self._target is None:
            try:
                await asyncio.to_thread(import_module, "soketpy.drivers.aws.lambda_target")
            except ImportError as fault:
                return Outcome(f"a Lambda function needs {fault.name}: {INSTALL}")
            self._target = self._target or self._build()
        return await self._target.send(delivery, app, webhook, trace)

    def _build(self) -> Target:
        from soketpy.drivers.aws.lambda_target import LambdaTarget

        return LambdaTarget(timeout=self._timeout, endpoints=self._endpoints)

    async def close(self) -> None:
        """Close all connections."""
        if self._target is not None:
            await self._target.close()
