/** Sign in anybody, under any name. */
export default defineEventHandler(async (event) => {
  const given = (await fieldsOf(event)).name;
  const name = typeof given === "string" ? given.trim() : "";
  if (!name || name.length > LONGEST_NAME || !name.isWellFormed()) {
    return refuse(event, 400, `A name has 1 to ${LONGEST_NAME} characters.`);
  }
  return issueToken(name);
});
