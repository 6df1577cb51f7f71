const ID = /^[\w-]{1,64}$/;
const MOST_MENTIONS = 10;

const isId = (value: unknown): value is string => typeof value === "string" && ID.test(value);

/** Send a message to everyone in a room, and notify the users that it mentions. */
export default defineEventHandler(async (event) => {
  const author = userOf(event);
  if (!author) return refuse(event, 401, "Sign in first.");
  const { id, room, text, mentions = [] } = await fieldsOf(event);
  if (!isId(id) || !isRoom(room) || typeof text !== "string" || !text.trim() || text.length > LONGEST_TEXT) {
    return refuse(event, 400, `A message has an id, a room and a text of 1 to ${LONGEST_TEXT} characters.`);
  }
  if (!Array.isArray(mentions) || mentions.length > MOST_MENTIONS || !mentions.every(isId)) {
    return refuse(event, 400, `Mentions are a list of up to ${MOST_MENTIONS} ids of users.`);
  }

  const pusher = usePusherServer();
  const message: Message = { id, room, author, text, at: Date.now() };
  try {
    await pusher.trigger(messagesChannel(room), "message", message);
    await Promise.all(mentions.map((user) => pusher.sendToUser(user, "mention", message)));
  } catch (fault) {
    const { message: what, status, error } = fault as TriggerFault; // the other fields contain the signed URL
    console.error("The message could not be published:", what, error?.code ?? "");
    if (status === 400 || status === 413) return refuse(event, status, "The realtime server refuses this message.");
    return refuse(event, 502, "The realtime server cannot be reached.");
  }
  return message;
});
