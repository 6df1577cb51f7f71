/** Who is signed in is in the tab's session storage, so that the server has nothing to render. */
export const ssr = false;
