/** Answer 404 for unknown API paths. Otherwise Nuxt would answer with the page. */
export default defineEventHandler(() => {
  throw createError({ statusCode: 404, statusMessage: "Not Found" });
});
