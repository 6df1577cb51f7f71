/** Say who a connection belongs to, so that events can be sent to that user. */
export default defineEventHandler(async (event) => {
  const user = userOf(event);
  if (!user) throw createError({ statusCode: 403, statusMessage: "Forbidden" });
  const socketId = socketIdOf(await formOf(event));
  return usePusherServer().authenticateUser(socketId, { id: user.id, user_info: { name: user.name } });
});
