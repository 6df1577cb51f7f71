/** Sign the sign-in of a connection, so that events for the user reach it. */
export default defineEventHandler(async (event) => {
  const user = userOf(event);
  if (!user) throw createError({ statusCode: 403, statusMessage: "Forbidden" });
  const socketId = socketIdOf(await formOf(event));
  return usePusherServer().authenticateUser(socketId, { id: user.id, user_info: { name: user.name } });
});
