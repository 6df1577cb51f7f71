/** Whatever else is asked of the API: Nuxt would answer it with the page. */
export default defineEventHandler(() => {
  throw createError({ statusCode: 404, statusMessage: "Not Found" });
});
