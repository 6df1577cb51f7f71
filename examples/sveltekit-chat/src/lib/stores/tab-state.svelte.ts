/** State of the tab that survives a reload and the component. Replace the value; changes inside it are not stored. */
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
