import type { User } from "@/lib/chat";

/** A user's initial, in a colour that is always theirs. */
export function Avatar({ user }: { user: User }) {
  const hue = [...user.id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 0);
  return (
    <span className="avatar" style={{ "--hue": hue } as React.CSSProperties} aria-hidden="true">
      {[...user.name][0]?.toUpperCase()}
    </span>
  );
}
