/** The session is in the tab's session storage, so the server has nothing to render. */
export const ssr = false;
