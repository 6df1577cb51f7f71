"""Writes the files of this folder into the chats that share them: python examples/shared/copy.py

Each example has all of its files, so that you can copy its folder alone. Change a shared file in this folder, then run
this program.
"""

from pathlib import Path

SHARED = Path(__file__).parent
EXAMPLES = SHARED.parent

LIB = ("nextjs-chat/lib", "nuxt-chat/app/utils", "sveltekit-chat/src/lib", "vue-chat/src/utils")
COMPOSABLES = ("nuxt-chat/app/composables", "vue-chat/src/composables")

# Nuxt sends messages with its own $fetch. Nuxt and the server of vue-chat also have their own forms of chat.ts.
# The soketpy.yaml of nextjs-chat also has webhooks.
FOLDERS = {
    "globals.css": ("nextjs-chat/app", "nuxt-chat/app/assets", "sveltekit-chat/src", "vue-chat/src"),
    "chat.ts": ("nextjs-chat/lib", "sveltekit-chat/src/lib"),
    "connection.ts": LIB,
    "members.ts": LIB,
    "mentions.ts": LIB,
    "messages.ts": ("nextjs-chat/lib", "sveltekit-chat/src/lib", "vue-chat/src/utils"),
    "outbox.ts": LIB,
    "retry.ts": LIB,
    "soketpy.yaml": ("nuxt-chat", "sveltekit-chat", "vue-chat"),
    "useChannel.ts": COMPOSABLES,
    "useConnection.ts": COMPOSABLES,
    "useOutbox.ts": COMPOSABLES,
    "usePresence.ts": COMPOSABLES,
    "useTabState.ts": COMPOSABLES,
    "useTyping.ts": COMPOSABLES,
    "useUser.ts": COMPOSABLES,
}
"""The folders into which each file is copied."""


def copies() -> dict[Path, str]:
    """Return the path and the text of every copy."""
    return {
        EXAMPLES / folder / name: origin(name) + (SHARED / name).read_text()
        for name, folders in FOLDERS.items()
        for folder in folders
    }


def origin(name: str) -> str:
    """Return the first line of the copies of a file."""
    opening, closing = {".css": ("/* ", " */"), ".yaml": ("# ", "")}.get(Path(name).suffix, ("// ", ""))
    return f"{opening}A copy of examples/shared/{name}, written by examples/shared/copy.py.{closing}\n"


if __name__ == "__main__":
    for path, text in copies().items():
        path.write_text(text)
