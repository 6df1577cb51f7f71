// Sends a request from a page to the application. Throws an Error with a sentence for the page.
export async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw new Error("The application cannot be reached.");
  });
  if (response.ok) return;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? "The request failed.");
}
