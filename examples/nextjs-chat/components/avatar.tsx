import type { User } from "@/lib/chat";

/** The first letter of a user's name, in a colour that depends on the user's id. */
export function Avatar({ user }: { user: User }) {
  const hue = [...user.id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 0);
  return (
    <span className="avatar" style={{ "--hue": hue } as React.CSSProperties} aria-hidden="true">
      {[...user.name][0]?.toUpperCase()}
    </span>
  );
}
