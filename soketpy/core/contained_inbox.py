"""The inbox that a roster calls: a fault of the node cannot interrupt the roster."""

import logging

from soketpy.core.containment import contain
from soketpy.core.ports import Inbox, Transition
from soketpy.core.presence import Member

log = logging.getLogger("soketpy.cluster")


class ContainedInbox:
    """Passes the calls of a roster on to the node. An exception of the node is logged and counted.

    A fault of the node therefore cannot interrupt a roster between two of its own changes. ``deliver``,
    ``deliver_stored`` and ``end_user`` are the methods of the node itself: only a bus calls them, and a publisher must
    see their exceptions.
    """

    def __init__(self, node: Inbox) -> None:
        self._node = node
        self.deliver, self.end_user = node.deliver, node.end_user
        self.deliver_stored, self.check_history = node.deliver_stored, node.check_history

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_added to this node's subscribers of a presence channel."""
        try:
            self._node.member_added(app_id, channel, member)
        except Exception as fault:
            contain(log, fault, "App %s: member_added on %s failed", app_id, channel)

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_removed to this node's subscribers of a presence channel."""
        try:
            self._node.member_removed(app_id, channel, member)
        except Exception as fault:
            contain(log, fault, "App %s: member_removed on %s failed", app_id, channel)

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        """Send the number of all subscribers to this node's subscribers of a channel."""
        try:
            self._node.count_changed(app_id, channel, count)
        except Exception as fault:
            contain(log, fault, "App %s: subscription_count on %s failed", app_id, channel)

    def wants_counts(self, app_id: str) -> bool:
        """Return whether the app has subscription_count events; False after a fault."""
        try:
            return self._node.wants_counts(app_id)
        except Exception as fault:
            contain(log, fault, "App %s: the settings could not be read", app_id)
            return False

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Notify this node's watchers that a user is online or offline."""
        try:
            self._node.notify_watchers(app_id, user_id, online)
        except Exception as fault:
            contain(log, fault, "App %s: the watchers of a user could not be notified", app_id)

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        """Report a transition. The roster calls this on one node only."""
        try:
            self._node.report(transition, app_id, channel, user_id)
        except Exception as fault:
            contain(log, fault, "App %s: %s on %s could not be reported", app_id, transition, channel)
