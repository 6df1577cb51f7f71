// Asks the application to do something, from a page. Throws an Error with a sentence that can be shown.
export async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw new Error("The application cannot be reached.");
  });
  if (response.ok) return;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? "That did not work.");
}
