/** An answer other than 200: a status, and what the page is told. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}
