// Put into the page's head: lets the studio know its own pages. Whatever this page sends to the
// studio carries the token of the studio's start, which no page of another origin can read.
((first) => {
  const HEADER = "X-PPAP-Token";
  const send = window.fetch.bind(window);
  let token = first;

  const methodOf = (input, init) => (init?.method ?? (input instanceof Request ? input.method : "GET")).toUpperCase();

  const isOurs = (input) => {
    const url = new URL(input instanceof Request ? input.url : input, document.baseURI);
    return url.origin === window.location.origin;
  };

  function carrying(input, init) {
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    headers.set(HEADER, token);
    return send(input instanceof Request ? input.clone() : input, { ...init, headers });
  }

  /** The studio was started anew under an open page: its new token, and whether there is one. */
  async function renew() {
    const url = new URL("studio/token", document.baseURI);
    const answer = await send(url, { headers: { [HEADER]: "new" }, cache: "no-store" });
    if (!answer.ok) return false;
    token = (await answer.json()).token;
    return true;
  }

  window.fetch = async (input, init) => {
    if (["GET", "HEAD"].includes(methodOf(input, init)) || !isOurs(input)) return send(input, init);
    let answer = await carrying(input, init);
    if (answer.headers.get("X-PPAP-Refused") === "token" && (await renew())) answer = await carrying(input, init);
    if (answer.headers.has("X-PPAP-Refused") && String(input).includes("/component_server")) {
      // gradio would tell of no more than the status: the studio's sentence goes where its others go.
      return Response.json({ error: await answer.text() });
    }
    return answer;
  };
})(TOKEN);
