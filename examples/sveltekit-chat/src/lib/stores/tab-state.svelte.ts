/** State that stays in the tab: it outlives a reload, and the component. Replace it, rather than change what is in it. */
export class TabState<State> {
  readonly #key: string;
  #current: State;

  constructor(key: string, initial: State) {
    this.#key = key;
    const saved = sessionStorage.getItem(key);
    this.#current = $state.raw(saved ? (JSON.parse(saved) as State) : initial);
  }

  get current(): State {
    return this.#current;
  }

  set current(next: State) {
    this.#current = next;
    sessionStorage.setItem(this.#key, JSON.stringify(next));
  }
}
