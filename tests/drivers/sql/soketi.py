"""The tables that soketi 1.6 documents for its databases: the columns with their types, in their order."""

from typing import Any

POSTGRES = """
CREATE TABLE IF NOT EXISTS apps (
id varchar(255) PRIMARY KEY, "key" varchar(255) NOT NULL, secret varchar(255) NOT NULL,
max_connections integer NOT NULL, enable_client_messages smallint NOT NULL, "enabled" smallint NOT NULL,
max_backend_events_per_sec integer NOT NULL, max_client_events_per_sec integer NOT NULL,
max_read_req_per_sec integer NOT NULL, webhooks json, max_presence_members_per_channel integer DEFAULT NULL,
max_presence_member_size_in_kb integer DEFAULT NULL, max_channel_name_length integer DEFAULT NULL,
max_event_channels_at_once integer DEFAULT NULL, max_event_name_length integer DEFAULT NULL,
max_event_payload_in_kb integer DEFAULT NULL, max_event_batch_size integer DEFAULT NULL,
enable_user_authentication smallint NOT NULL)
"""

MYSQL = """
CREATE TABLE IF NOT EXISTS `apps` (
`id` varchar(255) NOT NULL, `key` varchar(255) NOT NULL, `secret` varchar(255) NOT NULL,
`max_connections` integer(10) NOT NULL, `enabled` tinyint(1) NOT NULL, `enable_client_messages` tinyint(1) NOT NULL,
`max_backend_events_per_sec` integer(10) NOT NULL, `max_client_events_per_sec` integer(10) NOT NULL,
`max_read_req_per_sec` integer(10) NOT NULL, `webhooks` json, `max_presence_members_per_channel` tinyint(1) NULL,
`max_presence_member_size_in_kb` tinyint(1) NULL, `max_channel_name_length` tinyint(1) NULL,
`max_event_channels_at_once` tinyint(1) NULL, `max_event_name_length` tinyint(1) NULL,
`max_event_payload_in_kb` tinyint(1) NULL, `max_event_batch_size` tinyint(1) NULL,
`enable_user_authentication` tinyint(1) NOT NULL, PRIMARY KEY (`id`))
"""

ROW: dict[str, Any] = {
    "id": "app-id",
    "key": "app-key",
    "secret": "app-secret",
    "max_connections": 200,
    "enabled": 1,
    "enable_client_messages": 1,
    "max_backend_events_per_sec": -1,
    "max_client_events_per_sec": -1,
    "max_read_req_per_sec": -1,
    "webhooks": "[]",
    "enable_user_authentication": 0,
}
"""A row as soketi's documentation inserts it. The limits that are not here are NULL."""
