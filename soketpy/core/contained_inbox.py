"""A node as a roster calls it: a fault of the node cannot interrupt the roster."""

import logging

from soketpy.core.containment import contain
from soketpy.core.ports import Inbox, Transition
from soketpy.core.presence import Member

log = logging.getLogger("soketpy.cluster")


class ContainedInbox:
    """A node as a roster sees it, whose calls never raise: an exception is logged and counted.

    So a fault of a node cannot interrupt a roster between two of its own changes. ``deliver`` and ``end_user``, which
    only a bus calls, are the node's own: a publisher must see their faults.
    """

    def __init__(self, node: Inbox) -> None:
        self._node = node
        self.deliver, self.end_user = node.deliver, node.end_user

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has come."""
        try:
            self._node.member_added(app_id, channel, member)
        except Exception as fault:
            contain(log, fault, "App %s: member_added on %s failed", app_id, channel)

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has gone."""
        try:
            self._node.member_removed(app_id, channel, member)
        except Exception as fault:
            contain(log, fault, "App %s: member_removed on %s failed", app_id, channel)

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        """Tell this node's subscribers of a channel how many they are in all."""
        try:
            self._node.count_changed(app_id, channel, count)
        except Exception as fault:
            contain(log, fault, "App %s: subscription_count on %s failed", app_id, channel)

    def wants_counts(self, app_id: str) -> bool:
        """Whether the subscribers of the app's channels are to be told how many they are; False after a fault."""
        try:
            return self._node.wants_counts(app_id)
        except Exception as fault:
            contain(log, fault, "App %s: the settings could not be read", app_id)
            return False

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Tell this node's watchers of a user that the user came or went."""
        try:
            self._node.notify_watchers(app_id, user_id, online)
        except Exception as fault:
            contain(log, fault, "App %s: the watchers of a user could not be notified", app_id)

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        """Report a transition, of which no other node is told in this way."""
        try:
            self._node.report(transition, app_id, channel, user_id)
        except Exception as fault:
            contain(log, fault, "App %s: %s on %s could not be reported", app_id, transition, channel)
