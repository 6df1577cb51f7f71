/** Sign a request to join a channel. pusher-js asks before it subscribes to a private or presence channel. */
export default defineEventHandler(async (event) => {
  const user = userOf(event);
  if (!user) throw createError({ statusCode: 403, statusMessage: "Forbidden" });
  const form = await formOf(event);
  const channel = form.get("channel_name") ?? "";
  if (!isChannel(channel)) throw createError({ statusCode: 403, statusMessage: "Forbidden" });
  const member = channel.startsWith("presence-") ? { user_id: user.id, user_info: { name: user.name } } : undefined;
  return usePusherServer().authorizeChannel(socketIdOf(form), channel, member);
});
